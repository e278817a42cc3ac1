//! What can be under way: requests of people and programs, sweeps, deliveries.

use std::collections::VecDeque;
use std::pin::Pin;

use channels::{Inbound, InboundBody};
use flow::{Contact, Content};
use futures::future::BoxFuture;
use ports::{Envelope, Topic};
use runtime::operate::{self, Idempotency, StartRequest};
use runtime::{App, Outcome, receive};
use serde_json::json;

use crate::flows::echo;
use crate::world::{CONNECTION, publish};

/// Somebody who writes to us: one thing after the other, each until it is accepted.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) id: &'static str,
    said: usize,
    /// Ids and texts of what was not accepted yet.
    pub(crate) pending: VecDeque<(String, String)>,
    /// Ids of what was accepted.
    pub(crate) accepted: Vec<String>,
}

impl Person {
    pub(crate) fn new(id: &'static str) -> Self {
        Self { id, said: 0, pending: VecDeque::new(), accepted: Vec::new() }
    }

    /// Has one more thing to say: those called `p…` begin with a party.
    pub(crate) fn says(&mut self) {
        let text = match self.said {
            0 if self.has_a_party() => "party".to_owned(),
            1 if self.has_a_party() => "Ann".to_owned(),
            number => format!("m{number}"),
        };
        self.pending.push_back((format!("{}/{}", self.id, self.said), text));
        self.said += 1;
    }

    pub(crate) fn has_a_party(&self) -> bool {
        self.id.starts_with('p')
    }

    pub(crate) fn was_heard(&mut self) {
        self.accepted.extend(self.pending.pop_front().map(|(id, _)| id));
    }
}

/// What can be under way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Work {
    /// A webhook brings the next thing that a person says.
    Hear { person: usize },
    /// The API is asked for a task.
    Ask { request: usize },
    /// An administrator publishes a version of the echo.
    Publish { version: usize },
    /// A sweep.
    Sweep,
    /// A delivery; without a position one that comes once more.
    Envelope { envelope: Envelope, position: Option<i64> },
}

/// How it ended.
pub(crate) enum Done {
    /// A request was answered with success, or not.
    Request(bool),
    /// What a function said of an envelope.
    Envelope(Outcome),
}

/// Something under way.
pub(crate) struct Op {
    pub(crate) work: Work,
    pub(crate) process: usize,
    pub(crate) future: Pin<Box<dyn Future<Output = Done> + Send>>,
    /// When it began, in await points of the run.
    pub(crate) began: u64,
}

impl Work {
    /// Whether it is this that is under way, so that it need not begin.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Envelope { position: Some(position), envelope },
                Self::Envelope { position: Some(other), envelope: behind },
            ) => {
                // What has a due time keeps nobody waiting; all others keep their key's order.
                let same_key = (envelope.topic, &envelope.key) == (behind.topic, &behind.key);
                position == other || same_key && envelope.due.is_none() && behind.due.is_none()
            }
            (Self::Envelope { .. }, _) | (_, Self::Envelope { .. }) => false,
            (this, other) => this == other,
        }
    }

    /// Begins it.
    pub(crate) fn future(
        self,
        app: App,
        people: &[Person],
        attempt: u32,
    ) -> BoxFuture<'static, Done> {
        match self {
            Self::Hear { person } => {
                let person = &people[person];
                let (id, text) = person.pending.front().cloned().unwrap_or_default();
                Box::pin(hear(app, person.id, id, text))
            }
            Self::Ask { request } => Box::pin(ask(app, request)),
            Self::Publish { version } => {
                Box::pin(async move { Done::Request(publish(&app, &echo(version)).await.is_ok()) })
            }
            Self::Sweep => {
                Box::pin(async move { Done::Request(timekeeper::sweep(&app).await.is_ok()) })
            }
            Self::Envelope { envelope, .. } => {
                Box::pin(async move { Done::Envelope(handle(&app, &envelope, attempt).await) })
            }
        }
    }
}

async fn hear(app: App, contact: &'static str, id: String, text: String) -> Done {
    let Ok(connection) = app.connection(CONNECTION).await else { return Done::Request(false) };
    let inbound = Inbound {
        id: Some(id),
        contact: Some(Contact { id: contact.to_owned(), name: None, lang: None }),
        conversation: None,
        body: InboundBody::Message {
            content: Content::text(&text),
            payload: None,
            task: None,
            event: None,
        },
    };
    Done::Request(receive::webhook(&app, &connection, inbound).await.is_ok())
}

/// The contact that a request is about: one of its own, for the order of what two requests of one
/// contact say is not promised.
pub(crate) fn asked_for(request: usize) -> String {
    format!("a{request}")
}

async fn ask(app: App, request: usize) -> Done {
    let start = StartRequest {
        flow: "errand".into(),
        contact: Contact { id: asked_for(request), name: None, lang: None },
        vars: [("size".to_owned(), json!(7))].into_iter().collect(),
        connection: CONNECTION.into(),
        conversation: None,
    };
    let key = Idempotency { key: format!("ask/{request}"), request: "the same".into() };
    let started = operate::start(&app, start, Some(&key), &|task| json!(task.id)).await;
    Done::Request(started.is_ok())
}

async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    match envelope.topic {
        Topic::Events => controller::handle(app, envelope, attempt).await,
        Topic::Outbound => messenger::handle(app, envelope, attempt).await,
        Topic::Calls => connector::handle(app, envelope, attempt).await,
        Topic::Landing => landing::handle(app, envelope, attempt).await,
        Topic::Timers => timekeeper::handle(app, envelope, attempt).await,
        Topic::Failures => failures::handle(app, envelope, attempt).await,
    }
}
