//! Documents that were written last, as they stand in the file: the next event of a conversation,
//! and the messenger a moment after the controller, need not read them back.
//!
//! Only the writer puts something in, after the transaction is on the disk and before anybody
//! hears of it, in the order in which it wrote. So what is here is what a reader would find, and
//! who looks after a commit was answered finds at least that commit.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::{
    Conversation, ConversationId, EventId, Message, MessageId, MessageState, Task, TaskId,
};
use lru::LruCache;

/// Most documents of a kind.
const DOCUMENTS: NonZeroUsize = NonZeroUsize::new(4_096).expect("it is not zero");
/// Most bytes of the documents of a kind, as they are in the file.
const BYTES: usize = 8 * 1024 * 1024;

/// What a commit writes: its event, and documents with their lengths in the file.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) event: Option<EventId>,
    pub(crate) conversation: Option<(Conversation, usize)>,
    pub(crate) tasks: Vec<(Task, usize)>,
    pub(crate) messages: Vec<(Message, usize)>,
}

/// What was written last.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    events: Shelf<()>,
    conversations: Shelf<Conversation>,
    tasks: Shelf<Task>,
    messages: Shelf<Message>,
}

impl Recent {
    /// Takes what a transaction wrote, in its order.
    pub(crate) fn wrote(&self, commits: impl Iterator<Item = Fresh>) {
        let mut kept = self.kept();
        for Fresh { event, conversation, tasks, messages } in commits {
            if let Some(event) = event {
                kept.events.put(event.0, (), 0);
            }
            if let Some((conversation, bytes)) = conversation {
                kept.conversations.put(conversation.id.0.clone(), conversation, bytes);
            }
            for (task, bytes) in tasks {
                // Nothing more happens to one that has ended, as a rule.
                if task.status.has_ended() {
                    kept.tasks.remove(task.id.as_str());
                } else {
                    kept.tasks.put(task.id.0.clone(), task, bytes);
                }
            }
            for (message, bytes) in messages {
                match message.state {
                    MessageState::Queued | MessageState::Sending => {
                        kept.messages.put(message.id.0.clone(), message, bytes);
                    }
                    _ => kept.messages.remove(message.id.as_str()),
                }
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.kept() = Kept::default();
    }

    /// A conversation and tasks, as they stand in the file at one moment, and whether the event was
    /// written lately; none where a document must be read. An event of long ago may be in the file
    /// all the same: its commit finds it there.
    pub(crate) fn turn(
        &self,
        event: Option<&EventId>,
        conversation: &ConversationId,
        tasks: &[TaskId],
    ) -> Option<(bool, Conversation, Vec<Task>)> {
        let mut kept = self.kept();
        let seen = event.is_some_and(|event| kept.events.get(event.as_str()).is_some());
        let conversation = kept.conversations.get(conversation.as_str())?;
        Some((seen, conversation, kept.tasks.all(tasks.iter().map(TaskId::as_str))?))
    }

    /// These tasks at one moment; none where one of them must be read.
    pub(crate) fn tasks(&self, ids: &[TaskId]) -> Option<Vec<Task>> {
        self.kept().tasks.all(ids.iter().map(TaskId::as_str))
    }

    /// These messages at one moment; none where one of them must be read.
    pub(crate) fn messages(&self, ids: &[MessageId]) -> Option<Vec<Message>> {
        self.kept().messages.all(ids.iter().map(MessageId::as_str))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Documents of a kind; those that nobody asked for longest go first.
#[derive(Debug)]
struct Shelf<T> {
    documents: LruCache<String, (T, usize)>,
    bytes: usize,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        // Room for so many is made when they come.
        let mut documents = LruCache::unbounded();
        documents.resize(DOCUMENTS);
        Self { documents, bytes: 0 }
    }
}

impl<T: Clone> Shelf<T> {
    fn get(&mut self, id: &str) -> Option<T> {
        self.documents.get(id).map(|(document, _)| document.clone())
    }

    /// All of these, each once, or none.
    fn all<'a>(&mut self, ids: impl Iterator<Item = &'a str>) -> Option<Vec<T>> {
        let ids: BTreeSet<&str> = ids.collect();
        ids.into_iter().map(|id| self.get(id)).collect()
    }

    fn put(&mut self, id: String, document: T, bytes: usize) {
        self.bytes += bytes;
        if let Some((_, (_, bytes))) = self.documents.push(id, (document, bytes)) {
            self.bytes -= bytes;
        }
        while self.bytes > BYTES
            && let Some((_, (_, bytes))) = self.documents.pop_lru()
        {
            self.bytes -= bytes;
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some((_, bytes)) = self.documents.pop(id) {
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_is_bounded_by_documents_and_by_bytes() {
        let mut shelf = Shelf::default();
        for number in 0..DOCUMENTS.get() + 10 {
            shelf.put(number.to_string(), number, 10);
        }
        assert_eq!((shelf.documents.len(), shelf.bytes), (DOCUMENTS.get(), 10 * DOCUMENTS.get()));
        assert_eq!((shelf.get("9"), shelf.get("10")), (None, Some(10)), "the oldest went");
        // The same again is one, in its newest form.
        shelf.put("10".into(), 11, 20);
        assert_eq!((shelf.get("10"), shelf.bytes), (Some(11), 10 * DOCUMENTS.get() + 10));
        shelf.put("large".into(), 1, BYTES - 15);
        assert_eq!((shelf.documents.len(), shelf.bytes), (1, BYTES - 15));
        shelf.remove("large");
        shelf.remove("large");
        assert_eq!((shelf.get("large"), shelf.bytes), (None, 0));
        shelf.put("larger".into(), 1, BYTES + 1);
        assert_eq!((shelf.documents.len(), shelf.bytes), (0, 0), "what is too large is not kept");
    }
}
