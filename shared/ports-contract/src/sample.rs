//! Sample values: sensible, complete, each with ids of its own.
//!
//! Fields are public: take a sample and change what the test is about.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::{
    Conversation, ConversationId, Direction, Event, EventBody, EventId, HistoryEntry, Message,
    MessageId, MessageState, Reached, Sender, Status, Task, TaskId, Visit, Wait,
};
use flow::{Contact, Content};
use ports::{
    Clock, Commit, Envelope, Failure, FailureKind, FailureState, IdempotentAnswer, MessageWrite,
    TaskWrite, Topic,
};
use serde_json::{Map, Value, json};

/// The time so many seconds after the start of every sample: 2026-11-22T09:00:00.000001Z.
pub fn at(seconds: i64) -> DateTime<Utc> {
    // One microsecond, so that a backend that drops them is found out.
    DateTime::UNIX_EPOCH
        + TimeDelta::seconds(1_795_338_000)
        + TimeDelta::microseconds(1)
        + TimeDelta::seconds(seconds)
}

/// The time so many seconds after the start, for counters.
pub(crate) fn nth(number: usize) -> DateTime<Utc> {
    at(i64::try_from(number).unwrap_or_default())
}

/// A clock that stands at the start of every sample.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing;

#[async_trait]
impl Clock for Standing {
    fn now(&self) -> DateTime<Utc> {
        at(0)
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {
        std::future::pending::<()>().await;
    }
}

/// Makes samples. Two of different seeds never make the same id; the same seed makes the same.
#[derive(Debug)]
pub struct Samples {
    seed: u64,
    made: AtomicU64,
}

impl Samples {
    /// Begins at this seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed, made: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.seed)
    }

    /// A new event id.
    pub fn event_id(&self) -> EventId {
        EventId::of("sample", &self.next())
    }

    /// A new conversation, as its first commit writes it: revision 1.
    pub fn conversation(&self) -> Conversation {
        let key = format!("user-{}", self.next());
        let contact = Contact { id: key.clone(), name: Some(format!("Name of {key}")), lang: None };
        let id = ConversationId::of("demo", &key);
        let mut conversation = Conversation::begin(id, "demo", &key, contact, at(0));
        conversation.revision = 1;
        conversation
    }

    /// A new task of that conversation, waiting for a reply, after its first transition.
    pub fn task(&self, conversation: &Conversation) -> Task {
        let event = self.event_id();
        let id = TaskId::derive(at(0), &event, "task");
        Task {
            label: format!("Leave {}", id.0.get(24..).unwrap_or_default()),
            id,
            flow: "leave-request".into(),
            version: 1,
            contact: conversation.contact.clone(),
            conversation: conversation.id.clone(),
            connection: conversation.connection.clone(),
            lang: None,
            parent: None,
            trigger: None,
            status: waiting(Wait::Reply { invalid: 0, reminded: 0, offered: Vec::new() }),
            vars: Map::from_iter([("days".to_owned(), json!(3))]),
            input: Value::Null,
            sequence: 1,
            created_at: at(0),
            updated_at: at(0),
            ended_at: None,
        }
    }

    /// A new message from the contact of that conversation, as its first commit writes it.
    pub fn message(&self, conversation: &Conversation, text: &str) -> Message {
        let event = self.event_id();
        Message {
            id: MessageId::derive(at(0), &event, "in"),
            revision: 1,
            event,
            task: None,
            conversation: conversation.id.clone(),
            connection: conversation.connection.clone(),
            contact: conversation.contact.id.clone(),
            direction: Direction::In,
            sender: Sender::Contact,
            content: Content::text(text),
            external_id: None,
            rule: None,
            in_reply_to: None,
            error: None,
            state: MessageState::Received,
            reached: vec![Reached { state: MessageState::Received, at: at(0) }],
            created_at: at(0),
        }
    }

    /// The row of history that led to the task as it is.
    pub fn history(&self, task: &Task) -> HistoryEntry {
        let body = EventBody::Started { vars: Map::new(), input: Value::Null };
        HistoryEntry {
            task: task.id.clone(),
            sequence: task.sequence,
            event: Event { id: self.event_id(), at: task.updated_at, body },
            at: task.updated_at,
            steps: vec![Visit { step: "ask_start".into(), left_by: None }],
            vars_changed: task.vars.clone(),
            before: "running".into(),
            status: task.status.clone(),
            input: None,
            label: None,
            version: None,
            effects: Vec::new(),
        }
    }

    /// A new envelope, to be delivered at once.
    pub fn envelope(&self, topic: Topic, key: &str) -> Envelope {
        let id = format!("env-{}", self.next());
        let body = json!({"sample": id}).to_string();
        Envelope { id, topic, key: key.to_owned(), due: None, body }
    }

    /// A new timer.
    pub fn timer(&self, due: DateTime<Utc>) -> Envelope {
        Envelope { due: Some(due), ..self.envelope(Topic::Timers, "timers") }
    }

    /// A commit that holds a new event and nothing else.
    pub fn commit(&self) -> Commit {
        Commit { at: at(0), event: Some(self.event_id()), ..Commit::default() }
    }

    /// A commit that begins a conversation with a task, a message and its history.
    pub fn begin(&self) -> Begun {
        let mut conversation = self.conversation();
        let task = self.task(&conversation);
        conversation.reflect(&task, true);
        let mut message = self.message(&conversation, "請假");
        message.task = Some(task.id.clone());
        let history = self.history(&task);
        let commit = Commit {
            conversation: Some(conversation.clone()),
            tasks: vec![create(&task)],
            messages: vec![MessageWrite { message: message.clone(), expected: None }],
            history: vec![history.clone()],
            ..self.commit()
        };
        Begun { commit, conversation, task, message, history }
    }

    /// An answer for a new idempotency key, kept for a day.
    pub fn answer(&self) -> IdempotentAnswer {
        IdempotentAnswer {
            key: format!("admin/{}", self.next()),
            request: "sha256".into(),
            status: 201,
            body: json!({"id": "task_1", "z": 1, "a": [null, 2.5, "é"]}),
            expires_at: at(86_400),
        }
    }

    /// An open failure of a reply.
    pub fn failure(&self) -> Failure {
        Failure {
            id: format!("failure-{}", self.next()),
            kind: FailureKind::Reply,
            reason: "the channel answers 410 Gone".into(),
            at: at(0),
            attempts: 7,
            state: FailureState::Open,
            task: None,
            conversation: None,
            envelope: None,
            settled: None,
        }
    }
}

/// What [`Samples::begin`] commits.
#[derive(Debug, Clone)]
pub struct Begun {
    /// All of it.
    pub commit: Commit,
    /// The conversation, revision 1.
    pub conversation: Conversation,
    /// The task, sequence 1.
    pub task: Task,
    /// The message that started it.
    pub message: Message,
    /// The task's first row of history.
    pub history: HistoryEntry,
}

/// A task that waits for this since the start.
pub fn waiting(on: Wait) -> Status {
    Status::Waiting { step: "ask_start".into(), since: at(0), entered: 1, timers: Vec::new(), on }
}

/// The write of a task that is new.
pub fn create(task: &Task) -> TaskWrite {
    TaskWrite { task: task.clone(), expected: 0, create: true }
}

/// The write of a task's next transition.
pub fn update(task: &Task) -> TaskWrite {
    TaskWrite { task: task.clone(), expected: task.sequence.saturating_sub(1), create: false }
}

/// The same conversation, one revision on.
pub fn next_revision(conversation: &Conversation) -> Conversation {
    Conversation { revision: conversation.revision + 1, ..conversation.clone() }
}

/// The same task after one more transition.
pub fn next_sequence(task: &Task) -> Task {
    Task { sequence: task.sequence + 1, ..task.clone() }
}
