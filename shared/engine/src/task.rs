//! A task: one run of a flow with one person, and everything it remembers.

use chrono::{DateTime, Utc};
use flow::{Contact, Lang, StepId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{CallId, ConversationId, TaskId};

/// Most bytes of a task's variables as JSON. A Firestore document holds 1 MiB; the rest of the
/// task and its indexes need room as well.
pub const VARS_BYTES_MAX: usize = 512 * 1024;

/// Most bytes of what a task remembers of the step it waits in, as JSON: the items and results
/// of an `each`, the choices of an `ask`. With the variables it stays well below 1 MiB.
pub const WAIT_BYTES_MAX: usize = 256 * 1024;

/// The variables of a task.
pub type Vars = Map<String, Value>;

/// One run of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The flow it runs.
    pub flow: String,
    /// The published version it stays on.
    pub version: u32,
    /// A short name for people.
    pub label: String,
    /// Whom it talks with.
    pub contact: Contact,
    /// The thread it talks in; its events are handled in that thread's order.
    pub conversation: ConversationId,
    /// The connection of that thread.
    pub connection: String,
    /// The language it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
    /// The task that waits for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The trigger group that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// How it stands.
    pub status: Status,
    /// Its variables.
    pub vars: Vars,
    /// The last reply, as `input` in templates.
    #[serde(default)]
    pub input: Value,
    /// How many transitions it has had.
    pub sequence: u64,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// Its last transition.
    pub updated_at: DateTime<Utc>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
}

/// The task that started this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its id.
    pub task: TaskId,
    /// Its conversation, whose order its events follow.
    pub conversation: ConversationId,
    /// Whether it waits for the result.
    pub waits: bool,
    /// How many tasks stand above this one.
    pub depth: u32,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Status {
    /// Made, and not yet advanced.
    Running,
    /// Waiting for something, for as long as it takes, holding nothing.
    Waiting {
        /// The step it waits in.
        step: StepId,
        /// Since when.
        since: DateTime<Utc>,
        /// The sequence number of the transition that entered the step; timers and buttons of
        /// an earlier wait carry an earlier one.
        entered: u64,
        /// The timers that are set for this wait.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        timers: Vec<TimerName>,
        /// What for.
        on: Wait,
    },
    /// Came to an end step.
    Completed {
        /// The outcome the step names.
        outcome: String,
        /// The result the step computed.
        #[serde(default)]
        result: Value,
    },
    /// Cannot go on.
    Failed {
        /// The step that failed; a retry enters it again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        /// Why, for people.
        reason: String,
    },
    /// Stopped by a person or by its parent.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// Took longer than the flow allows.
    Expired {
        /// The outcome the flow names for it.
        outcome: String,
    },
}

/// What a task waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Wait {
    /// A reply of the contact.
    Reply {
        /// Answers so far that did not fit.
        invalid: u32,
        /// Reminders sent so far.
        reminded: u32,
        /// The replies on offer, as they were rendered.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        offered: Vec<Offered>,
    },
    /// A time.
    Timer {
        /// When it goes on.
        until: DateTime<Utc>,
    },
    /// The answer of an external system.
    Call {
        /// Which call.
        call: CallId,
    },
    /// An event from outside.
    Event {
        /// Its type.
        kind: String,
        /// Its correlation key.
        key: String,
    },
    /// One child task.
    Child {
        /// Which.
        child: TaskId,
    },
    /// A child task for every item of a list.
    Children(Batch),
    /// A person.
    Human {
        /// The queue it lies in.
        queue: String,
        /// Who took it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assignee: Option<String>,
    },
}

/// A reply on offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    /// What the person reads.
    pub label: String,
    /// What the variable gets.
    pub value: Value,
}

/// The children of an `each` step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The items, in order.
    pub items: Vec<Value>,
    /// The first item without a child.
    pub next: usize,
    /// Children that run: item index and task.
    pub open: Vec<(usize, TaskId)>,
    /// What ended children gave, by item.
    pub results: Vec<Option<Value>>,
    /// Whether any child did not complete.
    pub failed: bool,
}

/// The timers a task may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimerName {
    /// The end of a `wait`.
    Due,
    /// A reminder of an `ask`.
    Remind,
    /// The timeout of a step.
    Timeout,
    /// The timeout of the whole task.
    Expiry,
}

impl TimerName {
    /// The name in ids and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Remind => "remind",
            Self::Timeout => "timeout",
            Self::Expiry => "expiry",
        }
    }
}

impl Status {
    /// The one word for it in lists and tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting { .. } => "waiting",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
            Self::Expired { .. } => "expired",
        }
    }

    /// What it waits for, in one word.
    pub fn waiting_for(&self) -> Option<&'static str> {
        match self {
            Self::Waiting { on, .. } => Some(on.name()),
            _ => None,
        }
    }

    /// The step it stands at.
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::Waiting { step, .. } => Some(step),
            Self::Failed { step, .. } => step.as_deref(),
            Self::Running
            | Self::Completed { .. }
            | Self::Cancelled { .. }
            | Self::Expired { .. } => None,
        }
    }

    /// Whether nothing but a retry can change it.
    pub fn has_ended(&self) -> bool {
        !matches!(self, Self::Running | Self::Waiting { .. })
    }

    /// The outcome, for reports and for the parent.
    pub fn outcome(&self) -> Option<&str> {
        match self {
            Self::Completed { outcome, .. } | Self::Expired { outcome } => Some(outcome),
            Self::Failed { .. } => Some("failed"),
            Self::Cancelled { .. } => Some("cancelled"),
            Self::Running | Self::Waiting { .. } => None,
        }
    }
}

impl Wait {
    /// The word for it: `reply`, `timer`, `call`, `event`, `child`, `human`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reply { .. } => "reply",
            Self::Timer { .. } => "timer",
            Self::Call { .. } => "call",
            Self::Event { .. } => "event",
            Self::Child { .. } | Self::Children(_) => "child",
            Self::Human { .. } => "human",
        }
    }
}

impl Task {
    /// The queue and the assignee while it waits for a person.
    pub fn queue(&self) -> Option<(&str, Option<&str>)> {
        match &self.status {
            Status::Waiting { on: Wait::Human { queue, assignee }, .. } => {
                Some((queue, assignee.as_deref()))
            }
            _ => None,
        }
    }

    /// The type and key of the event it waits for.
    pub fn awaited_event(&self) -> Option<(&str, &str)> {
        match &self.status {
            Status::Waiting { on: Wait::Event { kind, key }, .. } => Some((kind, key)),
            _ => None,
        }
    }

    /// The children it waits for.
    pub fn open_children(&self) -> Vec<TaskId> {
        match &self.status {
            Status::Waiting { on: Wait::Child { child }, .. } => vec![child.clone()],
            Status::Waiting { on: Wait::Children(batch), .. } => {
                batch.open.iter().map(|(_, task)| task.clone()).collect()
            }
            _ => Vec::new(),
        }
    }
}
