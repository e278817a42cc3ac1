//! The fixed workloads: the same work in every run, on a clock that stands still.

use std::sync::Arc;

use anyhow::Context as _;
use bootstrap::Local;
use channels::{Connection, Inbound, InboundBody, ReplyTarget};
use chrono::DateTime;
use engine::{ConversationId, Event, EventBody, EventId, MessageId, NewTask, TaskId};
use flow::template::{Scope, render};
use flow::{Contact, Content, Flow};
use ports::{Envelope, MessageFilter, Page, TaskFilter, Topic};
use runtime::administer;
use runtime::{App, Limits, Outcome};
use serde_json::{Map, Value, json};
use test_support::VirtualClock;

use crate::scale::{Commits, publish};
use crate::server::FLOW;
use crate::talk::TURNS;

/// A real flow, the longest of the demo.
const BOOKING: &str = include_str!("../../../../functions/standalone/demo/booking.yaml");
/// Texts as flows have them.
const TEMPLATES: [&str; 4] = [
    "已送出：{{ start }} 起 {{ days }} 天 ✅",
    "{% for item in items %}{{ loop.index }}. {{ item.name|upper }} × {{ item.count }}\n{% endfor %}",
    "{% if days > 2 and contact.name %}Dear {{ contact.name }}{% else %}Hello{% endif %}, {{ input }}",
    "{{ items|map(attribute='count')|sum }} in {{ items|length }}",
];
/// Tasks of the file that is asked.
const ASKED_TASKS: usize = 100;
/// Commits that are prepared, of which as many are written as are asked for.
const COMMITS: usize = 100;

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Workload {
    /// Reading and checking a flow.
    Check,
    /// A conversation of five turns, by the engine alone.
    Advance,
    /// Rendering four texts.
    Render,
    /// Rows of the warehouse, converted.
    Convert,
    /// A commit of a task with its messages and history.
    Commit,
    /// A page of tasks, and a search in messages.
    Query,
    /// A whole conversation of five turns: received, routed, advanced, committed, sent, landed.
    Turn,
}

impl Workload {
    /// All of them, and how often each is done: enough that its noise is small beside it.
    pub const ALL: [(Self, u32); 7] = [
        (Self::Check, 40),
        (Self::Advance, 400),
        (Self::Render, 1_000),
        (Self::Convert, 2_000),
        (Self::Commit, 100),
        (Self::Query, 20),
        (Self::Turn, 8),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Advance => "advance",
            Self::Render => "render",
            Self::Convert => "convert",
            Self::Commit => "commit",
            Self::Query => "query",
            Self::Turn => "turn",
        }
    }

    /// Does it so often.
    ///
    /// # Errors
    /// Where something is refused that never was.
    pub async fn run(self, times: u32) -> anyhow::Result<()> {
        match self {
            Self::Check => (0..times).try_for_each(|_| check()),
            Self::Advance => advance(times),
            Self::Render => (0..times).try_for_each(|_| rendered()),
            Self::Convert => convert(times),
            Self::Commit => commit(times).await,
            Self::Query => query(times).await,
            Self::Turn => turns(times).await,
        }
    }
}

fn parse(source: &str) -> anyhow::Result<Flow> {
    let parsed = flow::parse(source).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok(parsed.flow)
}

fn check() -> anyhow::Result<()> {
    let flow = parse(BOOKING)?;
    // It names tables that only a server knows.
    let problems = flow::check::check(&flow, &flow::check::Alone);
    anyhow::ensure!(problems.len() < 10, "{problems:?}");
    Ok(())
}

fn advance(times: u32) -> anyhow::Result<()> {
    let flow = parse(FLOW)?;
    let now = DateTime::UNIX_EPOCH;
    for time in 0..times {
        let id = |turn: u32| EventId::of("bench", &format!("{time}/{turn}"));
        let new = NewTask {
            id: TaskId::derive(now, &id(0), "start"),
            version: 1,
            contact: contact("mei"),
            conversation: ConversationId::of("bench", "mei"),
            connection: "bench".into(),
            lang: None,
            parent: None,
            trigger: None,
            at: now,
        };
        let mut task = new.make(&flow);
        for turn in 0..TURNS {
            let body = match turn {
                0 => EventBody::Started { vars: Map::new(), input: "start".into() },
                _ => EventBody::Reply {
                    message: MessageId::derive(now, &id(turn), "in"),
                    content: Content::text(format!("answer {turn}")),
                    pressed: None,
                },
            };
            let event = Event { id: id(turn), at: now, body };
            task = engine::advance(&flow, &task, &event, now)?.task;
        }
        anyhow::ensure!(task.status.has_ended(), "the conversation has not ended");
    }
    Ok(())
}

fn contact(id: &str) -> Contact {
    Contact { id: id.to_owned(), name: None, lang: None }
}

fn rendered() -> anyhow::Result<()> {
    let vars = json!({ "start": "2026-01-05", "days": 3,
        "items": [{ "name": "rice", "count": 2 }, { "name": "麵", "count": 1 }] });
    let Value::Object(vars) = vars else { anyhow::bail!("variables are an object") };
    let (contact, task) = (json!({ "id": "mei", "name": "Mei" }), json!({ "id": "task_1" }));
    let (input, extra) = (json!("請假"), Map::new());
    let scope = Scope {
        vars: &vars,
        input: Some(&input),
        contact: &contact,
        task: &task,
        extra: &extra,
        now: DateTime::UNIX_EPOCH,
        zone: "UTC".parse().ok().context("a time zone")?,
    };
    for template in TEMPLATES {
        anyhow::ensure!(!render(template, &scope)?.is_empty(), "{template} is empty");
    }
    Ok(())
}

fn convert(times: u32) -> anyhow::Result<()> {
    let commits = Commits::new(1)?;
    let messages = commits.of(0)?.messages;
    let table = schema::base_table("messages").context("the table of messages")?;
    let rows = messages.iter().map(|write| {
        let mut row = runtime::rows::message(&write.message).row;
        row.insert("landed_at".to_owned(), "2026-01-05T00:00:00Z".into());
        row
    });
    let rows: Vec<_> = rows.collect();
    for (_, row) in (0..times).zip(rows.iter().cycle()) {
        schema::convert(table, row).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    }
    Ok(())
}

/// An empty system on a clock that stands still.
struct System {
    local: Local,
    _data: tempfile::TempDir,
}

impl System {
    async fn new() -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let clock = Arc::new(VirtualClock::default());
        let quiet = Arc::new(|_: &_| {});
        let local = Local::open(data.path(), clock, Limits::default(), quiet)?;
        administer::prepare(&local.app).await?;
        Ok(Self { local, _data: data })
    }

    fn app(&self) -> &App {
        &self.local.app
    }
}

async fn commit(times: u32) -> anyhow::Result<()> {
    let system = System::new().await?;
    let commits = Commits::new(COMMITS)?;
    // All of them, so that however many are written preparing costs the same.
    let prepared: Result<Vec<_>, _> = (0..COMMITS).map(|number| commits.of(number)).collect();
    for (_, commit) in (0..times).zip(prepared?) {
        system.app().store().commit(commit).await?;
    }
    system.local.close().await;
    Ok(())
}

async fn query(times: u32) -> anyhow::Result<()> {
    let system = System::new().await?;
    let commits = Commits::new(ASKED_TASKS)?;
    let store = system.app().store();
    for number in 0..ASKED_TASKS {
        store.commit(commits.of(number)?).await?;
    }
    let page = Page { limit: 50, cursor: None };
    let tasks = TaskFilter { status: Some("completed".into()), ..TaskFilter::default() };
    let messages =
        MessageFilter { q: Some("the".into()), newest_first: true, ..MessageFilter::default() };
    for _ in 0..times {
        anyhow::ensure!(store.list_tasks(&tasks, &page).await?.items.len() == 50, "tasks");
        anyhow::ensure!(!store.list_messages(&messages, &page).await?.items.is_empty(), "words");
    }
    system.local.close().await;
    Ok(())
}

async fn turns(times: u32) -> anyhow::Result<()> {
    let system = System::new().await?;
    let app = system.app();
    publish(app, "load", FLOW).await?;
    let connection = Connection {
        id: "bench".into(),
        unsigned_from_loopback: true,
        reply: ReplyTarget::Terminal,
        ..Connection::default()
    };
    administer::put_connection(app, connection, Some(0)).await?;
    for time in 0..times {
        let person = format!("person-{time}");
        for turn in 1..=TURNS {
            let text = if turn == 1 { "start".to_owned() } else { format!("answer {turn}") };
            let inbound = Inbound {
                id: Some(format!("{person}/{turn}")),
                contact: Some(contact(&person)),
                conversation: None,
                body: InboundBody::Message {
                    content: Content::text(text),
                    payload: None,
                    task: None,
                    event: None,
                },
            };
            let connection = app.connection("bench").await?;
            runtime::receive::webhook(app, &connection, inbound).await?;
            deliver(&system).await?;
        }
    }
    let ended = TaskFilter { status: Some("completed".into()), ..TaskFilter::default() };
    let page = Page { limit: 1_000, cursor: None };
    let ended = app.store().list_tasks(&ended, &page).await?.items.len();
    anyhow::ensure!(u32::try_from(ended)? == times, "{ended} conversations of {times} ended");
    system.local.close().await;
    Ok(())
}

/// Handles what waits until nothing does.
async fn deliver(system: &System) -> anyhow::Result<()> {
    loop {
        let waiting = system.local.deliveries.after(0, 1_000).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        for delivery in waiting {
            let outcome = handle(system.app(), &delivery.envelope).await;
            anyhow::ensure!(matches!(outcome, Outcome::Done), "{outcome:?}");
            system.local.deliveries.acknowledge(&[delivery.position], &[]).await?;
        }
    }
}

async fn handle(app: &App, envelope: &Envelope) -> Outcome {
    match envelope.topic {
        Topic::Events => controller::handle(app, envelope, 0).await,
        Topic::Outbound => messenger::handle(app, envelope, 0).await,
        Topic::Landing => landing::handle(app, envelope, 0).await,
        topic @ (Topic::Calls | Topic::Timers | Topic::Failures) => {
            Outcome::GiveUp { reason: format!("nothing is expected for {}", topic.name()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_workload_does_its_work() {
        for (workload, _) in Workload::ALL {
            workload.run(2).await.unwrap_or_else(|error| panic!("{}: {error:#}", workload.name()));
        }
    }
}
