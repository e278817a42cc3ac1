//! The in-process delivery loop: what Pub/Sub push does in the cloud.
//!
//! Envelopes of one topic and key are handled one after the other, in the order they were
//! published; keys do not wait for each other. An envelope is acknowledged after it was handled,
//! so a crash delivers it again. Connections take turns ([`crate::fair`]).

mod lane;
mod queues;

use std::collections::HashMap;
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
use queues::{Key, Queues};

/// Envelopes fetched at a time.
const FETCH: usize = 1_000;
/// Envelopes with rows to land that are held before events wait for them. Rows come of events, and
/// where they land more slowly they would fill what is held, and events would stand behind them.
const ROWS_MAX: usize = 2_000;
/// Attempts before an envelope becomes a failure; with the waits between them about half an hour.
const ATTEMPTS_MAX: u32 = 40;
/// Acknowledgements written at a time.
const ACKS: usize = 512;
/// How long one waits for others: envelopes that came together go together, and leave no pages
/// behind that are half empty. After a crash that many more come again.
const ACKS_WITHIN: Duration = Duration::from_millis(50);
/// Attempts to acknowledge that are made even when the server stops.
const ACK_ATTEMPTS_MAX: u32 = 4;
/// How often the loop looks by itself, should a wake-up be lost.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long the handlers under way may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(4);

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
    // A worker that blocks its thread never lets go of its end.
    let _ = tokio::time::timeout(Duration::from_secs(2), writer).await;
}

async fn write_acks(
    deliveries: Arc<dyn Deliveries>,
    mut acks: mpsc::Receiver<Ack>,
    stop: watch::Receiver<bool>,
) {
    let mut batch: Vec<Ack> = Vec::with_capacity(ACKS);
    while acks.recv_many(&mut batch, ACKS).await > 0 {
        let full = async {
            while let room @ 1.. = ACKS - batch.len()
                && acks.recv_many(&mut batch, room).await > 0
            {}
        };
        let _ = tokio::time::timeout(ACKS_WITHIN, full).await;
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
            self.leave_lane(&alone);
            for delivery in alone {
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
                    queues.hold(&delivery.envelope);
                }
                new
            };
            if new {
                fresh += 1;
                let this = self.clone();
                let waiting = self.waiting(&delivery.envelope);
                workers.spawn(async move {
                    let position = delivery.position;
                    this.deliver(delivery, waiting).await;
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
        if self.change(|queues| queues.join(key.clone(), delivery, waiting)) {
            let this = self.clone();
            workers.spawn(async move { this.work(key).await });
        }
    }

    /// Handles the envelopes of one key until none is left, or the server stops.
    async fn work(&self, key: Key) {
        while let Some((delivery, waiting)) = self.change(|queues| queues.next(&key)) {
            if *self.stop.borrow() {
                return;
            }
            self.deliver(delivery, waiting).await;
        }
    }

    /// Changes what is held, and tells those who wait for that: fetching goes on where there is
    /// room for many, not for one; events do where rows have landed.
    fn change<T>(&self, change: impl FnOnce(&mut Queues) -> T) -> T {
        let mut queues = self.queues();
        let before = queues.held;
        let changed = change(&mut queues);
        let is_empty = queues.held.is_empty() && !before.is_empty();
        let freed = is_empty || (queues.held.is_low() && !before.is_low());
        self.behind.send_if_modified(|behind| {
            let most = if *behind { ROWS_MAX / 4 * 3 } else { ROWS_MAX };
            let is_behind = queues.rows >= most;
            std::mem::replace(behind, is_behind) != is_behind
        });
        drop(queues);
        if freed {
            self.freed.notify_one();
        }
        changed
    }

    fn waiting(&self, envelope: &Envelope) -> Waiting {
        // Nobody's envelopes stand in one line; so do those of topics that nobody floods.
        let connection = match envelope.topic {
            Topic::Events | Topic::Outbound | Topic::Calls => jobs::connection(envelope),
            Topic::Landing | Topic::Timers | Topic::Failures => None,
        };
        self.admission.came(envelope.topic, &connection.unwrap_or_default())
    }

    /// Handles one envelope, which is held, until it is done, given up, or the server stops.
    async fn deliver(&self, delivery: Delivery, waiting: Waiting) {
        let Delivery { position, attempts, envelope, .. } = delivery;
        self.attempt(position, attempts, &envelope, waiting).await;
        self.change(|queues| queues.let_go(&envelope));
    }

    async fn attempt(
        &self,
        position: i64,
        mut attempts: u32,
        envelope: &Envelope,
        waiting: Waiting,
    ) {
        loop {
            // On the heap, and gone before the next wait: those that rest must be small.
            let outcome = Box::pin(self.handle(envelope, attempts, waiting.connection())).await;
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
                        if self.waited(after, envelope).await {
                            continue;
                        }
                        return;
                    }
                    reason
                }
                Outcome::GiveUp { reason } => reason,
            };
            self.give_up(position, envelope, reason, attempts).await;
            return;
        }
    }

    /// Waits before the next attempt; false where the server stops. Who waits is not held, nor is
    /// what stands behind it: ten thousand replies to a dead address keep nothing else from being
    /// delivered, and rows in trouble no conversation.
    async fn waited(&self, after: Duration, envelope: &Envelope) -> bool {
        let rests = self.change(|queues| queues.rest_line(envelope));
        let go_on = tokio::select! {
            () = tokio::time::sleep(after) => true,
            () = stopped(self.stop.clone()) => false,
        };
        if rests {
            self.change(|queues| queues.wake(envelope));
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
