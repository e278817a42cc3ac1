//! From an old table to a new one.

use serde_json::{Value, json};

use crate::{Change, RefusalKind, Table, base_tables, plan, with_meta};

fn table(fields: Value, more: Value) -> Table {
    let mut document = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}});
    if let (Value::Object(document), Value::Object(more)) = (&mut document, more) {
        document.extend(more);
    }
    Table::parse_user(&document).expect("a valid table")
}

fn old() -> Table {
    table(
        json!([
            {"name": "id", "type": "STRING", "mode": "REQUIRED"},
            {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED", "description": "When"},
            {"name": "amount", "type": "INT64"},
            {"name": "who", "type": "RECORD", "fields": [
                {"name": "name", "type": "STRING", "mode": "REQUIRED"}
            ]}
        ]),
        json!({
            "description": "old",
            "timePartitioning": {"type": "DAY", "field": "at"},
            "clustering": {"fields": ["id"]},
            "tableConstraints": {"primaryKey": {"columns": ["id"]}}
        }),
    )
}

#[test]
fn a_new_table_is_created() {
    let made = plan(None, &old());
    assert_eq!(made.changes, [Change::Create { table: "t".to_owned() }]);
    assert!(made.is_allowed());
}

#[test]
fn the_same_table_needs_nothing() {
    assert!(plan(Some(&old()), &old()).is_empty());
    assert!(plan(Some(&with_meta(old())), &old()).is_empty());
    assert!(plan(Some(&old()), &with_meta(old())).is_empty());
    for table in base_tables() {
        assert!(plan(Some(table), table).is_empty(), "{}", table.id());
    }
}

#[test]
fn what_old_rows_allow_is_planned() {
    let new = table(
        json!([
            {"name": "who", "type": "RECORD", "description": "Person", "fields": [
                {"name": "name", "type": "STRING"},
                {"name": "phone", "type": "STRING"}
            ]},
            {"name": "id", "type": "STRING", "mode": "REQUIRED"},
            {"name": "at", "type": "TIMESTAMP"},
            {"name": "amount", "type": "INTEGER", "defaultValueExpression": "0"},
            {"name": "tags", "type": "STRING", "mode": "REPEATED"},
            {"name": "state", "type": "STRING", "defaultValueExpression": "'new'"}
        ]),
        json!({
            "timePartitioning": {"type": "DAY", "field": "at"},
            "tableConstraints": {"primaryKey": {"columns": ["id"]}}
        }),
    );
    let made = plan(Some(&old()), &new);
    assert!(made.is_allowed());
    insta::assert_snapshot!(changes(&made));
}

#[test]
fn what_old_rows_forbid_is_refused_with_reasons() {
    let new = table(
        json!([
            {"name": "ids", "type": "STRING", "mode": "REQUIRED"},
            {"name": "at", "type": "DATETIME", "mode": "REQUIRED", "description": "When"},
            {"name": "amount", "type": "INT64", "mode": "REPEATED"},
            {"name": "who", "type": "RECORD", "fields": [
                {"name": "first_name", "type": "STRING", "mode": "REQUIRED"}
            ]}
        ]),
        json!({
            "description": "old",
            "timePartitioning": {"type": "MONTH", "field": "at"},
            "clustering": {"fields": ["ids"]},
            "tableConstraints": {"primaryKey": {"columns": ["ids"]}}
        }),
    );
    let made = plan(Some(&old()), &new);
    assert!(!made.is_allowed());
    assert_eq!(changes(&made), r#"{"change":"set_clustering","columns":["ids"]}"#);
    let refused: Vec<String> = made
        .refused
        .iter()
        .map(|refusal| {
            let crate::Refusal { kind, column, reason, fix } = refusal;
            format!("{column}: {kind:?}: {reason} – {fix}")
        })
        .collect();
    insta::assert_snapshot!(refused.join("\n"));
}

#[test]
fn a_column_does_not_become_required_and_a_table_keeps_its_id() {
    let nullable = table(json!([{"name": "a", "type": "STRING"}]), json!({}));
    let required = table(json!([{"name": "a", "type": "STRING", "mode": "REQUIRED"}]), json!({}));
    let kinds: Vec<RefusalKind> =
        plan(Some(&nullable), &required).refused.iter().map(|refusal| refusal.kind).collect();
    assert_eq!(kinds, [RefusalKind::ChangeMode]);
    let renamed = table(
        json!([{"name": "a", "type": "STRING"}]),
        json!({"tableReference": {"tableId": "u"}}),
    );
    let kinds: Vec<RefusalKind> =
        plan(Some(&nullable), &renamed).refused.iter().map(|refusal| refusal.kind).collect();
    assert_eq!(kinds, [RefusalKind::Rename]);
}

fn changes(plan: &crate::Plan) -> String {
    let json = |change: &Change| serde_json::to_string(change).expect("JSON");
    plan.changes.iter().map(json).collect::<Vec<_>>().join("\n")
}
