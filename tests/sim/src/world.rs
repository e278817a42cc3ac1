//! The whole system in one process, and everything in it that is under way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use backend_sqlite::{DeliveryMode, Options, Sqlite};
use channels::{Connection, ReplyTarget};
use chrono::TimeDelta;
use engine::MessageId;
use ports::{Clock, Deliveries, Delivery, Envelope, Topic};
use ports_contract::{Backend, Faulty, Rates};
use runtime::administer::{self, flows};
use runtime::jobs::{SendJob, open};
use runtime::{App, Outcome};
use test_support::VirtualClock;

use crate::Stats;
use crate::dice::Dice;
use crate::flows::{ERRAND, PARTY, echo};
use crate::gate::{Gate, wait_for};
use crate::plan::{Action, Weather};
use crate::process::{self, GATEWAY, Lines, PROCESSES, Process, TIMEKEEPER};
use crate::watch::Watched;
use crate::work::{Done, Op, Person, Work};

/// The connection of everybody who writes.
pub(crate) const CONNECTION: &str = "demo";
/// Most envelopes looked at together; a run has far fewer.
const WAITING_MAX: usize = 10_000;
/// Most handled envelopes that may come again.
const OLD_MAX: usize = 200;

/// The system.
pub(crate) struct World {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) store: Arc<Sqlite>,
    pub(crate) faulty: Arc<Faulty>,
    pub(crate) watched: Arc<Watched>,
    pub(crate) processes: Vec<Process>,
    pub(crate) people: Vec<Person>,
    /// Tasks asked for by the API, and how many of them were granted.
    pub(crate) asked: usize,
    pub(crate) granted: BTreeSet<usize>,
    wanted_version: usize,
    published_version: usize,
    lines: Lines,
    pub(crate) ops: Vec<Op>,
    old: VecDeque<Envelope>,
    attempts: BTreeMap<i64, u32>,
    /// Await points passed.
    now: u64,
    pub(crate) stats: Stats,
}

impl World {
    /// The system with its flows, and nobody has said anything.
    pub(crate) fn new(seed: u64) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let mut options = Options::new(clock.clone());
        options.delivery = DeliveryMode::Published;
        let store = Arc::new(Sqlite::in_memory(options).expect("a directory for its files"));
        let watched = Watched::new(store.clone());
        let faulty = Faulty::new(backend(&store, &watched), seed, Rates::NONE);
        let gate = Gate::new(faulty.backend());
        let lines = Lines::default();
        let process = |_| Process::start(clock.clone(), gate.clone(), lines.clone());
        let world = Self {
            processes: (0..PROCESSES).map(process).collect(),
            clock,
            store,
            faulty,
            watched,
            people: ["e0", "e1", "e2", "p0", "p1"].map(Person::new).into(),
            asked: 0,
            granted: BTreeSet::new(),
            wanted_version: 1,
            published_version: 1,
            lines,
            ops: Vec::new(),
            old: VecDeque::new(),
            attempts: BTreeMap::new(),
            now: 0,
            stats: Stats::default(),
        };
        run_to_end(prepare(world.processes[GATEWAY].app.clone()));
        world
    }

    /// Does one thing of the plan.
    pub(crate) fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Say { pick } => {
                let at = pick % self.people.len();
                self.people[at].says();
            }
            Action::Ask => self.asked += 1,
            Action::Publish => self.wanted_version += 1,
            Action::Begin { pick } => {
                let mut waiting = self.waiting();
                if !waiting.is_empty() {
                    let work = waiting.swap_remove(pick % waiting.len());
                    self.begin(work, pick);
                }
            }
            Action::Again { pick } => {
                if let Some(envelope) = self.old.get(pick % self.old.len().max(1)).cloned() {
                    self.begin(Work::Envelope { envelope, position: None }, pick);
                }
            }
            Action::Poll { pick, times } => {
                if !self.ops.is_empty() {
                    self.poll(pick % self.ops.len(), times)?;
                }
            }
            Action::Crash { pick } => {
                if !self.ops.is_empty() {
                    drop(self.ops.swap_remove(pick % self.ops.len()));
                    self.stats.crashes += 1;
                }
            }
            Action::Restart { process } => {
                let before = self.ops.len();
                self.ops.retain(|op| op.process != process);
                self.stats.crashes += before - self.ops.len();
                self.processes[process].restart();
            }
            Action::Advance { seconds } => {
                self.clock.advance(TimeDelta::seconds(i64::from(seconds)));
            }
            Action::Skew { process, milliseconds } => {
                self.processes[process].skew(milliseconds.into());
            }
            Action::Weather(weather) => self.faulty.set_rates(rates(weather)),
            Action::Sweep => self.begin(Work::Sweep, 0),
        }
        Ok(())
    }

    /// What could be begun now: requests, and of each key the first envelope that waits.
    pub(crate) fn waiting(&self) -> Vec<Work> {
        let is_under_way = |work: &Work| self.ops.iter().any(|op| op.work.is_same(work));
        let mut waiting = Vec::new();
        for (person, somebody) in self.people.iter().enumerate() {
            if !somebody.pending.is_empty() {
                waiting.push(Work::Hear { person });
            }
        }
        let open = |request: &usize| !self.granted.contains(request);
        waiting.extend((0..self.asked).filter(open).map(|request| Work::Ask { request }));
        if self.wanted_version > self.published_version {
            waiting.push(Work::Publish { version: self.published_version + 1 });
        }
        let mut keys = BTreeSet::new();
        for Delivery { position, envelope, .. } in self.deliveries() {
            // Timers have no order.
            let is_first = keys.insert((envelope.topic, envelope.key.clone()));
            if is_first || envelope.due.is_some() {
                waiting.push(Work::Envelope { envelope, position: Some(position) });
            }
        }
        waiting.retain(|work| !is_under_way(work));
        waiting
    }

    /// Envelopes that could be delivered; none where the bus does not answer.
    fn deliveries(&self) -> Vec<Delivery> {
        let now = self.clock.now();
        let mut ready = wait_for(self.faulty.after(0, WAITING_MAX)).unwrap_or_default();
        ready.extend(wait_for(self.faulty.due(now, WAITING_MAX)).unwrap_or_default());
        let mut seen = BTreeSet::new();
        ready.retain(|delivery| seen.insert(delivery.position));
        ready
    }

    /// Begins something; `pick` chooses where.
    pub(crate) fn begin(&mut self, work: Work, pick: usize) {
        let process = match &work {
            Work::Hear { .. } | Work::Ask { .. } | Work::Publish { .. } => GATEWAY,
            Work::Sweep => TIMEKEEPER,
            Work::Envelope { envelope, .. } => process::of_topic(envelope.topic, pick),
        };
        let attempt = match &work {
            Work::Envelope { envelope, position } => {
                self.stats.deliveries += 1;
                if position.is_some() {
                    self.old.push_back(envelope.clone());
                    self.old.drain(..self.old.len().saturating_sub(OLD_MAX));
                }
                position.and_then(|at| self.attempts.get(&at).copied()).unwrap_or_default()
            }
            Work::Hear { .. } | Work::Ask { .. } | Work::Publish { .. } | Work::Sweep => 0,
        };
        let app = self.processes[process].app.clone();
        let future = work.clone().future(app, &self.people, attempt);
        self.ops.push(Op { work, process, future, began: self.now });
    }

    /// Lets something go on over so many await points, at most to its end.
    pub(crate) fn poll(&mut self, at: usize, times: usize) -> Result<(), String> {
        for _ in 0..times {
            self.now += 1;
            let op = &mut self.ops[at];
            let polled = op.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            self.attribute(at)?;
            if let Poll::Ready(done) = polled {
                let op = self.ops.swap_remove(at);
                self.finish(op.work, done)?;
                break;
            }
        }
        self.check()
    }

    fn check(&self) -> Result<(), String> {
        self.watched.model().violation.clone().map_or(Ok(()), Err)
    }

    /// Tells the model what this one has sent.
    fn attribute(&mut self, at: usize) -> Result<(), String> {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        for line in lines {
            self.stats.sent += 1;
            let op = &self.ops[at];
            let Some(message) = reply(&op.work) else {
                return Err(format!("replies: something but the messenger sent {line:?}"));
            };
            self.watched.model().sent(&message, &line.text, op.began);
        }
        Ok(())
    }

    fn finish(&mut self, work: Work, done: Done) -> Result<(), String> {
        let outcome = match done {
            Done::Request(is_ok) => {
                if is_ok {
                    self.granted(&work);
                }
                return Ok(());
            }
            Done::Envelope(outcome) => outcome,
        };
        let reply = reply(&work);
        let Work::Envelope { envelope, position } = work else { return Ok(()) };
        match outcome {
            Outcome::Done => {
                if let Some(message) = reply {
                    self.watched.model().settled(&message, self.now);
                }
                if let Some(position) = position {
                    // Where this fails it is delivered again, as any other.
                    let _ = wait_for(self.faulty.acknowledge(&[position], &[]));
                }
                Ok(())
            }
            Outcome::Retry { .. } => {
                if let Some(position) = position {
                    *self.attempts.entry(position).or_default() += 1;
                }
                Ok(())
            }
            Outcome::GiveUp { reason } => {
                Err(format!("accepted: {} was given up: {reason}", envelope.id))
            }
        }
    }

    fn granted(&mut self, work: &Work) {
        match *work {
            Work::Hear { person } => self.people[person].was_heard(),
            Work::Ask { request } => {
                self.granted.insert(request);
            }
            Work::Publish { version } => self.published_version = version,
            Work::Sweep | Work::Envelope { .. } => {}
        }
    }

    /// Nothing fails any more, and everything that waits is done, in an order the dice decide.
    pub(crate) fn drain(&mut self, dice: &mut Dice) -> Result<(), String> {
        self.faulty.set_rates(Rates::NONE);
        for _ in 0..WAITING_MAX {
            wait_for(self.faulty.flush()).map_err(|error| error.to_string())?;
            for work in self.waiting() {
                self.begin(work, dice.below(PROCESSES));
            }
            if self.ops.is_empty() {
                return Ok(());
            }
            while !self.ops.is_empty() {
                self.poll(dice.below(self.ops.len()), 8)?;
            }
        }
        Err("rest: it never comes to rest".to_owned())
    }
}

/// The message that a delivery to the messenger is about.
fn reply(work: &Work) -> Option<MessageId> {
    match work {
        Work::Envelope { envelope, .. } if envelope.topic == Topic::Outbound => {
            open::<SendJob>(envelope).ok().map(|job| job.message)
        }
        _ => None,
    }
}

/// A crash is an action of the plan: one that is answered as success, as the decorator has it,
/// would acknowledge an event whose handler never published.
fn rates(weather: Weather) -> Rates {
    match weather {
        Weather::Calm => Rates::NONE,
        Weather::Rough => Rates {
            conflict: 30,
            unavailable: 30,
            lost_answer: 30,
            crash: 0,
            duplicate: 50,
            delay: 50,
            reorder: 50,
        },
        Weather::Storm => Rates { crash: 0, ..Rates::OFTEN },
    }
}

fn backend(store: &Arc<Sqlite>, watched: &Arc<Watched>) -> Backend {
    Backend {
        turns: watched.clone(),
        queries: store.clone(),
        flows: store.clone(),
        config: store.clone(),
        failures: store.clone(),
        bus: store.clone(),
        deliveries: Some(store.clone()),
        timers: store.clone(),
        warehouse: store.clone(),
        secrets: store.clone(),
        reopen: None,
        keep: None,
    }
}

async fn prepare(app: App) {
    administer::prepare(&app).await.expect("it is prepared");
    for source in [ERRAND.to_owned(), PARTY.to_owned(), echo(1)] {
        publish(&app, &source).await.expect("it is published");
    }
    let connection = Connection {
        id: CONNECTION.into(),
        unsigned_from_loopback: true,
        reply: ReplyTarget::Terminal,
        default_flow: Some("echo".into()),
        ..Connection::default()
    };
    administer::put_connection(&app, connection, Some(0)).await.expect("a connection");
}

/// Publishes a flow.
pub(crate) async fn publish(app: &App, source: &str) -> anyhow::Result<()> {
    let id = match flow::parse(source) {
        Ok(parsed) => parsed.flow.id,
        Err(problems) => anyhow::bail!("{problems:?}"),
    };
    flows::put_draft(app, &id, source, None, "sim").await?;
    match flows::publish(app, &id, "sim").await? {
        flows::Published::Live(..) => Ok(()),
        other => anyhow::bail!("{other:?}"),
    }
}

/// Polls until it is done; there is nothing else that it could wait for.
pub(crate) fn run_to_end<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
