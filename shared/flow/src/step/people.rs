//! `start`, `each` and `handoff`: other tasks, and people.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Assignments, StepId, StepTimeout, Template};
use crate::content::Text;

/// Whether a parent waits for its child.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartMode {
    /// Wait and take its result.
    #[default]
    Wait,
    /// Go on at once.
    Detach,
}

/// Starts another flow as a child task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The flow to start.
    pub flow: String,
    /// Its variables.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub vars: Assignments,
    /// The contact it talks with (an id); the parent's where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Template>,
    /// Wait for it, or not.
    #[serde(default)]
    pub mode: StartMode,
    /// The variable that gets `{task, outcome, result}`; it needs no declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Where to go on.
    pub next: StepId,
    /// Where a child that failed, was cancelled or expired leads; the task fails where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<StepId>,
}

/// Runs a child flow for every item of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// The list, at most 1,000 items.
    pub items: Value,
    /// The flow to run for each.
    pub flow: String,
    /// Its variables; `item` and `index` (from 0) are in scope.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub vars: Assignments,
    /// The contact each child talks with (an id); the parent's where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Template>,
    /// How many run at the same time (1 to 50).
    #[serde(default = "default_parallel")]
    pub parallel: u32,
    /// The variable that gets a list of `{task, outcome, result}` in item order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Where to go on.
    pub next: StepId,
    /// Where any child that did not complete leads, after all have ended; `next` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<StepId>,
}

fn default_parallel() -> u32 {
    10
}

/// Assigns the task to a queue of people; messages flow both ways until one of them resolves it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handoff {
    /// The queue.
    pub queue: String,
    /// What the contact is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// What the people of the queue should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Template>,
    /// The resolutions they may choose from; any text where left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolutions: Vec<String>,
    /// The variable that gets `{resolution, note, by}`; it needs no declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Where to go when nobody resolved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<StepTimeout>,
    /// Where to go on.
    pub next: StepId,
}
