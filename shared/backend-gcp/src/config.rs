//! Where everything is: the project, the names of its resources, and who answers for Google.

/// What the backend needs to know. `bootstrap::config` reads it from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The project's id.
    pub project: String,
    /// The region of the queue and of what is made there, such as `asia-east1`.
    pub region: String,
    /// The Firestore database.
    pub database: String,
    /// What the names of topics begin with: `chatflow-` makes `chatflow-events`.
    pub topic_prefix: String,
    /// The Cloud Tasks queue of timers.
    pub queue: String,
    /// The timekeeper's URL, which the queue calls: `https://timekeeper-….run.app`.
    pub timekeeper_url: String,
    /// The service account in whose name the queue calls; none sends no token.
    pub tasks_service_account: Option<String>,
    /// The BigQuery dataset.
    pub dataset: String,
    /// What the names of secrets begin with: `chatflow-` makes `chatflow-hr-token`.
    pub secret_prefix: String,
    /// Days after which history is removed by the store's TTL policy; none keeps it.
    pub history_kept_days: Option<u32>,
    /// Days after its last change after which a conversation without open tasks is removed by
    /// the store's TTL policy; none keeps it.
    pub conversations_kept_days: Option<u32>,
    /// Servers that stand in for Google's.
    pub endpoints: Endpoints,
}

/// Servers that stand in for Google's, each as `http://host:port`. None is Google's own, with the
/// credentials of the environment; a server that stands in is asked without any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Firestore, gRPC.
    pub firestore: Option<String>,
    /// Pub/Sub, gRPC.
    pub pubsub: Option<String>,
    /// BigQuery's REST API.
    pub bigquery: Option<String>,
    /// BigQuery's Storage Write API, gRPC.
    pub bigquery_storage: Option<String>,
    /// Cloud Tasks, REST.
    pub tasks: Option<String>,
    /// Secret Manager, REST.
    pub secrets: Option<String>,
}
