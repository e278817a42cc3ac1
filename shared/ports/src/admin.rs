//! What administrators keep: flows, connections, keys, queues, tables, failures.

use async_trait::async_trait;
use channels::Connection;
use chrono::{DateTime, Utc};
use engine::{ConversationId, TaskId};
use flow::Flow;
use schema::Table;
use serde::{Deserialize, Serialize};

use crate::bus::Envelope;
use crate::error::PortResult;
use crate::state::{Page, PageOf};

/// The editable form of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The flow's id.
    pub flow: String,
    /// The text as it was written, YAML or JSON.
    pub source: String,
    /// Counts up with every change; the ETag.
    pub revision: u64,
    /// When it changed.
    pub updated_at: DateTime<Utc>,
    /// Who changed it.
    pub updated_by: String,
}

/// An immutable published version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowVersion {
    /// The flow, parsed.
    pub document: Flow,
    /// The text it was parsed from.
    pub source: String,
    /// Its number, from 1.
    pub version: u32,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// By whom.
    pub published_by: String,
    /// The version it repeats, where it is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<u32>,
}

/// A flow in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowSummary {
    /// Its id.
    pub flow: String,
    /// The draft's revision, where there is a draft.
    pub draft_revision: Option<u64>,
    /// The version its triggers point at, where one is published.
    pub live: Option<u32>,
    /// When the draft or the live version last changed.
    pub updated_at: DateTime<Utc>,
}

/// Flows: drafts, versions, and which version is live.
#[async_trait]
pub trait FlowStore: Send + Sync {
    /// The draft.
    async fn draft(&self, flow: &str) -> PortResult<Option<Draft>>;

    /// Writes a draft whose stored revision must be one less than `draft.revision` (1: new).
    async fn put_draft(&self, draft: &Draft) -> PortResult<()>;

    /// Adds a version, whose number must be the next one, and makes it live.
    async fn publish(&self, version: &FlowVersion) -> PortResult<()>;

    /// One version.
    async fn version(&self, flow: &str, version: u32) -> PortResult<Option<FlowVersion>>;

    /// All versions, newest first.
    async fn versions(&self, flow: &str) -> PortResult<Vec<FlowVersion>>;

    /// Every flow.
    async fn list_flows(&self) -> PortResult<Vec<FlowSummary>>;

    /// Every live version, by flow id.
    async fn live(&self) -> PortResult<Vec<(String, u32)>>;
}

/// A key of the API. Only its hash is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public part.
    pub id: String,
    /// SHA-256 of the whole key, hexadecimal.
    pub hash: String,
    /// What it is for.
    pub name: String,
    /// What it may do; `*` is everything.
    pub permissions: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A queue of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// Connections, keys, queues and table schemas.
#[async_trait]
pub trait ConfigStore: Send + Sync {
    /// A connection.
    async fn connection(&self, id: &str) -> PortResult<Option<Connection>>;

    /// Writes a connection.
    async fn put_connection(&self, connection: &Connection) -> PortResult<()>;

    /// All connections, by id.
    async fn connections(&self) -> PortResult<Vec<Connection>>;

    /// A key by its id.
    async fn key(&self, id: &str) -> PortResult<Option<ApiKey>>;

    /// Writes a key.
    async fn put_key(&self, key: &ApiKey) -> PortResult<()>;

    /// All keys, oldest first.
    async fn keys(&self) -> PortResult<Vec<ApiKey>>;

    /// All queues, by id.
    async fn queues(&self) -> PortResult<Vec<Queue>>;

    /// Writes a queue.
    async fn put_queue(&self, queue: &Queue) -> PortResult<()>;

    /// The schema of a user-defined table.
    async fn table(&self, id: &str) -> PortResult<Option<Table>>;

    /// Writes the schema of a user-defined table.
    async fn put_table(&self, table: &Table) -> PortResult<()>;

    /// All user-defined tables, by id.
    async fn tables(&self) -> PortResult<Vec<Table>>;
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A task failed.
    Task,
    /// A reply could not be sent.
    Reply,
    /// A call got no answer.
    Call,
    /// Rows could not be landed.
    Landing,
    /// An event from outside that nothing waited for.
    Event,
    /// An envelope that its function gave up.
    DeadLetter,
}

impl FailureKind {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Reply => "reply",
            Self::Call => "call",
            Self::Landing => "landing",
            Self::Event => "event",
            Self::DeadLetter => "dead_letter",
        }
    }
}

/// Whether somebody dealt with a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureState {
    /// Nobody did.
    Open,
    /// It was tried again.
    Retried,
    /// Somebody decided that nothing is to be done.
    Discarded,
}

impl FailureState {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Retried => "retried",
            Self::Discarded => "discarded",
        }
    }
}

/// Something that went wrong for good, kept with all that a retry needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Its id; writing the same id again replaces it.
    pub id: String,
    /// What kind.
    pub kind: FailureKind,
    /// Why, for people.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether somebody dealt with it.
    pub state: FailureState,
    /// The task, where it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The conversation, where it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// What a retry publishes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Envelope>,
    /// Who dealt with it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<(String, DateTime<Utc>)>,
}

/// Failures.
#[async_trait]
pub trait FailureStore: Send + Sync {
    /// One failure.
    async fn failure(&self, id: &str) -> PortResult<Option<Failure>>;

    /// Writes a failure, whatever is stored.
    async fn put_failure(&self, failure: &Failure) -> PortResult<()>;

    /// Changes the state of a failure that must be in state `from`; else a `Conflict`.
    /// Publishes `envelopes` in the same step.
    async fn settle_failure(
        &self,
        failure: &Failure,
        from: FailureState,
        envelopes: &[Envelope],
    ) -> PortResult<()>;

    /// Failures, newest first.
    async fn failures(
        &self,
        state: Option<FailureState>,
        kind: Option<FailureKind>,
        page: &Page,
    ) -> PortResult<PageOf<Failure>>;
}
