//! SQL text, and what cells become in SQLite.

use serde_json::{Value, json};

use super::{object, table};
use crate::sqlite::{self, SqliteValue};
use crate::{Table, base_table, bigquery, convert, plan};

fn every_type() -> Table {
    table(json!([
        {"name": "string", "type": "STRING", "mode": "REQUIRED"},
        {"name": "int64", "type": "INT64"},
        {"name": "float64", "type": "FLOAT64"},
        {"name": "numeric", "type": "NUMERIC"},
        {"name": "bool", "type": "BOOL", "mode": "REQUIRED"},
        {"name": "date", "type": "DATE"},
        {"name": "datetime", "type": "DATETIME"},
        {"name": "time", "type": "TIME"},
        {"name": "timestamp", "type": "TIMESTAMP"},
        {"name": "json", "type": "JSON"},
        {"name": "bytes", "type": "BYTES"},
        {"name": "order", "type": "RECORD", "fields": [{"name": "a", "type": "INT64"}]},
        {"name": "list", "type": "INT64", "mode": "REPEATED"}
    ]))
}

#[test]
fn a_table_of_every_type() {
    insta::assert_snapshot!(sqlite::create_table(&every_type(), "user_t"), @r#"
    CREATE TABLE IF NOT EXISTS "user_t" (
      "string" TEXT NOT NULL,
      "int64" INTEGER,
      "float64" REAL,
      "numeric" TEXT,
      "bool" INTEGER NOT NULL,
      "date" TEXT,
      "datetime" TEXT,
      "time" TEXT,
      "timestamp" TEXT,
      "json" TEXT,
      "bytes" TEXT,
      "order" TEXT,
      "list" TEXT NOT NULL DEFAULT '[]',
      "event_id" TEXT NOT NULL,
      "sequence" INTEGER NOT NULL,
      "landed_at" TEXT NOT NULL
    ) STRICT;
    "#);
}

#[test]
fn names_are_quoted() {
    assert_eq!(sqlite::quote("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
    let table = table(json!([{"name": "select", "type": "STRING"}]));
    let text = sqlite::add_column(&table.fields()[0], "a\"b");
    assert_eq!(text, "ALTER TABLE \"a\"\"b\" ADD COLUMN \"select\" TEXT;\n");
    let text = bigquery::current_query(&table, "p`.d\\.t");
    assert!(text.contains("FROM `p\\`.d\\\\.t`\n"), "{text}");
}

#[test]
fn indexes_are_on_key_and_sequence() {
    let index = |table: &Table| sqlite::create_index(table, table.id());
    assert_eq!(
        index(base_table("tasks").expect("tasks")),
        "CREATE INDEX IF NOT EXISTS \"tasks version\" ON \"tasks\" \
         (\"task_id\", \"sequence\" DESC);\n"
    );
    assert_eq!(
        index(base_table("history").expect("history")),
        "CREATE INDEX IF NOT EXISTS \"history version\" ON \"history\" \
         (\"task_id\", \"sequence\" DESC);\n"
    );
    assert_eq!(
        index(&every_type()),
        "CREATE INDEX IF NOT EXISTS \"t version\" ON \"t\" (\"event_id\", \"sequence\" DESC);\n"
    );
}

#[test]
fn current_views_keep_the_greatest_sequence_of_a_key() {
    let audit = base_table("audit").expect("audit");
    insta::assert_snapshot!(sqlite::current_view(audit, "audit_current", "audit"));
    insta::assert_snapshot!(bigquery::current_view(audit, "d.audit_current", "d.audit"));
    let without_key = table(json!([{"name": "a", "type": "STRING"}]));
    insta::assert_snapshot!(bigquery::current_query(&without_key, "d.t"), @"
    SELECT `a`, `event_id`, `sequence`, `landed_at`
    FROM `d.t`
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY `event_id`, `sequence` ORDER BY `sequence` DESC) = 1
    ");
}

fn apply(old: Option<&Table>, new: &Table) -> String {
    sqlite::apply(&plan(old, new), old, new, "t_current", "t")
}

#[test]
fn plans_are_applied() {
    let old = table(json!([
        {"name": "a", "type": "STRING", "mode": "REQUIRED"},
        {"name": "r", "type": "RECORD", "fields": [
            {"name": "x", "type": "STRING", "mode": "REQUIRED"}
        ]}
    ]));
    let view = sqlite::current_view(&old, "t_current", "t");
    let created = sqlite::create_table(&old, "t") + &sqlite::create_index(&old, "t") + &view;
    assert_eq!(apply(None, &old), created);
    assert_eq!(apply(Some(&old), &old), "");

    let inside = table(json!([
        {"name": "a", "type": "STRING", "mode": "REQUIRED", "description": "new"},
        {"name": "r", "type": "RECORD", "fields": [
            {"name": "x", "type": "STRING"}, {"name": "y", "type": "STRING"}
        ]}
    ]));
    assert_eq!(apply(Some(&old), &inside), "");

    let added = table(json!([
        {"name": "b", "type": "BOOL"},
        {"name": "a", "type": "STRING", "mode": "REQUIRED"},
        {"name": "r", "type": "RECORD", "fields": [
            {"name": "x", "type": "STRING", "mode": "REQUIRED"}
        ]},
        {"name": "l", "type": "DATE", "mode": "REPEATED"}
    ]));
    insta::assert_snapshot!(apply(Some(&old), &added));
}

#[test]
fn relaxing_a_column_copies_the_table() {
    let old = table(json!([{"name": "a", "type": "STRING", "mode": "REQUIRED"}]));
    let new = table(json!([{"name": "a", "type": "STRING"}, {"name": "b", "type": "INT64"}]));
    insta::assert_snapshot!(apply(Some(&old), &new));
}

#[test]
fn cells_become_sqlite_values_and_come_back() {
    let table = every_type();
    let json = json!({
        "string": "請假", "int64": -3, "float64": 1.5, "numeric": "12.5", "bool": true,
        "date": "2026-11-30", "datetime": "2026-11-30T08:15:00.000000",
        "time": "08:15:00.000000", "timestamp": "2026-11-30T00:15:00.000000Z",
        "json": {"b": [null, 1], "a": "x"}, "bytes": "aGk=", "order": {"a": 1}, "list": [1, 2]
    });
    let row = convert(&table, &object(json.clone())).expect("fits");
    let values: Vec<SqliteValue> =
        row.cells.iter().map(|(_, cell)| sqlite::cell_to_sqlite(cell)).collect();
    let text = |text: &str| SqliteValue::Text(text.to_owned());
    assert_eq!(
        values,
        [
            text("請假"),
            SqliteValue::Integer(-3),
            SqliteValue::Real(1.5),
            text("12.5"),
            SqliteValue::Integer(1),
            text("2026-11-30"),
            text("2026-11-30T08:15:00.000000"),
            text("08:15:00.000000"),
            text("2026-11-30T00:15:00.000000Z"),
            text(r#"{"b":[null,1],"a":"x"}"#),
            text("aGk="),
            text(r#"{"a":1}"#),
            text("[1,2]"),
        ]
    );
    let read: serde_json::Map<String, Value> = table
        .fields()
        .iter()
        .zip(&values)
        .map(|(field, value)| (field.name.clone(), sqlite::sqlite_to_json(field, value)))
        .collect();
    assert_eq!(Value::Object(read), json);
    let field = table.field("json").expect("json");
    assert_eq!(sqlite::sqlite_to_json(field, &SqliteValue::Null), Value::Null);
    assert_eq!(sqlite::sqlite_to_json(field, &text("{")), json!("{"));
}
