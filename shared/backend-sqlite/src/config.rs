//! `ConfigStore`: connections, keys, queues and table schemas, as documents by kind and id.

use async_trait::async_trait;
use channels::Connection;
use ports::{ApiKey, ConfigStore, PortResult, Queue};
use schema::Table;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{from_text, to_text};
use crate::open::Sqlite;
use crate::writer::Group;

pub(crate) const CONNECTION: &str = "connection";
pub(crate) const KEY: &str = "key";
pub(crate) const QUEUE: &str = "queue";
pub(crate) const TABLE: &str = "table";

impl Sqlite {
    async fn config<T>(&self, kind: &'static str, id: &str) -> PortResult<Option<T>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let id = id.to_owned();
        let read = move |conn: &rusqlite::Connection| {
            let sql = "SELECT document FROM config WHERE kind = ?1 AND id = ?2";
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query((kind, id))?;
            match rows.next()? {
                Some(row) => from_text(kind, &row.get::<_, String>(0)?).map(Some),
                None => Ok(None),
            }
        };
        self.inner.readers.read(read).await
    }

    async fn configs<T>(&self, kind: &'static str) -> PortResult<Vec<T>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let read = move |conn: &rusqlite::Connection| {
            let sql = "SELECT document FROM config WHERE kind = ?1 ORDER BY id";
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query([kind])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(from_text(kind, &row.get::<_, String>(0)?)?);
            }
            Ok(found)
        };
        self.inner.readers.read(read).await
    }

    async fn put_config<T: Serialize + Sync>(
        &self,
        kind: &'static str,
        id: &str,
        value: &T,
    ) -> PortResult<()> {
        let (id, text) = (id.to_owned(), to_text(kind, value)?);
        let write = move |group: &mut Group<'_>| {
            let sql = "INSERT INTO config (kind, id, document) VALUES (?1, ?2, ?3) \
                       ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document";
            group.conn.prepare_cached(sql)?.execute((kind, &id, &text))?;
            Ok(())
        };
        self.inner.writer.write(write).await
    }
}

#[async_trait]
impl ConfigStore for Sqlite {
    async fn connection(&self, id: &str) -> PortResult<Option<Connection>> {
        self.config(CONNECTION, id).await
    }

    async fn put_connection(&self, connection: &Connection) -> PortResult<()> {
        self.put_config(CONNECTION, &connection.id, connection).await
    }

    async fn connections(&self) -> PortResult<Vec<Connection>> {
        self.configs(CONNECTION).await
    }

    async fn key(&self, id: &str) -> PortResult<Option<ApiKey>> {
        self.config(KEY, id).await
    }

    async fn put_key(&self, key: &ApiKey) -> PortResult<()> {
        self.put_config(KEY, &key.id, key).await
    }

    async fn keys(&self) -> PortResult<Vec<ApiKey>> {
        let mut keys: Vec<ApiKey> = self.configs(KEY).await?;
        keys.sort_by_key(|key| key.created_at);
        Ok(keys)
    }

    async fn queues(&self) -> PortResult<Vec<Queue>> {
        self.configs(QUEUE).await
    }

    async fn put_queue(&self, queue: &Queue) -> PortResult<()> {
        self.put_config(QUEUE, &queue.id, queue).await
    }

    async fn table(&self, id: &str) -> PortResult<Option<Table>> {
        self.config(TABLE, id).await
    }

    async fn put_table(&self, table: &Table) -> PortResult<()> {
        self.put_config(TABLE, table.id(), table).await
    }

    async fn tables(&self) -> PortResult<Vec<Table>> {
        self.configs(TABLE).await
    }
}
