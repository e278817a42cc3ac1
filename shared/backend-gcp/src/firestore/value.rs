//! Fields of documents: written from and read as plain values.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{ArrayValue, Document, Value};
use gcloud_sdk::prost_types::Timestamp;
use ports::{PortError, PortResult};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The fields of a document on its way out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(HashMap<String, Value>);

impl Fields {
    /// Sets a field.
    pub(crate) fn set(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// Sets a field where there is a value; an absent field is in no index.
    pub(crate) fn set_some(self, name: &str, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// The document of that name.
    pub(crate) fn document(self, name: String) -> Document {
        Document { name, fields: self.0, create_time: None, update_time: None }
    }
}

fn value(value: ValueType) -> Value {
    Value { value_type: Some(value) }
}

pub(crate) fn text(text: impl Into<String>) -> Value {
    value(ValueType::StringValue(text.into()))
}

pub(crate) fn integer(number: i64) -> Value {
    value(ValueType::IntegerValue(number))
}

pub(crate) fn reference(name: impl Into<String>) -> Value {
    value(ValueType::ReferenceValue(name.into()))
}

pub(crate) fn list(values: impl IntoIterator<Item = Value>) -> Value {
    value(ValueType::ArrayValue(ArrayValue { values: values.into_iter().collect() }))
}

/// Firestore keeps microseconds, as everything here does.
pub(crate) fn time(at: DateTime<Utc>) -> Value {
    value(ValueType::TimestampValue(timestamp(at)))
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_micros()).unwrap_or_default() * 1_000;
    Timestamp { seconds: at.timestamp(), nanos }
}

/// The time of so many microseconds since 1970, as a value.
pub(crate) fn micros_time(micros: i64) -> Value {
    let nanos = i32::try_from(micros.rem_euclid(1_000_000)).unwrap_or_default() * 1_000;
    value(ValueType::TimestampValue(Timestamp { seconds: micros.div_euclid(1_000_000), nanos }))
}

/// A document as JSON text: everything comes back as it was, the order of keys too.
pub(crate) fn to_json<T: Serialize>(what: &str, document: &T) -> PortResult<String> {
    serde_json::to_string(document).map_err(|error| PortError::Invalid {
        reason: format!("{what} cannot be written as JSON: {error}"),
    })
}

/// A stored text as what it was.
pub(crate) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> PortResult<T> {
    // The error of serde_json would quote what is stored; the place says enough.
    serde_json::from_str(text).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        PortError::backend(format!("a stored {what} does not read back at {place}"))
    })
}

/// The part of a document's name behind the last slash.
pub(crate) fn key_of(document: &Document) -> &str {
    document.name.rsplit('/').next().unwrap_or_default()
}

/// Reads fields; one that is missing or of another type is none.
pub(crate) trait Read {
    fn text(&self, name: &str) -> Option<&str>;
    fn integer(&self, name: &str) -> Option<i64>;
    fn micros(&self, name: &str) -> Option<i64>;
    /// The domain value that a field holds as JSON.
    fn json<T: DeserializeOwned>(&self, what: &str, name: &str) -> PortResult<T>;
    /// The field as text, or an error that names it.
    fn required(&self, what: &str, name: &str) -> PortResult<&str>;
}

impl Read for Document {
    fn text(&self, name: &str) -> Option<&str> {
        match self.fields.get(name)?.value_type.as_ref()? {
            ValueType::StringValue(text) => Some(text),
            _ => None,
        }
    }

    fn integer(&self, name: &str) -> Option<i64> {
        match self.fields.get(name)?.value_type.as_ref()? {
            ValueType::IntegerValue(number) => Some(*number),
            _ => None,
        }
    }

    fn micros(&self, name: &str) -> Option<i64> {
        match self.fields.get(name)?.value_type.as_ref()? {
            ValueType::TimestampValue(time) => {
                Some(time.seconds.checked_mul(1_000_000)? + i64::from(time.nanos) / 1_000)
            }
            _ => None,
        }
    }

    fn json<T: DeserializeOwned>(&self, what: &str, name: &str) -> PortResult<T> {
        from_json(what, self.required(what, name)?)
    }

    fn required(&self, what: &str, name: &str) -> PortResult<&str> {
        let missing = || PortError::backend(format!("a stored {what} has no {name}"));
        self.text(name).ok_or_else(missing)
    }
}
