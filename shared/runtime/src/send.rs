//! The messenger: sends one reply and keeps how far it came.

use std::time::Duration;

use bytes::Bytes;
use channels::webhook::outbound::{self, ReplyBody};
use channels::{Connection, ReplyTarget};
use engine::{Message, MessageId, MessageState};
use ports::{Commit, Envelope, Failure, FailureKind, FailureState, MessageWrite, PortError, Topic};

use crate::app::{App, Change, TerminalLine};
use crate::egress::{EgressError, HostAllowList, OutgoingRequest, retry_after};
use crate::jobs::{LandJob, SendJob, open, seal};
use crate::outcome::{HandleError, Outcome, backoff};
use crate::rows;

/// Largest answer to a reply that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How one attempt to send ended.
enum Sent {
    Yes,
    /// Certainly not, and it never will be.
    No(String),
    /// Not now; `unknown` where it may have arrived all the same.
    Later {
        reason: String,
        unknown: bool,
        after: Option<Duration>,
    },
}

/// Sends the message of an envelope. `attempt` counts from 0.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    match send(app, envelope, attempt).await {
        Ok(outcome) => outcome,
        Err(error) => error.into_outcome(attempt, &envelope.id),
    }
}

async fn send(app: &App, envelope: &Envelope, attempt: u32) -> Result<Outcome, HandleError> {
    let job: SendJob = open(envelope)?;
    let mut message = load(app, &job.message).await?;
    if !message.state.may_become(MessageState::Sent) {
        return Ok(Outcome::Done);
    }
    let connection = app.catalog().await?.connection(&message.connection).cloned();
    let started = app.now();
    let result = match &connection {
        Some(connection) => transmit(app, connection, &message).await?,
        None => Sent::No(format!("there is no connection `{}` any more", message.connection)),
    };
    let last = attempt.saturating_add(1) >= app.limits().send_attempts_max;
    // An earlier attempt may have arrived: whatever comes now, a failure cannot be certain.
    let doubtful = !matches!(message.state, MessageState::Queued);
    let state = match &result {
        Sent::Yes => MessageState::Sent,
        Sent::Later { reason, unknown, after } if !last => {
            if *unknown && !doubtful {
                let stored = message.revision;
                message.error = Some(reason.clone());
                message.reach(MessageState::Sending, started);
                commit(app, message, stored, None).await?;
            }
            return Ok(again(app, envelope, attempt, *after, reason));
        }
        Sent::No(_) | Sent::Later { .. } if doubtful => MessageState::Unknown,
        Sent::Later { unknown: true, .. } => MessageState::Unknown,
        Sent::No(_) | Sent::Later { .. } => MessageState::Failed,
    };
    let (failure, error) = match result {
        Sent::Yes => (None, None),
        Sent::No(reason) | Sent::Later { reason, .. } => {
            (Some(failed(app, envelope, &message, reason.clone(), attempt)), Some(reason))
        }
    };
    let ended = app.now().max(started);
    for _ in 0..app.limits().conflicts_max.max(1) {
        let stored = message.revision;
        message.reach(MessageState::Sending, started);
        message.reach(state, ended);
        message.error.clone_from(&error);
        match commit(app, message, stored, failure.clone()).await {
            Err(PortError::Conflict { .. }) => message = load(app, &job.message).await?,
            other => return Ok(other.map(|()| Outcome::Done)?),
        }
        // Somebody else moved the message on: what they wrote counts. The store may also have
        // been busy only; what was sent is noted then, and not sent again.
        if message.revision != stored && !message.state.may_become(state) {
            return Ok(Outcome::Done);
        }
    }
    Err(PortError::Conflict { what: format!("message `{}`", job.message) }.into())
}

async fn load(app: &App, id: &MessageId) -> Result<Message, HandleError> {
    let found = app.store().messages(std::slice::from_ref(id)).await?;
    found.into_iter().next().ok_or_else(|| HandleError::NotFound(format!("message `{id}`")))
}

/// To be tried again: after what the other side asked for, but not before the usual wait.
fn again(
    app: &App,
    envelope: &Envelope,
    attempt: u32,
    asked: Option<Duration>,
    reason: &str,
) -> Outcome {
    let limits = app.limits();
    let usual = backoff(&envelope.id, attempt, limits.send_backoff_first, limits.send_backoff_max);
    let after = asked.map_or(usual, |asked| asked.max(usual));
    Outcome::Retry { after, reason: reason.to_owned() }
}

async fn transmit(
    app: &App,
    connection: &Connection,
    message: &Message,
) -> Result<Sent, HandleError> {
    match &connection.reply {
        ReplyTarget::None => Ok(Sent::Yes),
        ReplyTarget::Terminal => {
            (app.parts.terminal)(&TerminalLine {
                connection: connection.id.clone(),
                contact: message.contact.clone(),
                text: message.content.as_plain_text(),
            });
            Ok(Sent::Yes)
        }
        ReplyTarget::Url { url } => post(app, connection, message, url).await,
    }
}

async fn post(
    app: &App,
    connection: &Connection,
    message: &Message,
    url: &str,
) -> Result<Sent, HandleError> {
    let secret = match &connection.secret {
        Some(name) => match app.secrets().secret(name).await? {
            Some(secret) => Some(secret),
            None => {
                let reason = format!("the secret `{name}` is not set; set it and retry");
                return Ok(Sent::No(reason));
            }
        },
        None => None,
    };
    let reply = ReplyBody {
        id: message.id.as_str(),
        connection: &connection.id,
        conversation: message.conversation.as_str(),
        contact: &message.contact,
        task: message.task.as_ref().map(engine::TaskId::as_str),
        in_reply_to: message.in_reply_to.as_ref().map(engine::MessageId::as_str),
        created_at: message.created_at,
        content: &message.content,
    };
    let signed = outbound::encode(&reply, secret.as_ref().map(ports::Secret::expose), app.now())
        .map_err(PortError::backend)?;
    let allowed = match HostAllowList::parse(&connection.allowed_hosts) {
        Ok(allowed) => allowed,
        Err(error) => return Ok(Sent::No(error.to_string())),
    };
    let request = OutgoingRequest {
        method: http::Method::POST,
        url: url.to_owned(),
        headers: signed.headers,
        sensitive_headers: Vec::new(),
        body: Some(Bytes::from(signed.body)),
        timeout: app.limits().send_timeout,
        response_bytes_max: ANSWER_BYTES_MAX,
        allow_internal: allowed,
        // The signature would be dropped on the way to another origin: a redirect is an error.
        follow_redirects: 0,
    };
    Ok(match app.parts.egress.send(request).await {
        Ok(answer) => judge(answer.status, retry_after(&answer.headers, app.now())),
        Err(error) => trouble(&error),
    })
}

fn judge(status: u16, after: Option<Duration>) -> Sent {
    match status {
        200..=299 => Sent::Yes,
        408 | 425 | 429 | 500..=599 => {
            let reason = format!("the reply address answered {status}");
            Sent::Later { reason, unknown: false, after }
        }
        _ => Sent::No(format!("the reply address answered {status}; correct it and retry")),
    }
}

fn trouble(error: &EgressError) -> Sent {
    match error {
        EgressError::Refused { .. } | EgressError::InvalidRequest { .. } => {
            Sent::No(error.to_string())
        }
        EgressError::Connect { .. }
        | EgressError::Timeout { .. }
        | EgressError::Interrupted
        | EgressError::TooLarge { .. }
        | EgressError::TooManyRedirects { .. } => Sent::Later {
            reason: error.to_string(),
            unknown: error.is_outcome_unknown(),
            after: None,
        },
    }
}

fn failed(
    app: &App,
    envelope: &Envelope,
    message: &Message,
    reason: String,
    attempt: u32,
) -> Failure {
    Failure {
        id: format!("fail_{}", message.id),
        kind: FailureKind::Reply,
        reason,
        at: app.now(),
        attempts: attempt.saturating_add(1),
        state: FailureState::Open,
        task: message.task.clone(),
        conversation: Some(message.conversation.clone()),
        envelope: Some(envelope.clone()),
        settled: None,
    }
}

/// Writes how a message stands, with its row for the warehouse and, where it failed, the failure.
pub(crate) async fn commit(
    app: &App,
    message: Message,
    stored: u64,
    failure: Option<Failure>,
) -> Result<(), PortError> {
    let change = Change {
        conversation: message.conversation.clone(),
        tasks: message.task.iter().cloned().collect(),
    };
    let landing = seal(
        Topic::Landing,
        format!("land/{}/{}", message.id, message.revision),
        message.conversation.0.clone(),
        &LandJob { rows: vec![rows::message(&message)] },
    )?;
    let commit = Commit {
        at: app.now(),
        messages: vec![MessageWrite { message, expected: Some(stored) }],
        outbox: vec![landing],
        failures: failure.into_iter().collect(),
        ..Commit::default()
    };
    crate::turn::commit(app, commit, Some(change)).await
}
