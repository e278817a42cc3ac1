//! Checking before publishing: *all* problems at once, each with a path and a fix.
//!
//! The same function serves the API, the editor and the command line.

mod graph;
mod limits;
mod names;
mod templates;
mod values;

pub use limits::{CHOICES_MAX, SAY_MESSAGES_MAX, TRIGGERS_MAX};
pub use names::{is_flow_id, is_name};

use indexmap::IndexMap;
use serde_json::Value;

use crate::document::{Flow, VarType};
use crate::problem::{Problem, Severity};

/// What a reference from a flow to something outside it turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// It is there.
    Found,
    /// It is not; these are.
    Missing(Vec<String>),
    /// Nobody can tell here (a flow checked on its own, as a file).
    Unknown,
}

/// What stands around a flow: the things it names.
pub trait Surroundings {
    /// A published flow of that id.
    fn flow(&self, id: &str) -> Lookup;
    /// A queue of people.
    fn queue(&self, id: &str) -> Lookup;
    /// A connection.
    fn connection(&self, id: &str) -> Lookup;
    /// A secret.
    fn secret(&self, name: &str) -> Lookup;
    /// A warehouse table.
    fn table(&self, id: &str) -> Lookup;
    /// What is wrong with a row for that table: (column or empty, message, fix).
    fn row_problems(&self, table: &str, row: &IndexMap<String, Shape>) -> Vec<RowProblem>;
}

/// What is known of a value before the flow runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A value written out.
    Literal(Value),
    /// An expression of a known type.
    Typed(VarType),
    /// A template that gives text.
    Text,
}

/// Something wrong with a `record` row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowProblem {
    /// The column; empty for the row as a whole.
    pub column: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: Option<String>,
}

/// Nothing is known of the surroundings: what a flow names is taken to be there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Surroundings for Alone {
    fn flow(&self, _: &str) -> Lookup {
        Lookup::Unknown
    }

    fn queue(&self, _: &str) -> Lookup {
        Lookup::Unknown
    }

    fn connection(&self, _: &str) -> Lookup {
        Lookup::Unknown
    }

    fn secret(&self, _: &str) -> Lookup {
        Lookup::Unknown
    }

    fn table(&self, _: &str) -> Lookup {
        Lookup::Unknown
    }

    fn row_problems(&self, _: &str, _: &IndexMap<String, Shape>) -> Vec<RowProblem> {
        Vec::new()
    }
}

/// Every problem of the flow, errors first, each list in document order.
pub fn check(flow: &Flow, around: &dyn Surroundings) -> Vec<Problem> {
    let mut problems = Vec::new();
    names::check(flow, around, &mut problems);
    graph::check(flow, &mut problems);
    templates::check(flow, &mut problems);
    values::check(flow, around, &mut problems);
    limits::check(flow, &mut problems);
    problems.sort_by_key(|problem| problem.severity);
    problems
}

/// Whether the problems leave the flow publishable.
pub fn is_publishable(problems: &[Problem]) -> bool {
    problems.iter().all(|problem| problem.severity == Severity::Warning)
}

#[cfg(test)]
mod tests;
