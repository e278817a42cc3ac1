//! What a transition asks the outside world to do, after it is committed.

use chrono::{DateTime, Utc};
use flow::step::{Auth, Retry};
use flow::{Content, Span};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{CallId, MessageId, RowId, TaskId};
use crate::task::{Parent, TimerName, Vars};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Send a message to the contact.
    Send {
        /// Its id, which is the retry key as well.
        id: MessageId,
        /// What it says.
        content: Content,
        /// The operator who wrote it; the flow where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Call an external system.
    Call(Box<CallRequest>),
    /// Set a timer.
    SetTimer {
        /// Which.
        name: TimerName,
        /// The wait it belongs to.
        entered: u64,
        /// When it fires.
        due: DateTime<Utc>,
    },
    /// Take a timer back. A timer that fires all the same is stale and changes nothing.
    CancelTimer {
        /// Which.
        name: TimerName,
        /// The wait it belonged to.
        entered: u64,
    },
    /// Start a child task.
    StartTask {
        /// Its id.
        id: TaskId,
        /// The flow.
        flow: String,
        /// Its variables.
        vars: Vars,
        /// Whom it talks with; the parent's contact where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<String>,
        /// Who started it.
        parent: Parent,
    },
    /// Cancel a child, since its parent ended.
    CancelTask {
        /// Which.
        id: TaskId,
    },
    /// Tell the parent that this task ended.
    TellParent {
        /// Who.
        parent: Parent,
        /// Whether this task came to an end step.
        completed: bool,
        /// Its outcome.
        outcome: String,
        /// Its result.
        result: Value,
    },
    /// Land a row in a warehouse table.
    Record {
        /// The row's id.
        id: RowId,
        /// The table.
        table: String,
        /// Column names and values.
        row: Map<String, Value>,
    },
    /// Tell somebody else.
    Notify {
        /// The message's id.
        id: MessageId,
        /// The connection; the task's own where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
        /// Whom.
        to: String,
        /// What.
        content: Content,
    },
    /// Put the task into a queue of people.
    Assign {
        /// The queue.
        queue: String,
        /// Who took it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assignee: Option<String>,
        /// What they should know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        summary: Option<String>,
    },
}

/// Keeps a JSON `null` apart from no value at all.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// An HTTP call, rendered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRequest {
    /// Its id.
    pub id: CallId,
    /// The method.
    pub method: String,
    /// The address with its query.
    pub url: String,
    /// Query parameters still to be encoded.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub query: IndexMap<String, String>,
    /// Header fields.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// A JSON body; `null` is one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// A text body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Credentials, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The connection whose allowed hosts apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// How long one attempt may take.
    pub timeout: Span,
    /// When and how often to try again.
    pub retry: Retry,
}
