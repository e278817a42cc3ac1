//! Files of the sizes that are measured: conversations that the engine itself leads, committed by
//! the store itself, many at a time. What the warehouse keeps of them is not made.

use std::sync::Arc;

use anyhow::Context as _;
use bootstrap::{Local, SystemClock};
use chrono::{DateTime, TimeDelta, Utc};
use engine::{
    Conversation, ConversationId, Direction, Effect, Event, EventBody, EventId, HistoryEntry,
    Message, MessageId, MessageState, NewTask, OperatorAction, Reached, Sender, Task, TaskId,
};
use flow::{Contact, Content, Flow};
use futures::{StreamExt as _, TryStreamExt as _};
use ports::{Commit, Envelope, MessageWrite, Queue, TaskWrite, Topic};
use runtime::administer::{self, flows};
use runtime::jobs::{Thread, TimerJob, seal};
use runtime::{App, Limits};
use serde_json::Value;

use super::files::Content as Wanted;
use super::words::{Dice, Words};

/// Flows that the tasks are spread over.
pub(super) const FLOWS: usize = 20;
/// The queue of tasks that wait for a person.
pub(super) const QUEUE: &str = "scale-desk";
/// The connection of everybody.
pub(super) const CONNECTION: &str = "load";
/// Tasks on their way to the store at the same time.
const UNDER_WAY: usize = 1_024;
/// Each file begins with the year 2026 and holds thirty days.
const BEGIN_DAYS: i64 = 20_454;
const DAYS: i64 = 30;

/// Asks again and again; what the answer is decides how the task ends, or for what it waits.
const FLOW: &str = r#"
flow: scale-00
name: Scale
label: "{{ said }}"
vars: {said: {type: string}}
start: ask
steps:
  ask: {type: ask, text: "{{ input }} ✓", into: said, next: route}
  route:
    type: branch
    cases:
      - {if: "said == 'end'", next: thanks}
      - {if: "said == 'later'", next: pause}
      - {if: "said == 'person'", next: desk}
    else: ask
  pause: {type: wait, for: 1000d, next: thanks}
  desk: {type: handoff, queue: scale-desk, text: "{{ said }} →", next: thanks}
  thanks: {type: say, text: "{{ said }} ✅", next: done}
  done: {type: end}
"#;

/// How a task of the file came to rest, by its number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Ended,
    Timer,
    Person,
    Cancelled,
    Reply,
}

impl Rest {
    fn of(number: usize, wanted: &Wanted) -> Self {
        match (wanted.all_wait, number % 100) {
            (true, _) => Self::Timer,
            (false, 0..60) => Self::Ended,
            (false, 60..64) => Self::Timer,
            (false, 64..68) => Self::Person,
            (false, 68..70) => Self::Cancelled,
            (false, _) => Self::Reply,
        }
    }

    fn last_word(self) -> Option<&'static str> {
        match self {
            Self::Ended => Some("end"),
            Self::Timer => Some("later"),
            Self::Person => Some("person"),
            Self::Cancelled | Self::Reply => None,
        }
    }
}

/// Fills an empty directory.
///
/// # Errors
/// Where the disk is full, or the flow of this file is none any more.
pub(super) async fn make(data: &std::path::Path, wanted: Wanted) -> anyhow::Result<()> {
    let quiet = Arc::new(|_: &_| {});
    let local = Local::open(data, Arc::new(SystemClock), Limits::default(), quiet)?;
    administer::prepare(&local.app).await?;
    let queue = Queue { id: QUEUE.to_owned(), name: "Scale".to_owned() };
    administer::put_queue(&local.app, &queue).await?;
    for flow in flows()? {
        publish(&local.app, &flow.id, &source(&flow.id)).await?;
    }
    let (app, tasks) = (local.app.clone(), wanted.tasks);
    let commits = Arc::new(Commits { words: Words::new(), flows: flows()?, wanted });
    futures::stream::iter(0..tasks)
        .map(|number| {
            let (app, commits) = (app.clone(), Arc::clone(&commits));
            async move {
                tokio::spawn(async move {
                    let commit = commits.of(number)?;
                    app.store().commit(commit).await.context("a commit")?;
                    anyhow::Ok(())
                })
                .await?
            }
        })
        .buffer_unordered(UNDER_WAY)
        .try_for_each(|()| async { Ok(()) })
        .await?;
    local.close().await;
    Ok(())
}

fn source(id: &str) -> String {
    FLOW.replace("scale-00", id)
}

fn flows() -> anyhow::Result<Vec<Flow>> {
    (0..FLOWS)
        .map(|number| {
            let parsed = flow::parse(&source(&format!("scale-{number:02}")));
            Ok(parsed.map_err(|problems| anyhow::anyhow!("{problems:?}"))?.flow)
        })
        .collect()
}

/// Publishes a flow.
///
/// # Errors
/// Where it has problems.
pub(crate) async fn publish(app: &App, id: &str, source: &str) -> anyhow::Result<()> {
    flows::put_draft(app, id, source, None, "bench").await?;
    let published = flows::publish(app, id, "bench").await?;
    anyhow::ensure!(matches!(published, flows::Published::Live(..)), "{id} is not published");
    Ok(())
}

/// What is committed for each task.
pub(crate) struct Commits {
    words: Words,
    flows: Vec<Flow>,
    wanted: Wanted,
}

impl Commits {
    /// Those of a file with so many tasks, of five messages each.
    ///
    /// # Errors
    /// Where the flow of this file is none any more.
    pub(crate) fn new(tasks: usize) -> anyhow::Result<Self> {
        let wanted = Wanted { tasks, messages: tasks * 5, all_wait: false };
        Ok(Self { words: Words::new(), flows: flows()?, wanted })
    }

    /// Everything of one task, in one commit.
    ///
    /// # Errors
    /// Where the engine refuses an event.
    pub(crate) fn of(&self, number: usize) -> anyhow::Result<Commit> {
        let wanted = &self.wanted;
        let flow = self.flows.get(number % self.flows.len()).context("a flow")?;
        let mut dice = Dice::new(number as u64);
        let replies = wanted.replies(number);
        let rest = Rest::of(number, wanted);
        let mut talk = Talk::begin(flow, number, wanted.tasks);
        talk.hear(&self.words.text(&mut dice))?;
        for reply in 1..=replies {
            let word = rest.last_word().filter(|_| reply == replies);
            let text = word.map_or_else(|| self.words.text(&mut dice), str::to_owned);
            talk.hear(&text)?;
        }
        if rest == Rest::Cancelled {
            let action = OperatorAction::Cancel { reason: "asked twice".to_owned() };
            talk.happens(EventBody::Operator { by: "bench".to_owned(), action })?;
        }
        Ok(talk.commit())
    }
}

/// A conversation that the engine leads.
struct Talk<'f> {
    flow: &'f Flow,
    conversation: Conversation,
    task: Task,
    key: String,
    now: DateTime<Utc>,
    events: u32,
    messages: Vec<Message>,
    history: Vec<HistoryEntry>,
    timers: Vec<Envelope>,
}

impl<'f> Talk<'f> {
    fn begin(flow: &'f Flow, number: usize, of: usize) -> Self {
        let contact = Contact {
            id: format!("person-{number:07}"),
            name: Some(format!("Person {number}")),
            lang: None,
        };
        let span = TimeDelta::days(DAYS).num_microseconds().unwrap_or(i64::MAX);
        let part = i64::try_from(of.max(1)).unwrap_or(i64::MAX);
        let place = i64::try_from(number).unwrap_or_default();
        let begin = DateTime::UNIX_EPOCH + TimeDelta::days(BEGIN_DAYS);
        let now = begin + TimeDelta::microseconds(span / part * place);
        let id = ConversationId::of(CONNECTION, &contact.id);
        let mut conversation =
            Conversation::begin(id.clone(), CONNECTION, &contact.id, contact.clone(), now);
        conversation.revision = 1;
        let key = format!("scale/{number}");
        let new = NewTask {
            id: TaskId::derive(now, &EventId::of(CONNECTION, &key), "start"),
            version: 1,
            contact,
            conversation: id,
            connection: CONNECTION.to_owned(),
            lang: None,
            parent: None,
            trigger: None,
            at: now,
        };
        Self {
            flow,
            conversation,
            task: new.make(flow),
            key,
            now,
            events: 0,
            messages: Vec::new(),
            history: Vec::new(),
            timers: Vec::new(),
        }
    }

    /// The person writes: the first message starts the task.
    fn hear(&mut self, text: &str) -> anyhow::Result<()> {
        let event = self.event_id();
        let message = MessageId::derive(self.now, &event, "in");
        let content = Content::text(text);
        self.message(message.clone(), event, content.clone(), Direction::In);
        let body = match self.events {
            0 => EventBody::Started {
                vars: engine::Vars::new(),
                input: Value::String(text.to_owned()),
            },
            _ => EventBody::Reply { message, content, pressed: None },
        };
        self.happens(body)
    }

    fn event_id(&self) -> EventId {
        EventId::of(CONNECTION, &format!("{}/{}", self.key, self.events))
    }

    fn happens(&mut self, body: EventBody) -> anyhow::Result<()> {
        let event = Event { id: self.event_id(), at: self.now, body };
        self.now += TimeDelta::seconds(20);
        let transition = engine::advance(self.flow, &self.task, &event, self.now)?;
        self.task = transition.task;
        for effect in &transition.entry.effects {
            match effect {
                Effect::Send { id, content, .. } => {
                    let from = event.id.clone();
                    self.message(id.clone(), from, content.clone(), Direction::Out);
                }
                Effect::SetTimer { name, entered, due } => {
                    let (task, name) = (self.task.id.clone(), *name);
                    // As `runtime::turn` names it.
                    let id = format!("timer/{task}/{}/{entered}/0", name.as_str());
                    let thread = Thread::from(self.conversation.clone());
                    let key = task.0.clone();
                    let job = TimerJob::Task { task, thread, name, entered: *entered };
                    let timer = seal(Topic::Timers, id, key, &job)?;
                    self.timers.push(Envelope { due: Some(*due), ..timer });
                }
                _ => {}
            }
        }
        self.history.push(transition.entry);
        self.events += 1;
        Ok(())
    }

    /// A message that has come as far as it can.
    fn message(&mut self, id: MessageId, event: EventId, content: Content, direction: Direction) {
        let (sender, states) = match direction {
            Direction::In => (Sender::Contact, [MessageState::Received, MessageState::Processed]),
            Direction::Out => (Sender::Flow, [MessageState::Queued, MessageState::Sent]),
        };
        let [first, last] = states;
        self.messages.push(Message {
            id,
            revision: 2,
            event,
            task: Some(self.task.id.clone()),
            conversation: self.conversation.id.clone(),
            connection: CONNECTION.to_owned(),
            contact: self.conversation.contact.id.clone(),
            direction,
            sender,
            content,
            external_id: None,
            rule: None,
            in_reply_to: None,
            error: None,
            state: last,
            reached: states.map(|state| Reached { state, at: self.now }).into(),
            created_at: self.now,
        });
        debug_assert!(first.may_become(last), "states only move forward");
    }

    fn commit(mut self) -> Commit {
        self.conversation.reflect(&self.task, true);
        self.conversation.updated_at = self.now;
        let write = |message| MessageWrite { message, expected: None };
        Commit {
            at: self.now,
            // Its key would be forgotten by now, as old ones are.
            event: None,
            conversation: Some(self.conversation),
            tasks: vec![TaskWrite { task: self.task, expected: 0, create: true }],
            messages: self.messages.into_iter().map(write).collect(),
            history: self.history,
            outbox: self.timers,
            ..Commit::default()
        }
    }
}
