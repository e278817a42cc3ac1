//! Every limit: the last value inside it and the first beyond it.

use serde_json::{Map, Value, json};

use super::{lines, object, table};
use crate::limits::{COLUMNS_MAX, PROBLEMS_MAX, ROW_BYTES_MAX, ROW_DEPTH_MAX, STRING_BYTES_MAX};
use crate::{ColumnProblemKind, Table, convert, with_meta};

fn parses(id: &str, fields: Value) -> Result<Table, Vec<String>> {
    let document = json!({"tableReference": {"tableId": id}, "schema": {"fields": fields}});
    let messages = |problem: &crate::Problem| format!("{}: {}", problem.pointer, problem.message);
    Table::parse(&document).map_err(|error| error.problems.iter().map(messages).collect())
}

fn columns(count: usize) -> Value {
    (0..count).map(|index| json!({"name": format!("c{index}"), "type": "STRING"})).collect()
}

fn nested(levels: usize) -> Value {
    let leaf = json!({"name": "leaf", "type": "STRING"});
    (1..levels).fold(leaf, |inner, _| json!({"name": "r", "type": "RECORD", "fields": [inner]}))
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

#[test]
fn table_ids_have_63_characters() {
    assert!(parses(&"a".repeat(63), columns(1)).is_ok());
    assert!(parses(&"a".repeat(64), columns(1)).is_err());
    for id in ["", "1a", "_a", "A", "a-b", "a b", "任務"] {
        assert!(parses(id, columns(1)).is_err(), "{id}");
    }
}

#[test]
fn column_names_have_300_characters() {
    assert!(parses("t", json!([{"name": "c".repeat(300), "type": "STRING"}])).is_ok());
    assert!(parses("t", json!([{"name": "c".repeat(301), "type": "STRING"}])).is_err());
}

#[test]
fn five_hundred_columns_beside_the_meta_columns() {
    let table = parses("t", columns(COLUMNS_MAX)).expect("valid");
    let written = serde_json::to_value(with_meta(table)).expect("JSON");
    assert!(Table::parse(&written).is_ok());
    let too_many = "/schema/fields: there are more than 500 columns, nested ones counted";
    assert_eq!(parses("t", columns(COLUMNS_MAX + 1)), Err(vec![too_many.to_owned()]));
    let inside = json!([
        {"name": "r", "type": "RECORD", "fields": [
            {"name": "s", "type": "RECORD", "fields": columns(COLUMNS_MAX)}
        ]},
        {"name": "after", "type": "STRING"}
    ]);
    assert_eq!(parses("t", inside), Err(vec![too_many.to_owned()]));
}

#[test]
fn five_levels_of_columns() {
    assert!(parses("t", json!([nested(5)])).is_ok());
    assert_eq!(
        parses("t", json!([nested(6)])),
        Err(vec![
            "/schema/fields/0/fields/0/fields/0/fields/0/fields/0/fields: \
             columns are nested deeper than 5 levels"
                .to_owned()
        ])
    );
    assert!(parses("t", json!([nested(60)])).is_err());
}

#[test]
fn descriptions_keys_and_clustering_are_bounded() {
    let with = |description: usize, clustering: usize, key: usize| {
        let fields: Value = (0..20)
            .map(|index| {
                json!({"name": format!("c{index}"), "type": "STRING", "mode": "REQUIRED",
                    "description": "字".repeat(description)})
            })
            .collect();
        let names = |count: usize| (0..count).map(|index| format!("c{index}")).collect::<Vec<_>>();
        let document = json!({
            "tableReference": {"tableId": "t"},
            "description": "字".repeat(description * 16),
            "schema": {"fields": fields},
            "clustering": {"fields": names(clustering)},
            "tableConstraints": {"primaryKey": {"columns": names(key)}}
        });
        let problems = |error: crate::InvalidTable| error.problems.len();
        Table::parse(&document).map(drop).map_err(problems)
    };
    assert_eq!(with(1_024, 4, 16), Ok(()));
    assert_eq!(with(1_025, 4, 16), Err(21));
    assert_eq!(with(1, 5, 16), Err(1));
    assert_eq!(with(1, 4, 17), Err(1));
    assert_eq!(with(1, 0, 0), Err(2));
}

#[test]
fn reported_problems_are_bounded() {
    let unknown: Map<String, Value> =
        (0..10_000).map(|index| (format!("k{index}"), json!(1))).collect();
    let invalid = Table::parse(&Value::Object(unknown.clone())).expect_err("invalid");
    assert_eq!(invalid.problems.len(), PROBLEMS_MAX + 1);
    let bad: Value = (0..10_000).map(|_| json!({"name": 1})).collect();
    assert_eq!(parses("t", bad).expect_err("invalid").len(), PROBLEMS_MAX + 1);

    let table = table(json!([{"name": "l", "type": "DATE", "mode": "REPEATED"}]));
    let problems = convert(&table, &unknown).expect_err("invalid");
    assert_eq!(problems.len(), PROBLEMS_MAX + 1);
    assert_eq!(problems.last().map(|last| last.kind), Some(ColumnProblemKind::TooMany));
    let list: Value = (0..10_000).collect();
    let problems = convert(&table, &object(json!({"l": list}))).expect_err("invalid");
    assert_eq!(problems.len(), PROBLEMS_MAX + 1);
}

#[test]
fn strings_have_one_mebibyte() {
    let table = table(json!([
        {"name": "s", "type": "STRING"}, {"name": "b", "type": "BYTES"},
        {"name": "j", "type": "JSON"}
    ]));
    let text = |bytes: usize| "A".repeat(bytes);
    let row = object(json!({
        "s": text(STRING_BYTES_MAX), "b": text(STRING_BYTES_MAX), "j": text(STRING_BYTES_MAX + 1)
    }));
    assert!(convert(&table, &row).is_ok());
    let row = object(json!({"s": text(STRING_BYTES_MAX + 1), "b": text(STRING_BYTES_MAX + 4)}));
    let problems = convert(&table, &row).expect_err("too large");
    insta::assert_snapshot!(lines(&problems));
}

#[test]
fn rows_have_eight_mebibytes_of_json() {
    let table = table(json!([{"name": "j", "type": "JSON"}]));
    // {"j":"…"}
    let fits = object(json!({"j": "A".repeat(ROW_BYTES_MAX - 8)}));
    assert!(convert(&table, &fits).is_ok());
    for beyond in [
        json!({"j": "A".repeat(ROW_BYTES_MAX - 7)}),
        json!({"j": "A".repeat(ROW_BYTES_MAX + 1)}),
        json!({"j": "\n".repeat(ROW_BYTES_MAX / 2)}),
        json!({"j": vec![1; ROW_BYTES_MAX / 2]}),
    ] {
        let problems = convert(&table, &object(beyond)).expect_err("too large");
        assert_eq!(
            lines(&problems),
            ": TooLarge: the row is larger than 8388608 bytes – \
             land less in one row, or store large values elsewhere and land their address"
        );
    }
}

#[test]
fn rows_are_a_hundred_levels_deep() {
    let table = table(json!([{"name": "j", "type": "JSON"}]));
    let row = |levels: usize| object(json!({"j": deep(levels)}));
    assert!(convert(&table, &row(ROW_DEPTH_MAX - 1)).is_ok());
    let problems = convert(&table, &row(ROW_DEPTH_MAX)).expect_err("too deep");
    assert_eq!(
        lines(&problems),
        "j: TooDeep: the value is nested deeper than the 100 levels of a row – \
         flatten it, or land it as text"
    );
    // What converts can be read back by serde_json, inside an envelope too.
    let converted = convert(&table, &row(ROW_DEPTH_MAX - 1)).expect("fits");
    let envelope = json!({"data": {"rows": [converted.to_json()]}}).to_string();
    assert!(serde_json::from_str::<Value>(&envelope).is_ok());
}
