//! What is wrong with a row.

use serde::{Deserialize, Serialize};

use crate::limits::PROBLEMS_MAX;

/// One thing wrong in a row. It names columns and kinds, never values: it may be logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnProblem {
    /// Path of the column, such as `steps[3].left_by`; empty when it is about the whole row.
    pub column: String,
    /// What kind of problem, for programs.
    pub kind: ColumnProblemKind,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl std::fmt::Display for ColumnProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.column.is_empty() {
            write!(f, "{}: ", self.column)?;
        }
        write!(f, "{}; {}", self.message, self.fix)
    }
}

/// Kinds of [`ColumnProblem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ColumnProblemKind {
    /// The table has no such column.
    Unknown,
    /// A REQUIRED column is absent or null.
    Missing,
    /// The value is of a type that does not convert to the column's.
    WrongType,
    /// The type is right, the value does not fit.
    OutOfRange,
    /// A text or the row is larger than allowed.
    TooLarge,
    /// The value is nested deeper than allowed.
    TooDeep,
    /// The column is filled by Chatflow and not by the row's author.
    Reserved,
    /// The list of problems was cut.
    TooMany,
}

/// Problems as they are found, and where the reader is.
#[derive(Debug, Default)]
pub(crate) struct ColumnProblems(Vec<ColumnProblem>);

impl ColumnProblems {
    pub(crate) fn report(
        &mut self,
        column: &str,
        kind: ColumnProblemKind,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        if self.0.len() < PROBLEMS_MAX {
            let (message, fix) = (message.into(), fix.into());
            self.0.push(ColumnProblem { column: column.to_owned(), kind, message, fix });
        } else if self.0.len() == PROBLEMS_MAX {
            self.0.push(ColumnProblem {
                column: String::new(),
                kind: ColumnProblemKind::TooMany,
                message: format!("the row has more than {PROBLEMS_MAX} problems"),
                fix: "correct these and try again".to_owned(),
            });
        }
    }

    /// Nothing more is recorded, so that nobody needs to look further.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() > PROBLEMS_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<ColumnProblem> {
        self.0
    }
}
