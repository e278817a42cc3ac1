//! What the stand-ins for Google's REST services share: Google's errors, bodies that fit a
//! discovery document, and a listener on loopback.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::discovery::Document;

/// An error as Google's REST services answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    http: u16,
    status: &'static str,
    message: String,
}

impl Refusal {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { http: 400, status: "INVALID_ARGUMENT", message: message.into() }
    }

    pub(crate) fn precondition(message: impl Into<String>) -> Self {
        Self { http: 400, status: "FAILED_PRECONDITION", message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { http: 404, status: "NOT_FOUND", message: message.into() }
    }

    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self { http: 409, status: "ALREADY_EXISTS", message: message.into() }
    }

    pub(crate) fn exhausted(message: impl Into<String>) -> Self {
        Self { http: 429, status: "RESOURCE_EXHAUSTED", message: message.into() }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { http: 500, status: "INTERNAL", message: message.into() }
    }

    /// What Google has and the stand-in has not.
    pub(crate) fn unimplemented(message: impl Into<String>) -> Self {
        Self { http: 501, status: "UNIMPLEMENTED", message: message.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "error": { "code": self.http, "message": self.message, "status": self.status }
        });
        let status = StatusCode::from_u16(self.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/json; charset=UTF-8")], body.to_string())
            .into_response()
    }
}

/// What an operation answers: a resource and the schema it has, or why not.
pub(crate) type Answer = Result<(&'static str, Value), Refusal>;

/// The answer as a response, once it fits its own schema: a stand-in that answers what Google
/// cannot would prove nothing.
pub(crate) fn respond(document: &Document, answer: Answer) -> Response {
    let checked = answer.and_then(|(schema, value)| {
        document
            .check(schema, &value)
            .map_err(|problem| {
                Refusal::internal(format!("the stand-in's own {schema} is wrong: {problem}"))
            })
            .map(|()| value)
    });
    match checked {
        Ok(value) => axum::Json(value).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Reads a body of `schema`, at most `bytes_max` long. An empty one counts as `{}`.
pub(crate) async fn read(
    document: &Document,
    schema: &str,
    body: Body,
    bytes_max: usize,
) -> Result<Value, Refusal> {
    let bytes = axum::body::to_bytes(body, bytes_max).await.map_err(|_| {
        Refusal::invalid(format!("Request payload size exceeds the limit: {bytes_max} bytes."))
    })?;
    if bytes.is_empty() {
        return Ok(json!({}));
    }
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::invalid(format!("Invalid JSON payload received. {error}")))?;
    document
        .check(schema, &value)
        .map_err(|problem| Refusal::invalid(format!("Invalid JSON payload received. {problem}")))?;
    Ok(value)
}

/// The fields of a body that was read.
pub(crate) fn fields(body: Value) -> Map<String, Value> {
    match body {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A page of a list, as it is answered.
pub(crate) fn listed(what: &str, found: &[Value], next: Option<String>) -> Value {
    let mut answer = json!({ what: found });
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    answer
}

/// The parameters after the `?`.
pub(crate) fn query(uri: &Uri) -> HashMap<String, String> {
    Query::try_from_uri(uri).map(|Query(map)| map).unwrap_or_default()
}

/// One page of what is ordered by name: those after the page's token, and the next token.
pub(crate) fn page<'a, T>(
    sorted: impl Iterator<Item = (&'a String, T)>,
    parameters: &HashMap<String, String>,
    size_max: usize,
) -> Result<(Vec<T>, Option<String>), Refusal> {
    let size = match parameters.get("pageSize").map(String::as_str) {
        None | Some("" | "0") => size_max,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| Refusal::invalid("pageSize is not a number that is at least 0"))?
            .min(size_max),
    };
    let after = match parameters.get("pageToken").map(String::as_str) {
        None | Some("") => None,
        Some(token) => Some(
            URL_SAFE_NO_PAD
                .decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| Refusal::invalid("pageToken is not one that was handed out"))?,
        ),
    };
    let mut found = Vec::new();
    let mut last: Option<&String> = None;
    for (name, item) in sorted.filter(|(name, _)| after.as_ref().is_none_or(|a| *name > a)) {
        if found.len() == size {
            return Ok((found, last.map(|name| URL_SAFE_NO_PAD.encode(name))));
        }
        last = Some(name);
        found.push(item);
    }
    Ok((found, None))
}

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-ins are outside of the product and have no ports: their time is real"
)]
pub(crate) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A time as Google writes it, to the microsecond.
pub(crate) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A time as Google writes it, without the fraction of the second.
pub(crate) fn timestamp_seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Reads a duration as Google writes it: `3.5s`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A server on a free port of 127.0.0.1; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    /// The server, and what else is to end with it.
    pub(crate) tasks: JoinSet<()>,
}

/// Starts serving `router`. Must be called inside a tokio runtime.
pub(crate) fn serve(router: Router) -> anyhow::Result<Listener> {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("no free port on 127.0.0.1")?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let socket = TcpListener::from_std(socket)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(listen(socket, router));
    Ok(Listener { address, tasks })
}

/// Serves connections, HTTP/1 or h2c, until it is dropped; those that are open end with it.
pub(crate) async fn listen(socket: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Small answers must not wait for a full packet.
        drop(stream.set_nodelay(true));
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let serving = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = serving.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
}
