//! Accepting what comes in: once the answer is 2xx, the event is stored durably.

use channels::{Connection, Inbound, InboundBody};
use chrono::{DateTime, Utc};
use engine::{ConversationId, EventId, MessageId, Task, TaskId};
use flow::Content;
use ports::{Envelope, PortError, PortResult, Topic};
use serde_json::Value;

use crate::app::App;
use crate::ids;
use crate::jobs::{Accepted, AcceptedBody, ExternalEvent, Thread, What, for_conversation, seal};
use crate::outcome::HandleError;

/// Largest event from outside, in bytes: what wakes a task or starts one wraps it once more.
const EVENT_BYTES_MAX: usize = 384 * 1024;

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The event.
    pub event: EventId,
    /// The message, where it is one.
    pub message: Option<MessageId>,
    /// The conversation, where it names one.
    pub conversation: Option<ConversationId>,
}

/// Accepts what a connection's webhook brought.
pub async fn webhook(
    app: &App,
    connection: &Connection,
    inbound: Inbound,
) -> Result<Receipt, HandleError> {
    let at = app.now();
    let source = format!("connection/{}", connection.id);
    let event = match &inbound.id {
        // The same delivery of two contacts is two events, should a sender number per contact.
        Some(id) => {
            let contact = inbound.contact.as_ref().map_or("", |contact| contact.id.as_str());
            EventId::of(&source, &format!("{id}\n{contact}"))
        }
        None => ids::fresh_event(&source),
    };
    match inbound.body {
        InboundBody::Message { content, payload, task, event: event_type } => {
            let Some(contact) = inbound.contact else {
                return Err(HandleError::unprocessable("/contact/id", "a message needs a contact"));
            };
            let mut thread = Thread::of(&connection.id, inbound.conversation.as_deref(), contact);
            if thread.contact.lang.is_none() {
                thread.contact.lang.clone_from(&connection.lang);
            }
            let message = MessageId::derive(at, &event, "in");
            let what = What::Message {
                message: message.clone(),
                content,
                payload,
                names: task.map(TaskId),
                event_type,
                external_id: inbound.id,
            };
            accept(app, event, at, thread, what, message).await
        }
        InboundBody::Event { event_type, subject, data } => {
            let external = ExternalEvent {
                kind: event_type,
                source,
                subject,
                time: None,
                data,
                connection: connection.id.clone(),
                contact: inbound.contact,
            };
            self::external(app, event, at, external).await
        }
    }
}

/// Accepts a message from a task's contact that names the task.
pub async fn for_task(
    app: &App,
    task: &Task,
    content: Content,
    payload: Option<String>,
    event: EventId,
) -> Result<Receipt, HandleError> {
    let found = app.store().turn(None, &task.conversation, &[]).await?.conversation;
    let thread = found
        .map_or_else(|| Thread::of(&task.connection, None, task.contact.clone()), Thread::from);
    by_api(app, thread, content, payload, Some(task.id.clone()), event).await
}

/// The thread of a conversation that is there.
pub async fn thread(app: &App, conversation: &ConversationId) -> Result<Thread, HandleError> {
    match app.store().turn(None, conversation, &[]).await?.conversation {
        Some(found) => Ok(found.into()),
        None => Err(HandleError::NotFound(format!("conversation `{conversation}`"))),
    }
}

/// Accepts a message for a conversation that names no task.
pub async fn for_thread(
    app: &App,
    thread: Thread,
    content: Content,
    payload: Option<String>,
    event: EventId,
) -> Result<Receipt, HandleError> {
    by_api(app, thread, content, payload, None, event).await
}

/// A message that came by the API, in the name of the contact.
async fn by_api(
    app: &App,
    thread: Thread,
    content: Content,
    payload: Option<String>,
    names: Option<TaskId>,
    event: EventId,
) -> Result<Receipt, HandleError> {
    let at = app.now();
    let message = MessageId::derive(at, &event, "in");
    let what = What::Message {
        message: message.clone(),
        content,
        payload,
        names,
        event_type: None,
        external_id: None,
    };
    accept(app, event, at, thread, what, message).await
}

async fn accept(
    app: &App,
    event: EventId,
    at: DateTime<Utc>,
    thread: Thread,
    what: What,
    message: MessageId,
) -> Result<Receipt, HandleError> {
    let conversation = Some(thread.id.clone());
    let envelope = for_conversation(event.clone(), at, thread, what)?;
    app.bus().publish(&[envelope]).await?;
    Ok(Receipt { event, message: Some(message), conversation })
}

/// Accepts a CloudEvent. `id` and `source` together make it the same event.
pub async fn cloud_event(
    app: &App,
    id: &str,
    event: ExternalEvent,
) -> Result<Receipt, HandleError> {
    let at = app.now();
    let event_id = EventId::of(&event.source, id);
    external(app, event_id, at, event).await
}

async fn external(
    app: &App,
    id: EventId,
    at: DateTime<Utc>,
    event: ExternalEvent,
) -> Result<Receipt, HandleError> {
    let envelope = external_envelope(id.clone(), at, event)?;
    app.bus().publish(&[envelope]).await?;
    Ok(Receipt { event: id, message: None, conversation: None })
}

/// The envelope of an event from outside that was accepted at `at`; too large is an error.
pub fn external_envelope(
    id: EventId,
    at: DateTime<Utc>,
    event: ExternalEvent,
) -> Result<Envelope, HandleError> {
    // Events with the same type and key stay in order; others need not wait for each other.
    let key =
        format!("external/{}/{}", event.kind, event.subject.as_deref().unwrap_or(id.as_str()));
    let accepted = Accepted { id: id.clone(), at, body: AcceptedBody::External(event) };
    let envelope = seal(Topic::Events, id.0, key, &accepted)?;
    if envelope.body.len() > EVENT_BYTES_MAX {
        let what = "the event's data".to_owned();
        return Err(PortError::TooLarge { what, limit: EVENT_BYTES_MAX }.into());
    }
    Ok(envelope)
}

/// A digest of a request, so that an idempotency key used for two different ones is noticed.
pub fn digest(parts: &[&str], body: &Value) -> String {
    let mut all: Vec<&str> = parts.to_vec();
    let text = body.to_string();
    all.push(&text);
    EventId::of(&all.join("\n"), "request").0
}

/// Whether the bus and the store answer.
pub async fn ready(app: &App) -> PortResult<()> {
    app.store().ping().await
}
