//! `Queries`: questions about what is stored.

mod conversations;
mod messages;
pub(crate) mod scan;
mod task_search;
mod tasks;

use async_trait::async_trait;
use engine::{Conversation, HistoryEntry, Message, Task, TaskId};
use ports::{MessageFilter, PAGE_MAX, Page, PageOf, PortResult, Queries, TaskFilter};
use rusqlite::Connection;

use crate::error::{from_text, natural};
use crate::open::Sqlite;

#[async_trait]
impl Queries for Sqlite {
    async fn list_tasks(&self, filter: &TaskFilter, page: &Page) -> PortResult<PageOf<Task>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.inner.readers.read(move |conn| tasks::list(conn, &filter, &page)).await
    }

    async fn list_messages(
        &self,
        filter: &MessageFilter,
        page: &Page,
    ) -> PortResult<PageOf<Message>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.inner.readers.read(move |conn| messages::list(conn, &filter, &page)).await
    }

    async fn history(
        &self,
        task: &TaskId,
        after: u64,
        limit: usize,
    ) -> PortResult<Vec<HistoryEntry>> {
        let task = task.clone();
        let Ok(after) = i64::try_from(after) else {
            return Ok(Vec::new());
        };
        let limit = i64::try_from(limit.min(PAGE_MAX)).unwrap_or(i64::MAX);
        let read = move |conn: &Connection| {
            let sql = "SELECT document FROM history WHERE task = ?1 AND sequence > ?2 \
                       ORDER BY sequence LIMIT ?3";
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query((task.as_str(), after, limit))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
                found.push(from_text("row of history", text)?);
            }
            Ok(found)
        };
        self.inner.readers.read(read).await
    }

    async fn list_conversations(
        &self,
        connection: Option<&str>,
        contact: Option<&str>,
        page: &Page,
    ) -> PortResult<PageOf<Conversation>> {
        let (connection, contact) = (connection.map(str::to_owned), contact.map(str::to_owned));
        let page = page.clone();
        self.inner
            .readers
            .read(move |conn| conversations::list(conn, connection, contact, &page))
            .await
    }

    async fn task_counts(&self) -> PortResult<Vec<(String, String, u64)>> {
        let read = |conn: &Connection| {
            let sql = "SELECT flow, status, tasks FROM task_counts WHERE tasks > 0 \
                       ORDER BY flow, status";
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut counts = Vec::new();
            while let Some(row) = rows.next()? {
                let tasks = natural("number of tasks", row.get(2)?)?;
                counts.push((row.get(0)?, row.get(1)?, tasks));
            }
            Ok(counts)
        };
        self.inner.readers.read(read).await
    }

    async fn ping(&self) -> PortResult<()> {
        let read = |conn: &Connection| {
            Ok(conn.query_row("SELECT 1 FROM sqlite_master LIMIT 1", [], |_| Ok(()))?)
        };
        self.inner.readers.read(read).await
    }
}
