//! The system without its server: a test delivers every envelope by hand, as often and in
//! whatever order it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use backend_sqlite::{DeliveryMode, Options, Sqlite};
use channels::{Connection, Inbound, InboundBody, ReplyTarget};
use chrono::{DateTime, Utc};
use engine::TaskId;
use flow::{Contact, Content};
use ports::{Clock, Deliveries, Delivery, Envelope, Page, Store, TaskFilter, Topic};
use ports_contract::{Backend, Faulty, Rates};
use runtime::administer::{self, flows};
use runtime::egress::{Egress, EgressConfig};
use runtime::{App, AppParts, Limits, Outcome};
use serde_json::{Value, json};
use test_support::VirtualClock;

/// A small generator of numbers: the same seed gives the same ones.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end.max(1)
    }
}

/// How a bench delivers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// What the store does with a commit's outbox.
    pub(crate) mode: DeliveryMode,
    /// Faults of the store and the bus.
    pub(crate) rates: Rates,
    /// How often each envelope is handled.
    pub(crate) times: usize,
    /// Decides which key is next, and which handled envelope comes once more.
    pub(crate) seed: u64,
}

impl Default for How {
    fn default() -> Self {
        Self { mode: DeliveryMode::Transactional, rates: Rates::NONE, times: 1, seed: 1 }
    }
}

/// The system.
pub(crate) struct Bench {
    pub(crate) app: App,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) deliveries: Arc<dyn Deliveries>,
    faulty: Arc<Faulty>,
    store: Arc<dyn Store>,
    how: How,
    dice: Dice,
    /// Envelopes handled before, to come again.
    old: Vec<Envelope>,
}

impl Bench {
    /// A system with the connection `demo`, which sends nowhere, and these flows.
    pub(crate) async fn new(how: How, sources: &[&str]) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let mut options = Options::new(clock.clone());
        options.delivery = how.mode;
        let sqlite = Arc::new(Sqlite::in_memory(options).expect("a store"));
        let backend = Backend {
            turns: sqlite.clone(),
            queries: sqlite.clone(),
            flows: sqlite.clone(),
            config: sqlite.clone(),
            failures: sqlite.clone(),
            bus: sqlite.clone(),
            deliveries: Some(sqlite.clone()),
            timers: sqlite.clone(),
            warehouse: sqlite.clone(),
            secrets: sqlite.clone(),
            reopen: None,
            keep: None,
        };
        let faulty = Faulty::new(backend, how.seed, Rates::NONE);
        let app = App::new(AppParts {
            store: faulty.clone(),
            bus: faulty.clone(),
            timers: faulty.clone(),
            warehouse: faulty.clone(),
            secrets: faulty.clone(),
            clock: clock.clone(),
            egress: Egress::new(&EgressConfig::default()).expect("a client"),
            limits: Limits { sweep_after: Duration::ZERO, ..Limits::default() },
            terminal: Arc::new(|_| {}),
        });
        administer::prepare(&app).await.expect("it is prepared");
        let connection = Connection {
            id: "demo".into(),
            unsigned_from_loopback: true,
            reply: ReplyTarget::Terminal,
            ..Connection::default()
        };
        administer::put_connection(&app, connection, Some(0)).await.expect("a connection");
        let bench = Self {
            app,
            clock,
            deliveries: faulty.clone(),
            store: sqlite,
            how,
            dice: Dice(how.seed),
            old: Vec::new(),
            faulty,
        };
        for source in sources {
            bench.publish(source).await;
        }
        bench.faulty.set_rates(how.rates);
        bench
    }

    /// Publishes a flow.
    pub(crate) async fn publish(&self, source: &str) {
        let id = flow::parse(source).expect("a flow").flow.id;
        flows::put_draft(&self.app, &id, source, None, "test").await.expect("a draft");
        let published = flows::publish(&self.app, &id, "test").await.expect("it is published");
        assert!(matches!(published, flows::Published::Live(..)), "{published:?}");
    }

    /// A webhook brings a message; its sender repeats it until it is accepted.
    pub(crate) async fn hear(&self, contact: &str, id: &str, text: &str) {
        let inbound = || Inbound {
            id: Some(id.to_owned()),
            contact: Some(Contact { id: contact.to_owned(), name: None, lang: None }),
            conversation: None,
            body: InboundBody::Message {
                content: Content::text(text),
                payload: None,
                task: None,
                event: None,
            },
        };
        for _ in 0..100 {
            let Ok(connection) = self.app.connection("demo").await else { continue };
            if runtime::receive::webhook(&self.app, &connection, inbound()).await.is_ok() {
                return;
            }
        }
        panic!("never accepted");
    }

    /// Handles one envelope as often as this bench does, until it is done.
    async fn handle(&mut self, envelope: &Envelope) {
        for _ in 0..self.how.times {
            self.handle_once(envelope).await;
        }
    }

    /// Handles an envelope until it is done, trouble that passes aside.
    pub(crate) async fn handle_once(&self, envelope: &Envelope) {
        let app = &self.app;
        for attempt in 0..200 {
            let outcome = match envelope.topic {
                Topic::Events => controller::handle(app, envelope, attempt).await,
                Topic::Outbound => messenger::handle(app, envelope, attempt).await,
                Topic::Calls => connector::handle(app, envelope, attempt).await,
                Topic::Landing => landing::handle(app, envelope, attempt).await,
                Topic::Timers => timekeeper::handle(app, envelope, attempt).await,
                Topic::Failures => failures::handle(app, envelope, attempt).await,
            };
            match outcome {
                Outcome::Done => return,
                Outcome::Retry { .. } => {}
                Outcome::GiveUp { reason } => panic!("{} gave up: {reason}", envelope.id),
            }
        }
        panic!("{} was never done", envelope.id);
    }

    async fn acknowledge(&self, position: i64) {
        while self.deliveries.acknowledge(&[position], &[]).await.is_err() {}
    }

    async fn waiting(&self) -> Vec<Delivery> {
        loop {
            let now = self.clock.now();
            let (ready, due) =
                (self.deliveries.after(0, 10_000).await, self.deliveries.due(now, 10_000).await);
            if let (Ok(mut ready), Ok(due)) = (ready, due) {
                ready.extend(due);
                return ready;
            }
        }
    }

    /// Publishes what a crash left; tells how many envelopes there were.
    pub(crate) async fn sweep(&self) -> usize {
        // Seen from a second later: the times of a busy conversation run ahead of the clock.
        let now = self.clock.now();
        self.clock.set(now + chrono::TimeDelta::seconds(1));
        let swept = loop {
            if let Ok(swept) = timekeeper::sweep(&self.app).await {
                break swept.published;
            }
        };
        self.clock.set(now);
        swept
    }

    /// One envelope of each key that has any, keys in an order that the dice decide.
    async fn round(&mut self) -> usize {
        let mut first: BTreeMap<(Topic, String), Delivery> = BTreeMap::new();
        for delivery in self.waiting().await {
            let key = (delivery.envelope.topic, delivery.envelope.key.clone());
            first.entry(key).or_insert(delivery);
        }
        let mut deliveries: Vec<Delivery> = first.into_values().collect();
        let handled = deliveries.len();
        while !deliveries.is_empty() {
            let at = self.dice.below(deliveries.len());
            let delivery = deliveries.swap_remove(at);
            self.handle(&delivery.envelope).await;
            self.acknowledge(delivery.position).await;
            self.old.push(delivery.envelope);
            if self.how.times > 1 {
                // Something from long ago comes once more.
                let again = self.dice.below(self.old.len());
                let envelope = self.old[again].clone();
                self.handle_once(&envelope).await;
            }
        }
        handled
    }

    /// Delivers until nothing is left but timers that are not due.
    pub(crate) async fn settle(&mut self) {
        for _ in 0..10_000 {
            let handled = self.round().await;
            let swept = self.sweep().await;
            let idle = handled + swept == 0 && self.faulty.flush().await.is_ok();
            if idle && self.waiting().await.is_empty() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Faults that have happened.
    pub(crate) fn faults(&self) -> u64 {
        self.faulty.faults().total()
    }

    /// Envelopes committed and not published.
    pub(crate) async fn unpublished(&self) -> usize {
        let end = DateTime::<Utc>::MAX_UTC;
        self.store.unpublished(end, 10_000).await.expect("the outbox").len()
    }

    /// Everything that the store keeps, without the times, which the order of handling decides.
    pub(crate) async fn state(&self) -> Value {
        let page = Page { limit: 1_000, cursor: None };
        let store = &self.store;
        let tasks = store.list_tasks(&TaskFilter::default(), &page).await.expect("tasks").items;
        let mut by_task = BTreeMap::new();
        for task in tasks {
            let history = store.history(&task.id, 0, 1_000).await.expect("the history");
            assert_history(&task.id, task.sequence, &history);
            by_task.insert(task.id.0.clone(), json!({ "task": task, "history": history }));
        }
        let messages = store.list_messages(&ports::MessageFilter::default(), &page).await;
        let messages = messages.expect("messages").items;
        let ids: BTreeSet<&str> = messages.iter().map(|message| message.id.as_str()).collect();
        assert_eq!(ids.len(), messages.len(), "ids are unique");
        let mut by_conversation: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for message in &messages {
            let list = by_conversation.entry(message.conversation.as_str()).or_default();
            list.push(json!(message));
        }
        let mut state = json!({ "tasks": by_task, "messages": by_conversation });
        without_times(&mut state);
        state
    }

    /// The current rows of a table, without the times, in the order of their first column.
    pub(crate) async fn current(&self, table: &str) -> Vec<Value> {
        let app = &self.app;
        let table = runtime::land::table(app, table).await.expect("the table").expect("a table");
        let page = Page { limit: 1_000, cursor: None };
        let rows = app.warehouse().rows(&table, true, &page).await.expect("the rows").items;
        let mut rows: Vec<Value> = rows.into_iter().map(Value::Object).collect();
        rows.iter_mut().for_each(without_times);
        rows.sort_by_key(ToString::to_string);
        rows
    }
}

/// Sequence numbers go up by one, from 1 to that of the task, and no event is there twice.
fn assert_history(task: &TaskId, sequence: u64, history: &[engine::HistoryEntry]) {
    let numbers: Vec<u64> = history.iter().map(|entry| entry.sequence).collect();
    let expected: Vec<u64> = (1..=sequence).collect();
    assert_eq!(numbers, expected, "the history of {task} has a gap");
    let events: BTreeSet<&str> = history.iter().map(|entry| entry.event.id.as_str()).collect();
    assert_eq!(events.len(), history.len(), "an event took effect twice in {task}");
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| {
                !(["at", "due", "until"].contains(&key.as_str()) || key.ends_with("_at"))
            });
            map.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
