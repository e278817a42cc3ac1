//! What the store must hold, and what no commit and no reply may do: checked at every one of them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use engine::{
    Conversation, ConversationId, Direction, HistoryEntry, Message, MessageId, Task, TaskId,
};
use ports::{Commit, MessageWrite, TaskWrite};

/// Everything that was committed.
#[derive(Debug, Default)]
pub struct Model {
    events: BTreeSet<String>,
    /// Conversations as they stand.
    pub conversations: BTreeMap<ConversationId, Conversation>,
    /// Tasks as they stand.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Messages as they stand.
    pub messages: BTreeMap<MessageId, Message>,
    /// The history of each task.
    pub history: BTreeMap<TaskId, Vec<HistoryEntry>>,
    /// External ids of the messages that were heard, by conversation, in the order of their
    /// commits.
    pub heard: BTreeMap<ConversationId, Vec<String>>,
    /// How often each message was sent.
    pub sent: BTreeMap<MessageId, usize>,
    last_sent: BTreeMap<ConversationId, (DateTime<Utc>, MessageId)>,
    /// When (in steps of the run) the messenger was done with a message.
    settled: BTreeMap<MessageId, u64>,
    /// Commits so far.
    pub commits: u64,
    /// A digest of what was committed and sent, in its order: two runs with the same one did the
    /// same.
    pub digest: u64,
    /// The first promise that was broken.
    pub violation: Option<String>,
}

impl Model {
    /// Notes a broken promise; the first one counts.
    pub fn violate(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert_with(|| what.into());
    }

    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violate(what());
        }
    }

    /// FNV-1a.
    fn note(&mut self, text: &str) {
        for byte in text.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    /// A commit went through.
    pub fn committed(&mut self, commit: &Commit) {
        self.commits += 1;
        self.note(&commit.at.timestamp_micros().to_string());
        for envelope in &commit.outbox {
            self.note(&envelope.id);
        }
        for write in &commit.messages {
            self.note(write.message.state.name());
        }
        if let Some(event) = &commit.event {
            let is_new = self.events.insert(event.0.clone());
            self.check(is_new, || format!("once: {event} took effect twice"));
        }
        if let Some(conversation) = &commit.conversation {
            self.conversation(conversation);
        }
        for write in &commit.tasks {
            self.task(write);
        }
        for write in &commit.messages {
            self.message(write);
        }
        for entry in &commit.history {
            self.entry(entry);
        }
        for write in &commit.tasks {
            let last = self.history.get(&write.task.id).and_then(|entries| entries.last());
            let sequence = last.map_or(0, |entry| entry.sequence);
            self.check(sequence == write.task.sequence, || {
                let Task { id, sequence: at, .. } = &write.task;
                format!("gaps: {id} stands at {at} and its history at {sequence}")
            });
        }
    }

    fn conversation(&mut self, now: &Conversation) {
        let before = self.conversations.get(&now.id);
        let revision = before.map_or(0, |before| before.revision);
        let goes_on = before.is_none_or(|before| before.updated_at < now.updated_at);
        self.check(now.revision == revision + 1, || {
            format!("lost update: {} went from {revision} to {}", now.id, now.revision)
        });
        self.check(goes_on, || format!("forward: the time of {} went back", now.id));
        self.conversations.insert(now.id.clone(), now.clone());
    }

    fn task(&mut self, write: &TaskWrite) {
        let now = &write.task;
        let before = self.tasks.get(&now.id);
        let problem = match before {
            None if write.create => None,
            None => Some("was changed and is not there"),
            Some(_) if write.create => Some("was created twice"),
            Some(before) if before.sequence != write.expected => Some("lost an update"),
            Some(before) if before.sequence >= now.sequence => Some("went back"),
            Some(before) if before.status.has_ended() && !now.status.has_ended() => {
                Some("went on after its end")
            }
            Some(before) if (&before.flow, before.version) != (&now.flow, now.version) => {
                Some("changed its version while it ran")
            }
            Some(_) => None,
        };
        if let Some(problem) = problem {
            self.violate(format!("forward: {} {problem}", now.id));
        }
        self.tasks.insert(now.id.clone(), now.clone());
    }

    fn message(&mut self, write: &MessageWrite) {
        let now = &write.message;
        let problem = match (self.messages.get(&now.id), write.expected) {
            (None, None) => None,
            (None, Some(_)) => Some("was changed and is not there"),
            (Some(_), None) => Some("was created twice"),
            (Some(before), Some(expected)) if before.revision != expected => Some("lost an update"),
            (Some(before), Some(_)) if before.revision >= now.revision => Some("went back"),
            (Some(before), Some(_)) if !now.reached.starts_with(&before.reached) => {
                Some("lost a state that it had reached")
            }
            (Some(before), Some(_)) => {
                let is_forward = before.state == now.state || before.state.may_become(now.state);
                (!is_forward).then_some("went back to an earlier state")
            }
        };
        if let Some(problem) = problem {
            self.violate(format!("forward: {} {problem}", now.id));
        }
        let in_order = now.reached.windows(2).all(|pair| pair[0].at <= pair[1].at);
        self.check(in_order, || format!("forward: the times of {} go back", now.id));
        if let (None, Direction::In, Some(id)) = (write.expected, now.direction, &now.external_id) {
            self.heard.entry(now.conversation.clone()).or_default().push(id.clone());
        }
        self.messages.insert(now.id.clone(), now.clone());
    }

    fn entry(&mut self, entry: &HistoryEntry) {
        let entries = self.history.entry(entry.task.clone()).or_default();
        let expected = entries.last().map_or(0, |last| last.sequence) + 1;
        let is_new = entries.iter().all(|before| before.event.id != entry.event.id);
        entries.push(entry.clone());
        self.check(entry.sequence == expected, || {
            format!("gaps: {} has {} in place of {expected}", entry.task, entry.sequence)
        });
        self.check(is_new, || {
            format!("once: {} took effect twice in {}", entry.event.id, entry.task)
        });
    }

    /// The messenger, which began to handle the message at `began`, sent this text.
    pub fn sent(&mut self, id: &MessageId, text: &str, began: u64) {
        let Some(message) = self.messages.get(id).cloned() else {
            self.violate(format!("replies: {id} was sent before its commit"));
            return;
        };
        let said = message.content.as_plain_text();
        self.check(said == text, || format!("replies: {id} says `{said}`; sent was `{text}`"));
        let settled = self.settled.get(id).copied();
        self.check(settled.is_none_or(|done| done >= began), || {
            format!("replies: {id} was sent, and later sent again")
        });
        self.note(id.as_str());
        *self.sent.entry(id.clone()).or_default() += 1;
        let this = (message.created_at, id.clone());
        let last = self.last_sent.entry(message.conversation.clone()).or_insert(this.clone());
        let overtaken = *last > this && self.sent.get(id) == Some(&1);
        *last = this.max(last.clone());
        self.check(!overtaken, || format!("order: a later reply was sent before {id}"));
    }

    /// The messenger said at `now` that nothing is left to do for this message.
    pub fn settled(&mut self, id: &MessageId, now: u64) {
        self.settled.entry(id.clone()).or_insert(now);
    }
}
