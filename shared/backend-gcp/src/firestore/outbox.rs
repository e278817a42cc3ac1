//! Envelopes in the store: those the sweeper publishes unless they are marked, and timers.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gcloud_sdk::google::firestore::v1::{Document, Write};
use ports::{Envelope, PortError, PortResult, Timers, Topic};

use super::Firestore;
use super::client::{Guard, Refusal, delete, put};
use super::keys::{OUTBOX, TIMERS, key, shard};
use super::query::{Query, SHARD};
use super::value::{Fields, Read, integer, text, time};
use crate::error::unavailable;

/// Most documents written in one call.
const WRITES_MAX: usize = 400;
/// Attempts to keep timers while others keep the same ones.
const ATTEMPTS: u32 = 3;

fn fields(envelope: &Envelope) -> Fields {
    Fields::default()
        .set("id", text(&envelope.id))
        .set("topic", text(envelope.topic.name()))
        .set("key", text(&envelope.key))
        .set_some("due", envelope.due.map(time))
        .set("body", text(&envelope.body))
}

fn envelope(document: &Document) -> PortResult<Envelope> {
    let field = |name| document.required("envelope", name).map(str::to_owned);
    let topic = field("topic")?;
    let due = match document.micros("due") {
        None => None,
        Some(micros) => Some(
            DateTime::from_timestamp_micros(micros)
                .ok_or_else(|| PortError::backend(format!("{micros} is no time")))?,
        ),
    };
    Ok(Envelope {
        id: field("id")?,
        topic: Topic::from_name(&topic)
            .ok_or_else(|| PortError::backend(format!("{topic} is no topic")))?,
        key: field("key")?,
        due,
        body: field("body")?,
    })
}

/// A place in the order of commits, and within one: what is sorted as text.
fn position(at: DateTime<Utc>, by: &str, place: usize) -> String {
    // Times before 1970 do not occur; they would only sort wrongly.
    format!("{:020}/{by}/{place:06}", at.timestamp_micros().max(0))
}

impl Firestore {
    /// What is left to publish after a commit, until it is marked. `by` names the commit.
    pub(crate) fn outbox_document(
        &self,
        envelope: &Envelope,
        at: DateTime<Utc>,
        by: &str,
        place: usize,
    ) -> Document {
        let id = key(&envelope.id);
        fields(envelope)
            .set("position", text(position(at, by, place)))
            .set(SHARD, integer(shard(&id)))
            .document(self.client().name(OUTBOX, &id))
    }

    pub(crate) fn timer_document(&self, timer: &Envelope) -> Document {
        let id = key(&timer.id);
        fields(timer).set(SHARD, integer(shard(&id))).document(self.client().name(TIMERS, &id))
    }

    pub(crate) fn withdraw_timer(&self, id: &str) -> Write {
        delete(self.client().name(TIMERS, &key(id)))
    }

    pub(crate) async fn mark(&self, ids: &[String]) -> PortResult<()> {
        self.remove(OUTBOX, ids).await
    }

    async fn remove(&self, collection: &str, ids: &[String]) -> PortResult<()> {
        let mut names: Vec<String> =
            ids.iter().map(|id| self.client().name(collection, &key(id))).collect();
        names.sort();
        names.dedup();
        for names in names.chunks(WRITES_MAX) {
            self.write(names.iter().cloned().map(delete).collect()).await?;
        }
        Ok(())
    }

    pub(crate) async fn left_unpublished(
        &self,
        before: DateTime<Utc>,
        limit: usize,
    ) -> PortResult<Vec<Envelope>> {
        let query = Query {
            collection: OUTBOX,
            sharded: true,
            order: Some(("position", false)),
            below: Some(text(position(before, "", 0))),
            limit,
            ..Query::default()
        };
        self.client().all(query).await?.iter().map(envelope).collect()
    }

    /// Keeps timers that no commit has kept; one that is there already stays as it is. Their
    /// alarms are for the caller to set.
    pub async fn keep_timers(&self, timers: &[Envelope]) -> PortResult<()> {
        for timers in timers.chunks(WRITES_MAX) {
            self.keep_some(timers).await?;
        }
        Ok(())
    }

    async fn keep_some(&self, timers: &[Envelope]) -> PortResult<()> {
        let documents: Vec<Document> =
            timers.iter().map(|timer| self.timer_document(timer)).collect();
        let mut names: Vec<String> = documents.iter().map(|it| it.name.clone()).collect();
        names.sort();
        names.dedup();
        for _ in 0..ATTEMPTS {
            let there = self.client().get(&names, &["topic"]).await?;
            let mut seen = there.keys().cloned().collect::<std::collections::BTreeSet<_>>();
            let writes: Vec<Write> = documents
                .iter()
                .filter(|document| seen.insert(document.name.clone()))
                .map(|document| put(document.clone(), Guard::Absent))
                .collect();
            if writes.is_empty() {
                return Ok(());
            }
            match self.client().commit(writes).await {
                Ok(_) => return Ok(()),
                // Somebody else keeps the same ones: look again.
                Err(Refusal::Guard) => {}
                Err(Refusal::Port(error)) => return Err(error),
            }
        }
        Err(unavailable())
    }
}

#[async_trait]
impl Timers for Firestore {
    async fn timer(&self, id: &str) -> PortResult<Option<Envelope>> {
        let found = self.client().one(TIMERS, &key(id)).await?;
        found.as_ref().map(envelope).transpose()
    }

    async fn overdue(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>> {
        let query = Query {
            collection: TIMERS,
            sharded: true,
            order: Some(("due", false)),
            below: Some(time(before)),
            limit,
            ..Query::default()
        };
        self.client().all(query).await?.iter().map(envelope).collect()
    }

    async fn alarm(&self, timer: &Envelope) -> PortResult<()> {
        match timer.due {
            Some(due) => self.inner.alarms.set(&timer.id, due, self.inner.clock.now()).await,
            None => Ok(()),
        }
    }

    async fn done(&self, ids: &[String]) -> PortResult<()> {
        self.remove(TIMERS, ids).await
    }
}
