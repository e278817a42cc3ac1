//! What a commit writes, made ready by its caller: the writer's thread serialises nothing.

use engine::{Conversation, Message, Task, TaskId};
use ports::{Commit, DOCUMENT_BYTES_MAX, MessageWrite, PortError, TaskWrite, search};
use rusqlite::types::ValueRef;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::columns::Column;
use crate::error::{Outcome, integer, invalid, to_text};
use crate::order::micros;
use crate::queue;
use crate::recent::Fresh;

/// A commit and its documents, in the order of its parts.
pub(crate) struct Prepared {
    pub(crate) commit: Commit,
    pub(crate) conversation: Option<String>,
    pub(crate) tasks: Vec<String>,
    pub(crate) messages: Vec<PreparedMessage>,
    pub(crate) history: Vec<String>,
    pub(crate) failures: Vec<String>,
    pub(crate) answer: Option<String>,
}

/// A message's document and what its search needs.
pub(crate) struct PreparedMessage {
    pub(crate) document: String,
    /// Tells whether the text is the stored one.
    pub(crate) text_digest: i64,
    /// The words of a new message's text; of a changed one they are rarely needed.
    pub(crate) words: Option<String>,
}

impl Prepared {
    /// Serialises all parts and checks their sizes.
    pub(crate) fn new(commit: Commit) -> Outcome<Self> {
        queue::check(&commit.outbox)?;
        let conversation = commit
            .conversation
            .as_ref()
            .map(|conversation| match conversation.revision {
                0 => Err(invalid("a conversation is written with revision 1 first, not 0")),
                _ => limited("conversation", conversation.id.as_str(), conversation),
            })
            .transpose()?;
        let task = |write: &TaskWrite| limited("task", write.task.id.as_str(), &write.task);
        let message = |write: &MessageWrite| -> Outcome<PreparedMessage> {
            let text = &write.message.content.text;
            Ok(PreparedMessage {
                document: to_text("the message", &write.message)?,
                text_digest: digest(text),
                words: write.expected.is_none().then(|| search::words(text)),
            })
        };
        Ok(Self {
            conversation,
            tasks: commit.tasks.iter().map(task).collect::<Outcome<_>>()?,
            messages: commit.messages.iter().map(message).collect::<Outcome<_>>()?,
            history: texts("the row of history", &commit.history)?,
            failures: texts("the failure", &commit.failures)?,
            answer: commit.answer.as_ref().map(|it| to_text("the answer", it)).transpose()?,
            commit,
        })
    }
}

impl Prepared {
    /// The documents that are asked for again soon, once all of this is written.
    pub(crate) fn into_documents(self) -> Fresh {
        let Commit { event, conversation, tasks, messages, .. } = self.commit;
        let tasks = tasks.into_iter().zip(&self.tasks);
        let messages = messages.into_iter().zip(&self.messages);
        Fresh {
            event,
            conversation: conversation.zip(self.conversation.as_ref().map(String::len)),
            tasks: tasks.map(|(write, document)| (write.task, document.len())).collect(),
            messages: messages.map(|(write, row)| (write.message, row.document.len())).collect(),
        }
    }
}

fn texts<T: Serialize>(what: &str, documents: &[T]) -> Outcome<Vec<String>> {
    documents.iter().map(|document| to_text(what, document)).collect()
}

fn limited<T: Serialize>(what: &str, id: &str, document: &T) -> Outcome<String> {
    let text = to_text(what, document)?;
    if text.len() > DOCUMENT_BYTES_MAX {
        let what = format!("{what} {id}");
        return Err(PortError::TooLarge { what, limit: DOCUMENT_BYTES_MAX }.into());
    }
    Ok(text)
}

fn text(text: Option<&str>) -> ValueRef<'_> {
    text.map_or(ValueRef::Null, ValueRef::from)
}

/// The columns of a task; `folded` is its label as it is searched.
pub(crate) fn task_columns<'a>(task: &'a Task, folded: &'a str) -> Outcome<[Column<'a>; 14]> {
    let (awaited_type, awaited_key) = task.awaited_event().unzip();
    Ok([
        ("id", task.id.as_str().into()),
        ("sequence", ValueRef::Integer(integer("the sequence", task.sequence)?)),
        ("flow", task.flow.as_str().into()),
        ("status", task.status.name().into()),
        ("waiting_for", text(task.status.waiting_for())),
        ("contact", task.contact.id.as_str().into()),
        ("contact_name", text(task.contact.name.as_deref())),
        ("conversation", task.conversation.as_str().into()),
        ("queue", text(task.queue().map(|(queue, _)| queue))),
        ("parent", text(task.parent.as_ref().map(|parent| parent.task.as_str()))),
        ("awaited_type", text(awaited_type)),
        ("awaited_key", text(awaited_key)),
        ("updated_at", ValueRef::Integer(micros(task.updated_at))),
        ("label_folded", folded.into()),
    ])
}

/// The columns of a message; `text_digest` is that of its text.
pub(crate) fn message_columns(message: &Message, text_digest: i64) -> Outcome<[Column<'_>; 9]> {
    Ok([
        ("id", message.id.as_str().into()),
        ("revision", ValueRef::Integer(integer("the revision", message.revision)?)),
        ("task", text(message.task.as_ref().map(TaskId::as_str))),
        ("conversation", message.conversation.as_str().into()),
        ("connection", message.connection.as_str().into()),
        ("contact", message.contact.as_str().into()),
        ("direction", direction(message.direction).into()),
        ("state", message.state.name().into()),
        ("text_digest", ValueRef::Integer(text_digest)),
    ])
}

/// The name of a direction as it is stored.
pub(crate) fn direction(direction: engine::Direction) -> &'static str {
    match direction {
        engine::Direction::In => "in",
        engine::Direction::Out => "out",
    }
}

/// The columns of a conversation.
pub(crate) fn conversation_columns(conversation: &Conversation) -> Outcome<[Column<'_>; 5]> {
    Ok([
        ("id", conversation.id.as_str().into()),
        ("revision", ValueRef::Integer(integer("the revision", conversation.revision)?)),
        ("connection", conversation.connection.as_str().into()),
        ("contact", conversation.contact.id.as_str().into()),
        ("updated_at", ValueRef::Integer(micros(conversation.updated_at))),
    ])
}

/// Tells whether a text is the one that was stored.
pub(crate) fn digest(text: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut head = [0; 8];
    for (to, from) in head.iter_mut().zip(digest) {
        *to = from;
    }
    i64::from_le_bytes(head)
}

/// The words by which a task itself is found; its messages have their own.
pub(crate) fn words_of_task(label: &str, contact: &str, name: Option<&str>) -> String {
    search::words(&format!("{label}\n{contact}\n{}", name.unwrap_or_default()))
}

/// The words by which a message is found.
pub(crate) fn message_words(message: &Message) -> String {
    search::words(&message.content.text)
}
