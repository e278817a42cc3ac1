//! Tasks, messages and conversations as documents: the JSON of each, and the fields it is found
//! by.

use chrono::TimeDelta;
use engine::{Conversation, Direction, Message, Task};
use gcloud_sdk::google::firestore::v1::{Document, Value};
use ports::search::{fold_label, words};
use ports::{DOCUMENT_BYTES_MAX, PortError, PortResult};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::client::Client;
use super::keys::{CONVERSATIONS, MESSAGES, TASKS, key, shard};
use super::query::SHARD;
use super::search::{label_pieces, tokens};
use super::value::{Fields, integer, list, text, time, to_json};

/// The field with the JSON of the domain value.
pub(crate) const DOCUMENT: &str = "document";
/// The field with the revision or sequence number that guards it.
pub(crate) const REVISION: &str = "revision";

fn limited<T: Serialize>(what: &str, id: &str, document: &T) -> PortResult<String> {
    let text = to_json(what, document)?;
    if text.len() > DOCUMENT_BYTES_MAX {
        let what = format!("{what} {id}");
        return Err(PortError::TooLarge { what, limit: DOCUMENT_BYTES_MAX });
    }
    Ok(text)
}

/// A number as Firestore keeps it.
pub(crate) fn number(what: &str, number: u64) -> PortResult<Value> {
    let large = |_| PortError::Invalid {
        reason: format!("{what} is {number}; the largest number is {}", i64::MAX),
    };
    Ok(integer(i64::try_from(number).map_err(large)?))
}

/// The value that stands for the event a task waits for: of one length, whatever the key is.
pub(crate) fn awaited(event_type: &str, key: &str) -> Value {
    let mut hash = Sha256::new();
    hash.update((event_type.len() as u64).to_le_bytes());
    hash.update(event_type.as_bytes());
    hash.update(key.as_bytes());
    text(engine::ids::hex(&hash.finalize()))
}

/// The words by which a task itself is found; its messages have their own.
pub(crate) fn words_of_task(task: &Task) -> String {
    let name = task.contact.name.as_deref().unwrap_or_default();
    words(&format!("{}\n{}\n{name}", task.label, task.contact.id))
}

pub(crate) fn task(client: &Client, task: &Task) -> PortResult<Document> {
    let id = key(task.id.as_str());
    let label = fold_label(&task.label);
    let optional = |value: Option<&str>| value.map(text);
    let fields = Fields::default()
        .set(REVISION, number("the sequence number", task.sequence)?)
        .set("flow", text(&task.flow))
        .set("status", text(task.status.name()))
        .set_some("waiting_for", optional(task.status.waiting_for()))
        .set("contact", text(&task.contact.id))
        .set("conversation", text(task.conversation.as_str()))
        .set_some("queue", optional(task.queue().map(|(queue, _)| queue)))
        .set_some("parent", task.parent.as_ref().map(|parent| text(parent.task.as_str())))
        .set_some("awaited", task.awaited_event().map(|(kind, key)| awaited(kind, key)))
        .set("created_at", time(task.created_at))
        .set("updated_at", time(task.updated_at))
        .set(SHARD, integer(shard(&id)))
        .set("pieces", list(label_pieces(&label).into_iter().map(text)))
        .set("label", text(label))
        .set("tokens", list(tokens(&words_of_task(task)).into_iter().map(text)))
        .set(DOCUMENT, text(limited("task", task.id.as_str(), task)?));
    Ok(fields.document(client.name(TASKS, &id)))
}

pub(crate) fn message(client: &Client, message: &Message) -> PortResult<Document> {
    let id = key(message.id.as_str());
    let words = words(&message.content.text);
    let fields = Fields::default()
        .set(REVISION, number("the revision", message.revision)?)
        .set_some("task", message.task.as_ref().map(|task| text(task.as_str())))
        .set("conversation", text(message.conversation.as_str()))
        .set("connection", text(&message.connection))
        .set("contact", text(&message.contact))
        .set("direction", direction(message.direction))
        .set("state", text(message.state.name()))
        .set("created_at", time(message.created_at))
        .set(SHARD, integer(shard(&id)))
        .set("tokens", list(tokens(&words).into_iter().map(text)))
        .set(DOCUMENT, text(limited("message", message.id.as_str(), message)?));
    Ok(fields.document(client.name(MESSAGES, &id)))
}

pub(crate) fn direction(direction: Direction) -> Value {
    text(match direction {
        Direction::In => "in",
        Direction::Out => "out",
    })
}

pub(crate) fn conversation(
    client: &Client,
    conversation: &Conversation,
    kept: Option<TimeDelta>,
) -> PortResult<Document> {
    let id = key(conversation.id.as_str());
    let expires = kept
        .filter(|_| conversation.open.is_empty())
        .and_then(|kept| conversation.updated_at.checked_add_signed(kept));
    let fields = Fields::default()
        .set(REVISION, number("the revision", conversation.revision)?)
        .set("connection", text(&conversation.connection))
        .set("contact", text(&conversation.contact.id))
        .set("updated_at", time(conversation.updated_at))
        .set(SHARD, integer(shard(&id)))
        .set_some("expire_at", expires.map(time))
        .set(DOCUMENT, text(limited("conversation", conversation.id.as_str(), conversation)?));
    Ok(fields.document(client.name(CONVERSATIONS, &id)))
}
