//! Events from publishers outside: a `CloudEvent` in JSON, without the gateway in between.

use chrono::{DateTime, Utc};
use engine::EventId;
use ports::Envelope;
use runtime::jobs::ExternalEvent;
use runtime::receive::external_envelope;
use runtime::{App, HandleError};
use serde::Deserialize;
use serde_json::Value;

use super::message::{self, Message};

/// The connection of events that name none, as at the gateway's `/events`.
const CONNECTION: &str = "api";

#[derive(Deserialize)]
struct CloudEvent {
    specversion: String,
    #[serde(default)]
    id: Option<String>,
    source: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    time: Option<DateTime<Utc>>,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    connection: Option<String>,
}

/// The envelope that the gateway would have made of the event. The attributes `type` and `id`
/// stand in where the body has none.
pub(super) async fn envelope(app: &App, message: &Message) -> Result<Envelope, HandleError> {
    let value: Value = serde_json::from_slice(&message.data).map_err(|error| {
        // Without the text of the error: it may quote what was sent.
        unfit("", format!("is not JSON (line {}, column {})", error.line(), error.column()))
    })?;
    if !value.is_object() {
        return Err(unfit(
            "",
            "is no CloudEvent: a JSON object with specversion, id, source, type",
        ));
    }
    if flow::nesting::is_too_deep(&value) {
        let limit = flow::nesting::DEPTH_MAX;
        return Err(unfit("", format!("is nested deeper than {limit} levels; flatten it")));
    }
    if holds_nul(&value) {
        return Err(unfit("", "holds a NUL character; remove it"));
    }
    let event: CloudEvent = serde_json::from_value(value)
        .map_err(|error| unfit("", format!("is no CloudEvent: {error}")))?;
    let stand_in = |name| message.attribute(name).map(str::to_owned);
    let id = event.id.or_else(|| stand_in(message::ID)).unwrap_or_default();
    let kind = event.kind.or_else(|| stand_in(message::TYPE)).unwrap_or_default();
    if event.specversion != "1.0" {
        return Err(unfit("/specversion", "must be 1.0"));
    }
    check_id("/id", &id)?;
    check_id("/source", &event.source)?;
    check_id("/type", &kind)?;
    if let Some(subject) = &event.subject {
        check_id("/subject", subject)?;
    }
    if let Some(connection) = &event.connection {
        app.connection(connection).await?;
    }
    let external = ExternalEvent {
        kind,
        source: event.source,
        subject: event.subject,
        time: event.time,
        data: event.data,
        connection: event.connection.unwrap_or_else(|| CONNECTION.to_owned()),
        contact: None,
    };
    let id = EventId::of(&external.source, &id);
    // The time of publishing is the same at every delivery.
    external_envelope(id, message.published_at.unwrap_or_else(|| app.now()), external)
}

fn unfit(pointer: &str, wrong: impl Into<String>) -> HandleError {
    let wrong = wrong.into();
    HandleError::unprocessable(pointer, format!("the published event {pointer} {wrong}"))
}

fn check_id(pointer: &str, id: &str) -> Result<(), HandleError> {
    let most = channels::inbound::ID_BYTES_MAX;
    if id.is_empty() || id.len() > most || id.chars().any(char::is_control) {
        let wrong = format!("must have 1 to {most} bytes and no control characters");
        return Err(unfit(pointer, wrong));
    }
    Ok(())
}

/// Whether any text holds a NUL, which nothing downstream can store. `serde_json` admits 128
/// levels, so the recursion is bounded.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(map) => map.iter().any(|(key, item)| key.contains('\0') || holds_nul(item)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
