//! `POST /`: what Pub/Sub pushes.
//!
//! | outcome | answer |
//! |---|---|
//! | done | 204 |
//! | try again | 503 with `Retry-After`; Pub/Sub's own backoff decides when |
//! | given up, or nothing that could ever be handled | kept as a failure, then 204 |
//! | it could not be kept, or the handler panicked | 503, 500: it is delivered again |
//!
//! Tokens are checked before any of this, by [`crate::function`].

mod body;
mod cloud_event;
mod kept;
pub mod message;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use ports::{Envelope, Topic};
use runtime::jobs::DeadLetter;
use runtime::{App, Outcome};
use serde::Deserialize;

use crate::telemetry::metrics::{self, Delivery};
use crate::telemetry::trace;
use message::Message;

pub use body::BODY_BYTES_MAX;

/// Deliveries before an envelope becomes a failure, as in the local delivery loop. Subscriptions
/// with a dead-letter topic may end it sooner.
const ATTEMPTS_MAX: u32 = 40;
/// The longest wait inside a request before it is answered "try again": it spares a subscription
/// that repeats at once, and holds up no shutdown.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// A function's handler: `attempt` counts from 0.
pub type Handle = for<'a> fn(&'a App, &'a Envelope, u32) -> BoxFuture<'a, Outcome>;

struct Push {
    app: App,
    topic: Topic,
    handle: Handle,
}

/// What a message turned out to be.
enum Pushed {
    /// For the handler.
    Envelope(Box<Delivered>),
    /// To be kept as a failure.
    Letter(Box<DeadLetter>),
    /// It cannot be told right now.
    Again(String),
}

impl Pushed {
    fn letter(letter: DeadLetter) -> Self {
        Self::Letter(Box::new(letter))
    }
}

/// An envelope as it was delivered.
struct Delivered {
    envelope: Envelope,
    attempt: u32,
    published_at: Option<DateTime<Utc>>,
    traceparent: Option<String>,
}

/// `POST /` and the health of the store: what every function that is pushed to serves.
pub fn router(app: App, topic: Topic, handle: Handle) -> Router {
    let push = Arc::new(Push { app, topic, handle });
    Router::new().route("/", post(receive)).with_state(push)
}

async fn receive(State(push): State<Arc<Push>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let pushed = match body::read(body).await {
        body::Read::Whole(body) => push.read(&parts.headers, &body).await,
        body::Read::TooLarge { bytes, digest } => {
            let reason = format!(
                "the push has {bytes} bytes or more, over the limit of {BODY_BYTES_MAX}; its \
                 content was not kept"
            );
            Pushed::letter(kept::malformed(push.topic, kept::id_of(&digest), b"", reason))
        }
        body::Read::Broken => return StatusCode::BAD_REQUEST.into_response(),
    };
    match pushed {
        Pushed::Envelope(delivered) => push.deliver(*delivered).await,
        Pushed::Letter(letter) => keep(&push.app, *letter).await,
        Pushed::Again(reason) => {
            tracing::warn!(topic = push.topic.name(), reason, "a push will come again");
            again(Duration::ZERO)
        }
    }
}

impl Push {
    async fn read(&self, headers: &HeaderMap, body: &[u8]) -> Pushed {
        match message::read(headers, body) {
            Ok(message) => self.understand(message).await,
            Err(reason) => {
                Pushed::letter(kept::malformed(self.topic, kept::id_of(body), body, reason))
            }
        }
    }

    async fn understand(&self, message: Message) -> Pushed {
        if self.topic == Topic::Failures
            && let Some(subscription) = message.attribute(message::DEAD_SUBSCRIPTION)
        {
            return kept::forwarded(&self.app, &message, subscription).await;
        }
        let Some(id) = message.attribute(message::ENVELOPE).map(str::to_owned) else {
            if self.topic == Topic::Events {
                return self.understand_outside(&message).await;
            }
            let reason = "the message has no attribute `envelope`: this topic is for Chatflow's \
                          own functions; publish events to the topic of events";
            let name = format!("push_{}", message.id);
            let letter = kept::malformed(self.topic, name, &message.data, reason.to_owned());
            return Pushed::letter(letter);
        };
        let key = message.attribute(message::KEY).map(str::to_owned);
        let traceparent = message.attribute(message::TRACEPARENT).map(str::to_owned);
        match String::from_utf8(message.data) {
            Ok(body) => Pushed::Envelope(Box::new(Delivered {
                envelope: Envelope {
                    key: message.ordering_key.or(key).unwrap_or_else(|| id.clone()),
                    id,
                    topic: self.topic,
                    due: None,
                    body,
                },
                attempt: message.attempt,
                published_at: message.published_at,
                traceparent,
            })),
            Err(error) => {
                let reason = "the envelope is not UTF-8".to_owned();
                Pushed::letter(kept::malformed(self.topic, id, error.as_bytes(), reason))
            }
        }
    }

    /// A publisher's event, on the topic of events.
    async fn understand_outside(&self, message: &Message) -> Pushed {
        let name = format!("push_{}", message.id);
        match cloud_event::envelope(&self.app, message).await {
            Ok(envelope) => Pushed::Envelope(Box::new(Delivered {
                envelope,
                attempt: message.attempt,
                published_at: message.published_at,
                traceparent: message.attribute(message::TRACEPARENT).map(str::to_owned),
            })),
            Err(error) => match error.into_outcome(message.attempt, &message.id) {
                Outcome::Retry { reason, .. } if message.attempt + 1 < ATTEMPTS_MAX => {
                    Pushed::Again(reason)
                }
                Outcome::Retry { reason, .. } | Outcome::GiveUp { reason } => {
                    Pushed::letter(kept::malformed(self.topic, name, &message.data, reason))
                }
                // No read of an event ends so; were it ever so, it would be delivered again.
                Outcome::Done => Pushed::Again("the event could not be read".to_owned()),
            },
        }
    }

    /// Hands an envelope to the function.
    async fn deliver(&self, delivered: Delivered) -> Response {
        let Delivered { envelope, attempt, published_at, traceparent } = delivered;
        let age_ms = published_at.map(|at| (self.app.now() - at).num_milliseconds().max(0));
        let work = (self.handle)(&self.app, &envelope, attempt);
        let way = Way { attempt, age_ms, traceparent: traceparent.as_deref() };
        observe(&self.app, &envelope, way, work).await
    }
}

/// How an envelope came.
struct Way<'a> {
    attempt: u32,
    age_ms: Option<i64>,
    traceparent: Option<&'a str>,
}

/// Handles what came by another way than Pub/Sub, such as an alarm: with the same answers and the
/// same telemetry.
pub async fn direct(
    app: &App,
    envelope: &Envelope,
    work: impl Future<Output = Outcome>,
) -> Response {
    observe(app, envelope, Way { attempt: 0, age_ms: None, traceparent: None }, work).await
}

/// Keeps a request that can never be handled as a failure, and acknowledges it.
pub async fn refuse(app: &App, topic: Topic, raw: &[u8], reason: String) -> Response {
    keep(app, kept::malformed(topic, kept::id_of(raw), raw, reason)).await
}

/// Does the work on an envelope inside a span of its own, and answers.
async fn observe(
    app: &App,
    envelope: &Envelope,
    way: Way<'_>,
    work: impl Future<Output = Outcome>,
) -> Response {
    let about = About::of(envelope);
    let span = tracing::info_span!(
        "event",
        topic = envelope.topic.name(),
        envelope = envelope.id,
        attempt = way.attempt,
        age_ms = way.age_ms,
        conversation = about.conversation(),
        task = about.task(),
    );
    let began = Instant::now();
    let work = async {
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        settle(app, envelope, way.attempt, outcome.ok()).await
    };
    let (response, result) = trace::within(way.traceparent, span, work).await;
    metrics::delivered(envelope.topic, result, way.age_ms, began.elapsed());
    response
}

/// The answer to an outcome; none is a handler that panicked.
async fn settle(
    app: &App,
    envelope: &Envelope,
    attempt: u32,
    outcome: Option<Outcome>,
) -> (Response, Delivery) {
    let attempts = attempt.saturating_add(1);
    // Failures have nowhere further to go: they are tried until they are kept.
    let last = attempts >= ATTEMPTS_MAX && envelope.topic != Topic::Failures;
    let reason = match outcome {
        Some(Outcome::Done) => return (StatusCode::NO_CONTENT.into_response(), Delivery::Done),
        Some(Outcome::Retry { after, reason }) if !last => {
            tracing::info!(attempts, reason, "will try again");
            let wait = after.min(WAIT_MAX);
            tokio::time::sleep(wait).await;
            return (again(after.saturating_sub(wait)), Delivery::Again);
        }
        None if !last => {
            tracing::error!(attempts, "the handler panicked; the envelope comes again");
            return (StatusCode::INTERNAL_SERVER_ERROR.into_response(), Delivery::Again);
        }
        Some(Outcome::Retry { reason, .. } | Outcome::GiveUp { reason }) => reason,
        None => "the handler panicked; the log of the function says where".to_owned(),
    };
    let letter = DeadLetter { envelope: envelope.clone(), reason, attempts };
    (keep(app, letter).await, Delivery::GivenUp)
}

/// Keeps a letter as a failure: 204, or 503 where that fails.
async fn keep(app: &App, letter: DeadLetter) -> Response {
    let (topic, id) = (letter.envelope.topic.name(), letter.envelope.id.clone());
    let (attempts, reason) = (letter.attempts, letter.reason.clone());
    match runtime::fail::keep_letter(app, letter).await {
        Ok(()) => {
            tracing::error!(topic, id, attempts, reason, "gave up; it is kept as a failure");
            metrics::failed();
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => {
            tracing::error!(topic, id, %error, "a given-up envelope could not be kept");
            again(Duration::ZERO)
        }
    }
}

/// 503: deliver it again, not before `after` has passed.
fn again(after: Duration) -> Response {
    let seconds = after.as_secs().max(1);
    let retry = (header::RETRY_AFTER, HeaderValue::from(seconds));
    (StatusCode::SERVICE_UNAVAILABLE, [retry]).into_response()
}

/// The task and the conversation an envelope is about, whatever its topic.
#[derive(Default, Deserialize)]
struct About {
    #[serde(default)]
    task: Option<String>,
    #[serde(default)]
    thread: Option<Thread>,
    #[serde(default)]
    body: Option<Box<About>>,
    #[serde(default)]
    what: Option<What>,
}

#[derive(Deserialize)]
struct Thread {
    id: String,
}

/// What happened in a conversation, as far as it names a task.
#[derive(Deserialize)]
struct What {
    #[serde(default)]
    task: Option<String>,
}

impl About {
    fn of(envelope: &Envelope) -> Self {
        serde_json::from_str(&envelope.body).unwrap_or_default()
    }

    fn inner(&self) -> &Self {
        self.body.as_deref().unwrap_or(self)
    }

    fn conversation(&self) -> Option<&str> {
        self.inner().thread.as_ref().map(|thread| thread.id.as_str())
    }

    fn task(&self) -> Option<&str> {
        let inner = self.inner();
        let what = inner.what.as_ref().and_then(|what| what.task.as_deref());
        inner.task.as_deref().or(what)
    }
}
