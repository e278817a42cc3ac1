//! What holds for every input.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::sqlite::{cell_to_sqlite, sqlite_to_json};
use crate::{Field, FieldType, Mode, Table, convert, plan, with_meta};

const NAMES: [&str; 6] = ["a", "b", "c", "d_e", "Amount", "_x"];

/// JSON of any kind, with the names and words of tables among its keys and texts.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("tableReference"),
        Just("tableId"),
        Just("schema"),
        Just("fields"),
        Just("name"),
        Just("type"),
        Just("mode"),
        Just("columns"),
        Just("STRING"),
        Just("RECORD"),
        Just("REPEATED"),
        Just("defaultValueExpression"),
        Just("DATE '2026-11-30'"),
        Just("a"),
        Just("b"),
    ]
    .prop_map(str::to_owned);
    let text = prop_oneof![word, any::<String>(), "[0-9T:.Z+-]{0,30}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..8)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn field_json(level: u32) -> BoxedStrategy<Value> {
    let kind = prop::sample::select(FieldType::ALL.as_slice());
    let mode = prop::sample::select(Mode::ALL.as_slice());
    let nested = if level < 4 {
        prop::collection::vec(field_json(level + 1), 1..4).boxed()
    } else {
        Just(vec![json!({"name": "leaf", "type": "INT64"})]).boxed()
    };
    let name = prop::sample::select(NAMES.as_slice());
    (name, kind, mode, nested)
        .prop_map(|(name, kind, mode, nested)| {
            let mut field = json!({"name": name, "type": kind, "mode": mode});
            if kind == FieldType::Record {
                field["fields"] = distinct(nested);
            }
            field
        })
        .boxed()
}

fn distinct(fields: Vec<Value>) -> Value {
    let numbered = |(index, mut field): (usize, Value)| {
        let name = format!("{}{index}", field["name"].as_str().unwrap_or_default());
        field["name"] = Value::from(name);
        field
    };
    fields.into_iter().enumerate().map(numbered).collect()
}

fn any_table() -> impl Strategy<Value = Table> {
    prop::collection::vec(field_json(1), 1..8).prop_map(|fields| {
        let document = json!({
            "tableReference": {"tableId": "t"}, "schema": {"fields": distinct(fields)}
        });
        Table::parse_user(&document).expect("a valid table")
    })
}

/// A value that often fits the type.
fn scalar_json(field_type: FieldType) -> BoxedStrategy<Value> {
    let whole = any::<i64>();
    match field_type {
        FieldType::String => any::<String>().prop_map(Value::from).boxed(),
        FieldType::Int64 => {
            let text = whole.prop_map(|number| Value::from(number.to_string()));
            prop_oneof![whole.prop_map(Value::from), text].boxed()
        }
        FieldType::Float64 => any::<f64>().prop_map(Value::from).boxed(),
        FieldType::Numeric => prop_oneof![
            whole.prop_map(Value::from),
            (-1e9..1e9).prop_map(|float: f64| Value::from((float * 1e3).round() / 1e3)),
            "-?[0-9]{1,29}(\\.[0-9]{1,9})?".prop_map(Value::from)
        ]
        .boxed(),
        FieldType::Bool => any::<bool>().prop_map(Value::from).boxed(),
        FieldType::Date => "[0-9]{3}[1-9]-0[1-9]-[012][1-8]".prop_map(Value::from).boxed(),
        FieldType::DateTime => "[0-9]{3}[1-9]-0[1-9]-1[0-9][T ][01][0-9]:[0-5][0-9](:[0-5][0-9])?"
            .prop_map(Value::from)
            .boxed(),
        FieldType::Time => {
            "[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?".prop_map(Value::from).boxed()
        }
        FieldType::Timestamp => {
            let day = "[0-9]{3}[1-9]-0[1-9]-1[0-9]";
            let clock = "[01][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?";
            (day, clock, "Z|[+-]0[0-9]:30")
                .prop_map(|(day, clock, zone)| Value::from(format!("{day}T{clock}{zone}")))
                .boxed()
        }
        FieldType::Json | FieldType::Record => any_json().boxed(),
        FieldType::Bytes => "([A-Za-z0-9+/]{4}){0,6}".prop_map(Value::from).boxed(),
    }
}

fn value_json(field: &Field) -> BoxedStrategy<Value> {
    let one = if field.field_type == FieldType::Record {
        row_json(&field.fields).prop_map(Value::Object).boxed()
    } else {
        scalar_json(field.field_type)
    };
    match field.mode {
        Mode::Repeated => prop::collection::vec(one, 0..4).prop_map(Value::from).boxed(),
        Mode::Required => one,
        Mode::Nullable => prop_oneof![4 => one, 1 => Just(Value::Null)].boxed(),
    }
}

/// A row that often fits the columns.
fn row_json(fields: &[Field]) -> BoxedStrategy<Map<String, Value>> {
    let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    let values: Vec<BoxedStrategy<Value>> = fields.iter().map(value_json).collect();
    values.prop_map(move |values| names.iter().cloned().zip(values).collect()).boxed()
}

fn table_and_row() -> impl Strategy<Value = (Table, Map<String, Value>)> {
    any_table().prop_flat_map(|table| {
        let row = row_json(table.fields());
        (Just(table), row)
    })
}

fn any_row(table: &Table, values: Vec<Value>) -> Map<String, Value> {
    table.fields().iter().map(|field| field.name.clone()).zip(values).collect()
}

/// What is promised of every row that converts.
fn check_round_trips(table: &Table, row: &Map<String, Value>) -> Result<bool, TestCaseError> {
    let Ok(converted) = convert(table, row) else { return Ok(false) };
    let again = convert(table, &converted.to_json());
    prop_assert_eq!(again.as_ref(), Ok(&converted));
    let serialized = serde_json::to_value(&converted).expect("JSON");
    prop_assert_eq!(&serialized, &Value::Object(converted.to_json()));
    // The local store gives back the same row.
    let columns = converted.cells.iter().zip(table.fields());
    for ((name, cell), field) in columns {
        prop_assert_eq!(name, &field.name);
        let read = sqlite_to_json(field, &cell_to_sqlite(cell));
        let holds_float = read.to_string().contains('.');
        // serde_json may read the last digit of a float differently; text keeps the rest.
        prop_assert!(holds_float || read == cell.to_json(), "{name}: {read}");
    }
    Ok(true)
}

proptest! {
    #[test]
    fn parsing_never_panics_and_reports_what_it_refuses(value in any_json()) {
        for result in [Table::parse(&value), Table::parse_user(&value)] {
            if let Err(invalid) = result {
                prop_assert!(!invalid.problems.is_empty());
            }
        }
    }

    #[test]
    fn fields_of_any_shape_never_panic(fields in prop::collection::vec(any_json(), 0..5)) {
        let document = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields},
            "timePartitioning": fields.first(), "clustering": {"fields": fields}});
        prop_assert!(Table::parse(&document).is_err());
    }

    #[test]
    fn a_table_survives_being_written(table in any_table()) {
        let written = serde_json::to_value(&table).expect("JSON");
        let read = Table::parse_user(&written);
        prop_assert_eq!(read.as_ref(), Ok(&table));
        let full = with_meta(table.clone());
        prop_assert!(plan(Some(&table), &full).is_empty());
    }

    #[test]
    fn plans_between_any_tables_are_total((old, new) in (any_table(), any_table())) {
        let planned = plan(Some(&old), &new);
        prop_assert_eq!(planned.is_empty(), same_columns(&old, &new));
    }

    #[test]
    fn any_values_convert_or_are_refused(
        (table, values) in (any_table(), prop::collection::vec(any_json(), 0..8)),
    ) {
        let row = any_row(&table, values);
        if let Err(problems) = convert(&table, &row) {
            prop_assert!(!problems.is_empty());
        }
        check_round_trips(&table, &row)?;
    }

    #[test]
    fn rows_that_fit_come_back_the_same((table, row) in table_and_row()) {
        check_round_trips(&table, &row)?;
    }
}

/// Equal but for the order of columns.
fn same_columns(old: &Table, new: &Table) -> bool {
    fn sorted(fields: &[Field]) -> Vec<Field> {
        let mut fields = fields.to_vec();
        fields.sort_by(|left, right| left.name.cmp(&right.name));
        for field in &mut fields {
            field.fields = sorted(&field.fields);
        }
        fields
    }
    sorted(old.fields()) == sorted(new.fields())
}

/// The generator of fitting rows must not silently make rows that never fit.
#[test]
fn most_generated_rows_fit() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let strategy = table_and_row();
    let fits = (0..200)
        .filter(|_| {
            let tree = strategy.new_tree(&mut runner).expect("a value");
            let (table, row) = tree.current();
            convert(&table, &row).is_ok()
        })
        .count();
    assert!(fits >= 50, "{fits} of 200 rows fit");
}
