//! Tests of the crate's public functions, by module, and properties of all of them.

#![expect(clippy::needless_pass_by_value, reason = "`json!` in place reads better")]

mod convert;
mod limits;
mod parse;
mod plan;
mod property;
mod sql;
mod template;

use serde_json::{Map, Value, json};

use crate::{ColumnProblem, Table};

/// A user's table `t` with the given columns.
fn table(fields: Value) -> Table {
    let document = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}});
    Table::parse_user(&document).expect("a valid table")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// `column: kind: message – fix`, one a line.
fn lines(problems: &[ColumnProblem]) -> String {
    let line = |problem: &ColumnProblem| {
        let ColumnProblem { column, kind, message, fix } = problem;
        format!("{column}: {kind:?}: {message} – {fix}")
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}
