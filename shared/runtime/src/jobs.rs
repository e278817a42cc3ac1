//! What envelopes carry: the typed bodies of every topic.

use chrono::{DateTime, Utc};
use engine::{
    CallRequest, Conversation, ConversationId, EventBody, EventId, MessageId, Parent, Task, TaskId,
    TimerName, Vars,
};
use flow::{Contact, Content};
use ports::{Envelope, PortError, PortResult, Topic};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An accepted event on its way to the controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its id: handling it twice has one effect.
    pub id: EventId,
    /// When it was accepted.
    pub at: DateTime<Utc>,
    /// What it is.
    pub body: AcceptedBody,
}

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AcceptedBody {
    /// Something for one conversation.
    Conversation(ForConversation),
    /// An event from outside that names no conversation: it goes to whatever waits for it and
    /// starts what it triggers.
    External(ExternalEvent),
}

/// A conversation, as far as the sender of an event knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Its id.
    pub id: ConversationId,
    /// The connection.
    pub connection: String,
    /// The key the connection knows the thread by.
    pub key: String,
    /// Who.
    pub contact: Contact,
}

impl Thread {
    /// The thread of a contact on a connection; `key` is the contact's id where there are none.
    pub fn of(connection: &str, key: Option<&str>, contact: Contact) -> Self {
        let key = key.unwrap_or(&contact.id).to_owned();
        Self {
            id: ConversationId::of(connection, &key),
            connection: connection.to_owned(),
            key,
            contact,
        }
    }
}

impl From<Conversation> for Thread {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: conversation.id,
            connection: conversation.connection,
            key: conversation.key,
            contact: conversation.contact,
        }
    }
}

impl From<&Task> for Thread {
    /// As far as the task knows: the stored conversation, found by its id, knows its own key.
    fn from(task: &Task) -> Self {
        Self {
            id: task.conversation.clone(),
            connection: task.connection.clone(),
            key: task.contact.id.clone(),
            contact: task.contact.clone(),
        }
    }
}

/// Something for one conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForConversation {
    /// Which.
    pub thread: Thread,
    /// What.
    pub what: What,
}

/// What happened in a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The contact wrote.
    Message {
        /// The message's id.
        message: MessageId,
        /// What it says.
        content: Content,
        /// What a button sent back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payload: Option<String>,
        /// The task it names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        names: Option<TaskId>,
        /// An event type that came with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event_type: Option<String>,
        /// The id the channel gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<String>,
    },
    /// Something happened to one of its tasks.
    Task {
        /// Which.
        task: TaskId,
        /// What.
        event: EventBody,
    },
    /// A task is to be started.
    Start(StartJob),
    /// A kept message is assigned to a task by an operator.
    Assign {
        /// The message.
        message: MessageId,
        /// The task.
        task: TaskId,
    },
}

/// A task to be started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartJob {
    /// The id it gets.
    pub task: TaskId,
    /// The flow, in its live version.
    pub flow: String,
    /// Its variables.
    #[serde(default)]
    pub vars: Vars,
    /// The task that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The trigger that started it: its place in the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<usize>,
    /// The event that triggered it, as `event` in templates.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub event: Value,
}

/// An event from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalEvent {
    /// Its CloudEvents type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who sent it.
    pub source: String,
    /// Its correlation key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened, as its sender says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<DateTime<Utc>>,
    /// Its data.
    #[serde(default)]
    pub data: Value,
    /// The connection whose contacts it is about.
    pub connection: String,
    /// The contact it is about, where its sender says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
}

/// A reply to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendJob {
    /// The message.
    pub message: MessageId,
    /// Its connection; older envelopes do not say.
    #[serde(default)]
    pub connection: String,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallJob {
    /// The task that waits for it.
    pub task: TaskId,
    /// Its thread.
    pub thread: Thread,
    /// What to send.
    pub request: CallRequest,
}

/// A timer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "timer", rename_all = "snake_case")]
pub enum TimerJob {
    /// Of a task.
    Task {
        /// Which task.
        task: TaskId,
        /// Its thread.
        thread: Thread,
        /// Which timer.
        name: TimerName,
        /// The wait it was set for.
        entered: u64,
    },
    /// Of a flow's schedule.
    Schedule {
        /// The flow.
        flow: String,
        /// The version that has the trigger.
        version: u32,
        /// The trigger's place.
        trigger: usize,
        /// The time it stands for.
        at: DateTime<Utc>,
    },
}

/// Rows on their way to the warehouse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LandJob {
    /// The rows.
    pub rows: Vec<LandingRow>,
}

/// One row on its way to the warehouse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LandingRow {
    /// Its id, should it be quarantined.
    pub id: String,
    /// The table.
    pub table: String,
    /// Column names and values, with `event_id` and `sequence`.
    pub row: Map<String, Value>,
}

/// An envelope that its function gave up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// What it was.
    pub envelope: Envelope,
    /// Why it was given up.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// Puts a body into an envelope.
pub fn seal<T: Serialize>(
    topic: Topic,
    id: impl Into<String>,
    key: impl Into<String>,
    body: &T,
) -> PortResult<Envelope> {
    let body = serde_json::to_string(body).map_err(PortError::backend)?;
    if body.len() > ports::ENVELOPE_BYTES_MAX {
        let what = format!("an envelope for `{}`", topic.name());
        return Err(PortError::TooLarge { what, limit: ports::ENVELOPE_BYTES_MAX });
    }
    Ok(Envelope { id: id.into(), topic, key: key.into(), due: None, body })
}

/// Takes a body out of an envelope.
pub fn open<T: DeserializeOwned>(envelope: &Envelope) -> PortResult<T> {
    serde_json::from_str(&envelope.body).map_err(|error| PortError::Invalid {
        reason: format!("the envelope of `{}` cannot be read: {error}", envelope.topic.name()),
    })
}

/// The connection that an envelope is about, without reading the rest of it; none where it is about
/// none.
pub fn connection(envelope: &Envelope) -> Option<String> {
    #[derive(Deserialize)]
    struct Glance {
        connection: Option<String>,
        thread: Option<Box<Glance>>,
        body: Option<Box<Glance>>,
    }
    let mut glance: Glance = serde_json::from_str(&envelope.body).ok()?;
    while let Some(inner) = glance.body.or(glance.thread) {
        glance = *inner;
    }
    glance.connection.filter(|connection| !connection.is_empty())
}

/// The envelope of something accepted for a conversation.
pub fn for_conversation(
    id: EventId,
    at: DateTime<Utc>,
    thread: Thread,
    what: What,
) -> PortResult<Envelope> {
    let key = thread.id.0.clone();
    let name = id.0.clone();
    let accepted =
        Accepted { id, at, body: AcceptedBody::Conversation(ForConversation { thread, what }) };
    seal(Topic::Events, name, key, &accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about<T: Serialize>(topic: Topic, body: &T) -> Option<String> {
        connection(&seal(topic, "id", "key", body).unwrap())
    }

    #[test]
    fn every_envelope_of_a_conversation_says_whose_it_is() {
        let contact = Contact { id: "mei".into(), name: None, lang: None };
        let thread = Thread::of("erp", None, contact);
        let at = DateTime::UNIX_EPOCH;
        let (message, task) = (MessageId("msg_1".into()), TaskId("task_1".into()));
        let assign = What::Assign { message: message.clone(), task };
        let event = EventId::of("test", "1");
        let envelope = for_conversation(event.clone(), at, thread, assign).unwrap();
        assert_eq!(connection(&envelope).as_deref(), Some("erp"));

        let mut external = ExternalEvent {
            kind: "order.paid".into(),
            source: "shop".into(),
            subject: None,
            time: None,
            data: serde_json::json!({ "connection": "not this", "body": { "thread": 1 } }),
            connection: "api".into(),
            contact: None,
        };
        let accepted =
            |external| Accepted { id: event.clone(), at, body: AcceptedBody::External(external) };
        assert_eq!(about(Topic::Events, &accepted(external.clone())).as_deref(), Some("api"));
        external.connection.clear();
        assert_eq!(about(Topic::Events, &accepted(external)), None);

        let send = SendJob { message, connection: "erp".into() };
        assert_eq!(about(Topic::Outbound, &send).as_deref(), Some("erp"));
        let rows = LandJob { rows: Vec::new() };
        assert_eq!(about(Topic::Landing, &rows), None);
    }

    #[test]
    fn a_reply_queued_by_an_older_program_is_read() {
        let envelope = Envelope {
            id: "send/msg_1".into(),
            topic: Topic::Outbound,
            key: "conv_1".into(),
            due: None,
            body: r#"{"message":"msg_1"}"#.into(),
        };
        let job: SendJob = open(&envelope).unwrap();
        assert_eq!((job.message.as_str(), job.connection.as_str()), ("msg_1", ""));
        assert_eq!(connection(&envelope), None);
    }
}
