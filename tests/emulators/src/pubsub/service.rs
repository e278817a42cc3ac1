//! What both protocols and the Rust methods call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::message::{Draft, Message};
use super::problem::Problem;
use super::push::{Pusher, woken};
use super::store::{Outcome, Store};
use super::subscription::Subscription;
use tonic::Code;

/// How long a pull waits for a first message.
const PULL_WAIT: Duration = Duration::from_secs(5);
/// Messages of one pull, and ids of one acknowledgement.
const PULL_MAX: usize = 1000;
const ACK_DEADLINE_SECONDS_MAX: u32 = 600;

/// The server behind its protocols.
pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pusher: Pusher,
    ack_deadline: Option<Duration>,
    /// The push loops by subscription.
    loops: Mutex<HashMap<String, AbortHandle>>,
}

/// A pulled message.
pub(super) struct Pulled {
    pub(super) ack_id: String,
    pub(super) message: Arc<Message>,
    /// Only with a dead-letter policy.
    pub(super) delivery_attempt: Option<u32>,
}

impl Service {
    pub(super) fn new(store: Arc<Store>, pusher: Pusher, ack_deadline: Option<Duration>) -> Self {
        Self { store, pusher, ack_deadline, loops: Mutex::default() }
    }

    pub(super) fn publish(&self, topic: &str, drafts: Vec<Draft>) -> Result<Vec<String>, Problem> {
        self.store.publish(topic, drafts)
    }

    /// Creates a subscription and starts to push.
    pub(super) fn subscribe(&self, given: Subscription) -> Result<Arc<Subscription>, Problem> {
        let config = given.complete()?;
        let wants_token = config.push_config.as_ref().is_some_and(|push| push.oidc_token.is_some());
        if wants_token && !self.pusher.has_issuer() {
            return Err(Problem {
                code: Code::FailedPrecondition,
                message: "no tokens can be signed: start the server with an issuer".to_owned(),
            });
        }
        let config = self.store.create_subscription(config)?;
        if let Some(push) = config.push_config.clone() {
            let wake = self.store.watch(&config.name)?;
            let run = self.pusher.clone().run(Arc::clone(&config), push, wake);
            let handle = tokio::spawn(run).abort_handle();
            self.loops().insert(config.name.clone(), handle);
        }
        Ok(config)
    }

    pub(super) fn unsubscribe(&self, name: &str) -> Result<(), Problem> {
        self.store.delete_subscription(name)?;
        if let Some(handle) = self.loops().remove(name) {
            handle.abort();
        }
        Ok(())
    }

    /// Stops every push.
    pub(super) fn stop(&self) {
        for (_, handle) in self.loops().drain() {
            handle.abort();
        }
    }

    /// Messages, or none where there were none for a while. At most one of an ordering key is out
    /// at a time, so a pull never holds two of one key.
    pub(super) async fn pull(
        &self,
        name: &str,
        count_max: usize,
        at_once: bool,
    ) -> Result<Vec<Pulled>, Problem> {
        if count_max == 0 {
            return Err(Problem::invalid("maxMessages must be more than 0"));
        }
        let count_max = count_max.min(PULL_MAX);
        let until = Instant::now() + PULL_WAIT;
        let mut wake = self.store.watch(name)?;
        let counts = self.store.subscription(name)?.dead_letter_policy.is_some();
        loop {
            wake.borrow_and_update();
            let taken = self.store.pull(name, count_max, self.ack_deadline)?;
            if !taken.is_empty() || at_once || Instant::now() >= until {
                let pulled = taken.into_iter().map(|taken| Pulled {
                    ack_id: format!("{}-{}", taken.place, taken.attempt),
                    message: taken.message,
                    delivery_attempt: counts.then_some(taken.attempt),
                });
                return Ok(pulled.collect());
            }
            let due = self.store.next_due(name).unwrap_or(until).min(until);
            if !woken(&mut wake, Some(due)).await {
                return Err(Problem::not_found(name));
            }
        }
    }

    pub(super) fn acknowledge(&self, name: &str, ack_ids: &[String]) -> Result<(), Problem> {
        self.store.subscription(name)?;
        for (place, attempt) in deliveries(ack_ids)? {
            self.store.settle(name, place, attempt, Outcome::Ack);
        }
        Ok(())
    }

    /// Moves deadlines to so many seconds from now; 0 refuses the messages.
    pub(super) fn extend(
        &self,
        name: &str,
        ack_ids: &[String],
        seconds: u32,
    ) -> Result<(), Problem> {
        self.store.subscription(name)?;
        if seconds > ACK_DEADLINE_SECONDS_MAX {
            return Err(Problem::invalid("ackDeadlineSeconds must be 0 to 600"));
        }
        for (place, attempt) in deliveries(ack_ids)? {
            if seconds == 0 {
                self.store.settle(name, place, attempt, Outcome::Nack);
            } else {
                self.store.extend(name, place, attempt, Duration::from_secs(seconds.into()));
            }
        }
        Ok(())
    }

    /// Waits until every push subscription is empty and no copy is on its way.
    pub(super) async fn idle(&self, limit: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        let mut settled = self.store.settled();
        loop {
            settled.borrow_and_update();
            let left = self.store.outstanding();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= until || !woken(&mut settled, Some(until)).await {
                bail!("after {limit:?} messages are still out: {left:?}");
            }
        }
    }

    fn loops(&self) -> std::sync::MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The places and attempts that ack ids name.
fn deliveries(ack_ids: &[String]) -> Result<Vec<(u64, u32)>, Problem> {
    if ack_ids.is_empty() || ack_ids.len() > PULL_MAX {
        return Err(Problem::invalid("give 1 to 1000 ack ids"));
    }
    let delivery = |id: &String| {
        let (place, attempt) = id.split_once('-')?;
        Some((place.parse().ok()?, attempt.parse().ok()?))
    };
    let all = ack_ids.iter().map(|id| {
        delivery(id).ok_or_else(|| Problem::invalid(format!("the ack id {id:?} is not ours")))
    });
    all.collect()
}
