//! Values as BigQuery's REST API writes them, in the JSON of `schema::Row::to_json`.

use chrono::{DateTime, NaiveDateTime, NaiveTime, SecondsFormat};
use google_cloud_wkt::Struct;
use ports::{PortError, PortResult};
use schema::{Field, FieldType, Mode};
use serde_json::{Map, Number, Value};

/// The values of a row: `{"f": [{"v": …}, …]}`.
pub(super) fn cells(mut row: Struct) -> Vec<Value> {
    match row.get_mut("f").map(Value::take) {
        Some(Value::Array(cells)) => cells.into_iter().map(inner).collect(),
        _ => Vec::new(),
    }
}

fn inner(mut cell: Value) -> Value {
    cell.get_mut("v").map(Value::take).unwrap_or_default()
}

/// Bytes of the texts of a value.
pub(super) fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Object(object) => object.values().map(weight).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// A value of a column. Recursion is bounded by the nesting of a parsed table.
pub(super) fn value(field: &Field, value: Value) -> PortResult<Value> {
    match (field.mode, value) {
        (Mode::Repeated, Value::Null) => Ok(Value::Array(Vec::new())),
        (Mode::Repeated, Value::Array(elements)) => {
            elements.into_iter().map(|element| single(field, inner(element))).collect()
        }
        (Mode::Repeated, _) => Err(odd(field)),
        (Mode::Nullable | Mode::Required, value) => single(field, value),
    }
}

fn single(field: &Field, value: Value) -> PortResult<Value> {
    match (field.field_type, value) {
        (_, Value::Null) => Ok(Value::Null),
        (FieldType::Record, Value::Object(object)) => record(field, object),
        (field_type, Value::String(text)) => scalar(field_type, text).ok_or_else(|| odd(field)),
        _ => Err(odd(field)),
    }
}

/// Fields that are null or empty lists are left out, as in the row that landed.
fn record(field: &Field, object: Struct) -> PortResult<Value> {
    let mut record = Map::new();
    for (field, cell) in field.fields.iter().zip(cells(object)) {
        let value = self::value(field, cell)?;
        let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        // A JSON value may be an empty list itself; only a REPEATED column has none.
        if !empty || (field.mode != Mode::Repeated && !value.is_null()) {
            record.insert(field.name.clone(), value);
        }
    }
    Ok(Value::Object(record))
}

fn scalar(field_type: FieldType, text: String) -> Option<Value> {
    Some(match field_type {
        FieldType::String | FieldType::Bytes | FieldType::Date => Value::String(text),
        FieldType::Int64 => Value::from(text.parse::<i64>().ok()?),
        FieldType::Float64 => Value::Number(Number::from_f64(text.parse().ok()?)?),
        FieldType::Bool => Value::Bool(text.parse().ok()?),
        FieldType::Numeric => Value::String(plain(&text)?),
        FieldType::DateTime => {
            let value: NaiveDateTime = text.parse().ok()?;
            Value::String(value.format("%Y-%m-%dT%H:%M:%S%.6f").to_string())
        }
        FieldType::Time => {
            let value: NaiveTime = text.parse().ok()?;
            Value::String(value.format("%H:%M:%S%.6f").to_string())
        }
        FieldType::Timestamp => {
            let value = DateTime::from_timestamp_micros(text.parse().ok()?)?;
            Value::String(value.to_rfc3339_opts(SecondsFormat::Micros, true))
        }
        // BigQuery keeps the values of a JSON and not the order of its keys.
        FieldType::Json => serde_json::from_str(&text).ok()?,
        FieldType::Record => return None,
    })
}

/// A decimal number without needless zeros and without an exponent, which servers write for
/// small ones.
fn plain(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = i32::try_from(integer.len()).ok()?.checked_add(exponent)?;
    // A NUMERIC has 38 digits.
    if !(-60..=60).contains(&point) {
        return None;
    }
    let zeros = "0".repeat(usize::try_from(-point).unwrap_or_default());
    let mut digits = format!("{zeros}{integer}{fraction}");
    let point = usize::try_from(point).unwrap_or_default();
    while digits.len() < point {
        digits.push('0');
    }
    let (integer, fraction) = digits.split_at_checked(point)?;
    let integer = integer.trim_start_matches('0');
    let integer = if integer.is_empty() { "0" } else { integer };
    Some(match (fraction.trim_end_matches('0'), integer) {
        ("", "0") => "0".to_owned(),
        ("", integer) => format!("{sign}{integer}"),
        (fraction, integer) => format!("{sign}{integer}.{fraction}"),
    })
}

/// The value is not in the message: it may be what people wrote.
fn odd(field: &Field) -> PortError {
    PortError::backend(format!(
        "BigQuery gave column {} in a form that is not of a {}",
        field.name, field.field_type
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(field_type: &str, mode: &str) -> Field {
        let column = json!({"name": "c", "type": field_type, "mode": mode, "fields": [
            {"name": "a", "type": "JSON"}, {"name": "b", "type": "STRING", "mode": "REPEATED"},
            {"name": "d", "type": "INT64"},
        ]});
        let mut column = column;
        if field_type != "RECORD" {
            column.as_object_mut().unwrap().remove("fields");
        }
        let table = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": [column]}});
        schema::Table::parse(&table).unwrap().fields()[0].clone()
    }

    #[test]
    fn texts_become_the_values_that_landed() {
        for (field_type, text, expected) in [
            ("STRING", "", json!("")),
            ("INT64", "-9223372036854775808", json!(i64::MIN)),
            ("FLOAT64", "1.0E300", json!(1e300)),
            ("FLOAT64", "3", json!(3.0)),
            ("BOOL", "false", json!(false)),
            ("NUMERIC", "12.500000000", json!("12.5")),
            ("NUMERIC", "100", json!("100")),
            ("NUMERIC", "-0.000000001", json!("-0.000000001")),
            ("NUMERIC", "5.000000000", json!("5")),
            ("NUMERIC", "-1E-9", json!("-0.000000001")),
            ("NUMERIC", "1.25e+3", json!("1250")),
            ("NUMERIC", "12.5E-1", json!("1.25")),
            ("NUMERIC", "-0E-9", json!("0")),
            ("DATE", "0001-01-01", json!("0001-01-01")),
            ("DATETIME", "2026-11-30T08:15:00", json!("2026-11-30T08:15:00.000000")),
            ("DATETIME", "2026-11-30T08:15:00.5", json!("2026-11-30T08:15:00.500000")),
            ("TIME", "08:15:00", json!("08:15:00.000000")),
            ("TIMESTAMP", "-1", json!("1969-12-31T23:59:59.999999Z")),
            ("TIMESTAMP", "253402300799999999", json!("9999-12-31T23:59:59.999999Z")),
            ("JSON", "[1,{\"a\":null}]", json!([1, {"a": null}])),
            ("BYTES", "aGk=", json!("aGk=")),
        ] {
            let found = value(&field(field_type, "NULLABLE"), json!(text)).unwrap();
            assert_eq!(found, expected, "{field_type} {text}");
        }
    }

    #[test]
    fn records_leave_out_what_is_not_there() {
        let row = json!({"f": [{"v": "[]"}, {"v": []}, {"v": null}]});
        let found = value(&field("RECORD", "NULLABLE"), row.clone()).unwrap();
        assert_eq!(found, json!({"a": []}));
        let list = value(&field("RECORD", "REPEATED"), json!([{"v": row}])).unwrap();
        assert_eq!(list, json!([{"a": []}]));
        assert_eq!(value(&field("RECORD", "REPEATED"), Value::Null).unwrap(), json!([]));
        assert_eq!(value(&field("RECORD", "NULLABLE"), Value::Null).unwrap(), Value::Null);
    }

    #[test]
    fn odd_values_are_errors_that_do_not_show_them() {
        for (field_type, mode, odd) in [
            ("INT64", "NULLABLE", json!("secret")),
            ("RECORD", "NULLABLE", json!("secret")),
            ("STRING", "REPEATED", json!("secret")),
            ("FLOAT64", "NULLABLE", json!("NaN")),
        ] {
            let error = value(&field(field_type, mode), odd).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
