//! `set`, `branch`, `record`, `end`: steps that only compute.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Assignments, Expression, StepId};

/// Assigns variables, in order: later ones see earlier ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Variable names and their new values.
    pub vars: Assignments,
    /// Where to go on.
    pub next: StepId,
}

/// First true case wins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// Cases in order.
    pub cases: Vec<Case>,
    /// Where to go when none is true.
    #[serde(rename = "else")]
    pub otherwise: StepId,
}

/// One case of a branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The condition.
    #[serde(rename = "if")]
    pub condition: Expression,
    /// Where it leads.
    pub next: StepId,
}

/// Lands one row in a warehouse table, checked against its schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The table.
    pub table: String,
    /// Column names and values.
    pub row: Assignments,
    /// Where to go on.
    pub next: StepId,
}

/// Ends the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How it ended, for reports and for the parent.
    #[serde(default = "default_outcome")]
    pub outcome: String,
    /// What the parent gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

fn default_outcome() -> String {
    "completed".into()
}
