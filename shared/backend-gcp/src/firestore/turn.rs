//! `TurnStore`: one batched read, one commit.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::{ConversationId, EventId, Message, MessageId, Task, TaskId};
use gcloud_sdk::google::firestore::v1::Document;
use ports::{Commit, Envelope, IdempotentAnswer, PortResult, Receipt, Turn, TurnStore};
use serde::de::DeserializeOwned;

use super::Firestore;
use super::client::delete;
use super::documents::{DOCUMENT, REVISION, awaited};
use super::keys::{ANSWERS, CONVERSATIONS, EVENTS, MESSAGES, TASKS, key};
use super::query::Query;
use super::value::{Read, from_json, time};

impl Firestore {
    /// The full names of documents of a collection; one that is asked for twice is still one.
    fn names<'a>(
        &self,
        collection: &str,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> BTreeSet<String> {
        ids.into_iter().map(|id| self.client().name(collection, &key(id))).collect()
    }

    /// The value of a document that was read, whose revision is noted for the next commit.
    pub(crate) fn read_back<T: DeserializeOwned>(
        &self,
        what: &str,
        document: &Document,
    ) -> PortResult<T> {
        self.note(document);
        document.json(what, DOCUMENT)
    }

    fn note(&self, document: &Document) {
        let revision = document.integer(REVISION).and_then(|it| u64::try_from(it).ok());
        if let Some(revision) = revision {
            self.inner.known.note(&document.name, revision, document.update_time);
        }
    }

    async fn by_ids<'a, T: DeserializeOwned>(
        &self,
        what: &str,
        collection: &str,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> PortResult<Vec<T>> {
        let names: Vec<String> = self.names(collection, ids).into_iter().collect();
        let found = self.client().get(&names, &[]).await?;
        found.values().map(|document| self.read_back(what, document)).collect()
    }

    /// What an event's commit left to publish, where its document holds it.
    async fn outbox_of(&self, event: &Document) -> PortResult<Vec<Envelope>> {
        match self.long(event, "outbox").await? {
            Some(outbox) => from_json("outbox", &outbox),
            None => Ok(Vec::new()),
        }
    }
}

#[async_trait]
impl TurnStore for Firestore {
    async fn turn(
        &self,
        event: Option<&EventId>,
        conversation: &ConversationId,
        tasks: &[TaskId],
    ) -> PortResult<Turn> {
        let event = event.map(|event| self.client().name(EVENTS, &key(event.as_str())));
        let conversation = self.client().name(CONVERSATIONS, &key(conversation.as_str()));
        let tasks = self.names(TASKS, tasks.iter().map(TaskId::as_str));
        let mut names: Vec<String> = tasks.iter().cloned().collect();
        names.push(conversation.clone());
        names.extend(event.clone());
        let mut found: HashMap<String, Document> = self.client().get(&names, &[]).await?;
        let event = event.and_then(|name| found.remove(&name));
        let outbox = match &event {
            Some(event) => self.outbox_of(event).await?,
            None => Vec::new(),
        };
        let conversation = found.get(&conversation);
        Ok(Turn {
            seen: event.is_some(),
            conversation: conversation
                .map(|document| self.read_back("conversation", document))
                .transpose()?,
            tasks: tasks
                .iter()
                .filter_map(|name| found.get(name))
                .map(|document| self.read_back("task", document))
                .collect::<PortResult<_>>()?,
            outbox,
        })
    }

    async fn tasks(&self, ids: &[TaskId]) -> PortResult<Vec<Task>> {
        self.by_ids("task", TASKS, ids.iter().map(TaskId::as_str)).await
    }

    async fn messages(&self, ids: &[MessageId]) -> PortResult<Vec<Message>> {
        self.by_ids("message", MESSAGES, ids.iter().map(MessageId::as_str)).await
    }

    async fn commit(&self, commit: Commit) -> PortResult<Receipt> {
        self.commit_whole(commit).await
    }

    async fn mark_published(&self, ids: &[String]) -> PortResult<()> {
        self.mark(ids).await
    }

    async fn unpublished(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>> {
        self.left_unpublished(before, limit).await
    }

    async fn awaiting(
        &self,
        event_type: &str,
        key: &str,
        limit: usize,
    ) -> PortResult<Vec<(TaskId, ConversationId)>> {
        let query = Query {
            collection: TASKS,
            equals: vec![("awaited", awaited(event_type, key))],
            limit,
            ..Query::default()
        };
        let mut found = Vec::new();
        for document in self.client().all(query).await? {
            let task: Task = document.json("task", DOCUMENT)?;
            // The field is a hash; the task says what it waits for.
            if task.awaited_event() == Some((event_type, key)) {
                found.push((task.id, task.conversation));
            }
        }
        Ok(found)
    }

    async fn kept_answer(
        &self,
        id: &str,
        now: DateTime<Utc>,
    ) -> PortResult<Option<IdempotentAnswer>> {
        let Some(document) = self.client().one(ANSWERS, &key(id)).await? else { return Ok(None) };
        let answer: IdempotentAnswer = document.json("answer", DOCUMENT)?;
        Ok(Some(answer).filter(|answer| answer.expires_at > now && answer.key == id))
    }

    /// Firestore's TTL policies do the same, within a day of the time; this also works where
    /// there are none. Events that carry a row of history are remembered as long as that is.
    async fn forget(
        &self,
        events_before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> PortResult<u64> {
        // Up to and with `now`.
        let expired = now + chrono::TimeDelta::microseconds(1);
        let mut writes = Vec::new();
        for (collection, order, below) in
            [(EVENTS, "at", events_before), (ANSWERS, "expires_at", expired)]
        {
            let query = Query {
                collection,
                sharded: true,
                order: Some((order, false)),
                below: Some(time(below)),
                limit,
                select: &["at"],
                ..Query::default()
            };
            let found = self.client().all(query).await?;
            writes.extend(found.into_iter().map(|document| delete(document.name)));
        }
        let went = writes.len() as u64;
        if went > 0 {
            self.write(writes).await?;
        }
        Ok(went)
    }
}
