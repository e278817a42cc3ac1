//! Topics, subscriptions and what is in them, in memory behind one lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::faults::Mischief;
use super::filter::Filter;
use super::message::{BATCH_MAX, BYTES_MAX, Draft, Message};
use super::problem::Problem;
use super::queue::{Place, Queue, Taken};
use super::subscription::{Backoff, Subscription, name_parts};

/// Messages that all subscriptions hold together.
const STORED_MAX: usize = 2_000_000;
/// Bytes of them.
const STORED_BYTES_MAX: usize = 1 << 30;
/// Topics, and subscriptions.
const NAMES_MAX: usize = 10_000;
/// What a subscription says of its topic once that is deleted.
const DELETED_TOPIC: &str = "_deleted-topic_";

/// What happened on one topic and the subscriptions to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Messages published.
    pub published: u64,
    /// Push requests sent, extra copies included.
    pub pushed: u64,
    /// Deliveries that succeeded, pushed or pulled.
    pub acked: u64,
    /// Deliveries that were refused, timed out, or whose answer was lost.
    pub nacked: u64,
    /// Messages moved to a dead-letter topic.
    pub dead_lettered: u64,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ack,
    Nack,
}

/// What a subscription's push loop does next.
pub(super) enum Next {
    /// The subscription is gone.
    Gone,
    /// Nothing to do until then, or until it is woken.
    Wait(Option<Instant>),
    Push(Taken),
}

/// What the server keeps.
pub(super) struct Store {
    state: Mutex<State>,
    /// Changes whenever a delivery ends.
    settled: watch::Sender<()>,
    backoff: Backoff,
    pub(super) mischief: Mischief,
}

struct State {
    topics: BTreeMap<String, Topic>,
    subscriptions: BTreeMap<String, Holder>,
    counters: BTreeMap<String, Counters>,
    next_id: u64,
    stored: usize,
    stored_bytes: usize,
}

#[derive(Default)]
struct Topic {
    labels: BTreeMap<String, String>,
    subscriptions: BTreeSet<String>,
}

struct Holder {
    config: Arc<Subscription>,
    filter: Filter,
    backoff: Backoff,
    queue: Queue,
    /// Extra copies on their way.
    extra: usize,
    wake: watch::Sender<()>,
}

impl Store {
    pub(super) fn new(backoff: Backoff) -> Self {
        let since = now().timestamp_micros();
        let state = State {
            topics: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            counters: BTreeMap::new(),
            // Two servers of one test run give no id twice.
            next_id: u64::try_from(since).unwrap_or(1),
            stored: 0,
            stored_bytes: 0,
        };
        let (settled, _) = watch::channel(());
        Self { state: Mutex::new(state), settled, backoff, mischief: Mischief::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn create_topic(
        &self,
        name: &str,
        labels: BTreeMap<String, String>,
    ) -> Result<(), Problem> {
        name_parts(name, "topics")?;
        let mut state = self.state();
        if state.topics.contains_key(name) {
            return Err(Problem::exists(name));
        }
        if state.topics.len() >= NAMES_MAX {
            return Err(Problem::exhausted("there are 10000 topics: delete some"));
        }
        state.topics.insert(name.to_owned(), Topic { labels, ..Topic::default() });
        Ok(())
    }

    /// The topic's labels.
    pub(super) fn topic(&self, name: &str) -> Result<BTreeMap<String, String>, Problem> {
        let state = self.state();
        let topic = state.topics.get(name).ok_or_else(|| Problem::not_found(name))?;
        Ok(topic.labels.clone())
    }

    pub(super) fn delete_topic(&self, name: &str) -> Result<(), Problem> {
        let mut state = self.state();
        let topic = state.topics.remove(name).ok_or_else(|| Problem::not_found(name))?;
        for subscription in &topic.subscriptions {
            if let Some(holder) = state.subscriptions.get_mut(subscription) {
                let mut config = Subscription::clone(&holder.config);
                DELETED_TOPIC.clone_into(&mut config.topic);
                holder.config = Arc::new(config);
            }
        }
        Ok(())
    }

    /// The names that start with `prefix`, with their labels.
    pub(super) fn topics(&self, prefix: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let state = self.state();
        let named = state.topics.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(name, topic)| (name.clone(), topic.labels.clone())).collect()
    }

    /// Keeps a complete subscription; what is published from now on comes to it.
    pub(super) fn create_subscription(
        &self,
        config: Subscription,
    ) -> Result<Arc<Subscription>, Problem> {
        let filter = Filter::parse(&config.filter)?;
        let backoff = config.backoff()?.unwrap_or(self.backoff);
        let mut state = self.state();
        if state.subscriptions.contains_key(&config.name) {
            return Err(Problem::exists(&config.name));
        }
        if state.subscriptions.len() >= NAMES_MAX {
            return Err(Problem::exhausted("there are 10000 subscriptions: delete some"));
        }
        if let Some(letters) = &config.dead_letter_policy
            && !state.topics.contains_key(&letters.dead_letter_topic)
        {
            return Err(Problem::not_found(&letters.dead_letter_topic));
        }
        let topic =
            state.topics.get_mut(&config.topic).ok_or_else(|| Problem::not_found(&config.topic))?;
        topic.subscriptions.insert(config.name.clone());
        let config = Arc::new(config);
        let holder = Holder {
            config: Arc::clone(&config),
            filter,
            backoff,
            queue: Queue::new(config.enable_message_ordering),
            extra: 0,
            wake: watch::channel(()).0,
        };
        state.subscriptions.insert(config.name.clone(), holder);
        Ok(config)
    }

    pub(super) fn subscription(&self, name: &str) -> Result<Arc<Subscription>, Problem> {
        let state = self.state();
        let holder = state.subscriptions.get(name).ok_or_else(|| Problem::not_found(name))?;
        Ok(Arc::clone(&holder.config))
    }

    pub(super) fn subscriptions(&self, prefix: &str) -> Vec<Arc<Subscription>> {
        let state = self.state();
        let named = state.subscriptions.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(_, holder)| Arc::clone(&holder.config)).collect()
    }

    pub(super) fn delete_subscription(&self, name: &str) -> Result<(), Problem> {
        let mut state = self.state();
        let holder = state.subscriptions.remove(name).ok_or_else(|| Problem::not_found(name))?;
        state.stored -= holder.queue.len();
        state.stored_bytes -= holder.queue.bytes();
        if let Some(topic) = state.topics.get_mut(&holder.config.topic) {
            topic.subscriptions.remove(name);
        }
        drop(state);
        self.settled.send_replace(());
        Ok(())
    }

    /// Stores the messages for every subscription that takes them, all or none; their ids.
    pub(super) fn publish(&self, topic: &str, drafts: Vec<Draft>) -> Result<Vec<String>, Problem> {
        if self.mischief.outage().is_some() {
            return Err(Problem::outage());
        }
        if drafts.is_empty() || drafts.len() > BATCH_MAX {
            return Err(Problem::invalid(format!("publish 1 to {BATCH_MAX} messages at once")));
        }
        for draft in &drafts {
            draft.check()?;
        }
        if drafts.iter().map(Draft::bytes).sum::<usize>() > BYTES_MAX {
            return Err(Problem::invalid(format!("the messages have more than {BYTES_MAX} bytes")));
        }
        let mut state = self.state();
        state.publish(topic, drafts)
    }

    /// What the push loop of a subscription does now.
    pub(super) fn next_push(&self, name: &str) -> Next {
        let mut state = self.state();
        let Some(holder) = state.subscriptions.get_mut(name) else {
            return Next::Gone;
        };
        match holder.queue.take(Instant::now(), None, |of| self.mischief.choose(of)) {
            Some(taken) => Next::Push(taken),
            None => Next::Wait(holder.queue.next_due()),
        }
    }

    /// Messages for a puller, each out until its deadline.
    pub(super) fn pull(
        &self,
        name: &str,
        count_max: usize,
        deadline: Option<Duration>,
    ) -> Result<Vec<Taken>, Problem> {
        if self.mischief.outage().is_some() {
            return Err(Problem::outage());
        }
        let now = Instant::now();
        let mut state = self.state();
        state.refuse_expired(name, now);
        let holder = state.subscriptions.get_mut(name).ok_or_else(|| Problem::not_found(name))?;
        if holder.config.push_config.is_some() {
            return Err(Problem::invalid(format!("{name} pushes: it cannot be pulled")));
        }
        let seconds = u64::from(holder.config.ack_deadline_seconds);
        let until = now + deadline.unwrap_or(Duration::from_secs(seconds));
        let take = || holder.queue.take(now, Some(until), |of| self.mischief.choose(of));
        Ok(std::iter::from_fn(take).take(count_max).collect())
    }

    /// Wakes up when there may be something new for that subscription.
    pub(super) fn watch(&self, name: &str) -> Result<watch::Receiver<()>, Problem> {
        let state = self.state();
        let holder = state.subscriptions.get(name).ok_or_else(|| Problem::not_found(name))?;
        Ok(holder.wake.subscribe())
    }

    /// When that subscription's next message or lease is due by itself.
    pub(super) fn next_due(&self, name: &str) -> Option<Instant> {
        self.state().subscriptions.get(name)?.queue.next_due()
    }

    /// Ends a delivery. An answer to an older delivery does nothing.
    pub(super) fn settle(&self, name: &str, place: Place, attempt: u32, outcome: Outcome) {
        let mut state = self.state();
        state.settle(name, place, attempt, outcome, Instant::now());
        drop(state);
        self.settled.send_replace(());
    }

    /// Moves the deadline of a pulled message to so long from now.
    pub(super) fn extend(&self, name: &str, place: Place, attempt: u32, by: Duration) {
        let now = Instant::now();
        let mut state = self.state();
        state.refuse_expired(name, now);
        if let Some(holder) = state.subscriptions.get_mut(name) {
            holder.queue.extend(place, attempt, now + by);
            holder.wake.send_replace(());
        }
    }

    /// Counts a push, and an extra copy's start.
    pub(super) fn pushed(&self, name: &str, extra: bool) {
        let mut state = self.state();
        let Some(holder) = state.subscriptions.get_mut(name) else {
            return;
        };
        holder.extra += usize::from(extra);
        let topic = holder.config.topic.clone();
        state.counters.entry(topic).or_default().pushed += 1;
    }

    /// An extra copy's end.
    pub(super) fn extra_ended(&self, name: &str) {
        if let Some(holder) = self.state().subscriptions.get_mut(name) {
            holder.extra = holder.extra.saturating_sub(1);
        }
        self.settled.send_replace(());
    }

    pub(super) fn counters(&self) -> BTreeMap<String, Counters> {
        self.state().counters.clone()
    }

    /// For each push subscription that is not done: its name, and its messages and copies left.
    pub(super) fn outstanding(&self) -> Vec<(String, usize)> {
        let state = self.state();
        let pushing = state.subscriptions.iter().filter(|(_, h)| h.config.push_config.is_some());
        pushing
            .map(|(name, holder)| (name.clone(), holder.queue.len() + holder.extra))
            .filter(|(_, left)| *left > 0)
            .collect()
    }

    /// Changes whenever a delivery ends.
    pub(super) fn settled(&self) -> watch::Receiver<()> {
        self.settled.subscribe()
    }
}

impl State {
    fn publish(&mut self, topic: &str, drafts: Vec<Draft>) -> Result<Vec<String>, Problem> {
        let Some(found) = self.topics.get(topic) else {
            return Err(Problem::not_found(topic));
        };
        let names: Vec<String> = found.subscriptions.iter().cloned().collect();
        let bytes = drafts.iter().map(Draft::bytes).sum::<usize>() * names.len();
        if self.stored + drafts.len() * names.len() > STORED_MAX
            || self.stored_bytes + bytes > STORED_BYTES_MAX
        {
            return Err(Problem::exhausted(
                "too many messages wait: acknowledge some, or delete unused subscriptions",
            ));
        }
        let published = now();
        let mut ids = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let id = self.next_id.to_string();
            self.next_id += 1;
            ids.push(id.clone());
            let message = Arc::new(Message { id, published, draft });
            for name in &names {
                self.offer(name, &message);
            }
        }
        for holder in names.iter().filter_map(|name| self.subscriptions.get(name)) {
            holder.wake.send_replace(());
        }
        self.counters.entry(topic.to_owned()).or_default().published += ids.len() as u64;
        Ok(ids)
    }

    fn offer(&mut self, name: &str, message: &Arc<Message>) {
        if let Some(holder) = self.subscriptions.get_mut(name)
            && holder.filter.matches(&message.draft.attributes)
        {
            self.stored += 1;
            self.stored_bytes += message.draft.bytes();
            holder.queue.add(Arc::clone(message));
        }
    }

    fn settle(&mut self, name: &str, place: Place, attempt: u32, outcome: Outcome, now: Instant) {
        let Some(holder) = self.subscriptions.get_mut(name) else {
            return;
        };
        let Some(message) = holder.queue.out(place, attempt).cloned() else {
            return;
        };
        let config = Arc::clone(&holder.config);
        let topic = config.topic.clone();
        if outcome == Outcome::Nack {
            self.counters.entry(topic.clone()).or_default().nacked += 1;
            if !self.bury(&config, attempt, &message) {
                if let Some(holder) = self.subscriptions.get_mut(name) {
                    holder.queue.hold(place, attempt, now + holder.backoff.after(attempt));
                    holder.wake.send_replace(());
                }
                return;
            }
        } else {
            self.counters.entry(topic).or_default().acked += 1;
        }
        self.stored -= 1;
        self.stored_bytes -= message.draft.bytes();
        if let Some(holder) = self.subscriptions.get_mut(name) {
            holder.queue.remove(place, attempt);
            holder.wake.send_replace(());
        }
    }

    /// Forwards a message to the dead-letter topic if it was refused too often; whether it did.
    /// It stays where it is while that topic takes nothing.
    fn bury(&mut self, config: &Subscription, attempt: u32, message: &Message) -> bool {
        let Some(policy) = &config.dead_letter_policy else {
            return false;
        };
        if attempt < policy.max_delivery_attempts {
            return false;
        }
        let Ok((project, short)) = name_parts(&config.name, "subscriptions") else {
            return false;
        };
        let published = message.published.to_rfc3339_opts(chrono::SecondsFormat::Millis, false);
        let mut draft = message.draft.clone();
        draft.attributes.extend(
            [
                ("DeliveryCount", attempt.to_string()),
                ("Subscription", short.to_owned()),
                ("SubscriptionProject", project.to_owned()),
                ("TopicPublishTime", published),
            ]
            .map(|(name, value)| (format!("CloudPubSubDeadLetterSource{name}"), value)),
        );
        if self.publish(&policy.dead_letter_topic, vec![draft]).is_err() {
            return false;
        }
        self.counters.entry(config.topic.clone()).or_default().dead_lettered += 1;
        true
    }

    fn refuse_expired(&mut self, name: &str, now: Instant) {
        let expired = self.subscriptions.get(name).map(|holder| holder.queue.expired(now));
        for (place, attempt) in expired.unwrap_or_default() {
            self.settle(name, place, attempt, Outcome::Nack, now);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "publish times are the machine's, not a replay's")]
fn now() -> DateTime<Utc> {
    DateTime::from(SystemTime::now())
}
