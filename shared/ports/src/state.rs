//! The state of tasks and conversations: batched reads, one atomic commit, queries.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::{
    Conversation, ConversationId, Direction, EventId, HistoryEntry, Message, MessageId,
    MessageState, Task, TaskId,
};
use serde::{Deserialize, Serialize};

use crate::bus::Envelope;
use crate::error::{PortError, PortResult};

/// Most items of one page.
pub const PAGE_MAX: usize = 1_000;

/// Largest document of a task or conversation, in bytes of JSON. Firestore, the weakest store,
/// takes 1 MiB with the document's name and the fields it is found by.
pub const DOCUMENT_BYTES_MAX: usize = 1_000_000;

/// What handling one event needs to know, by one batched read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Turn {
    /// Whether the event has had its effect already. Where this says no it may have had it all
    /// the same, long ago or just now: its commit is a `Duplicate` then. Who comes to no commit
    /// asks [`TurnStore::seen`].
    pub seen: bool,
    /// The conversation.
    pub conversation: Option<Conversation>,
    /// The tasks asked for that exist.
    pub tasks: Vec<Task>,
    /// What the event's commit left to publish, where it relied on [`Recovery::Redelivery`] and
    /// the store keeps its outbox. It may have been published before.
    pub outbox: Vec<Envelope>,
}

/// A task and the sequence number its stored form must have.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskWrite {
    /// The task.
    pub task: Task,
    /// The stored sequence number; not looked at where the task is new.
    pub expected: u64,
    /// Whether it is new: nothing may be stored under its id.
    pub create: bool,
}

/// A message and the revision its stored form must have (none: it must not exist).
#[derive(Debug, Clone, PartialEq)]
pub struct MessageWrite {
    /// The message.
    pub message: Message,
    /// The stored revision.
    pub expected: Option<u64>,
}

/// The first answer to a request with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdempotentAnswer {
    /// Who asked and the key they gave.
    pub key: String,
    /// A digest of the request.
    pub request: String,
    /// The HTTP status answered.
    pub status: u16,
    /// The body answered.
    pub body: serde_json::Value,
    /// Until when it is kept.
    pub expires_at: DateTime<Utc>,
}

/// Who publishes the outbox of a commit whose caller stopped in between.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recovery {
    /// The sweeper: [`TurnStore::unpublished`] finds it until it is marked.
    #[default]
    Sweep,
    /// The event comes again until its handler has published: it is not acknowledged before.
    /// [`TurnStore::turn`] then hands the outbox out, and nothing needs to be marked. Only for a
    /// commit with an event.
    Redelivery,
}

/// One atomic batch: all of it or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// When.
    pub at: DateTime<Utc>,
    /// The event, created if absent: a second commit of it is a `Duplicate`.
    pub event: Option<EventId>,
    /// The conversation; its stored revision must be one less (0 becomes 1: it must not exist).
    pub conversation: Option<Conversation>,
    /// Tasks.
    pub tasks: Vec<TaskWrite>,
    /// Messages.
    pub messages: Vec<MessageWrite>,
    /// Rows of history; a sequence number that is stored already is a `Conflict`.
    pub history: Vec<HistoryEntry>,
    /// What is to be published after the commit.
    pub outbox: Vec<Envelope>,
    /// Who publishes it should the caller stop in between.
    pub recovery: Recovery,
    /// Ids of envelopes (timers) that are not needed any more, where they are still here,
    /// published or not.
    pub withdrawn: Vec<String>,
    /// The answer to keep for an idempotency key; a second one for the key is a `Conflict`, as long
    /// as the first has not expired.
    pub answer: Option<IdempotentAnswer>,
    /// Things that went wrong, to be kept in the same step.
    pub failures: Vec<crate::admin::Failure>,
}

/// What is left to do after a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Envelopes of the outbox that the caller must publish now. Empty where the backend's
    /// commit has published them already.
    pub unpublished: Vec<Envelope>,
    /// Ids of those that must be marked once they are published.
    pub marks: Vec<String>,
}

/// Reads and commits what one event touches.
#[async_trait]
pub trait TurnStore: Send + Sync {
    /// Whether an event has had its effect, as the store has it now.
    async fn seen(&self, event: &EventId) -> PortResult<bool> {
        let nowhere = ConversationId(String::new());
        Ok(self.turn(Some(event), &nowhere, &[]).await?.seen)
    }

    /// One batched read.
    async fn turn(
        &self,
        event: Option<&EventId>,
        conversation: &ConversationId,
        tasks: &[TaskId],
    ) -> PortResult<Turn>;

    /// Tasks by id, in no order; those that do not exist are left out.
    async fn tasks(&self, ids: &[TaskId]) -> PortResult<Vec<Task>>;

    /// Messages by id, in no order; those that do not exist are left out.
    async fn messages(&self, ids: &[MessageId]) -> PortResult<Vec<Message>>;

    /// One atomic commit.
    async fn commit(&self, commit: Commit) -> PortResult<Receipt>;

    /// Notes that these envelopes of the outbox were published. Ids of others do no harm.
    async fn mark_published(&self, ids: &[String]) -> PortResult<()>;

    /// Envelopes committed before `before` that nobody published, oldest first.
    async fn unpublished(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>>;

    /// Tasks that wait for this event.
    async fn awaiting(
        &self,
        event_type: &str,
        key: &str,
        limit: usize,
    ) -> PortResult<Vec<(TaskId, ConversationId)>>;

    /// The answer kept for an idempotency key.
    async fn kept_answer(
        &self,
        key: &str,
        now: DateTime<Utc>,
    ) -> PortResult<Option<IdempotentAnswer>>;

    /// Removes event keys older than `events_before` and answers that have expired, at most
    /// `limit` of each; tells how many went.
    async fn forget(
        &self,
        events_before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> PortResult<u64>;
}

/// How a list is ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Newest first, by creation.
    #[default]
    CreatedDesc,
    /// Oldest first, by creation.
    CreatedAsc,
    /// Last changed first.
    UpdatedDesc,
    /// Longest unchanged first.
    UpdatedAsc,
}

/// Which part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Most items (1 to [`PAGE_MAX`]); anything else is `Invalid` or cut.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl Page {
    /// The limit, or `Invalid` where it is out of range.
    pub fn checked_limit(&self) -> PortResult<usize> {
        if self.limit == 0 || self.limit > PAGE_MAX {
            let limit = self.limit;
            let reason = format!("the limit of a page is {limit}; it must be 1 to {PAGE_MAX}");
            return Err(PortError::Invalid { reason });
        }
        Ok(self.limit)
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct PageOf<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
}

/// Which tasks. Fields that are none do not filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskFilter {
    /// The flow.
    pub flow: Option<String>,
    /// `running`, `waiting`, `completed`, `failed`, `cancelled` or `expired`.
    pub status: Option<String>,
    /// `reply`, `timer`, `call`, `event`, `child` or `human`.
    pub waiting_for: Option<String>,
    /// The contact's id.
    pub contact: Option<String>,
    /// The conversation.
    pub conversation: Option<ConversationId>,
    /// The queue it lies in.
    pub queue: Option<String>,
    /// A part of its label, whatever the case.
    pub label: Option<String>,
    /// The task that started it.
    pub parent: Option<TaskId>,
    /// Created at or after.
    pub created_after: Option<DateTime<Utc>>,
    /// Created before.
    pub created_before: Option<DateTime<Utc>>,
    /// Words in its label, its contact or any of its messages: all of them, and the words of
    /// scripts with spaces by their beginnings.
    pub q: Option<String>,
    /// The order.
    pub sort: Sort,
}

/// Which messages. Fields that are none do not filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MessageFilter {
    /// The task.
    pub task: Option<TaskId>,
    /// The conversation.
    pub conversation: Option<ConversationId>,
    /// The connection.
    pub connection: Option<String>,
    /// The contact's id.
    pub contact: Option<String>,
    /// Which way.
    pub direction: Option<Direction>,
    /// How far it has come.
    pub state: Option<MessageState>,
    /// Created at or after.
    pub created_after: Option<DateTime<Utc>>,
    /// Created before.
    pub created_before: Option<DateTime<Utc>>,
    /// Words in its text.
    pub q: Option<String>,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
}

/// Questions about what is stored.
#[async_trait]
pub trait Queries: Send + Sync {
    /// Tasks, a page at a time.
    async fn list_tasks(&self, filter: &TaskFilter, page: &Page) -> PortResult<PageOf<Task>>;

    /// Messages in the order they came to be, a page at a time.
    async fn list_messages(
        &self,
        filter: &MessageFilter,
        page: &Page,
    ) -> PortResult<PageOf<Message>>;

    /// A task's history behind `after`, oldest first, at most `limit` rows.
    async fn history(
        &self,
        task: &TaskId,
        after: u64,
        limit: usize,
    ) -> PortResult<Vec<HistoryEntry>>;

    /// Conversations, last changed first; `contact` is a contact's id.
    async fn list_conversations(
        &self,
        connection: Option<&str>,
        contact: Option<&str>,
        page: &Page,
    ) -> PortResult<PageOf<Conversation>>;

    /// How many tasks there are by flow and status.
    async fn task_counts(&self) -> PortResult<Vec<(String, String, u64)>>;

    /// Whether the store answers.
    async fn ping(&self) -> PortResult<()>;
}
