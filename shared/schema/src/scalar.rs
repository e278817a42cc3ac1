//! One JSON value to one [`Cell`] of a type that is neither RECORD nor REPEATED.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Number, Value};

use crate::cell::Cell;
use crate::column_problem::ColumnProblemKind;
use crate::limits::STRING_BYTES_MAX;
use crate::numeric::{self, NotNumeric};
use crate::problem::describe;
use crate::table::FieldType;
use crate::temporal::{self, NotTemporal};

/// Why a value does not convert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) kind: ColumnProblemKind,
    pub(crate) message: String,
    pub(crate) fix: String,
}

/// Converts a value that is not null. A RECORD is never a scalar, so it is a wrong type here.
pub(crate) fn scalar(field_type: FieldType, value: &Value) -> Result<Cell, Mismatch> {
    match (field_type, value) {
        (FieldType::Json, any) => Ok(Cell::Json(any.clone())),
        (FieldType::Bool, Value::Bool(truth)) => Ok(Cell::Bool(*truth)),
        (FieldType::Int64, Value::Number(number)) => int64(number),
        (FieldType::Float64, Value::Number(number)) => float64(number),
        (FieldType::Numeric, Value::Number(number)) => numeric(&decimal(number), value),
        (_, Value::String(text)) => from_text(field_type, text, value),
        _ => Err(wrong_type(field_type, value)),
    }
}

fn from_text(field_type: FieldType, text: &str, value: &Value) -> Result<Cell, Mismatch> {
    if text.len() > STRING_BYTES_MAX {
        return Err(Mismatch {
            kind: ColumnProblemKind::TooLarge,
            message: format!(
                "the text has {} bytes; a column takes at most {STRING_BYTES_MAX}",
                text.len()
            ),
            fix: "shorten it, or store it elsewhere and land its address".to_owned(),
        });
    }
    let temporal = |error| not_temporal(field_type, value, error);
    match field_type {
        FieldType::String => Ok(Cell::String(text.to_owned())),
        FieldType::Int64 => int64_text(text, value),
        FieldType::Float64 => float64_text(text, value),
        FieldType::Numeric => numeric(text, value),
        FieldType::Bool => match text {
            "true" => Ok(Cell::Bool(true)),
            "false" => Ok(Cell::Bool(false)),
            _ => Err(wrong_type(field_type, value)),
        },
        FieldType::Date => temporal::date(text).map(Cell::Date).map_err(temporal),
        FieldType::DateTime => temporal::date_time(text).map(Cell::DateTime).map_err(temporal),
        FieldType::Time => temporal::time(text).map(Cell::Time).map_err(temporal),
        FieldType::Timestamp => temporal::timestamp(text).map(Cell::Timestamp).map_err(temporal),
        FieldType::Bytes => {
            STANDARD.decode(text).map(Cell::Bytes).map_err(|_| wrong_type(field_type, value))
        }
        FieldType::Json | FieldType::Record => Err(wrong_type(field_type, value)),
    }
}

fn int64(number: &Number) -> Result<Cell, Mismatch> {
    if let Some(whole) = number.as_i64() {
        return Ok(Cell::Int64(whole));
    }
    match number.as_f64() {
        Some(float) if !number.is_u64() && float.fract() != 0.0 => {
            Err(wrong_type(FieldType::Int64, &Value::Number(number.clone())))
        }
        // Above 2^53 neighbours are more than 1 apart: which whole number was meant is unknown.
        Some(float) if !number.is_u64() && float.abs() <= 9_007_199_254_740_992.0 => {
            format!("{float:.0}").parse().map(Cell::Int64).map_err(|_| int64_range())
        }
        _ => Err(int64_range()),
    }
}

fn int64_text(text: &str, value: &Value) -> Result<Cell, Mismatch> {
    match text.parse::<i64>() {
        // `007` and `+5` would not come back as they were: they are labels, not numbers.
        Ok(whole) if whole.to_string() == text => Ok(Cell::Int64(whole)),
        Err(error)
            if matches!(
                error.kind(),
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow
            ) =>
        {
            Err(int64_range())
        }
        _ => Err(wrong_type(FieldType::Int64, value)),
    }
}

fn int64_range() -> Mismatch {
    Mismatch {
        kind: ColumnProblemKind::OutOfRange,
        message: "the number is out of range for INT64".to_owned(),
        fix: format!("give a whole number from {} to {}, or use NUMERIC", i64::MIN, i64::MAX),
    }
}

fn float64(number: &Number) -> Result<Cell, Mismatch> {
    let float = number.as_f64().filter(|float| float.is_finite()).ok_or_else(float64_range)?;
    // A whole number beyond 2^53 may have no exact FLOAT64; then it would change silently.
    let exact = number.is_f64() || format!("{float:.0}") == number.to_string();
    if exact { Ok(Cell::Float64(float)) } else { Err(float64_range()) }
}

fn float64_text(text: &str, value: &Value) -> Result<Cell, Mismatch> {
    let plain =
        text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(float) if plain && float.is_finite() => Ok(Cell::Float64(float)),
        Ok(_) if plain => Err(float64_range()),
        _ => Err(wrong_type(FieldType::Float64, value)),
    }
}

fn float64_range() -> Mismatch {
    Mismatch {
        kind: ColumnProblemKind::OutOfRange,
        message: "FLOAT64 cannot hold the number".to_owned(),
        fix: "give a smaller number, or use NUMERIC for exact ones".to_owned(),
    }
}

/// A JSON number without an exponent. At most some 330 characters long.
fn decimal(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float.to_string(),
        _ => number.to_string(),
    }
}

fn numeric(text: &str, value: &Value) -> Result<Cell, Mismatch> {
    let (message, fix) = match numeric::normalise(text) {
        Ok(written) => return Ok(Cell::Numeric(written)),
        Err(NotNumeric::Syntax) => return Err(wrong_type(FieldType::Numeric, value)),
        Err(NotNumeric::Range) => (
            "the number has more than 29 digits before the point",
            "give a smaller number, or use FLOAT64 or STRING",
        ),
        Err(NotNumeric::Scale) => {
            ("the number has more than 9 decimals", "round it, as in `{{ amount | round(9) }}`")
        }
    };
    Err(Mismatch {
        kind: ColumnProblemKind::OutOfRange,
        message: message.to_owned(),
        fix: fix.to_owned(),
    })
}

fn not_temporal(field_type: FieldType, value: &Value, error: NotTemporal) -> Mismatch {
    match error {
        NotTemporal::Syntax => wrong_type(field_type, value),
        NotTemporal::Range => Mismatch {
            kind: ColumnProblemKind::OutOfRange,
            message: format!("there is no such {field_type}"),
            fix: "give one that exists, in the years 1 to 9999".to_owned(),
        },
    }
}

/// What a column of the type takes, for messages.
pub(crate) fn takes(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::String => "text",
        FieldType::Int64 => "a whole number such as 12",
        FieldType::Float64 => "a number such as 12.5",
        FieldType::Numeric => "a decimal number such as 12.5 or \"12.5\"",
        FieldType::Bool => "true or false",
        FieldType::Date => "a date such as \"2026-11-30\"",
        FieldType::DateTime => "a date and time without a zone such as \"2026-11-30T08:15:00\"",
        FieldType::Time => "a time of day such as \"08:15:00\"",
        FieldType::Timestamp => "a time with its zone such as \"2026-11-30T08:15:00+08:00\"",
        FieldType::Json => "any JSON value",
        FieldType::Record => "an object",
        FieldType::Bytes => "standard base64 with padding such as \"aGk=\"",
    }
}

pub(crate) fn wrong_type(field_type: FieldType, value: &Value) -> Mismatch {
    let found = match (field_type, value) {
        (FieldType::String | FieldType::Record, _) | (_, Value::Array(_) | Value::Object(_)) => {
            describe(value).to_owned()
        }
        (_, Value::String(_)) => "text of another form".to_owned(),
        _ => describe(value).to_owned(),
    };
    let fix = match (field_type, value) {
        (FieldType::String, Value::Number(_) | Value::Bool(_)) => {
            "give text, as in `{{ value | string }}`".to_owned()
        }
        _ => format!("give {}", takes(field_type)),
    };
    Mismatch {
        kind: ColumnProblemKind::WrongType,
        message: format!("{field_type} takes {}; the row has {found}", takes(field_type)),
        fix,
    }
}
