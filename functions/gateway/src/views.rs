//! What the API shows: tasks, messages, conversations, flows.

use chrono::{DateTime, Utc};
use engine::{Conversation, Message, Sender, Status, Task};
use flow::Contact;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins, to be sent as `cursor`; null at the end.
    pub next_cursor: Option<String>,
}

/// Who is on the other side.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactView {
    /// The id the channel knows the person by, 1 to 200 bytes.
    pub id: String,
    /// A name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A BCP 47 language tag: `en`, `zh-TW`, `ja`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
}

impl From<&Contact> for ContactView {
    fn from(contact: &Contact) -> Self {
        Self {
            id: contact.id.clone(),
            name: contact.name.clone(),
            lang: contact.lang.as_ref().map(|lang| lang.0.clone()),
        }
    }
}

impl From<ContactView> for Contact {
    fn from(view: ContactView) -> Self {
        Self { id: view.id, name: view.name, lang: view.lang.map(flow::Lang) }
    }
}

/// How far a task has come through its flow.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProgressView {
    /// Different steps entered.
    pub visited: usize,
    /// Steps of the flow.
    pub steps: usize,
}

/// A task: one run of a flow.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// The flow it runs.
    pub flow: String,
    /// The version it stays on.
    pub version: u32,
    /// A short name for people.
    pub label: String,
    /// `running`, `waiting`, `completed`, `failed`, `cancelled` or `expired`.
    pub status: String,
    /// The step it stands at.
    pub step: Option<String>,
    /// `reply`, `timer`, `call`, `event`, `child` or `human`.
    pub waiting_for: Option<String>,
    /// The queue it lies in, while it waits for a person.
    pub queue: Option<String>,
    /// Who took it.
    pub assignee: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What it gave.
    pub result: Value,
    /// Why it failed or was cancelled.
    pub error: Option<String>,
    /// Its variables.
    pub vars: Value,
    /// The last reply.
    pub input: Value,
    /// Whom it talks with.
    pub contact: ContactView,
    /// Its conversation.
    pub conversation: String,
    /// The connection of that conversation.
    pub connection: String,
    /// The task that started it.
    pub parent: Option<String>,
    /// The tasks it started (only where one task is asked for).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<Vec<String>>,
    /// How far it has come (only where one task is asked for).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressView>,
    /// How many transitions it has had.
    pub sequence: u64,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// Its last transition.
    pub updated_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl From<&Task> for TaskView {
    fn from(task: &Task) -> Self {
        let (result, error) = match &task.status {
            Status::Completed { result, .. } => (result.clone(), None),
            Status::Failed { reason, .. } | Status::Cancelled { reason } => {
                (Value::Null, Some(reason.clone()))
            }
            Status::Running | Status::Waiting { .. } | Status::Expired { .. } => {
                (Value::Null, None)
            }
        };
        let queue = task.queue();
        Self {
            id: task.id.0.clone(),
            flow: task.flow.clone(),
            version: task.version,
            label: task.label.clone(),
            status: task.status.name().to_owned(),
            step: task.status.step().map(str::to_owned),
            waiting_for: task.status.waiting_for().map(str::to_owned),
            queue: queue.map(|(queue, _)| queue.to_owned()),
            assignee: queue.and_then(|(_, assignee)| assignee.map(str::to_owned)),
            outcome: task.status.outcome().map(str::to_owned),
            result,
            error,
            vars: Value::Object(task.vars.clone()),
            input: task.input.clone(),
            contact: (&task.contact).into(),
            conversation: task.conversation.0.clone(),
            connection: task.connection.clone(),
            parent: task.parent.as_ref().map(|parent| parent.task.0.clone()),
            children: None,
            progress: None,
            sequence: task.sequence,
            created_at: task.created_at,
            updated_at: task.updated_at,
            ended_at: task.ended_at,
        }
    }
}

/// A state of a message and the time it was reached.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReachedView {
    /// The state.
    pub state: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A message, in either direction.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MessageView {
    /// Its id.
    pub id: String,
    /// The task it belongs to.
    pub task: Option<String>,
    /// The conversation.
    pub conversation: String,
    /// The connection.
    pub connection: String,
    /// The contact's id.
    pub contact: String,
    /// `in` or `out`.
    pub direction: String,
    /// Who wrote it: `{kind: contact|flow|operator|system, name?}`.
    pub sender: Value,
    /// `{text, attachments, choices: [{label, payload}]}`.
    pub content: Value,
    /// The id the channel gave it.
    pub external_id: Option<String>,
    /// The routing rule that found its task.
    pub rule: Option<String>,
    /// The message it answers.
    pub in_reply_to: Option<String>,
    /// Why it failed, is unknown, or found no task.
    pub error: Option<String>,
    /// How far it has come.
    pub state: String,
    /// Every state with its time.
    pub states: Vec<ReachedView>,
    /// When it came to be.
    pub created_at: DateTime<Utc>,
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        let states = message.reached.iter();
        Self {
            id: message.id.0.clone(),
            task: message.task.as_ref().map(|task| task.0.clone()),
            conversation: message.conversation.0.clone(),
            connection: message.connection.clone(),
            contact: message.contact.clone(),
            direction: match message.direction {
                engine::Direction::In => "in".into(),
                engine::Direction::Out => "out".into(),
            },
            sender: match &message.sender {
                Sender::Operator { name } => {
                    serde_json::json!({ "kind": "operator", "name": name })
                }
                other => serde_json::json!({ "kind": other.name() }),
            },
            content: serde_json::to_value(&message.content).unwrap_or_default(),
            external_id: message.external_id.clone(),
            rule: message.rule.map(|rule| rule.name().to_owned()),
            in_reply_to: message.in_reply_to.as_ref().map(|id| id.0.clone()),
            error: message.error.clone(),
            state: message.state.name().to_owned(),
            states: states
                .map(|r| ReachedView { state: r.state.name().to_owned(), at: r.at })
                .collect(),
            created_at: message.created_at,
        }
    }
}

/// An open task of a conversation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OpenTaskView {
    /// Its id.
    pub task: String,
    /// The number people use for it.
    pub number: u32,
    /// Its flow.
    pub flow: String,
    /// Its label.
    pub label: String,
    /// What it waits for.
    pub waiting_for: Option<String>,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// A conversation: one person's thread on one connection.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConversationView {
    /// Its id.
    pub id: String,
    /// The connection.
    pub connection: String,
    /// The key the connection knows it by.
    pub key: String,
    /// Who.
    pub contact: ContactView,
    /// The task that gets messages which name none.
    pub focus: Option<String>,
    /// The open tasks.
    pub open: Vec<OpenTaskView>,
    /// When the first message came.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<&Conversation> for ConversationView {
    fn from(conversation: &Conversation) -> Self {
        Self {
            id: conversation.id.0.clone(),
            connection: conversation.connection.clone(),
            key: conversation.key.clone(),
            contact: (&conversation.contact).into(),
            focus: conversation.focus.as_ref().map(|task| task.0.clone()),
            open: conversation
                .open
                .iter()
                .map(|open| OpenTaskView {
                    task: open.task.0.clone(),
                    number: open.number,
                    flow: open.flow.clone(),
                    label: open.label.clone(),
                    waiting_for: open.waiting_for.clone(),
                    since: open.since,
                })
                .collect(),
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
        }
    }
}
