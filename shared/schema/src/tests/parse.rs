//! Reading tables: what is right survives unchanged, what is wrong is all reported.

use serde_json::{Value, json};

use crate::{FieldType, Mode, Table, base_tables, is_meta_column, with_meta};

/// `pointer: message – fix`, one a line.
fn problems(result: Result<Table, crate::InvalidTable>) -> String {
    let invalid = result.expect_err("an invalid table");
    let line = |problem: &crate::Problem| {
        format!("{}: {} – {}", problem.pointer, problem.message, problem.fix)
    };
    invalid.problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn leave_requests() -> Value {
    json!({
        "tableReference": {"tableId": "leave_requests"},
        "description": "請假",
        "schema": {"fields": [
            {"name": "request_id", "type": "STRING", "mode": "REQUIRED"},
            {"name": "days", "type": "INTEGER", "description": "Days off"},
            {"name": "from", "type": "DATE", "mode": "REQUIRED"},
            {"name": "state", "type": "STRING", "defaultValueExpression": "'new'"},
            {"name": "people", "type": "STRUCT", "mode": "REPEATED", "fields": [
                {"name": "name", "type": "STRING", "mode": "REQUIRED"},
                {"name": "approved", "type": "BOOLEAN"}
            ]}
        ]},
        "timePartitioning": {"type": "MONTH", "field": "from"},
        "clustering": {"fields": ["state", "landed_at"]},
        "tableConstraints": {"primaryKey": {"columns": ["request_id"]}}
    })
}

#[test]
fn a_table_is_read_and_written_in_the_shape_of_the_rest_api() {
    let table = Table::parse_user(&leave_requests()).expect("valid");
    assert_eq!(table.id(), "leave_requests");
    assert_eq!(table.primary_key(), ["request_id"]);
    assert_eq!(table.clustering_columns(), ["state", "landed_at"]);
    let written = serde_json::to_value(&table).expect("JSON");
    assert_eq!(
        written,
        json!({
            "tableReference": {"tableId": "leave_requests"},
            "description": "請假",
            "schema": {"fields": [
                {"name": "request_id", "type": "STRING", "mode": "REQUIRED"},
                {"name": "days", "type": "INT64", "mode": "NULLABLE", "description": "Days off"},
                {"name": "from", "type": "DATE", "mode": "REQUIRED"},
                {"name": "state", "type": "STRING", "mode": "NULLABLE",
                    "defaultValueExpression": "'new'"},
                {"name": "people", "type": "RECORD", "mode": "REPEATED", "fields": [
                    {"name": "name", "type": "STRING", "mode": "REQUIRED"},
                    {"name": "approved", "type": "BOOL", "mode": "NULLABLE"}
                ]}
            ]},
            "timePartitioning": {"type": "MONTH", "field": "from"},
            "clustering": {"fields": ["state", "landed_at"]},
            "tableConstraints": {"primaryKey": {"columns": ["request_id"]}}
        })
    );
    assert_eq!(Table::parse_user(&written), Ok(table));
}

#[test]
fn every_type_has_the_name_it_serializes_to() {
    for field_type in FieldType::ALL {
        assert_eq!(serde_json::to_value(field_type).expect("JSON"), json!(field_type.name()));
        assert_eq!(FieldType::from_name(field_type.name()), Some(field_type));
    }
    assert_eq!(FieldType::from_name("FLOAT"), Some(FieldType::Float64));
    assert_eq!(FieldType::from_name("string"), None);
}

#[test]
fn meta_columns_are_appended_once() {
    let table = with_meta(Table::parse_user(&leave_requests()).expect("valid"));
    let names: Vec<&str> = table.fields().iter().map(|field| field.name.as_str()).collect();
    assert_eq!(
        names,
        ["request_id", "days", "from", "state", "people", "event_id", "sequence", "landed_at"]
    );
    let types: Vec<(FieldType, Mode)> =
        table.fields().iter().skip(5).map(|field| (field.field_type, field.mode)).collect();
    assert_eq!(
        types,
        [
            (FieldType::String, Mode::Required),
            (FieldType::Int64, Mode::Required),
            (FieldType::Timestamp, Mode::Required)
        ]
    );
    assert_eq!(with_meta(table.clone()), table);
    let stored = serde_json::to_string(&table).expect("JSON");
    assert_eq!(serde_json::from_str::<Table>(&stored).expect("a table"), table);
}

#[test]
fn base_tables_define_their_meta_columns_and_describe_every_column() {
    for table in base_tables() {
        assert_eq!(&with_meta(table.clone()), table, "{}", table.id());
        assert!(table.description.is_some(), "{}", table.id());
        assert!(table.time_partitioning.is_some(), "{}", table.id());
        assert!(!table.primary_key().is_empty(), "{}", table.id());
        assert!(!table.clustering_columns().is_empty(), "{}", table.id());
        let mut fields: Vec<_> = table.fields().iter().collect();
        while let Some(field) = fields.pop() {
            assert!(field.description.is_some(), "{}.{}", table.id(), field.name);
            fields.extend(&field.fields);
        }
        let meta = table.fields().iter().filter(|field| is_meta_column(&field.name));
        assert_eq!(meta.count(), 3, "{}", table.id());
    }
}

#[test]
fn base_tables_have_the_columns_that_the_design_names() {
    let listed: Vec<String> = base_tables()
        .iter()
        .map(|table| {
            let names: Vec<&str> = table.fields().iter().map(|field| field.name.as_str()).collect();
            format!("{}({}): {}", table.id(), table.primary_key().join(" "), names.join(" "))
        })
        .collect();
    insta::assert_snapshot!(listed.join("\n"));
}

#[test]
fn all_problems_are_reported_at_once() {
    let document = json!({
        "tableReference": {"tableID": "x", "tableId": "Leave Requests"},
        "descripton": "typo",
        "schema": {"fields": [
            {"name": "id", "type": "STRNG", "mode": "required"},
            {"name": "1st", "type": "STRING"},
            {"name": "_PARTITIONTIME", "type": "TIMESTAMP"},
            {"name": "Event_ID", "type": "STRING"},
            {"name": "amount", "type": "NUMERIC", "fields": []},
            {"name": "AMOUNT", "type": "NUMERIC"},
            {"name": "who", "type": "RECORD"},
            {"type": "STRING"},
            {"name": "at", "type": "TIMESTAMP", "mode": "REPEATED"},
            {"name": "day", "type": "DATE", "defaultValueExpression": "CURRENT_DATE()"},
            {"name": "nested", "type": "RECORD", "fields": [
                {"name": "a", "type": "INT64", "defaultValueExpression": "1"},
                {"name": "b/c", "type": true}
            ]},
            "text"
        ]},
        "timePartitioning": {"type": "DAILY", "field": "at"},
        "clustering": {"fields": ["dya", "nested", "day", "day"]},
        "tableConstraints": {"primaryKey": {"columns": ["day", "id", "nothing_like_it"]}}
    });
    insta::assert_snapshot!(problems(Table::parse_user(&document)));
}

#[test]
fn missing_parts_are_reported_where_they_belong() {
    insta::assert_snapshot!(problems(Table::parse(&json!({}))), @r#"
    /tableReference: `tableReference` is missing – add `tableReference`: {"tableId": "…"}
    /schema: `schema` is missing – add `schema`: {"fields": […]}
    "#);
    assert_eq!(problems(Table::parse(&json!([1]))), ": this is a list – give an object");
    let empty = json!({
        "tableReference": {}, "schema": {"fields": []}, "timePartitioning": {},
        "clustering": {}, "tableConstraints": {}
    });
    insta::assert_snapshot!(problems(Table::parse(&empty)), @r#"
    /tableReference/tableId: `tableId` is missing – add `tableId`: a table id
    /schema/fields: there are no columns – define at least one column
    /timePartitioning/type: `type` is missing – add `type`: DAY, HOUR, MONTH or YEAR
    /timePartitioning/field: `field` is missing – add `field`: the column that decides the partition
    /clustering/fields: `fields` is missing – add `fields`: one to four columns
    /tableConstraints/primaryKey: `primaryKey` is missing – add `primaryKey`: {"columns": […]}
    "#);
}

fn with(id: &str, field: Value, more: Value) -> Value {
    let mut document = json!({
        "tableReference": {"tableId": id}, "schema": {"fields": [field]}
    });
    if let (Value::Object(document), Value::Object(more)) = (&mut document, more) {
        document.extend(more);
    }
    document
}

#[test]
fn ids_and_names_of_chatflow_are_not_for_users() {
    let column = json!({"name": "a", "type": "STRING"});
    insta::assert_snapshot!(
        problems(Table::parse_user(&with("tasks", column.clone(), json!({})))),
        @"/tableReference/tableId: `tasks` is a table of Chatflow's own – choose another id"
    );
    assert_eq!(
        problems(Table::parse_user(&with("x_current", column.clone(), json!({})))),
        "/tableReference/tableId: ids that end in `_current` are those of the current-state views \
         – choose another id"
    );
    assert!(Table::parse(&with("tasks", column, json!({}))).is_ok());
    let wrong = json!({"name": "sequence", "type": "STRING", "mode": "REQUIRED"});
    assert_eq!(
        problems(Table::parse(&with("t", wrong, json!({})))),
        "/schema/fields/0: `sequence` is not the meta column of that name – define it as \
         `event_id` STRING, `sequence` INT64 or `landed_at` TIMESTAMP, REQUIRED, or leave it out"
    );
    // Inside a RECORD the names mean nothing special.
    let nested = json!({"name": "r", "type": "RECORD", "fields": [
        {"name": "event_id", "type": "DATE"}
    ]});
    assert!(Table::parse_user(&with("t", nested, json!({}))).is_ok());
}

#[test]
fn partition_columns_hold_one_point_in_time() {
    let day = |field: Value, partition: Value| {
        problems(Table::parse(&with("t", field, json!({"timePartitioning": partition}))))
    };
    assert_eq!(
        day(json!({"name": "d", "type": "DATE"}), json!({"type": "HOUR", "field": "d"})),
        "/timePartitioning/type: `d` is a DATE and has no hours – \
         use DAY, MONTH or YEAR, or a TIMESTAMP column"
    );
    assert_eq!(
        day(json!({"name": "d", "type": "TIME"}), json!({"type": "DAY", "field": "d"})),
        "/timePartitioning/field: `d` is a TIME column – \
         partition by a DATE, DATETIME or TIMESTAMP column"
    );
    for kind in ["DATE", "DATETIME", "TIMESTAMP"] {
        let field = json!({"name": "d", "type": kind});
        let partition = json!({"timePartitioning": {"type": "DAY", "field": "d"}});
        assert!(Table::parse(&with("t", field, partition)).is_ok(), "{kind}");
    }
}

#[test]
fn defaults_are_literals_of_the_columns_type() {
    let parses = |kind: &str, mode: &str, default: &str| {
        let field = json!({
            "name": "a", "type": kind, "mode": mode, "defaultValueExpression": default
        });
        Table::parse(&with("t", field, json!({}))).is_ok()
    };
    for (kind, default) in [
        ("STRING", "'it\\'s'"),
        ("STRING", " \"two\\nlines\" "),
        ("INT64", "-3"),
        ("FLOAT64", "1.5"),
        ("NUMERIC", "12.50"),
        ("NUMERIC", "NUMERIC '99999999999999999999.5'"),
        ("BOOL", "true"),
        ("DATE", "'2026-11-30'"),
        ("DATE", "date '2026-11-30'"),
        ("DATETIME", "DATETIME '2026-11-30 08:00:00'"),
        ("TIME", "TIME \"08:00:00\""),
        ("TIMESTAMP", "TIMESTAMP '2026-11-30T08:00:00Z'"),
        ("JSON", "JSON '{\"a\": [1]}'"),
        ("JSON", "null"),
    ] {
        assert!(parses(kind, "NULLABLE", default), "{kind} {default}");
    }
    for (kind, default) in [
        ("STRING", "new"),
        ("STRING", "'a' || 'b'"),
        ("STRING", "'open"),
        ("STRING", "''''"),
        ("STRING", "\\"),
        ("STRING", ""),
        ("STRING", "12"),
        ("INT64", "'3'"),
        ("INT64", "1.5"),
        ("BOOL", "1"),
        ("DATE", "'2026-02-30'"),
        ("DATE", "TIMESTAMP '2026-11-30T08:00:00Z'"),
        ("TIMESTAMP", "CURRENT_TIMESTAMP()"),
        ("JSON", "'{}'"),
        ("JSON", "JSON '{'"),
        ("BYTES", "'aGk='"),
    ] {
        assert!(!parses(kind, "NULLABLE", default), "{kind} {default}");
    }
    assert!(!parses("STRING", "REQUIRED", "NULL"));
    assert!(!parses("STRING", "REPEATED", "'x'"));
}
