//! The ports that have faults.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::{ConversationId, EventId, Message, MessageId, Task, TaskId};
use ports::{
    Bus, Commit, Deliveries, Delivery, Envelope, IdempotentAnswer, PortError, PortResult, Receipt,
    Timers, Topic, Turn, TurnStore,
};

use super::{CONFLICT, CRASH, DUPLICATE, Faulty};

/// While something is held back, nobody waits longer than this for it.
const HOLDING_WAIT_MAX: Duration = Duration::from_millis(2);

#[async_trait]
impl TurnStore for Faulty {
    async fn turn(
        &self,
        event: Option<&EventId>,
        conversation: &ConversationId,
        tasks: &[TaskId],
    ) -> PortResult<Turn> {
        self.may_refuse()?;
        self.inner.turns.turn(event, conversation, tasks).await
    }

    async fn tasks(&self, ids: &[TaskId]) -> PortResult<Vec<Task>> {
        self.may_refuse()?;
        self.inner.turns.tasks(ids).await
    }

    async fn messages(&self, ids: &[MessageId]) -> PortResult<Vec<Message>> {
        self.may_refuse()?;
        self.inner.turns.messages(ids).await
    }

    async fn commit(&self, commit: Commit) -> PortResult<Receipt> {
        self.may_refuse()?;
        if self.happens(CONFLICT) {
            return Err(PortError::Conflict { what: "something, on purpose,".to_owned() });
        }
        if !commit.outbox.is_empty() || !commit.withdrawn.is_empty() {
            self.flush().await?;
        }
        let receipt = self.inner.turns.commit(commit).await?;
        let receipt = self.may_lose(receipt)?;
        if !receipt.unpublished.is_empty() && self.happens(CRASH) {
            return Ok(Receipt::default());
        }
        Ok(receipt)
    }

    async fn mark_published(&self, ids: &[String]) -> PortResult<()> {
        self.may_refuse()?;
        // What is noted as published must not be lost with the decorator.
        self.flush().await?;
        self.inner.turns.mark_published(ids).await?;
        self.may_lose(())
    }

    async fn unpublished(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>> {
        self.may_refuse()?;
        self.inner.turns.unpublished(before, limit).await
    }

    async fn awaiting(
        &self,
        event_type: &str,
        key: &str,
        limit: usize,
    ) -> PortResult<Vec<(TaskId, ConversationId)>> {
        self.may_refuse()?;
        self.inner.turns.awaiting(event_type, key, limit).await
    }

    async fn kept_answer(
        &self,
        key: &str,
        now: DateTime<Utc>,
    ) -> PortResult<Option<IdempotentAnswer>> {
        self.may_refuse()?;
        self.inner.turns.kept_answer(key, now).await
    }

    async fn forget(
        &self,
        events_before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> PortResult<u64> {
        self.may_refuse()?;
        self.inner.turns.forget(events_before, now, limit).await
    }
}

#[async_trait]
impl Bus for Faulty {
    async fn publish(&self, envelopes: &[Envelope]) -> PortResult<()> {
        self.publish_somehow(envelopes).await?;
        self.may_lose(())
    }
}

#[async_trait]
impl Timers for Faulty {
    async fn timer(&self, id: &str) -> PortResult<Option<Envelope>> {
        self.tick().await;
        self.may_refuse()?;
        self.inner.timers.timer(id).await
    }

    async fn overdue(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>> {
        self.tick().await;
        self.may_refuse()?;
        self.inner.timers.overdue(before, limit).await
    }

    async fn alarm(&self, timer: &Envelope) -> PortResult<()> {
        self.may_refuse()?;
        self.inner.timers.alarm(timer).await?;
        self.may_lose(())
    }

    async fn done(&self, ids: &[String]) -> PortResult<()> {
        self.may_refuse()?;
        // What is done must not be set again by what is still held back.
        self.flush().await?;
        self.inner.timers.done(ids).await?;
        self.may_lose(())
    }
}

impl Faulty {
    fn inner_deliveries(&self) -> PortResult<&dyn Deliveries> {
        let reason = "this backend has no deliveries of its own";
        self.inner.deliveries.as_deref().ok_or_else(|| PortError::backend(reason))
    }

    /// Some of them twice, as far as the limit allows, each right behind itself.
    fn some_twice(&self, deliveries: Vec<Delivery>, limit: usize) -> Vec<Delivery> {
        let mut room = limit.saturating_sub(deliveries.len());
        let mut delivered = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            if room > 0 && self.happens(DUPLICATE) {
                delivered.push(delivery.clone());
                room -= 1;
            }
            delivered.push(delivery);
        }
        delivered
    }
}

#[async_trait]
impl Deliveries for Faulty {
    async fn after(&self, position: i64, limit: usize) -> PortResult<Vec<Delivery>> {
        self.tick().await;
        self.may_refuse()?;
        let deliveries = self.inner_deliveries()?.after(position, limit).await?;
        Ok(self.some_twice(deliveries, limit))
    }

    async fn due(&self, now: DateTime<Utc>, limit: usize) -> PortResult<Vec<Delivery>> {
        self.tick().await;
        self.may_refuse()?;
        let deliveries = self.inner_deliveries()?.due(now, limit).await?;
        Ok(self.some_twice(deliveries, limit))
    }

    async fn next_due(&self) -> PortResult<Option<DateTime<Utc>>> {
        self.tick().await;
        self.may_refuse()?;
        self.inner_deliveries()?.next_due().await
    }

    async fn acknowledge(&self, positions: &[i64], instead: &[Envelope]) -> PortResult<()> {
        self.may_refuse()?;
        if !instead.is_empty() {
            self.flush().await?;
        }
        self.inner_deliveries()?.acknowledge(positions, instead).await?;
        self.may_lose(())
    }

    async fn tried(&self, position: i64, attempts: u32) -> PortResult<()> {
        self.may_refuse()?;
        self.inner_deliveries()?.tried(position, attempts).await?;
        self.may_lose(())
    }

    async fn published(&self, longest: Duration) {
        self.tick().await;
        let longest = if self.is_holding().await { longest.min(HOLDING_WAIT_MAX) } else { longest };
        if let Some(deliveries) = &self.inner.deliveries {
            deliveries.published(longest).await;
        }
    }

    async fn backlog(&self) -> PortResult<Vec<(Topic, u64)>> {
        self.tick().await;
        self.may_refuse()?;
        self.inner_deliveries()?.backlog().await
    }
}
