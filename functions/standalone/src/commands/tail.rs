//! `chatflow task tail`: a task's messages and states as they come, by Server-Sent Events.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use runtime::egress::EgressError;
use serde_json::{Value, json};

use super::output::{line, text, time, value};
use super::tasks::{messages, said};
use super::{Common, segment};
use crate::client::{Busy, Client};
use crate::events::{Event, Events};

/// Between the loss of a server and the first try to come back; each further one takes twice as
/// long.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
/// The longest pause, also where the server asks for more.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Messages whose state is remembered, so that it is told once.
const REMEMBERED_MAX: usize = 2_000;

/// Follows a task until it has ended. A server that is lost is tried again `tries` times in a row.
pub(super) async fn tail(id: &str, tries: u32, common: &Common) -> anyhow::Result<()> {
    let client = Client::new(&common.server)?;
    let mut tail = Tail {
        client: &client,
        path: format!("/v1/tasks/{}", segment(id)),
        id,
        as_json: common.json,
        last: None,
        told: BTreeMap::new(),
        status: Value::Null,
        has_answered: false,
        lost: 0,
    };
    loop {
        let loss = match tail.follow().await? {
            Stopped::Ended => return Ok(()),
            Stopped::Lost(loss) => loss,
        };
        let server = client.server();
        if tail.lost >= tries {
            anyhow::bail!(
                "lost {server} ({}) and it did not come back; run this again once it is there",
                loss.why
            );
        }
        let pause = PAUSE_FIRST.saturating_mul(1 << tail.lost.min(10));
        let pause = loss.retry_after.unwrap_or(pause).min(PAUSE_MAX);
        tail.lost += 1;
        eprintln!(
            "lost {server} ({}); trying again in {:.1} s ({} of {tries})",
            loss.why,
            pause.as_secs_f64(),
            tail.lost
        );
        tokio::time::sleep(pause).await;
    }
}

/// Why following stopped.
enum Stopped {
    /// The task has ended.
    Ended,
    /// The server is gone or busy; it may come back.
    Lost(Loss),
}

struct Loss {
    why: String,
    retry_after: Option<Duration>,
}

impl From<EgressError> for Loss {
    fn from(error: EgressError) -> Self {
        Self { why: error.to_string(), retry_after: None }
    }
}

impl From<Busy> for Loss {
    fn from(busy: Busy) -> Self {
        Self { why: busy.to_string(), retry_after: busy.retry_after }
    }
}

struct Tail<'a> {
    client: &'a Client,
    path: String,
    id: &'a str,
    as_json: bool,
    /// The last event that came.
    last: Option<String>,
    /// The state of each message as it was told; their ids sort by age.
    told: BTreeMap<String, String>,
    /// The status and the step as they were told.
    status: Value,
    /// Whether the server ever answered: before that its address may be wrong.
    has_answered: bool,
    /// Losses since the server last told something.
    lost: u32,
}

impl Tail<'_> {
    async fn follow(&mut self) -> anyhow::Result<Stopped> {
        let mut events = match self.open().await? {
            Ok(events) => events,
            Err(loss) => return Ok(Stopped::Lost(loss)),
        };
        // What was before the stream; what happens in between is told once.
        if self.last.is_none() {
            match self.tell_all().await {
                Ok(true) => return Ok(Stopped::Ended),
                Ok(false) => {}
                Err(error) => {
                    let loss = match error.downcast::<Busy>() {
                        Ok(busy) => busy.into(),
                        Err(error) => error.downcast::<EgressError>()?.into(),
                    };
                    return Ok(Stopped::Lost(loss));
                }
            }
        }
        loop {
            match events.next().await {
                Ok(Some(event)) => {
                    self.lost = 0;
                    if self.take(event)? {
                        return Ok(Stopped::Ended);
                    }
                }
                Ok(None) => {
                    let why = "it ended the stream".to_owned();
                    return Ok(Stopped::Lost(Loss { why, retry_after: None }));
                }
                Err(error @ EgressError::TooLarge { .. }) => return Err(error.into()),
                Err(error) => return Ok(Stopped::Lost(error.into())),
            }
        }
    }

    async fn open(&mut self) -> anyhow::Result<Result<Events, Loss>> {
        let stream = format!("{}/stream", self.path);
        match self.client.stream(&stream, self.last.as_deref()).await {
            Ok(Ok(events)) => {
                self.has_answered = true;
                Ok(Ok(events))
            }
            Ok(Err(answer)) if answer.may_pass() => {
                let why = format!("it answered {}", answer.status);
                Ok(Err(Loss { why, retry_after: answer.retry_after }))
            }
            Ok(Err(answer)) => {
                answer.checked()?;
                anyhow::bail!("the server gave no stream of events; is it a Chatflow server?")
            }
            Err(error) if self.has_answered => Ok(Err(error.into())),
            Err(error) => Err(self.client.silent(error)),
        }
    }

    /// Tells how the task stands and what was said; true where it has ended.
    async fn tell_all(&mut self) -> anyhow::Result<bool> {
        // The task before its messages: what it says after that comes by the stream.
        let task = self.client.get(&self.path).await?;
        let (messages, more) = messages(self.client, self.id).await?;
        for message in &messages {
            self.tell_message(message);
        }
        if more {
            let shown = messages.len();
            eprintln!("the first {shown} messages; later ones up to now are not shown");
        }
        Ok(self.tell_status(&task))
    }

    /// Tells an event; true where the task has ended with it.
    fn take(&mut self, event: Event) -> anyhow::Result<bool> {
        let read = || {
            serde_json::from_str::<Value>(&event.data)
                .with_context(|| format!("the server's event {} is no JSON", event.id))
        };
        let ended = match event.name.as_str() {
            "message" => {
                self.tell_message(&read()?);
                false
            }
            "status" => self.tell_status(&read()?),
            _ => false,
        };
        self.last = Some(event.id);
        Ok(ended)
    }

    fn tell_message(&mut self, message: &Value) {
        let state = text(&message["state"]);
        if self.told.insert(text(&message["id"]), state.clone()) == Some(state) {
            return;
        }
        if self.told.len() > REMEMBERED_MAX {
            self.told.pop_first();
        }
        if self.as_json { value(message) } else { line(&said(message)) }
    }

    fn tell_status(&mut self, task: &Value) -> bool {
        let status = json!([task["status"], task["step"]]);
        if status != self.status {
            if self.as_json {
                value(task);
            } else {
                let (at, step) = (time(&task["updated_at"]), text(&task["step"]));
                line(&format!("{at} · {} at {step}", text(&task["status"])));
            }
            self.status = status;
        }
        !task["ended_at"].is_null()
    }
}
