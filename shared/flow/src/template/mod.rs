//! Templates and expressions of flows: Jinja, made safe against hostile authors and hostile data.
//!
//! A template is text with `{{ … }}`, `{% if %}` and `{% for %}`. There is no assignment, no macro,
//! no include and no method call, and only the filters, tests and functions of the catalog. What a
//! template costs is bounded three times: by its source, by the engine's fuel, which counts steps,
//! and by a budget of bytes read and made, which every operator and filter pays from (`run`).
//! Nothing here reads a clock, a file or the network; the time comes with the [`Scope`].
//!
//! Undefined values: a field that is missing, also of a value that is missing, is undefined.
//! `if`, `and`, `or`, `not`, `is defined` and `|default` accept it; to print it, compute with it or
//! pass it to another filter is an error that names it.

mod catalog;
mod dates;
mod error;
mod json;
mod label;
mod lists;
mod numbers;
mod operators;
mod order;
mod predicates;
mod rewrite;
mod run;
mod session;
mod source;
#[cfg(test)]
mod tests;
mod texts;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value};

pub use error::{ErrorKind, TemplateError};
use session::Session;

/// Most bytes of a template's or expression's source.
pub const SOURCE_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of a rendered text.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of a value: a text inside of an expression, or a whole result.
pub const VALUE_BYTES_MAX: usize = 512 * 1024;
/// Deepest nesting of a value from the scope, and of a result.
pub const VALUE_DEPTH_MAX: usize = 64;
/// Most steps of one template.
pub const FUEL: u64 = 50_000;
/// Deepest nesting of `for`.
pub const LOOPS_NESTED_MAX: usize = 2;

/// Most bytes that one call may read and make, all of its templates together.
const WORK_MAX: usize = 32 * 1024 * 1024;
/// Deepest nesting of a value inside of an expression.
const NESTING_MAX: usize = 128;
/// Deepest nesting of brackets in an expression.
const BRACKETS_NESTED_MAX: usize = 24;
/// Most operators in one expression; they can nest as deep as this.
const OPERATORS_MAX: usize = 128;
/// Most `{% … %}` tags in one template; `elif` nests as deep as this.
const STATEMENTS_MAX: usize = 200;

/// Names that a flow's variables cannot have: every scope gives the first four a meaning, the
/// others are words of Jinja. Names of functions are free, since a call is told by its brackets.
pub const RESERVED_NAMES: [&str; 17] = [
    "input", "contact", "task", "loop", "true", "false", "none", "True", "False", "None", "not",
    "and", "or", "if", "else", "in", "is",
];

/// What a template can see.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The flow's variables.
    pub vars: &'a Map<String, Value>,
    /// The last reply, as `input`.
    pub input: Option<&'a Value>,
    /// The person, as `contact`.
    pub contact: &'a Value,
    /// The task, as `task`.
    pub task: &'a Value,
    /// More variables, before all others: `item` and `index` of `each`, `body` of a webhook.
    pub extra: &'a Map<String, Value>,
    /// The time that `now()` and `today()` tell.
    pub now: DateTime<Utc>,
    /// The zone of days, and of times without one.
    pub zone: Tz,
}

impl<'a> Scope<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.extra.get(name).or_else(|| match name {
            "input" => self.input,
            "contact" => Some(self.contact),
            "task" => Some(self.task),
            name => self.vars.get(name),
        })
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        let fixed = self.input.map(|_| "input").into_iter().chain(["contact", "task"]);
        self.extra.keys().chain(self.vars.keys()).map(String::as_str).chain(fixed)
    }
}

/// What a checked template or expression is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The variables it reads from its scope, in order of appearance, without the loops' own.
    pub variables: Vec<String>,
    /// It is exactly one `{{ expression }}`, which keeps its type.
    pub single_expression: bool,
}

/// Checks a template before it is published; only running it shows what depends on data.
pub fn compile_check(source: &str) -> Result<Info, TemplateError> {
    let template = rewrite::template(source)?;
    Ok(Info { variables: owned(&template.roots), single_expression: template.single })
}

/// Checks a bare expression, such as `answer.status == 201`, before it is published.
pub fn compile_check_expr(source: &str) -> Result<Info, TemplateError> {
    let expression = rewrite::expression(source, false)?;
    Ok(Info { variables: owned(&expression.roots), single_expression: true })
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The text of a template. One newline at its end is dropped, as Jinja does.
pub fn render(source: &str, scope: &Scope<'_>) -> Result<String, TemplateError> {
    Session::new(scope).render(source)
}

/// The value of a template that is exactly one `{{ expression }}`; of any other its text.
pub fn evaluate(source: &str, scope: &Scope<'_>) -> Result<Value, TemplateError> {
    Session::new(scope).evaluate(source)
}

/// The value of a bare expression.
pub fn expression(source: &str, scope: &Scope<'_>) -> Result<Value, TemplateError> {
    Session::new(scope).expression(source)
}

/// Whether a bare expression holds: not for undefined, null, false, 0, and empty values.
pub fn truthy(source: &str, scope: &Scope<'_>) -> Result<bool, TemplateError> {
    Session::new(scope).truthy(source)
}

/// A JSON value with every text in it evaluated as by [`evaluate`]; names of fields stay.
pub fn evaluate_json(value: &Value, scope: &Scope<'_>) -> Result<Value, TemplateError> {
    Session::new(scope).evaluate_json(value)
}
