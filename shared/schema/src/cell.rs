//! A typed row: what [`crate::convert()`] makes and what backends write.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};

use crate::temporal::{write_date_time, write_time, write_timestamp};

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// At most 1 MiB.
    String(String),
    /// A whole number.
    Int64(i64),
    /// A finite number.
    Float64(f64),
    /// A decimal number such as `-12.5`, without needless zeros: equal numbers are equal texts.
    Numeric(String),
    /// True or false.
    Bool(bool),
    /// A day of the years 1 to 9999.
    Date(NaiveDate),
    /// A day and time without a zone, in microseconds.
    DateTime(NaiveDateTime),
    /// A time of day in microseconds.
    Time(NaiveTime),
    /// A point in time in microseconds.
    Timestamp(DateTime<Utc>),
    /// Any JSON value but null.
    Json(Value),
    /// At most 768 KiB (1 MiB in base64).
    Bytes(Vec<u8>),
    /// The elements of a REPEATED column, none of them null.
    Array(Vec<Cell>),
    /// The fields of a RECORD in the table's order. Fields that are null are left out, as are
    /// empty lists: a table may have many fields and a list many records.
    Record(Vec<(String, Cell)>),
}

impl Cell {
    /// The value in JSON, as [`crate::convert()`] takes it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Int64(number) => Value::from(*number),
            Self::Float64(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Json(value) => value.clone(),
            Self::Array(elements) => elements.iter().map(Self::to_json).collect(),
            Self::Record(fields) => Value::Object(object(fields)),
            written => written.text().map_or(Value::Null, |text| Value::String(text.into_owned())),
        }
    }

    /// The text of those values that are strings in JSON.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::String(text) | Self::Numeric(text) => Some(Cow::Borrowed(text)),
            Self::Date(date) => Some(Cow::Owned(date.to_string())),
            Self::DateTime(value) => Some(Cow::Owned(write_date_time(value))),
            Self::Time(time) => Some(Cow::Owned(write_time(*time))),
            Self::Timestamp(timestamp) => Some(Cow::Owned(write_timestamp(timestamp))),
            Self::Bytes(bytes) => Some(Cow::Owned(STANDARD.encode(bytes))),
            Self::Null
            | Self::Int64(_)
            | Self::Float64(_)
            | Self::Bool(_)
            | Self::Json(_)
            | Self::Array(_)
            | Self::Record(_) => None,
        }
    }
}

fn object(fields: &[(String, Cell)]) -> Map<String, Value> {
    fields.iter().map(|(name, cell)| (name.clone(), cell.to_json())).collect()
}

impl Serialize for Cell {
    /// The same JSON as [`Cell::to_json`], without building it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Int64(number) => serializer.serialize_i64(*number),
            Self::Float64(number) => serializer.serialize_f64(*number),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Json(value) => value.serialize(serializer),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Record(fields) => {
                serializer.collect_map(fields.iter().map(|(name, cell)| (name, cell)))
            }
            written => match written.text() {
                Some(text) => serializer.serialize_str(&text),
                None => serializer.serialize_unit(),
            },
        }
    }
}

/// A row that fits its table: every top-level column once, in the table's order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// Column name and value.
    pub cells: Vec<(String, Cell)>,
}

impl Row {
    /// The value of a column; `None` when the table has no such column.
    pub fn get(&self, column: &str) -> Option<&Cell> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, cell)| cell)
    }

    /// The row in JSON. Converting it again gives this row.
    pub fn to_json(&self) -> Map<String, Value> {
        object(&self.cells)
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.cells.iter().map(|(name, cell)| (name, cell)))
    }
}
