//! Stands at the store itself, behind every fault, and tells the model what was committed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::{ConversationId, EventId, Message, MessageId, Task, TaskId};
use ports::{Commit, Envelope, IdempotentAnswer, PortResult, Receipt, Turn, TurnStore};

use crate::model::Model;

/// A store that is watched.
pub struct Watched {
    inner: Arc<dyn TurnStore>,
    model: Mutex<Model>,
}

impl Watched {
    /// Stands before `inner`.
    pub fn new(inner: Arc<dyn TurnStore>) -> Arc<Self> {
        Arc::new(Self { inner, model: Mutex::default() })
    }

    /// What was committed.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TurnStore for Watched {
    async fn turn(
        &self,
        event: Option<&EventId>,
        conversation: &ConversationId,
        tasks: &[TaskId],
    ) -> PortResult<Turn> {
        self.inner.turn(event, conversation, tasks).await
    }

    async fn tasks(&self, ids: &[TaskId]) -> PortResult<Vec<Task>> {
        self.inner.tasks(ids).await
    }

    async fn messages(&self, ids: &[MessageId]) -> PortResult<Vec<Message>> {
        self.inner.messages(ids).await
    }

    async fn commit(&self, commit: Commit) -> PortResult<Receipt> {
        let receipt = self.inner.commit(commit.clone()).await?;
        self.model().committed(&commit);
        Ok(receipt)
    }

    async fn mark_published(&self, ids: &[String]) -> PortResult<()> {
        self.inner.mark_published(ids).await
    }

    async fn unpublished(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>> {
        self.inner.unpublished(before, limit).await
    }

    async fn awaiting(
        &self,
        event_type: &str,
        key: &str,
        limit: usize,
    ) -> PortResult<Vec<(TaskId, ConversationId)>> {
        self.inner.awaiting(event_type, key, limit).await
    }

    async fn kept_answer(
        &self,
        key: &str,
        now: DateTime<Utc>,
    ) -> PortResult<Option<IdempotentAnswer>> {
        self.inner.kept_answer(key, now).await
    }

    async fn forget(
        &self,
        events_before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> PortResult<u64> {
        self.inner.forget(events_before, now, limit).await
    }
}
