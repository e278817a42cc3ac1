//! Rows: every conversion, and every reason for refusing one.

use chrono::{DateTime, NaiveDate};
use serde_json::{Value, json};

use super::{lines, object, table};
use crate::{Cell, ColumnProblemKind, Row, base_table, convert, with_meta};

/// What one value becomes in a NULLABLE column of the type.
fn one(field_type: &str, value: Value) -> Result<Cell, ColumnProblemKind> {
    let table = table(json!([{"name": "c", "type": field_type}]));
    match convert(&table, &object(json!({ "c": value }))) {
        Ok(row) => Ok(row.get("c").expect("the column").clone()),
        Err(problems) => {
            assert_eq!(problems.len(), 1, "{problems:?}");
            Err(problems[0].kind)
        }
    }
}

const WRONG: Result<Cell, ColumnProblemKind> = Err(ColumnProblemKind::WrongType);
const RANGE: Result<Cell, ColumnProblemKind> = Err(ColumnProblemKind::OutOfRange);

#[test]
fn whole_numbers_are_taken_when_nothing_is_lost() {
    for (value, expected) in [
        (json!(7), 7),
        (json!(i64::MIN), i64::MIN),
        (json!(3.0), 3),
        (json!(-0.0), 0),
        (json!("42"), 42),
        (json!("-1"), -1),
        (json!("9223372036854775807"), i64::MAX),
        (json!(9_007_199_254_740_992.0), 9_007_199_254_740_992),
    ] {
        assert_eq!(one("INT64", value.clone()), Ok(Cell::Int64(expected)), "{value}");
    }
    for value in
        [json!(3.5), json!("3.0"), json!("007"), json!("+5"), json!("-0"), json!(" 5"), json!("")]
    {
        assert_eq!(one("INT64", value.clone()), WRONG, "{value}");
    }
    for value in [json!(u64::MAX), json!(1e300), json!("9223372036854775808"), json!(1e16)] {
        assert_eq!(one("INT64", value.clone()), RANGE, "{value}");
    }
    for value in [json!(true), json!([1]), json!({"a": 1}), json!("１２")] {
        assert_eq!(one("INT64", value.clone()), WRONG, "{value}");
    }
}

#[test]
fn floats_are_finite_and_exact() {
    assert_eq!(one("FLOAT64", json!(1.5)), Ok(Cell::Float64(1.5)));
    assert_eq!(one("FLOAT64", json!(3)), Ok(Cell::Float64(3.0)));
    assert_eq!(one("FLOAT64", json!("-2.5e3")), Ok(Cell::Float64(-2500.0)));
    assert_eq!(one("FLOAT64", json!(9_007_199_254_740_993_i64)), RANGE);
    assert_eq!(one("FLOAT64", json!(u64::MAX)), RANGE);
    assert_eq!(one("FLOAT64", json!("1e999")), RANGE);
    for value in [json!("NaN"), json!("inf"), json!("Infinity"), json!("x"), json!(false)] {
        assert_eq!(one("FLOAT64", value.clone()), WRONG, "{value}");
    }
}

#[test]
fn decimals_keep_every_digit() {
    for (value, expected) in [
        (json!(12.5), "12.5"),
        (json!(-7), "-7"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!(1e-9), "0.000000001"),
        (json!(1e20), "100000000000000000000"),
        (json!("12.50"), "12.5"),
        (
            json!("99999999999999999999999999999.999999999"),
            "99999999999999999999999999999.999999999",
        ),
    ] {
        let cell = one("NUMERIC", value.clone());
        assert_eq!(cell, Ok(Cell::Numeric(expected.to_owned())), "{value}");
    }
    for value in
        [json!(0.1 + 0.2), json!(1e30), json!("1234567890123456789012345678901"), json!(1e-10)]
    {
        assert_eq!(one("NUMERIC", value.clone()), RANGE, "{value}");
    }
    for value in [json!("1e3"), json!("12,5"), json!(true), json!("")] {
        assert_eq!(one("NUMERIC", value.clone()), WRONG, "{value}");
    }
}

#[test]
fn text_stays_as_it_is_and_numbers_are_not_text() {
    for text in ["", "請假", "a\u{0}b", "👩‍👩‍👧", "007"] {
        assert_eq!(one("STRING", json!(text)), Ok(Cell::String(text.to_owned())));
    }
    for value in [json!(7), json!(true), json!(["a"]), json!({})] {
        assert_eq!(one("STRING", value.clone()), WRONG, "{value}");
    }
}

#[test]
fn booleans_and_bytes() {
    assert_eq!(one("BOOL", json!(true)), Ok(Cell::Bool(true)));
    assert_eq!(one("BOOL", json!("false")), Ok(Cell::Bool(false)));
    for value in [json!(1), json!("True"), json!("yes"), json!("")] {
        assert_eq!(one("BOOL", value.clone()), WRONG, "{value}");
    }
    assert_eq!(one("BYTES", json!("aGk=")), Ok(Cell::Bytes(b"hi".to_vec())));
    assert_eq!(one("BYTES", json!("")), Ok(Cell::Bytes(Vec::new())));
    for value in [json!("aGk"), json!("aGl="), json!("a-_="), json!("?"), json!(1)] {
        assert_eq!(one("BYTES", value.clone()), WRONG, "{value}");
    }
}

#[test]
fn dates_and_times() {
    let day = NaiveDate::from_ymd_opt(2026, 11, 30).expect("a day");
    let clock = day.and_hms_micro_opt(8, 15, 0, 500_000).expect("a time");
    let point = DateTime::from_timestamp_micros(1_796_000_400_123_456).expect("a time");
    assert_eq!(one("DATE", json!("2026-11-30")), Ok(Cell::Date(day)));
    assert_eq!(one("DATETIME", json!("2026-11-30T08:15:00.5")), Ok(Cell::DateTime(clock)));
    assert_eq!(one("TIME", json!("08:15:00.5")), Ok(Cell::Time(clock.time())));
    assert_eq!(
        one("TIMESTAMP", json!("2026-11-30T01:00:00.123456789+00:00")),
        Ok(Cell::Timestamp(point))
    );
    assert_eq!(
        one("TIMESTAMP", json!("2026-11-30T09:00:00.123456+08:00")),
        Ok(Cell::Timestamp(point))
    );
    assert_eq!(one("DATE", json!("2026-11-31")), RANGE);
    assert_eq!(one("TIMESTAMP", json!("2026-11-30T25:00:00Z")), RANGE);
    for kind in ["DATE", "DATETIME", "TIME", "TIMESTAMP"] {
        for value in [json!(1_700_000_000), json!("tomorrow"), json!("30.11.2026"), json!("")] {
            assert_eq!(one(kind, value.clone()), WRONG, "{kind} {value}");
        }
    }
}

#[test]
fn json_columns_take_anything() {
    for value in [json!(1), json!("x"), json!([null, {"a": [1.5]}]), json!(false), json!({})] {
        assert_eq!(one("JSON", value.clone()), Ok(Cell::Json(value)));
    }
    assert_eq!(one("JSON", Value::Null), Ok(Cell::Null));
}

#[test]
fn null_and_absent_are_alike_and_lists_are_never_null() {
    let table = table(json!([
        {"name": "n", "type": "INT64"},
        {"name": "l", "type": "INT64", "mode": "REPEATED"},
        {"name": "r", "type": "RECORD", "fields": [
            {"name": "a", "type": "STRING"}, {"name": "b", "type": "DATE", "mode": "REPEATED"}
        ]}
    ]));
    let empty = convert(&table, &object(json!({}))).expect("fits");
    assert_eq!(
        empty.cells,
        [
            ("n".to_owned(), Cell::Null),
            ("l".to_owned(), Cell::Array(Vec::new())),
            ("r".to_owned(), Cell::Null)
        ]
    );
    assert_eq!(convert(&table, &object(json!({"n": null, "l": null, "r": null}))), Ok(empty));
    let sparse = convert(&table, &object(json!({"r": {"a": null, "b": []}}))).expect("fits");
    assert_eq!(sparse.get("r"), Some(&Cell::Record(Vec::new())));
}

#[test]
fn defaults_stand_in_for_what_is_absent_but_not_for_null() {
    let table = table(json!([
        {"name": "state", "type": "STRING", "mode": "REQUIRED", "defaultValueExpression": "'new'"},
        {"name": "count", "type": "INT64", "defaultValueExpression": "0"}
    ]));
    let json = |row: Value| convert(&table, &object(row)).map(|row| Value::Object(row.to_json()));
    assert_eq!(json(json!({})), Ok(json!({"state": "new", "count": 0})));
    assert_eq!(
        json(json!({"state": "x", "count": null})),
        Ok(json!({"state": "x", "count": null}))
    );
    let problems = json(json!({"state": null})).expect_err("missing");
    assert_eq!(lines(&problems), "state: Missing: the column is REQUIRED – give text");
}

#[test]
fn all_problems_of_a_row_are_reported_with_their_paths() {
    let table = table(json!([
        {"name": "employee", "type": "STRING", "mode": "REQUIRED"},
        {"name": "days", "type": "INT64", "mode": "REQUIRED"},
        {"name": "start", "type": "DATE"},
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
        {"name": "list", "type": "INT64", "mode": "REPEATED"},
        {"name": "who", "type": "RECORD", "fields": [
            {"name": "name", "type": "STRING", "mode": "REQUIRED"},
            {"name": "phones", "type": "RECORD", "mode": "REPEATED", "fields": [
                {"name": "number", "type": "STRING"}
            ]}
        ]},
        {"name": "at", "type": "TIMESTAMP"}
    ]));
    let row = object(json!({
        "employe": "A1",
        "days": "two",
        "start": "2026-02-30",
        "tags": "one",
        "list": [1, null, "x"],
        "who": {"phones": [{"number": "1"}, {"nmber": "2"}, 3]},
        "at": 1_700_000_000,
        "zzz": 1
    }));
    let problems = convert(&table, &row).expect_err("does not fit");
    insta::assert_snapshot!(lines(&problems));
    let serialized = serde_json::to_value(&problems[0]).expect("JSON");
    assert_eq!(
        serialized,
        json!({"column": "employee", "kind": "missing", "message": "the column is REQUIRED",
            "fix": "give text"})
    );
}

#[test]
fn problems_never_tell_values() {
    let table = table(json!([
        {"name": "a", "type": "INT64"}, {"name": "b", "type": "DATE"},
        {"name": "c", "type": "BYTES"}, {"name": "d", "type": "NUMERIC"}
    ]));
    let row = object(json!({"a": "geheim", "b": "geheim", "c": "geheim!", "d": ["geheim"]}));
    let problems = convert(&table, &row).expect_err("does not fit");
    assert_eq!(problems.len(), 4);
    assert!(!format!("{problems:?}").contains("geheim"));
}

#[test]
fn a_landed_row_carries_its_meta_columns() {
    let table = with_meta(table(json!([{"name": "a", "type": "STRING"}])));
    let problems = convert(&table, &object(json!({"a": "x"}))).expect_err("no meta columns");
    let columns: Vec<&str> = problems.iter().map(|problem| problem.column.as_str()).collect();
    assert_eq!(columns, ["event_id", "sequence", "landed_at"]);
    let row = object(json!({
        "a": "x", "event_id": "e1", "sequence": 3, "landed_at": "2026-11-30T08:00:00Z"
    }));
    let row = convert(&table, &row).expect("fits");
    assert_eq!(row.get("sequence"), Some(&Cell::Int64(3)));
}

#[test]
fn a_history_row_converts_and_comes_back() {
    let history = base_table("history").expect("history");
    let row = object(json!({
        "task_id": "t1", "sequence": 2, "event_id": "e2", "event_kind": "message",
        "event": {"text": "好"}, "at": "2026-11-30T16:00:00+08:00",
        "steps": [{"step": "ask", "left_by": "next"}, {"step": "wait", "left_by": null}],
        "vars_changed": {"days": 3}, "status_before": "waiting", "status_after": "waiting",
        "effects": [], "landed_at": "2026-11-30T08:00:01.5Z"
    }));
    let converted: Row = convert(history, &row).expect("fits");
    assert_eq!(
        Value::Object(converted.to_json()),
        json!({
            "task_id": "t1", "sequence": 2, "event_id": "e2", "event_kind": "message",
            "event": {"text": "好"}, "at": "2026-11-30T08:00:00.000000Z",
            "steps": [{"step": "ask", "left_by": "next"}, {"step": "wait"}],
            "vars_changed": {"days": 3}, "status_before": "waiting", "status_after": "waiting",
            "effects": [], "landed_at": "2026-11-30T08:00:01.500000Z"
        })
    );
    let written = serde_json::to_value(&converted).expect("JSON");
    assert_eq!(written, Value::Object(converted.to_json()));
    assert_eq!(convert(history, &converted.to_json()), Ok(converted));
}
