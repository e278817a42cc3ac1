//! The connector: makes the HTTP call of a `call` step and brings its answer back as an event.

use bytes::Bytes;
use engine::{CallRequest, CallResult, EventBody, Status, Wait};
use ports::{Envelope, PortError};
use serde_json::{Map, Value};
use url::Url;

use crate::app::App;
use crate::egress::{EgressError, HostAllowList, OutgoingRequest, Response, retry_after};
use crate::ids;
use crate::jobs::{CallJob, What, for_conversation, open};
use crate::outcome::{HandleError, Outcome, backoff};

/// Largest body that is sent, in bytes.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Header fields of an answer that a flow gets to see, with their longest value.
const HEADER_BYTES_MAX: usize = 2_000;

/// Makes the call of an envelope. `attempt` counts from 0.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    match call(app, envelope, attempt).await {
        Ok(outcome) => outcome,
        Err(error) => error.into_outcome(attempt, &envelope.id),
    }
}

async fn call(app: &App, envelope: &Envelope, attempt: u32) -> Result<Outcome, HandleError> {
    let job: CallJob = open(envelope)?;
    // A task that was cancelled or has moved on needs no call any more.
    let found = app.store().tasks(std::slice::from_ref(&job.task)).await?;
    let waits = found.first().is_some_and(|task| {
        let Status::Waiting { on: Wait::Call { call }, .. } = &task.status else { return false };
        *call == job.request.id
    });
    if !waits {
        return Ok(Outcome::Done);
    }
    let prepared = prepare(app, &job.request).await?;
    let result = match prepared {
        Err(reason) => CallResult::Failed { reason },
        Ok(request) => {
            let answered = app.parts.egress.send(request).await;
            match again(app, &job.request, &answered, attempt, &envelope.id) {
                Some(outcome) => return Ok(outcome),
                None => match answered {
                    Ok(answer) => read(&answer),
                    Err(error) => CallResult::Failed { reason: error.to_string() },
                },
            }
        }
    };
    answer(app, &job, result).await?;
    Ok(Outcome::Done)
}

/// The answer, as an event of the task's conversation. Its id is derived from the call's: an
/// answer that comes twice has one effect.
async fn answer(app: &App, job: &CallJob, result: CallResult) -> Result<(), HandleError> {
    let id = ids::answer(&job.request.id);
    let publish = |result: CallResult| {
        let event = EventBody::Answered { call: job.request.id.clone(), result };
        let what = What::Task { task: job.task.clone(), event };
        for_conversation(id.clone(), app.now(), job.thread.clone(), what)
    };
    let envelope = match publish(result) {
        Err(PortError::TooLarge { .. }) => publish(CallResult::Failed {
            reason: "the answer is too large for a task; let the other side send less".into(),
        })?,
        other => other?,
    };
    app.bus().publish(&[envelope]).await?;
    Ok(())
}

/// Whether to try again: after no answer, 408, 425, 429 and 5xx, as often as the step says.
fn again(
    app: &App,
    request: &CallRequest,
    answered: &Result<Response, EgressError>,
    attempt: u32,
    id: &str,
) -> Option<Outcome> {
    if attempt >= request.retry.times {
        return None;
    }
    let (reason, asked) = match answered {
        Ok(answer) if matches!(answer.status, 408 | 425 | 429 | 500..=599) => {
            let reason = format!("the other side answered {}", answer.status);
            (reason, retry_after(&answer.headers, app.now()))
        }
        Ok(_) => return None,
        Err(
            error @ (EgressError::Connect { .. }
            | EgressError::Timeout { .. }
            | EgressError::Interrupted),
        ) => (error.to_string(), None),
        Err(_) => return None,
    };
    let waits = request.retry.backoff;
    let usual = backoff(id, attempt, waits.first.as_std(), waits.longest.as_std());
    let after = asked.map_or(usual, |asked| asked.max(usual));
    Some(Outcome::Retry { after, reason })
}

/// The request with its credentials; the inner error is for people and ends the call.
async fn prepare(
    app: &App,
    call: &CallRequest,
) -> Result<Result<OutgoingRequest, String>, HandleError> {
    let mut url = match Url::parse(&call.url) {
        Ok(url) => url,
        Err(error) => return Ok(Err(format!("the address of the call is not a URL: {error}"))),
    };
    if !call.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&call.query);
    }
    let mut headers: Vec<(String, String)> =
        call.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut sensitive = Vec::new();
    if let Some(auth) = &call.auth {
        let Some(secret) = app.secrets().secret(&auth.secret).await? else {
            return Ok(Err(format!("the secret `{}` is not set; set it and retry", auth.secret)));
        };
        let (name, value) = match &auth.header {
            Some(header) => (header.to_ascii_lowercase(), secret.expose().to_owned()),
            None => ("authorization".to_owned(), format!("Bearer {}", secret.expose())),
        };
        headers.retain(|(given, _)| *given != name);
        sensitive.push(name.clone());
        headers.push((name, value));
    }
    let body = match (&call.json, &call.body) {
        (Some(json), _) => {
            if !headers.iter().any(|(name, _)| name == "content-type") {
                headers.push(("content-type".into(), "application/json".into()));
            }
            Some(Bytes::from(serde_json::to_vec(json).map_err(PortError::backend)?))
        }
        (None, Some(text)) => Some(Bytes::from(text.clone())),
        (None, None) => None,
    };
    if body.as_ref().is_some_and(|body| body.len() > REQUEST_BYTES_MAX) {
        return Ok(Err(format!("the body of the call has more than {REQUEST_BYTES_MAX} bytes")));
    }
    // Every attempt carries the same key, so that the other side can drop repetitions.
    headers.retain(|(name, _)| name != "idempotency-key");
    headers.push(("idempotency-key".into(), call.id.0.clone()));
    let allow_internal = match &call.connection {
        None => HostAllowList::none(),
        Some(id) => match app.catalog().await?.connection(id) {
            None => return Ok(Err(format!("there is no connection `{id}`"))),
            Some(connection) => match HostAllowList::parse(&connection.allowed_hosts) {
                Ok(allowed) => allowed,
                Err(error) => return Ok(Err(error.to_string())),
            },
        },
    };
    Ok(Ok(OutgoingRequest {
        method: http::Method::from_bytes(call.method.as_bytes()).unwrap_or(http::Method::GET),
        url: url.into(),
        headers,
        sensitive_headers: sensitive,
        body,
        timeout: call.timeout.as_std(),
        response_bytes_max: app.limits().call_response_bytes_max,
        allow_internal,
        follow_redirects: crate::egress::REDIRECTS_MAX,
    }))
}

/// The answer as the flow sees it: the body as JSON where it is JSON, else as text.
fn read(answer: &Response) -> CallResult {
    let mut headers = Map::new();
    for (name, value) in &answer.headers {
        if value.len() <= HEADER_BYTES_MAX && name != "set-cookie" {
            headers.insert(name.to_ascii_lowercase(), Value::String(value.clone()));
        }
    }
    let text = String::from_utf8_lossy(&answer.body);
    let body = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()));
    if flow::nesting::is_too_deep(&body) {
        let limit = flow::nesting::DEPTH_MAX;
        let reason = format!("the answer is JSON nested deeper than {limit} levels");
        return CallResult::Failed { reason };
    }
    CallResult::Answer { status: answer.status, headers, body }
}
