//! Google's discovery documents: what the fields of a REST service are called, and their types.
//!
//! `discovery/` holds the documents as Google publishes them (Apache-2.0): `cloudtasks.v2.json`
//! and, from the Python package `google-api-python-client`, `secretmanager.v1.json`.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use chrono::DateTime;
use serde_json::{Map, Value};

/// Cloud Tasks v2.
pub(crate) const TASKS: &str = include_str!("../discovery/cloudtasks.v2.json");
/// Secret Manager v1.
pub(crate) const SECRETS: &str = include_str!("../discovery/secretmanager.v1.json");

/// The schemas of one service.
#[derive(Debug)]
pub(crate) struct Document {
    schemas: Map<String, Value>,
}

impl Document {
    /// Reads a document as Google publishes it.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut document: Value = serde_json::from_str(text).context("discovery document")?;
        match document.get_mut("schemas").map(Value::take) {
            Some(Value::Object(schemas)) => Ok(Self { schemas }),
            _ => anyhow::bail!("a discovery document without `schemas`"),
        }
    }

    /// Whether `value` fits a schema; otherwise which field does not, and why.
    ///
    /// Stricter than Google in one thing: field names only as the document has them, not in
    /// `snake_case`. Enumerations may be numbers, as the Rust clients send them.
    pub(crate) fn check(&self, schema: &str, value: &Value) -> Result<(), String> {
        let Some(found) = self.schemas.get(schema) else {
            return Err(format!("the document has no schema {schema}"));
        };
        self.check_at("", found, value)
    }

    /// `at` is the path so far, empty at the top.
    fn check_at(&self, at: &str, schema: &Value, value: &Value) -> Result<(), String> {
        // In JSON of protocol buffers null is the same as absent.
        if value.is_null() {
            return Ok(());
        }
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let found = self.schemas.get(name).ok_or_else(|| format!("no schema {name}"))?;
            return self.check_at(at, found, value);
        }
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or("any");
        let fits = match kind {
            "any" => true,
            "object" => return self.check_object(at, schema, value),
            "array" => return self.check_array(at, schema, value),
            "boolean" => value.is_boolean(),
            "integer" => is_integer(value),
            "number" => value.is_number(),
            "string" => fits_string(schema, value),
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let format = schema.get("format").and_then(Value::as_str);
        let of = format.map_or_else(String::new, |format| format!(" ({format})"));
        Err(format!("Invalid value at '{at}': expected a {kind}{of}."))
    }

    fn check_object(&self, at: &str, schema: &Value, value: &Value) -> Result<(), String> {
        let Some(fields) = value.as_object() else {
            return Err(format!("Invalid value at '{at}': expected an object."));
        };
        let known = schema.get("properties");
        for (name, field) in fields {
            let expected = known
                .and_then(|known| known.get(name))
                .or_else(|| schema.get("additionalProperties"));
            let Some(expected) = expected else {
                return Err(format!("Unknown name \"{name}\" at '{at}': Cannot find field."));
            };
            let below = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            self.check_at(&below, expected, field)?;
        }
        Ok(())
    }

    fn check_array(&self, at: &str, schema: &Value, value: &Value) -> Result<(), String> {
        let Some(items) = value.as_array() else {
            return Err(format!("Invalid value at '{at}': expected an array."));
        };
        let expected = schema.get("items").unwrap_or(&Value::Null);
        items
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| self.check_at(&format!("{at}[{i}]"), expected, item))
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.as_str().is_some_and(|text| text.parse::<i64>().is_ok())
}

fn fits_string(schema: &Value, value: &Value) -> bool {
    if let Some(names) = schema.get("enum").and_then(Value::as_array) {
        return match value.as_u64() {
            Some(number) => usize::try_from(number).is_ok_and(|number| number < names.len()),
            None => names.contains(value),
        };
    }
    match (schema.get("format").and_then(Value::as_str), value.as_str()) {
        (Some("int64" | "uint64"), _) => is_integer(value),
        (_, None) => false,
        (Some("byte"), Some(text)) => bytes(text).is_some(),
        (Some("google-datetime"), Some(text)) => DateTime::parse_from_rfc3339(text).is_ok(),
        (Some("google-duration"), Some(text)) => {
            text.strip_suffix('s').is_some_and(|number| number.parse::<f64>().is_ok())
        }
        (_, Some(_)) => true,
    }
}

/// Bytes of a JSON field, in either alphabet.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(schema: &str, value: &Value) -> String {
        Document::parse(TASKS).unwrap().check(schema, value).unwrap_err()
    }

    #[test]
    fn what_fits_passes() {
        let document = Document::parse(TASKS).unwrap();
        let task = json!({ "task": {
            "scheduleTime": "2026-01-02T03:04:05.678Z",
            "dispatchDeadline": "15s",
            "dispatchCount": "3",
            "httpRequest": {
                "url": "http://127.0.0.1:1/", "httpMethod": 1, "body": "e30=",
                "headers": { "Content-Type": "application/json" }
            },
            "lastAttempt": null
        }, "responseView": "FULL" });
        assert_eq!(document.check("CreateTaskRequest", &task), Ok(()));
    }

    #[test]
    fn the_wrong_field_is_named() {
        let found = problem("CreateTaskRequest", &json!({ "task": { "scheduleTme": "x" } }));
        assert_eq!(found, "Unknown name \"scheduleTme\" at 'task': Cannot find field.");
        let found = problem("Task", &json!({ "httpRequest": { "httpMethod": "FETCH" } }));
        assert_eq!(found, "Invalid value at 'httpRequest.httpMethod': expected a string.");
        let found = problem("Task", &json!({ "httpRequest": { "headers": { "a": 1 } } }));
        assert_eq!(found, "Invalid value at 'httpRequest.headers.a': expected a string.");
        let found = problem("Task", &json!({ "scheduleTime": "tomorrow" }));
        assert_eq!(found, "Invalid value at 'scheduleTime': expected a string (google-datetime).");
        let found = problem("ListTasksResponse", &json!({ "tasks": [{}, { "name": 1 }] }));
        assert_eq!(found, "Invalid value at 'tasks[1].name': expected a string.");
    }

    #[test]
    fn secret_managers_document_is_whole() {
        let document = Document::parse(SECRETS).unwrap();
        let body = json!({ "payload": { "data": "aGk=", "dataCrc32c": "123" } });
        assert_eq!(document.check("AddSecretVersionRequest", &body), Ok(()));
    }
}
