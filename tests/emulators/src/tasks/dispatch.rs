//! Sends what is due.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use chrono::TimeDelta;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;

use super::Shared;
use super::store::Attempt;
use crate::rest;

/// How much of an answer is read, so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Sends what is due, until it is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
    let mut under_way = JoinSet::new();
    loop {
        let room = shared.options.concurrent_max.saturating_sub(under_way.len());
        let (attempts, next) = {
            let mut store = shared.lock();
            (store.take_due(rest::now(), room), store.next_due())
        };
        for attempt in attempts {
            under_way.spawn(try_once(Arc::clone(&shared), client.clone(), attempt));
        }
        // While all places are taken, only an end makes room.
        let has_room = under_way.len() < shared.options.concurrent_max;
        let wait = next.filter(|_| has_room).map(|due| due - rest::now());
        tokio::select! {
            () = shared.changed.notified() => {}
            () = sleep(wait), if wait.is_some() => {}
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
        }
    }
}

async fn sleep(wait: Option<TimeDelta>) {
    let wait = wait.and_then(|wait| wait.to_std().ok()).unwrap_or_default();
    tokio::time::sleep(wait).await;
}

async fn try_once(shared: Arc<Shared>, client: HttpClient, attempt: Attempt) {
    let began = rest::now();
    let deadline = attempt.request.deadline;
    let answer = match tokio::time::timeout(deadline, send(&shared, &client, &attempt)).await {
        Ok(Ok(status)) => Some(status),
        Ok(Err(error)) => {
            tracing::debug!(task = attempt.name, "no answer: {error:#}");
            None
        }
        Err(_) => None,
    };
    shared.lock().finish(&attempt, began, answer);
    shared.changed.notify_one();
}

async fn send(shared: &Shared, client: &HttpClient, attempt: &Attempt) -> anyhow::Result<u16> {
    let request = &attempt.request;
    let mut sent = http::Request::new(Full::new(request.body.clone()));
    *sent.method_mut() = request.method.clone();
    *sent.uri_mut() = loopback(&request.url)?;
    *sent.headers_mut() = headers(attempt)?;
    if let Some((email, audience)) = &request.token {
        let token = shared.issuer.token(audience, email)?;
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
        value.set_sensitive(true);
        sent.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let answer = client.request(sent).await?;
    let status = answer.status().as_u16();
    // The answer's text means nothing to Cloud Tasks; one that is too long costs the connection.
    let _ = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok(status)
}

/// The URL with `localhost` as a number, so that no name server decides where it goes.
fn loopback(url: &Uri) -> anyhow::Result<Uri> {
    if url.host() != Some("localhost") {
        return Ok(url.clone());
    }
    let mut parts = url.clone().into_parts();
    let port = url.port_u16().unwrap_or(80);
    parts.authority = Some(Authority::try_from(format!("127.0.0.1:{port}"))?);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    Ok(Uri::from_parts(parts)?)
}

/// What was asked for, and what Cloud Tasks says about the task.
fn headers(attempt: &Attempt) -> anyhow::Result<HeaderMap> {
    let mut headers = attempt.request.headers.clone();
    let authority = attempt.request.url.authority().context("a URL without a host")?;
    headers.insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("Google-Cloud-Tasks"));
    let short = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let micros = attempt.due.timestamp_micros();
    let mut of_task = vec![
        ("x-cloudtasks-queuename", short(&attempt.queue)),
        ("x-cloudtasks-taskname", short(&attempt.name)),
        ("x-cloudtasks-taskretrycount", attempt.before.to_string()),
        ("x-cloudtasks-taskexecutioncount", attempt.answered.to_string()),
        (
            "x-cloudtasks-tasketa",
            format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000)),
        ),
    ];
    if let Some(status) = attempt.last_answer {
        of_task.push(("x-cloudtasks-taskpreviousresponse", status.to_string()));
    }
    for (name, value) in of_task {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value)?);
    }
    Ok(headers)
}
