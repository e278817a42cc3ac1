//! Rows of flows, before they run.

use indexmap::IndexMap;
use serde_json::json;

use super::{lines, table};
use crate::{FieldType, Shape, Table, check_row_template, with_meta};

fn row<const N: usize>(shapes: [(&str, Shape); N]) -> IndexMap<String, Shape> {
    shapes.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect()
}

fn leave_requests() -> Table {
    table(json!([
        {"name": "employee", "type": "STRING", "mode": "REQUIRED"},
        {"name": "start", "type": "DATE", "mode": "REQUIRED"},
        {"name": "days", "type": "INT64", "mode": "REQUIRED"},
        {"name": "state", "type": "STRING", "mode": "REQUIRED", "defaultValueExpression": "'new'"},
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
        {"name": "note", "type": "STRING"}
    ]))
}

#[test]
fn a_row_that_can_fit_has_no_problems() {
    let template = row([
        ("employee", Shape::Text),
        ("start", Shape::Typed("date")),
        ("days", Shape::Typed("integer")),
        ("tags", Shape::Literal(json!(["a", "b"]))),
        ("note", Shape::Literal(json!(null))),
    ]);
    assert_eq!(check_row_template(&leave_requests(), &template), []);
    assert_eq!(check_row_template(&with_meta(leave_requests()), &template), []);
}

#[test]
fn everything_that_makes_every_row_fail_is_reported() {
    let template = row([
        ("emploee", Shape::Text),
        ("start", Shape::Typed("boolean")),
        ("days", Shape::Literal(json!("two"))),
        ("tags", Shape::Text),
        ("note", Shape::Typed("integer")),
        ("Sequence", Shape::Literal(json!(1))),
        ("colour", Shape::Text),
    ]);
    for table in [leave_requests(), with_meta(leave_requests())] {
        let problems = check_row_template(&table, &template);
        insta::allow_duplicates! {
            insta::assert_snapshot!(lines(&problems));
        }
    }
}

#[test]
fn a_literal_null_is_no_value_for_a_required_column() {
    let template = row([
        ("employee", Shape::Literal(json!(null))),
        ("start", Shape::Literal(json!("2026-02-30"))),
        ("days", Shape::Literal(json!(3))),
        ("tags", Shape::Literal(json!(["a", 1]))),
    ]);
    insta::assert_snapshot!(lines(&check_row_template(&leave_requests(), &template)));
}

const FLOW_TYPES: [&str; 13] = [
    "string", "integer", "number", "boolean", "date", "datetime", "email", "phone", "choice",
    "file", "list", "object", "any",
];

#[test]
fn every_flow_type_is_checked_against_every_column_type() {
    let mut listed = Vec::new();
    for flow_type in FLOW_TYPES {
        let fits = |field: serde_json::Value| {
            let template = row([("c", Shape::Typed(flow_type))]);
            check_row_template(&table(json!([field])), &template).is_empty()
        };
        let column = |field_type: FieldType, mode: &str| {
            if field_type == FieldType::Record {
                let inner = json!([{"name": "a", "type": "STRING"}]);
                json!({"name": "c", "type": "RECORD", "mode": mode, "fields": inner})
            } else {
                json!({"name": "c", "type": field_type, "mode": mode})
            }
        };
        let single: Vec<&str> = FieldType::ALL
            .into_iter()
            .filter(|field_type| fits(column(*field_type, "NULLABLE")))
            .map(FieldType::name)
            .collect();
        let repeated = FieldType::ALL.map(|field_type| fits(column(field_type, "REPEATED")));
        assert!(repeated.iter().all(|one| *one == repeated[0]), "{flow_type}");
        let list = if repeated[0] { " | list" } else { "" };
        listed.push(format!("{flow_type}: {}{list}", single.join(" ")));
    }
    insta::assert_snapshot!(listed.join("\n"), @r"
    string: STRING INT64 FLOAT64 NUMERIC BOOL DATE DATETIME TIME TIMESTAMP JSON BYTES
    integer: INT64 FLOAT64 NUMERIC JSON
    number: INT64 FLOAT64 NUMERIC JSON
    boolean: BOOL JSON
    date: STRING DATE JSON
    datetime: STRING DATETIME TIMESTAMP JSON
    email: STRING JSON
    phone: STRING JSON
    choice: STRING INT64 FLOAT64 NUMERIC BOOL DATE DATETIME TIME TIMESTAMP JSON RECORD BYTES | list
    file: STRING JSON RECORD
    list: JSON | list
    object: JSON RECORD
    any: STRING INT64 FLOAT64 NUMERIC BOOL DATE DATETIME TIME TIMESTAMP JSON RECORD BYTES | list
    ");
}
