//! One row of a task's history, and the state rebuilt from such rows.

use chrono::{DateTime, Utc};
use flow::StepId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::effect::Effect;
use crate::event::Event;
use crate::ids::TaskId;
use crate::task::{Status, Task, Vars};

/// What one event did to a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The task as it is now.
    pub task: Task,
    /// What happened, for the history.
    pub entry: HistoryEntry,
}

/// One row of a task's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The task.
    pub task: TaskId,
    /// From 1, without gaps.
    pub sequence: u64,
    /// What happened.
    pub event: Event,
    /// When it was handled.
    pub at: DateTime<Utc>,
    /// The steps that were entered, in order.
    pub steps: Vec<Visit>,
    /// Variables that changed, with their new values.
    pub vars_changed: Vars,
    /// How the task stood before.
    pub before: String,
    /// How it stands now.
    pub status: Status,
    /// The last reply, where it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The task's label, where it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The flow's version, where it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// What is to be done.
    pub effects: Vec<Effect>,
}

/// One step that was entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The step.
    pub step: StepId,
    /// The field by which it was left (`next`, `else`, `cases/0`, `timeout`, …); none while it
    /// waits or where the task ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_by: Option<String>,
}

/// The task that these rows led to, from the task as it was made and its rows in order.
pub fn rebuild(made: &Task, history: &[HistoryEntry]) -> Task {
    let mut task = made.clone();
    for entry in history {
        task.sequence = entry.sequence;
        task.updated_at = entry.at;
        for (name, value) in &entry.vars_changed {
            task.vars.insert(name.clone(), value.clone());
        }
        if let Some(input) = &entry.input {
            task.input = input.clone();
        }
        if let Some(label) = &entry.label {
            task.label.clone_from(label);
        }
        if let Some(version) = entry.version {
            task.version = version;
        }
        task.ended_at = entry.status.has_ended().then_some(entry.at);
        task.status = entry.status.clone();
    }
    task
}
