//! `TurnStore`: what an event needs to know, and what it does.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::{ConversationId, EventId, Message, MessageId, Task, TaskId};
use ports::{Commit, Envelope, IdempotentAnswer, PortResult, Receipt, Turn, TurnStore};
use rusqlite::{Connection, OptionalExtension as _};
use serde::de::DeserializeOwned;

use crate::commit::Committing;
use crate::error::{Outcome, from_text};
use crate::open::{DeliveryMode, Sqlite};
use crate::order::micros;
use crate::queue::outbox;
use crate::rows::Prepared;
use crate::writer::Group;

/// The document that `sql` selects by one key.
pub(crate) fn document<T: DeserializeOwned>(
    conn: &Connection,
    what: &str,
    sql: &str,
    key: impl rusqlite::ToSql,
) -> Outcome<Option<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([key])?;
    match rows.next()? {
        // Read where it lies: a document may be large.
        Some(row) => {
            let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            from_text(what, text).map(Some)
        }
        None => Ok(None),
    }
}

fn documents<T: DeserializeOwned>(
    conn: &Connection,
    what: &str,
    sql: &str,
    ids: &[&str],
) -> Outcome<Vec<T>> {
    let mut found = Vec::with_capacity(ids.len());
    // One that is asked for twice is still one.
    for id in ids.iter().collect::<BTreeSet<_>>() {
        found.extend(document(conn, what, sql, id)?);
    }
    Ok(found)
}

const TASK: &str = "SELECT document FROM tasks WHERE id = ?1";
const MESSAGE: &str = "SELECT document FROM messages WHERE id = ?1";
const CONVERSATION: &str = "SELECT document FROM conversations WHERE id = ?1";

#[async_trait]
impl TurnStore for Sqlite {
    async fn turn(
        &self,
        event: Option<&EventId>,
        conversation: &ConversationId,
        tasks: &[TaskId],
    ) -> PortResult<Turn> {
        let recent = self.inner.recent.turn(event, conversation, tasks);
        let is_published = self.inner.delivery == DeliveryMode::Published;
        let recent = match recent {
            Some((seen, conversation, tasks)) if !is_published => {
                let conversation = Some(conversation);
                return Ok(Turn { seen, outbox: Vec::new(), conversation, tasks });
            }
            other => other,
        };
        let (event, conversation) = (event.cloned(), conversation.clone());
        let tasks = tasks.to_vec();
        let read = move |conn: &Connection| {
            let seen = match &event {
                None => false,
                Some(event) => conn
                    .prepare_cached("SELECT 1 FROM events WHERE id = ?1")?
                    .exists([event.as_str()])?,
            };
            let ids: Vec<&str> = tasks.iter().map(TaskId::as_str).collect();
            let outbox = match &event {
                Some(event) if seen && is_published => outbox::of_event(conn, event)?,
                _ => Vec::new(),
            };
            let (conversation, tasks) = match recent {
                Some((_, conversation, tasks)) => (Some(conversation), tasks),
                None => (
                    document(conn, "conversation", CONVERSATION, conversation.as_str())?,
                    documents(conn, "task", TASK, &ids)?,
                ),
            };
            Ok(Turn { seen, outbox, conversation, tasks })
        };
        self.inner.readers.read(read).await
    }

    async fn tasks(&self, ids: &[TaskId]) -> PortResult<Vec<Task>> {
        if let Some(found) = self.inner.recent.tasks(ids) {
            return Ok(found);
        }
        let ids = ids.to_vec();
        let read = move |conn: &Connection| {
            let ids: Vec<&str> = ids.iter().map(TaskId::as_str).collect();
            documents(conn, "task", TASK, &ids)
        };
        self.inner.readers.read(read).await
    }

    async fn messages(&self, ids: &[MessageId]) -> PortResult<Vec<Message>> {
        if let Some(found) = self.inner.recent.messages(ids) {
            return Ok(found);
        }
        let ids = ids.to_vec();
        let read = move |conn: &Connection| {
            let ids: Vec<&str> = ids.iter().map(MessageId::as_str).collect();
            documents(conn, "message", MESSAGE, &ids)
        };
        self.inner.readers.read(read).await
    }

    async fn commit(&self, commit: Commit) -> PortResult<Receipt> {
        let prepared = Prepared::new(commit)?;
        let (delivery, published_at) = (self.inner.delivery, micros(self.inner.clock.now()));
        self.inner.writer.run(Committing { prepared, delivery, published_at }).await
    }

    async fn mark_published(&self, ids: &[String]) -> PortResult<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = ids.to_vec();
        let mark =
            move |group: &mut Group<'_>| ids.iter().try_for_each(|id| outbox::release(group, id));
        self.inner.writer.write(mark).await
    }

    async fn unpublished(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>> {
        self.inner.readers.read(move |conn| outbox::held(conn, micros(before), limit)).await
    }

    async fn awaiting(
        &self,
        event_type: &str,
        key: &str,
        limit: usize,
    ) -> PortResult<Vec<(TaskId, ConversationId)>> {
        let (event_type, key) = (event_type.to_owned(), key.to_owned());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = move |conn: &Connection| {
            let sql = "SELECT id, conversation FROM tasks INDEXED BY tasks_awaited \
                       WHERE awaited_type = ?1 AND awaited_key = ?2 ORDER BY seq LIMIT ?3";
            let found = conn
                .prepare_cached(sql)?
                .query_map((event_type, key, limit), |row| {
                    Ok((TaskId(row.get(0)?), ConversationId(row.get(1)?)))
                })?
                .collect::<Result<_, _>>()?;
            Ok(found)
        };
        self.inner.readers.read(read).await
    }

    async fn kept_answer(
        &self,
        key: &str,
        now: DateTime<Utc>,
    ) -> PortResult<Option<IdempotentAnswer>> {
        let key = key.to_owned();
        let read = move |conn: &Connection| {
            let sql = "SELECT document FROM answers WHERE key = ?1 AND expires_at > ?2";
            let text: Option<String> = conn
                .prepare_cached(sql)?
                .query_row((key, micros(now)), |row| row.get(0))
                .optional()?;
            text.map(|text| from_text("answer", &text)).transpose()
        };
        self.inner.readers.read(read).await
    }

    async fn forget(
        &self,
        events_before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> PortResult<u64> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let forget = move |group: &mut Group<'_>| {
            let events = "DELETE FROM events WHERE id IN \
                          (SELECT id FROM events WHERE at < ?1 ORDER BY at LIMIT ?2)";
            let answers = "DELETE FROM answers WHERE key IN \
                           (SELECT key FROM answers WHERE expires_at <= ?1 \
                            ORDER BY expires_at LIMIT ?2)";
            let mut went =
                group.conn.prepare_cached(events)?.execute([micros(events_before), limit])?;
            went += group.conn.prepare_cached(answers)?.execute([micros(now), limit])?;
            Ok(u64::try_from(went).unwrap_or(u64::MAX))
        };
        self.inner.writer.write(forget).await
    }
}
