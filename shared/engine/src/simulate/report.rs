//! What a simulation tells.

use chrono::{DateTime, Utc};
use flow::{Attachment, Content, OfferedChoice, StepId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::effect::CallRequest;
use crate::ids::TaskId;
use crate::task::{Task, TimerName, Vars};

/// Who a line of a transcript comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The contact.
    User,
    /// The flow.
    Bot,
    /// Neither: something that happened.
    System,
}

/// One line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Who.
    pub who: Who,
    /// What.
    pub text: String,
    /// Replies on offer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<OfferedChoice>,
    /// Pictures and files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// When, on the virtual clock.
    pub at: DateTime<Utc>,
}

/// One step of the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStep {
    /// The step.
    pub step: StepId,
    /// The field by which it was left; none where the task stands or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_by: Option<String>,
    /// When it was entered.
    pub at: DateTime<Utc>,
}

/// A timer that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTimer {
    /// Which.
    pub name: TimerName,
    /// When it fires.
    pub due: DateTime<Utc>,
}

/// A child flow that was started and has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenChild {
    /// The child task.
    pub id: TaskId,
    /// Its flow.
    pub flow: String,
    /// Its variables.
    pub vars: Vars,
    /// Whom it talks with; the parent's contact where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Whether the flow waits for it.
    pub waits: bool,
}

/// What has been set going and has not ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// The call that waits for its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallRequest>,
    /// Timers, in the order they were set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timers: Vec<OpenTimer>,
    /// Children, detached ones too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<OpenChild>,
}

/// A row that would land in a warehouse table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Landed {
    /// The table.
    pub table: String,
    /// Column names and values.
    pub row: Map<String, Value>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A notification that would be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notified {
    /// The connection; the task's own where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Whom.
    pub to: String,
    /// What.
    pub content: Content,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a simulation came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimulationReport {
    /// Everything that was said and that happened, in order.
    pub transcript: Vec<Line>,
    /// The steps that were entered, in order.
    pub path: Vec<PathStep>,
    /// The task at the end.
    pub task: Task,
    /// What has been set going and has not ended.
    pub open: Open,
    /// Rows that landed.
    pub records: Vec<Landed>,
    /// Notifications that were sent.
    pub notifications: Vec<Notified>,
    /// Lines of the script that do not fit, for people; empty where all did.
    pub problems: Vec<String>,
}

/// How a test of a flow came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestReport {
    /// What the test shows.
    pub name: String,
    /// Whether everything came out as written.
    pub passed: bool,
    /// What did not, for people.
    pub problems: Vec<String>,
    /// Everything that was said and that happened.
    pub transcript: Vec<Line>,
}
