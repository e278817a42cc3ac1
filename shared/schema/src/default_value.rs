//! Default values: literals only, so that BigQuery and the local store give the same value.

use serde_json::Value;

use crate::cell::Cell;
use crate::scalar::scalar;
use crate::table::{Field, FieldType, Mode};

/// What the fix of a bad default says.
pub(crate) const FIX: &str = "use a literal of the column's type: 'text', 12, 12.5, TRUE, FALSE, \
     NULL, DATE '2026-11-30', TIMESTAMP '2026-11-30T00:00:00Z', NUMERIC '12.5' or JSON '{}'";

/// The value of a column's default; `None` when there is none or it does not fit the column.
pub(crate) fn default_cell(field: &Field) -> Option<Cell> {
    if field.mode == Mode::Repeated || field.field_type == FieldType::Record {
        return None;
    }
    let expression = field.default_value_expression.as_deref()?.trim();
    if expression.eq_ignore_ascii_case("NULL") {
        return (field.mode == Mode::Nullable).then_some(Cell::Null);
    }
    scalar(field.field_type, &literal(field.field_type, expression)?).ok()
}

/// The JSON value of a literal that BigQuery would take for a column of the type.
fn literal(field_type: FieldType, expression: &str) -> Option<Value> {
    use FieldType::{Bool, Date, DateTime, Float64, Int64, Json, Numeric, String, Time, Timestamp};

    if let Some(quoted) = prefixed(field_type, expression) {
        let text = unquote(quoted)?;
        return match field_type {
            Json => serde_json::from_str(&text).ok().filter(|value: &Value| !value.is_null()),
            Date | DateTime | Time | Timestamp | Numeric => Some(Value::String(text)),
            _ => None,
        };
    }
    match field_type {
        // BigQuery turns a text literal into a date or time where one is wanted.
        String | Date | DateTime | Time | Timestamp => unquote(expression).map(Value::String),
        Int64 | Float64 | Numeric => serde_json::from_str(expression).ok().filter(Value::is_number),
        Bool if expression.eq_ignore_ascii_case("TRUE") => Some(Value::Bool(true)),
        Bool if expression.eq_ignore_ascii_case("FALSE") => Some(Value::Bool(false)),
        _ => None,
    }
}

/// What follows the type's name in `DATE '2026-11-30'`.
fn prefixed(field_type: FieldType, expression: &str) -> Option<&str> {
    let name = field_type.name();
    let head = expression.get(..name.len())?;
    let rest = expression.get(name.len()..)?.trim_start();
    (head.eq_ignore_ascii_case(name) && rest.starts_with(['\'', '"'])).then_some(rest)
}

/// The text of `'…'` or `"…"` with the escapes `\\ \' \" \n \t`.
fn unquote(quoted: &str) -> Option<String> {
    let quote = quoted.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let mut text = String::new();
    let mut rest = quoted.chars().skip(1);
    while let Some(character) = rest.next() {
        match character {
            '\\' => text.push(match rest.next()? {
                'n' => '\n',
                't' => '\t',
                plain @ ('\\' | '\'' | '"') => plain,
                _ => return None,
            }),
            // The closing quote is the last character.
            end if end == quote => return rest.next().is_none().then_some(text),
            '\n' | '\r' => return None,
            plain => text.push(plain),
        }
    }
    None
}
