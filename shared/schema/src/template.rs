//! Whether the row a flow writes can fit its table, as far as that is known before it runs.

use indexmap::IndexMap;
use serde_json::Value;

use crate::column_problem::{ColumnProblem, ColumnProblemKind, ColumnProblems};
use crate::convert::convert_column;
use crate::meta::is_meta_column;
use crate::scalar::takes;
use crate::suggest::{did_you_mean, shown};
use crate::table::{Field, FieldType, Mode, Table};

/// What is known about a value before the flow runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// The value itself.
    Literal(Value),
    /// One expression whose result has a type of the flow language: `string`, `integer`,
    /// `number`, `boolean`, `date`, `datetime`, `email`, `phone`, `choice`, `file`, `list`,
    /// `object`, `any`. Other names count as `any`.
    Typed(&'static str),
    /// A template with text around its expressions: some text.
    Text,
}

/// Reports what would make every row of this template fail: missing REQUIRED columns, columns
/// the table does not have, columns that Chatflow fills, and types that never convert.
///
/// `table` may carry the meta columns or not; the template never does.
pub fn check_row_template(table: &Table, row: &IndexMap<String, Shape>) -> Vec<ColumnProblem> {
    let mut problems = ColumnProblems::default();
    for field in table.fields().iter().filter(|field| !is_meta_column(&field.name)) {
        match row.get(&field.name) {
            Some(shape) => check_shape(field, shape, &mut problems),
            None if field.mode == Mode::Required && field.default_value_expression.is_none() => {
                problems.report(
                    &field.name,
                    ColumnProblemKind::Missing,
                    "the column is REQUIRED",
                    format!("add `{}` to the row: {}", field.name, takes(field.field_type)),
                );
            }
            None => {}
        }
    }
    let known = || {
        let fields = table.fields().iter().map(|field| field.name.as_str());
        fields.filter(|name| !is_meta_column(name))
    };
    for name in row.keys() {
        if is_meta_column(name) {
            problems.report(
                name,
                ColumnProblemKind::Reserved,
                "the column is filled by Chatflow",
                "remove it from the row",
            );
        } else if !known().any(|column| column == name) && !problems.is_full() {
            let fix = did_you_mean(name, known(), || {
                "remove it, or add the column to the table".to_owned()
            });
            let message = format!("table `{}` has no such column", table.id());
            problems.report(&shown(name), ColumnProblemKind::Unknown, message, fix);
        }
    }
    problems.into_vec()
}

fn check_shape(field: &Field, shape: &Shape, problems: &mut ColumnProblems) {
    let flow_type = match shape {
        Shape::Literal(value) => {
            for problem in convert_column(field, value).err().unwrap_or_default() {
                problems.report(&problem.column, problem.kind, problem.message, problem.fix);
            }
            return;
        }
        Shape::Typed(flow_type) => flow_type,
        Shape::Text => "string",
    };
    let repeated = field.mode == Mode::Repeated;
    if repeated && !may_be_list(flow_type) {
        problems.report(
            &field.name,
            ColumnProblemKind::WrongType,
            format!("the column is REPEATED and takes a list; {} is none", article(flow_type)),
            format!("give a list, each element {}", takes(field.field_type)),
        );
    } else if !repeated && !may_convert(flow_type, field.field_type) {
        let fix = match field.field_type {
            FieldType::String if matches!(flow_type, "integer" | "number" | "boolean") => {
                "make it text, as in `{{ value | string }}`".to_owned()
            }
            other => format!("give {}", takes(other)),
        };
        problems.report(
            &field.name,
            ColumnProblemKind::WrongType,
            format!("{} never fits a {} column", article(flow_type), field.field_type),
            fix,
        );
    }
}

fn article(flow_type: &str) -> String {
    let an = flow_type.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} `{flow_type}`", if an { "an" } else { "a" })
}

/// Several choices are a list; one of them is not, and which it is is not known here.
fn may_be_list(flow_type: &str) -> bool {
    !matches!(
        flow_type,
        "string"
            | "integer"
            | "number"
            | "boolean"
            | "date"
            | "datetime"
            | "email"
            | "phone"
            | "file"
            | "object"
    )
}

/// Whether any value of the flow type converts to the column type.
fn may_convert(flow_type: &str, column: FieldType) -> bool {
    use FieldType::{
        Bool, Date, DateTime, Float64, Int64, Json, Numeric, Record, String, Timestamp,
    };
    match flow_type {
        // Text may be the text of a number or a date.
        "string" => column != Record,
        "integer" | "number" => matches!(column, Int64 | Float64 | Numeric | Json),
        "boolean" => matches!(column, Bool | Json),
        "date" => matches!(column, Date | String | Json),
        "datetime" => matches!(column, Timestamp | DateTime | String | Json),
        "email" | "phone" => matches!(column, String | Json),
        // By its address or with all that is known of it.
        "file" => matches!(column, String | Record | Json),
        "list" => column == Json,
        "object" => matches!(column, Record | Json),
        _ => true,
    }
}
