//! A caller that copes with every fault the contract allows.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::{ConversationId, EventId, Message, MessageId, Task, TaskId};
use ports::{
    Bus, Commit, Deliveries, Delivery, Envelope, IdempotentAnswer, PortError, PortResult, Receipt,
    Timers, Topic, Turn, TurnStore,
};

use super::DELAY_CALLS_MAX;
use crate::backend::Backend;

/// Calls until a caller gives up.
const ATTEMPTS_MAX: usize = 50;

/// Conflicts until a caller believes them: one made on purpose does not come that often.
const CONFLICTS_MAX: usize = 6;

/// Does every call until it works; after a lost answer, `Duplicate` is success.
pub struct Retrying {
    turns: Arc<dyn TurnStore>,
    bus: Arc<dyn Bus>,
    deliveries: Option<Arc<dyn Deliveries>>,
    timers: Arc<dyn Timers>,
}

impl Retrying {
    /// The backend as a caller sees it who does not give up. The other ports are as they were.
    pub fn backend(inner: &Backend) -> Backend {
        let retrying = Arc::new(Self {
            turns: inner.turns.clone(),
            bus: inner.bus.clone(),
            deliveries: inner.deliveries.clone(),
            timers: inner.timers.clone(),
        });
        Backend {
            turns: retrying.clone(),
            bus: retrying.clone(),
            timers: retrying.clone(),
            deliveries: inner.deliveries.is_some().then_some(retrying as _),
            ..inner.clone()
        }
    }

    fn inner(&self) -> PortResult<&dyn Deliveries> {
        let reason = "this backend has no deliveries of its own";
        self.deliveries.as_deref().ok_or_else(|| PortError::backend(reason))
    }
}

async fn until_it_works<T, F>(mut call: impl FnMut() -> F) -> PortResult<T>
where
    F: Future<Output = PortResult<T>>,
{
    let mut result = call().await;
    for _ in 1..ATTEMPTS_MAX {
        match result {
            Err(PortError::Unavailable { .. }) => result = call().await,
            _ => break,
        }
    }
    result
}

/// Reads until nothing that was published before can be held back any more.
macro_rules! patiently {
    ($call:expr) => {{
        for _ in 0..DELAY_CALLS_MAX {
            until_it_works(|| $call).await?;
        }
        until_it_works(|| $call).await
    }};
}

fn each_once(mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
    deliveries.dedup_by_key(|delivery| delivery.position);
    deliveries
}

#[async_trait]
impl TurnStore for Retrying {
    async fn turn(
        &self,
        event: Option<&EventId>,
        conversation: &ConversationId,
        tasks: &[TaskId],
    ) -> PortResult<Turn> {
        until_it_works(|| self.turns.turn(event, conversation, tasks)).await
    }

    async fn tasks(&self, ids: &[TaskId]) -> PortResult<Vec<Task>> {
        until_it_works(|| self.turns.tasks(ids)).await
    }

    async fn messages(&self, ids: &[MessageId]) -> PortResult<Vec<Message>> {
        until_it_works(|| self.turns.messages(ids)).await
    }

    async fn commit(&self, commit: Commit) -> PortResult<Receipt> {
        let mut may_be_done = false;
        let mut conflicts = 0;
        let mut result = Ok(Receipt::default());
        for _ in 0..ATTEMPTS_MAX {
            result = self.turns.commit(commit.clone()).await;
            match &result {
                Err(PortError::Unavailable { .. }) => may_be_done = true,
                // The answer was lost, not the commit; the sweeper publishes its outbox.
                Err(PortError::Duplicate { .. }) if may_be_done => return Ok(Receipt::default()),
                Err(PortError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                _ => break,
            }
        }
        result
    }

    async fn mark_published(&self, ids: &[String]) -> PortResult<()> {
        until_it_works(|| self.turns.mark_published(ids)).await
    }

    async fn unpublished(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>> {
        until_it_works(|| self.turns.unpublished(before, limit)).await
    }

    async fn awaiting(
        &self,
        event_type: &str,
        key: &str,
        limit: usize,
    ) -> PortResult<Vec<(TaskId, ConversationId)>> {
        until_it_works(|| self.turns.awaiting(event_type, key, limit)).await
    }

    async fn kept_answer(
        &self,
        key: &str,
        now: DateTime<Utc>,
    ) -> PortResult<Option<IdempotentAnswer>> {
        until_it_works(|| self.turns.kept_answer(key, now)).await
    }

    async fn forget(
        &self,
        events_before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> PortResult<u64> {
        until_it_works(|| self.turns.forget(events_before, now, limit)).await
    }
}

#[async_trait]
impl Bus for Retrying {
    async fn publish(&self, envelopes: &[Envelope]) -> PortResult<()> {
        until_it_works(|| self.bus.publish(envelopes)).await
    }
}

#[async_trait]
impl Timers for Retrying {
    async fn timer(&self, id: &str) -> PortResult<Option<Envelope>> {
        patiently!(self.timers.timer(id))
    }

    async fn overdue(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>> {
        patiently!(self.timers.overdue(before, limit))
    }

    async fn alarm(&self, timer: &Envelope) -> PortResult<()> {
        until_it_works(|| self.timers.alarm(timer)).await
    }

    async fn done(&self, ids: &[String]) -> PortResult<()> {
        until_it_works(|| self.timers.done(ids)).await
    }
}

#[async_trait]
impl Deliveries for Retrying {
    async fn after(&self, position: i64, limit: usize) -> PortResult<Vec<Delivery>> {
        let inner = self.inner()?;
        patiently!(inner.after(position, limit)).map(each_once)
    }

    async fn due(&self, now: DateTime<Utc>, limit: usize) -> PortResult<Vec<Delivery>> {
        let inner = self.inner()?;
        patiently!(inner.due(now, limit)).map(each_once)
    }

    async fn next_due(&self) -> PortResult<Option<DateTime<Utc>>> {
        let inner = self.inner()?;
        patiently!(inner.next_due())
    }

    async fn acknowledge(&self, positions: &[i64], instead: &[Envelope]) -> PortResult<()> {
        let inner = self.inner()?;
        until_it_works(|| inner.acknowledge(positions, instead)).await
    }

    async fn tried(&self, position: i64, attempts: u32) -> PortResult<()> {
        let inner = self.inner()?;
        until_it_works(|| inner.tried(position, attempts)).await
    }

    async fn published(&self, longest: Duration) {
        if let Some(deliveries) = &self.deliveries {
            deliveries.published(longest).await;
        }
    }

    async fn backlog(&self) -> PortResult<Vec<(Topic, u64)>> {
        let inner = self.inner()?;
        patiently!(inner.backlog())
    }
}
