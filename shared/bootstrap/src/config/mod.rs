//! Configuration: environment variables, read here and nowhere else.
//!
//! [`SETTINGS`] is the one table of them. What is unknown, malformed, missing or contradictory
//! stops the start with one message that lists all of it.

mod check;
mod role;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

pub use role::Role;
use table::name;
pub use table::{Reader, Required, SETTINGS, Setting, Shape, markdown};

/// What functions log where nothing else is said. `gcloud_sdk` calls every call that is tried
/// again an error, which would go to Error Reporting.
const FUNCTION_LOG: &str = "info,gcloud_sdk=off,firestore=warn";

/// What the program was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Which program this is.
    pub role: Role,
    /// What is logged, in the syntax of `tracing`.
    pub log: String,
    /// The port of a function.
    pub port: u16,
    /// Whether the function runs on AWS Lambda.
    pub lambda: bool,
    /// The service's name in error reports and traces.
    pub service: String,
    /// The version in error reports and traces.
    pub version: String,
    /// The OpenTelemetry collector.
    pub otlp: Option<String>,
    /// Whether the gateway serves webhooks and nothing else.
    pub webhooks_only: bool,
    /// Google Cloud; none is the local backend.
    pub gcp: Option<Gcp>,
}

/// What is to be known about Google Cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gcp {
    /// The project's id.
    pub project: String,
    /// The region of the queue.
    pub region: String,
    /// The Firestore database.
    pub database: String,
    /// What the names of topics begin with.
    pub topic_prefix: String,
    /// The Cloud Tasks queue of timers.
    pub queue: String,
    /// The timekeeper's URL.
    pub timekeeper_url: String,
    /// The service account in whose name the queue calls.
    pub tasks_service_account: String,
    /// The BigQuery dataset.
    pub dataset: String,
    /// What the names of secrets begin with.
    pub secret_prefix: String,
    /// Days after which history goes.
    pub history_kept_days: Option<u32>,
    /// Days after which a conversation without open tasks goes.
    pub conversations_kept_days: Option<u32>,
    /// Who may push; none where nothing is pushed to this program.
    pub push: Option<Push>,
    /// Servers that stand in for Google's, each as `http://host:port`.
    pub endpoints: Endpoints,
}

/// Who may push to this function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The audience that tokens must name.
    pub audience: String,
    /// The accounts, by e-mail address.
    pub service_accounts: Vec<String>,
    /// Where the keys of the tokens are.
    pub jwks_url: String,
}

/// Servers that stand in for Google's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Firestore, gRPC.
    pub firestore: Option<String>,
    /// Pub/Sub, gRPC.
    pub pubsub: Option<String>,
    /// BigQuery, REST.
    pub bigquery: Option<String>,
    /// BigQuery's Storage Write API, gRPC.
    pub bigquery_storage: Option<String>,
    /// Cloud Tasks, REST.
    pub tasks: Option<String>,
    /// Secret Manager, REST.
    pub secrets: Option<String>,
}

/// Everything that is wrong with the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// One sentence each: what is wrong and what to do.
    pub problems: Vec<String>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the environment variables do not fit together:")?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

/// The variables that are set, by name; an empty value counts as none.
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    fn given(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value, or the table's default.
    fn or_default(&self, name: &str) -> String {
        let default =
            || SETTINGS.iter().find(|setting| setting.name == name).and_then(|it| it.default);
        self.given(name).or_else(default).unwrap_or_default().to_owned()
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.given(name).map(str::to_owned)
    }
}

impl Config {
    /// Reads the process's environment. A variable that is not UTF-8 is a problem where it is ours
    /// and none of our business where it is not.
    pub fn from_process(role: Role) -> Result<Self, ConfigError> {
        let mut broken = Vec::new();
        let vars: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok()?;
                match value.into_string() {
                    Ok(value) => Some((name, value)),
                    Err(_) if check::is_ours(&name) => {
                        broken.push(format!("`{name}` is not UTF-8; set it again"));
                        None
                    }
                    Err(_) => None,
                }
            })
            .collect();
        match Self::from_environment(vars.into_iter(), role) {
            Ok(config) if broken.is_empty() => Ok(config),
            Ok(_) => Err(ConfigError { problems: broken }),
            Err(error) => {
                broken.extend(error.problems);
                Err(ConfigError { problems: broken })
            }
        }
    }

    /// Reads these variables.
    pub fn from_environment(
        vars: impl Iterator<Item = (String, String)>,
        role: Role,
    ) -> Result<Self, ConfigError> {
        let values = Values(
            vars.filter(|(name, value)| check::is_ours(name) && !value.trim().is_empty())
                .map(|(name, value)| (name, value.trim().to_owned()))
                .collect(),
        );
        let problems = check::problems(&values, role);
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        let gcp = (values.or_default(name::BACKEND) == "gcp").then(|| Gcp::of(&values, role));
        let log = match values.given(name::LOG) {
            None if role.is_function() => FUNCTION_LOG.to_owned(),
            _ => values.or_default(name::LOG),
        };
        let version = values.owned(name::REVISION);
        Ok(Self {
            role,
            log,
            // The shape was checked.
            port: values.or_default(name::PORT).parse().unwrap_or(8080),
            lambda: values.given(name::LAMBDA).is_some(),
            service: values.owned(name::SERVICE).unwrap_or_else(|| role.name().to_owned()),
            version: version.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
            otlp: values.owned(name::OTLP),
            webhooks_only: values.or_default(name::ROUTES) == "webhooks",
            gcp,
        })
    }
}

impl Gcp {
    fn of(values: &Values, role: Role) -> Self {
        let days = |name| values.given(name).and_then(|days| days.parse().ok());
        let push = role.is_pushed_to().then(|| Push {
            audience: origin(values.or_default(name::PUSH_AUDIENCE)),
            service_accounts: check::emails(&values.or_default(name::PUSH_ACCOUNTS)),
            jwks_url: values.or_default(name::JWKS_URL),
        });
        let endpoint = |name| values.owned(name).map(origin);
        Self {
            project: values.or_default(name::PROJECT),
            region: values.or_default(name::REGION),
            database: values.or_default(name::DATABASE),
            topic_prefix: values.or_default(name::TOPIC_PREFIX),
            queue: values.or_default(name::QUEUE),
            timekeeper_url: origin(values.or_default(name::TIMEKEEPER_URL)),
            tasks_service_account: values.or_default(name::TASKS_ACCOUNT),
            dataset: values.or_default(name::DATASET),
            secret_prefix: values.or_default(name::SECRET_PREFIX),
            history_kept_days: days(name::HISTORY_DAYS),
            conversations_kept_days: days(name::CONVERSATIONS_DAYS),
            push,
            endpoints: Endpoints {
                firestore: endpoint(name::FIRESTORE),
                pubsub: endpoint(name::PUBSUB),
                bigquery: endpoint(name::BIGQUERY),
                bigquery_storage: endpoint(name::BIGQUERY_STORAGE),
                tasks: endpoint(name::TASKS),
                secrets: endpoint(name::SECRETS),
            },
        }
    }
}

/// Without the slash that people put at the end: audiences are compared as text.
fn origin(url: String) -> String {
    match url.strip_suffix('/') {
        Some(shorter) => shorter.to_owned(),
        None => url,
    }
}
