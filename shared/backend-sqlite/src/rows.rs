//! What a commit writes, made ready by its caller: the writer's thread serialises nothing.

use engine::Message;
use ports::{Commit, DOCUMENT_BYTES_MAX, MessageWrite, PortError, TaskWrite, search};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Outcome, invalid, to_text};
use crate::queue;

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

fn digest(text: &str) -> i64 {
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
