//! What may happen to a task.

use chrono::{DateTime, Utc};
use flow::Content;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{CallId, EventId, MessageId, TaskId};
use crate::task::{TimerName, Vars};

/// Something that happened to one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id; the same id takes effect once.
    pub id: EventId,
    /// When it was accepted. Ids made while handling it carry this time.
    pub at: DateTime<Utc>,
    /// What happened.
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventBody {
    /// The task begins.
    Started {
        /// Values for declared variables.
        #[serde(default)]
        vars: Vars,
        /// The message that started it.
        #[serde(default)]
        input: Value,
    },
    /// The contact replied.
    Reply {
        /// The message.
        message: MessageId,
        /// What it says.
        content: Content,
        /// The button that was pressed: the wait it belonged to, and its place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pressed: Option<Pressed>,
    },
    /// A timer fired.
    Timer {
        /// Which.
        name: TimerName,
        /// The wait it was set for.
        entered: u64,
    },
    /// A call came back, or will not.
    Answered {
        /// Which.
        call: CallId,
        /// What came.
        result: CallResult,
    },
    /// The awaited event came.
    External {
        /// Its type.
        event_type: String,
        /// Its correlation key.
        key: String,
        /// Its data.
        #[serde(default)]
        data: Value,
    },
    /// A child ended.
    ChildEnded {
        /// Which.
        child: TaskId,
        /// Whether it came to an end step.
        completed: bool,
        /// Its outcome.
        outcome: String,
        /// Its result.
        #[serde(default)]
        result: Value,
    },
    /// The person came back to this task; it asks again.
    Focused,
    /// A person with the right to do so acted on the task.
    Operator {
        /// Who.
        by: String,
        /// What.
        action: OperatorAction,
    },
}

impl EventBody {
    /// The word for it in history and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Reply { .. } => "reply",
            Self::Timer { .. } => "timer",
            Self::Answered { .. } => "answered",
            Self::External { .. } => "external",
            Self::ChildEnded { .. } => "child_ended",
            Self::Focused => "focused",
            Self::Operator { action, .. } => match action {
                OperatorAction::Cancel { .. } => "operator_cancel",
                OperatorAction::Retry => "operator_retry",
                OperatorAction::Assign { .. } => "operator_assign",
                OperatorAction::Say { .. } => "operator_reply",
                OperatorAction::Resolve { .. } => "operator_resolve",
                OperatorAction::Migrate { .. } => "operator_migrate",
            },
        }
    }
}

/// A button press.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressed {
    /// The sequence number of the wait that offered it.
    pub entered: u64,
    /// Its place among the choices, from 0.
    pub index: usize,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum CallResult {
    /// An answer, whatever its status.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Header fields, names in lower case.
        #[serde(default)]
        headers: Vars,
        /// The body: JSON where it is JSON, else text.
        #[serde(default)]
        body: Value,
    },
    /// No answer, after all attempts.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// What a person may do to a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum OperatorAction {
    /// Stop it.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Enter the failed step again.
    Retry,
    /// Put it into a queue, or take it.
    Assign {
        /// The queue; the one it is in where left out.
        #[serde(default)]
        queue: Option<String>,
        /// Who takes it; nobody where left out.
        #[serde(default)]
        assignee: Option<String>,
    },
    /// Say something to the contact.
    Say {
        /// What.
        content: Content,
    },
    /// Finish a hand-off.
    Resolve {
        /// How.
        resolution: String,
        /// A remark.
        #[serde(default)]
        note: Option<String>,
    },
    /// Move to another version of the flow.
    Migrate {
        /// Which.
        version: u32,
    },
}
