//! `/events`: CloudEvents 1.0 over HTTP – binary, structured and batched.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use runtime::jobs::ExternalEvent;
use runtime::receive;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Gateway;
use crate::input::{self, Access};
use crate::problem::Problem;
use crate::tasks::check_id;

/// Most events of one batch.
const BATCH_MAX: usize = 500;
/// The extension attribute that names the connection of an event's contact.
const CONNECTION: &str = "connection";
/// The connection of those that name none.
const API: &str = "api";

#[derive(Debug, Deserialize)]
struct CloudEvent {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    time: Option<DateTime<Utc>>,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    connection: Option<String>,
}

/// What was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventsAnswer {
    /// The ids of the events, in order.
    pub events: Vec<String>,
}

/// Takes CloudEvents: they start flows by event triggers and wake tasks that wait for them.
#[utoipa::path(post, path = "/events", tag = "events", request_body = Object,
    responses((status = 202, body = EventsAnswer), (status = "4XX", body = Problem)))]
pub async fn receive(
    State(gateway): State<Gateway>,
    access: Access,
    request: Request,
) -> Result<(StatusCode, Json<EventsAnswer>), Problem> {
    access.may("events.write")?;
    let (parts, body) = request.into_parts();
    let body = input::bytes(body).await?;
    let mut accepted = Vec::new();
    let mut more: BTreeMap<String, usize> = BTreeMap::new();
    for (place, event) in read(&parts.headers, &body)? {
        check(&event).map_err(|problem| problem.inside(&place))?;
        if let Some(connection) = &event.connection {
            let pointer = format!("{place}/connection");
            input::known_connection(&gateway, &pointer, connection).await?;
        }
        *more.entry(event.connection.clone().unwrap_or_else(|| API.into())).or_default() += 1;
        let external = ExternalEvent {
            kind: event.kind,
            source: event.source,
            subject: event.subject,
            time: event.time,
            data: event.data,
            connection: event.connection.unwrap_or_else(|| API.into()),
            contact: None,
        };
        accepted.push((event.id, external));
    }
    for (connection, more) in more {
        gateway.admit(&connection, more).await?;
    }
    let mut events = Vec::new();
    for (id, external) in accepted {
        events.push(receive::cloud_event(&gateway.app, &id, external).await?.event.0);
    }
    Ok((StatusCode::ACCEPTED, Json(EventsAnswer { events })))
}

/// The events, each with its JSON pointer in the body.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<(String, CloudEvent)>, Problem> {
    let kind = header(headers, "content-type").unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind {
        "application/cloudevents-batch+json" => {
            let Value::Array(items) = input::json(body)? else {
                return Err(Problem::field("", "a batch is a list of events"));
            };
            if items.is_empty() || items.len() > BATCH_MAX {
                return Err(Problem::field("", format!("a batch has 1 to {BATCH_MAX} events")));
            }
            let read_one = |(index, item)| {
                let place = format!("/{index}");
                let event = input::typed(item).map_err(|problem| problem.inside(&place))?;
                Ok((place, event))
            };
            items.into_iter().enumerate().map(read_one).collect()
        }
        "application/cloudevents+json" => {
            Ok(vec![(String::new(), input::typed(input::json(body)?)?)])
        }
        _ if headers.contains_key("ce-specversion") => {
            Ok(vec![(String::new(), binary(headers, body)?)])
        }
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send a CloudEvent: `Content-Type: application/cloudevents+json`, or the headers \
             `ce-specversion`, `ce-id`, `ce-source` and `ce-type` beside the data",
        )),
    }
}

fn binary(headers: &HeaderMap, body: &[u8]) -> Result<CloudEvent, Problem> {
    let required = |name: &str| {
        let value = header(headers, name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Problem::malformed(format!("the header `{name}` is missing")))
    };
    let time = match header(headers, "ce-time") {
        Some(text) => Some(text.parse().map_err(|_| {
            Problem::malformed("`ce-time` must be a time such as 2026-11-30T09:00:00Z")
        })?),
        None => None,
    };
    let data = if body.is_empty() {
        Value::Null
    } else if input::is_json(headers) {
        input::json(body)?
    } else {
        return Err(input::not_json());
    };
    Ok(CloudEvent {
        specversion: required("ce-specversion")?,
        id: required("ce-id")?,
        source: required("ce-source")?,
        kind: required("ce-type")?,
        subject: header(headers, "ce-subject"),
        time,
        data,
        connection: header(headers, &format!("ce-{CONNECTION}")),
    })
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn check(event: &CloudEvent) -> Result<(), Problem> {
    if event.specversion != "1.0" {
        return Err(Problem::field("/specversion", "only CloudEvents 1.0 is understood"));
    }
    check_id("/id", &event.id)?;
    check_id("/source", &event.source)?;
    check_id("/type", &event.kind)?;
    match &event.subject {
        Some(subject) => check_id("/subject", subject),
        None => Ok(()),
    }
}
