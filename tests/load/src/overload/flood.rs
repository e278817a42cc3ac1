//! An open loop: messages go out at fixed times, whatever becomes of those before. Who is refused
//! says the same again when it is their turn; who is answered goes on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use url::Url;

use crate::plain::Plain;
use crate::sink::{Expected, Replies};
use crate::talk::{Latencies, TURNS};

/// Messages go out in bundles, this often.
const TICK: Duration = Duration::from_millis(5);
/// Requests that wait for their answer: as many as a process may usually have files. Beyond them
/// none is sent, which counts as not offered.
const OPEN_MAX: usize = 900;

/// The message of a turn, from 1.
pub(super) fn message(contact: &str, turn: u32) -> Value {
    let text = if turn == 1 { "start".to_owned() } else { format!("answer {turn}") };
    json!({
        "id": format!("{contact}/{turn}"), "contact": { "id": contact, "lang": "en" }, "text": text,
    })
}

/// What is offered.
pub(super) struct Flood {
    /// Part of the contacts' names, so that they are new.
    pub(super) name: String,
    /// Where to; the messages are spread evenly.
    pub(super) webhooks: Vec<Url>,
    /// Messages in a second.
    pub(super) per_second: f64,
    /// For how long.
    pub(super) seconds: Duration,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Flooded {
    pub(super) seconds: f64,
    pub(super) offered: u32,
    pub(super) accepted: u32,
    /// Accepted, and replied to while messages were offered.
    pub(super) in_time: u32,
    pub(super) broken: u32,
    pub(super) without_retry_after: u32,
    pub(super) refused: Latencies,
    pub(super) acknowledged: Latencies,
    pub(super) turn: Latencies,
}

/// Somebody who may speak.
struct Person {
    contact: String,
    webhook: Url,
    turn: u32,
    expected: Expected,
}

#[derive(Clone)]
struct Shared {
    plain: Plain,
    free: Arc<Mutex<VecDeque<Person>>>,
    flooded: Arc<Mutex<Flooded>>,
    ends: Instant,
}

/// A flood that goes on.
pub(super) struct Running(JoinHandle<Offered>);

/// Everything was offered; replies may come still.
pub(super) struct Offered {
    shared: Shared,
    people: JoinSet<()>,
}

impl Flood {
    pub(super) fn start(self, replies: &Replies) -> Running {
        let began = Instant::now();
        let shared = Shared {
            plain: Plain::default(),
            free: Arc::default(),
            flooded: Arc::default(),
            ends: began + self.seconds,
        };
        let replies = replies.clone();
        Running(tokio::spawn(async move {
            let mut people = JoinSet::new();
            let (mut sent, mut newcomers) = (0_u32, 0_usize);
            let mut ticks = tokio::time::interval(TICK);
            while ticks.tick().await < shared.ends {
                while people.try_join_next().is_some() {}
                let due = began.elapsed().as_secs_f64() * self.per_second;
                while f64::from(sent) < due {
                    sent += 1;
                    if people.len() >= OPEN_MAX + shared.waiting() {
                        continue;
                    }
                    let heard = shared.free().pop_front();
                    let Some(person) = heard.or_else(|| {
                        newcomers += 1;
                        self.newcomer(newcomers, &replies)
                    }) else {
                        continue;
                    };
                    shared.flooded().offered += 1;
                    people.spawn(speak(shared.clone(), person));
                }
            }
            shared.flooded().seconds = began.elapsed().as_secs_f64();
            Offered { shared, people }
        }))
    }

    /// Somebody new; nobody where there are no webhooks.
    fn newcomer(&self, number: usize, replies: &Replies) -> Option<Person> {
        let contact = format!("{}-{number}", self.name);
        let webhook = self.webhooks.get(number % self.webhooks.len().max(1))?.clone();
        let expected = replies.expect(&contact);
        Some(Person { contact, webhook, turn: 1, expected })
    }
}

impl Shared {
    fn flooded(&self) -> MutexGuard<'_, Flooded> {
        self.flooded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// People who were accepted and wait for their replies: no request of theirs is open.
    fn waiting(&self) -> usize {
        let flooded = self.flooded();
        usize::try_from(flooded.accepted - flooded.turn.count()).unwrap_or_default()
    }

    fn free(&self) -> MutexGuard<'_, VecDeque<Person>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One message, and its reply where it is accepted.
async fn speak(shared: Shared, mut person: Person) {
    let since = Instant::now();
    let said = message(&person.contact, person.turn);
    match shared.plain.post(&person.webhook, &said.to_string()).await {
        Ok((status, _)) if status.is_success() => {
            let mut flooded = shared.flooded();
            flooded.acknowledged.add(since);
            flooded.accepted += 1;
        }
        Ok((StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, later)) => {
            let mut flooded = shared.flooded();
            flooded.refused.add(since);
            flooded.without_retry_after += u32::from(!later);
            drop(flooded);
            shared.free().push_back(person);
            return;
        }
        Ok(_) | Err(_) => {
            shared.flooded().broken += 1;
            return;
        }
    }
    if person.expected.turn(person.turn).await.is_err() {
        return;
    }
    {
        let mut flooded = shared.flooded();
        flooded.turn.add(since);
        flooded.in_time += u32::from(Instant::now() < shared.ends);
    }
    if person.turn < TURNS {
        person.turn += 1;
        shared.free().push_back(person);
    }
}

impl Running {
    /// Waits until everything was offered.
    pub(super) async fn offered(self) -> anyhow::Result<Offered> {
        self.0.await.context("the generator stopped")
    }
}

impl Offered {
    /// Waits until everybody has their reply, or never will.
    pub(super) async fn settled(mut self) -> Flooded {
        while self.people.join_next().await.is_some() {}
        let mut flooded = std::mem::take(&mut *self.shared.flooded());
        for latencies in [&mut flooded.refused, &mut flooded.acknowledged, &mut flooded.turn] {
            *latencies = std::mem::take(latencies).sorted();
        }
        flooded
    }
}
