//! What is wrong with a table document.

use serde::Serialize;
use serde_json::Value;

use crate::limits::PROBLEMS_MAX;

/// One thing wrong in a table document, where it is and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// JSON pointer (RFC 6901) to the place, such as `/schema/fields/2/type`. For something that
    /// is missing, the place where it belongs.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// A document that is no valid table, with every problem found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", summary(.problems))]
pub struct InvalidTable {
    /// At least one; at most [`PROBLEMS_MAX`] and one that says that there were more.
    pub problems: Vec<Problem>,
}

fn summary(problems: &[Problem]) -> String {
    let one_by_one: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {} – {}", problem.pointer, problem.message, problem.fix))
        .collect();
    format!("the table has {} problem(s): {}", problems.len(), one_by_one.join("; "))
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn report(
        &mut self,
        pointer: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        if self.0.len() < PROBLEMS_MAX {
            let (message, fix) = (message.into(), fix.into());
            self.0.push(Problem { pointer: pointer.to_owned(), message, fix });
        } else if self.0.len() == PROBLEMS_MAX {
            self.0.push(Problem {
                pointer: String::new(),
                message: format!("there are more than {PROBLEMS_MAX} problems"),
                fix: "correct these and check again".to_owned(),
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

    pub(crate) fn into_error(self) -> InvalidTable {
        InvalidTable { problems: self.0 }
    }
}

/// `pointer` extended by one property name or index.
pub(crate) fn below(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}

/// The kind of a JSON value for a message; never its content.
pub(crate) fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
