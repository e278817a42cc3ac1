//! The in-process delivery loop: what Pub/Sub push does in the cloud.
//!
//! Envelopes of one topic and key are handled one after the other, in the order they were
//! published; keys do not wait for each other. An envelope is acknowledged after it was handled,
//! so a crash delivers it again. Connections take turns ([`crate::fair`]).

mod lane;

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use gateway::admission::{Admission, Waiting};
use ports::{Clock, Deliveries, Delivery, Envelope, Topic};
use runtime::jobs::{self, DeadLetter, seal};
use runtime::outcome::backoff;
use runtime::{App, Outcome};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::fair::Fair;
use lane::Lane;

/// Envelopes fetched at a time.
const FETCH: usize = 1_000;
/// Envelopes held in memory; beyond them nothing more is fetched.
const HELD_MAX: usize = 10_000;
/// Bytes of bodies held in memory; beyond them nothing more is fetched.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Envelopes that wait for their next attempt without being held, and the bytes of their bodies.
/// Beyond them those that wait are held as well.
const RESTING_MAX: usize = 10_000;
const RESTING_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Envelopes with rows to land that are held before events wait for them. Rows come of events, and
/// where they land more slowly they would fill what is held, and events would stand behind them.
const ROWS_MAX: usize = 2_000;
/// Attempts before an envelope becomes a failure; with the waits between them about half an hour.
const ATTEMPTS_MAX: u32 = 40;
/// Acknowledgements written at a time.
const ACKS: usize = 512;
/// Attempts to acknowledge that are made even when the server stops.
const ACK_ATTEMPTS_MAX: u32 = 4;
/// How often the loop looks by itself, should a wake-up be lost.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long the handlers under way may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(4);

type Key = (Topic, String);

#[derive(Default)]
struct Queues {
    by_key: HashMap<Key, VecDeque<(Delivery, Waiting)>>,
    /// Positions of timers under way: they are found again until they are acknowledged.
    timers: HashSet<i64>,
    lane: Lane,
    held: Sum,
    resting: Sum,
    /// Envelopes held that have rows to land.
    rows: usize,
}

/// Envelopes, and the bytes of their bodies.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    count: usize,
    bytes: usize,
}

impl Sum {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn is_below(self, count: usize, bytes: usize) -> bool {
        self.count < count && self.bytes < bytes
    }
}

impl Queues {
    fn have_room(&self) -> bool {
        self.held.is_below(HELD_MAX, HELD_BYTES_MAX)
    }
}

/// An acknowledgement, with what is published instead of what was given up.
type Ack = (i64, Option<Envelope>);

/// Delivers what is published, until the server stops.
pub struct DeliveryLoop {
    app: App,
    deliveries: Arc<dyn Deliveries>,
    clock: Arc<dyn Clock>,
    queues: Mutex<Queues>,
    permits: HashMap<Topic, Arc<Fair>>,
    admission: Arc<Admission>,
    /// Whether rows land more slowly than they come.
    behind: watch::Sender<bool>,
    acks: mpsc::Sender<Ack>,
    freed: Notify,
    stop: watch::Receiver<bool>,
}

/// Handlers of a topic that run at the same time for one connection; for all of them together
/// there are twice as many.
fn parallel(topic: Topic) -> usize {
    match topic {
        Topic::Events => 64,
        // These wait for others most of the time; slow ones must not hold up the rest.
        Topic::Outbound | Topic::Calls => 512,
        Topic::Landing | Topic::Timers => 32,
        Topic::Failures => 4,
    }
}

/// Runs the loop to its end: when the server stops and the handlers under way are done.
/// `admission` is told what waits, and of whom.
pub async fn run(
    app: App,
    deliveries: Arc<dyn Deliveries>,
    admission: Arc<Admission>,
    stop: watch::Receiver<bool>,
) {
    let (acks, written) = mpsc::channel(ACKS * 4);
    let writer = tokio::spawn(write_acks(deliveries.clone(), written, stop.clone()));
    let permits =
        Topic::ALL.into_iter().map(|topic| (topic, Fair::new(2 * parallel(topic)))).collect();
    let clock = app.clock().clone();
    let this = Arc::new(DeliveryLoop {
        app,
        deliveries,
        clock,
        queues: Mutex::default(),
        permits,
        admission,
        behind: watch::Sender::new(false),
        acks,
        freed: Notify::new(),
        stop,
    });
    let mut workers = JoinSet::new();
    this.clone().fetch(&mut workers).await;
    let drained =
        tokio::time::timeout(DRAIN, async { while workers.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!("some handlers did not end in time; their envelopes come again");
        // One that blocks its thread cannot be aborted and must not keep the server from ending.
        let _ = tokio::time::timeout(Duration::from_secs(1), workers.shutdown()).await;
    }
    drop(workers);
    drop(this);
    let _ = writer.await;
}

async fn write_acks(
    deliveries: Arc<dyn Deliveries>,
    mut acks: mpsc::Receiver<Ack>,
    stop: watch::Receiver<bool>,
) {
    let mut batch: Vec<Ack> = Vec::with_capacity(ACKS);
    while acks.recv_many(&mut batch, ACKS).await > 0 {
        let positions: Vec<i64> = batch.iter().map(|(position, _)| *position).collect();
        let instead: Vec<Envelope> = batch.drain(..).filter_map(|(_, instead)| instead).collect();
        let mut attempt = 0;
        while let Err(error) = deliveries.acknowledge(&positions, &instead).await {
            tracing::warn!(%error, "acknowledging failed");
            attempt += 1;
            // A full disk lasts, and what is not acknowledged counts as waiting until the next
            // start. When the server stops it does no harm: it only comes again.
            if attempt > ACK_ATTEMPTS_MAX && (*stop.borrow() || !error.is_passing()) {
                break;
            }
            let first = Duration::from_millis(50);
            tokio::time::sleep(backoff("acks", attempt, first, Duration::from_secs(2))).await;
        }
    }
}

impl DeliveryLoop {
    async fn fetch(self: Arc<Self>, workers: &mut JoinSet<()>) {
        let mut position = 0;
        let mut stop = self.stop.clone();
        while !*stop.borrow() {
            let mut found = 0;
            // Asked before the timers are fetched: one that comes due in between is seen here.
            let next_due = self.deliveries.next_due().await.ok().flatten();
            if self.queues().have_room() {
                match self.deliveries.after(position, FETCH).await {
                    Ok(batch) => {
                        found += batch.len();
                        position = batch.last().map_or(position, |last| last.position);
                        for delivery in batch {
                            self.clone().enqueue(delivery, workers);
                        }
                    }
                    Err(error) => tracing::error!(%error, "fetching envelopes failed"),
                }
                found += self.fetch_due(workers).await;
            }
            let alone = self.queues().lane.take_alone();
            for delivery in alone {
                self.leave_lane(&delivery);
                self.clone().enqueue_alone(delivery, workers);
            }
            while workers.try_join_next().is_some() {}
            if found > 0 && self.queues().have_room() {
                continue;
            }
            tokio::select! {
                () = self.deliveries.published(LOOK_AGAIN) => {}
                () = self.comes_due(next_due) => {}
                () = self.freed.notified() => {}
                _ = stop.changed() => {}
            }
        }
    }

    async fn comes_due(&self, next: Option<DateTime<Utc>>) {
        match next {
            Some(due) => self.clock.sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    async fn fetch_due(self: &Arc<Self>, workers: &mut JoinSet<()>) -> usize {
        let due = match self.deliveries.due(self.clock.now(), FETCH).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "fetching timers failed");
                return 0;
            }
        };
        let mut fresh = 0;
        for delivery in due {
            let new = {
                let mut queues = self.queues();
                let new = queues.timers.insert(delivery.position);
                if new {
                    queues.held.add(delivery.envelope.body.len());
                }
                new
            };
            if new {
                fresh += 1;
                let this = self.clone();
                let waiting = self.waiting(&delivery.envelope);
                workers.spawn(async move {
                    let (position, bytes) = (delivery.position, delivery.envelope.body.len());
                    this.deliver(delivery, waiting).await;
                    this.release(bytes);
                    this.forget_timer(position).await;
                    this.freed.notify_one();
                });
            }
        }
        fresh
    }

    /// Timers are remembered until their acknowledgement is written, for they are found by time
    /// and not by position. A while is enough: the writer is seldom a second behind.
    async fn forget_timer(&self, position: i64) {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(30)) => {}
            () = stopped(self.stop.clone()) => {}
        }
        self.queues().timers.remove(&position);
    }

    fn enqueue(self: Arc<Self>, delivery: Delivery, workers: &mut JoinSet<()>) {
        // What was tried before may be what keeps others from landing.
        if delivery.envelope.topic != Topic::Landing || delivery.attempts > 0 {
            return self.enqueue_alone(delivery, workers);
        }
        if self.join_lane(delivery) {
            workers.spawn(async move { self.land().await });
        }
    }

    fn enqueue_alone(self: Arc<Self>, delivery: Delivery, workers: &mut JoinSet<()>) {
        let key = (delivery.envelope.topic, delivery.envelope.key.clone());
        let waiting = self.waiting(&delivery.envelope);
        self.count_rows(key.0, true);
        let mut queues = self.queues();
        queues.held.add(delivery.envelope.body.len());
        if let Some(queue) = queues.by_key.get_mut(&key) {
            queue.push_back((delivery, waiting));
            return;
        }
        queues.by_key.insert(key.clone(), VecDeque::from([(delivery, waiting)]));
        drop(queues);
        let this = self.clone();
        workers.spawn(async move { this.work(key).await });
    }

    /// Handles the envelopes of one key until none is left.
    async fn work(&self, key: Key) {
        loop {
            let next = {
                let mut queues = self.queues();
                let next = queues.by_key.get_mut(&key).and_then(VecDeque::pop_front);
                if next.is_none() || *self.stop.borrow() {
                    queues.by_key.remove(&key);
                    return;
                }
                next
            };
            let Some((delivery, waiting)) = next else { return };
            let bytes = delivery.envelope.body.len();
            self.deliver(delivery, waiting).await;
            self.count_rows(key.0, false);
            self.release(bytes);
        }
    }

    /// Counts an envelope that came or went, where it has rows to land.
    fn count_rows(&self, topic: Topic, came: bool) {
        if topic != Topic::Landing {
            return;
        }
        let mut queues = self.queues();
        queues.rows = if came { queues.rows + 1 } else { queues.rows.saturating_sub(1) };
        self.behind.send_if_modified(|behind| {
            let most = if *behind { ROWS_MAX / 4 * 3 } else { ROWS_MAX };
            let is_behind = queues.rows >= most;
            std::mem::replace(behind, is_behind) != is_behind
        });
    }

    /// One envelope less is held. Fetching goes on where there is room for many, not for one.
    fn release(&self, bytes: usize) {
        let mut queues = self.queues();
        let before = queues.held;
        queues.held.remove(bytes);
        let is_low = |held: Sum| held.is_below(HELD_MAX / 4 * 3, HELD_BYTES_MAX / 4 * 3);
        let freed = queues.held.count == 0 || (is_low(queues.held) && !is_low(before));
        drop(queues);
        if freed {
            self.freed.notify_one();
        }
    }

    fn waiting(&self, envelope: &Envelope) -> Waiting {
        // Nobody's envelopes stand in one line; so do those of topics that nobody floods.
        let connection = match envelope.topic {
            Topic::Events | Topic::Outbound | Topic::Calls => jobs::connection(envelope),
            Topic::Landing | Topic::Timers | Topic::Failures => None,
        };
        self.admission.came(envelope.topic, &connection.unwrap_or_default())
    }

    /// Handles one envelope until it is done, given up, or the server stops.
    async fn deliver(&self, delivery: Delivery, waiting: Waiting) {
        let Delivery { position, mut attempts, envelope, .. } = delivery;
        loop {
            // On the heap, and gone before the next wait: those that rest must be small.
            let outcome = Box::pin(self.handle(&envelope, attempts, waiting.connection())).await;
            attempts = attempts.saturating_add(1);
            let reason = match outcome {
                Outcome::Done => {
                    let _ = self.acks.send((position, None)).await;
                    return;
                }
                Outcome::Retry { after, reason } => {
                    // Failures have nowhere further to go: they are tried until they are kept.
                    if attempts < ATTEMPTS_MAX || envelope.topic == Topic::Failures {
                        tracing::info!(
                            topic = envelope.topic.name(),
                            id = envelope.id,
                            attempts,
                            reason,
                            "will try again"
                        );
                        if let Err(error) = self.deliveries.tried(position, attempts).await {
                            tracing::debug!(%error, "the attempt could not be counted");
                            // A store that cannot count cannot keep a failure either, and its
                            // trouble is not the envelope's.
                            attempts = attempts.min(ATTEMPTS_MAX / 2);
                        }
                        // Rows in trouble must not hold conversations up.
                        self.count_rows(envelope.topic, false);
                        let go_on = self.waited(after, envelope.body.len()).await;
                        self.count_rows(envelope.topic, true);
                        if go_on {
                            continue;
                        }
                        return;
                    }
                    reason
                }
                Outcome::GiveUp { reason } => reason,
            };
            self.give_up(position, &envelope, reason, attempts).await;
            return;
        }
    }

    /// Waits before the next attempt; false where the server stops. Who waits is not held, so
    /// that ten thousand replies to a dead address keep nothing else from being delivered.
    async fn waited(&self, after: Duration, bytes: usize) -> bool {
        let rests = {
            let mut queues = self.queues();
            let rests = queues.resting.is_below(RESTING_MAX, RESTING_BYTES_MAX);
            if rests {
                queues.resting.add(bytes);
            }
            rests
        };
        if rests {
            self.release(bytes);
        }
        let go_on = tokio::select! {
            () = tokio::time::sleep(after) => true,
            () = stopped(self.stop.clone()) => false,
        };
        if rests {
            let mut queues = self.queues();
            queues.resting.remove(bytes);
            queues.held.add(bytes);
        }
        go_on
    }

    async fn give_up(&self, position: i64, envelope: &Envelope, reason: String, attempts: u32) {
        tracing::error!(
            topic = envelope.topic.name(),
            id = envelope.id,
            attempts,
            reason,
            "gave up; it is kept as a failure"
        );
        let id = format!("dead/{}/{position}", envelope.id);
        let letter = DeadLetter { envelope: envelope.clone(), reason, attempts };
        match seal(Topic::Failures, id, envelope.key.clone(), &letter) {
            Ok(letter) => {
                let _ = self.acks.send((position, Some(letter))).await;
            }
            // Too large to be wrapped once more: it is kept at once. Where that fails it stays
            // where it is and comes again at the next start.
            Err(_) => match runtime::fail::keep_letter(&self.app, letter).await {
                Ok(()) => {
                    let _ = self.acks.send((position, None)).await;
                }
                Err(error) => tracing::error!(%error, "a given-up envelope could not be kept"),
            },
        }
    }

    async fn handle(&self, envelope: &Envelope, attempt: u32, line: &Arc<str>) -> Outcome {
        let Some(permits) = self.permits.get(&envelope.topic) else {
            return Outcome::GiveUp { reason: "nobody handles this topic".into() };
        };
        let _permit = permits.acquire(line).await;
        if envelope.topic == Topic::Events {
            let mut behind = self.behind.subscribe();
            tokio::select! {
                _ = behind.wait_for(|behind| !*behind) => {}
                () = stopped(self.stop.clone()) => {}
            }
        }
        let app = &self.app;
        let handled = AssertUnwindSafe(async {
            match envelope.topic {
                controller::TOPIC => controller::handle(app, envelope, attempt).await,
                messenger::TOPIC => messenger::handle(app, envelope, attempt).await,
                connector::TOPIC => connector::handle(app, envelope, attempt).await,
                landing::TOPIC => landing::handle(app, envelope, attempt).await,
                timekeeper::TOPIC => timekeeper::handle(app, envelope, attempt).await,
                failures::TOPIC => failures::handle(app, envelope, attempt).await,
            }
        });
        handled.catch_unwind().await.unwrap_or_else(|_| Outcome::GiveUp {
            reason: "the handler panicked; the log of the server says where".into(),
        })
    }

    fn queues(&self) -> std::sync::MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
