//! `ConfigStore`: few documents of each kind.

use async_trait::async_trait;
use channels::Connection;
use ports::{ApiKey, ConfigStore, PortResult, Queue};
use schema::Table;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Firestore;
use super::client::{Guard, put};
use super::documents::DOCUMENT;
use super::keys::{CONNECTIONS, KEYS, QUEUES, TABLES, key};
use super::query::Query;
use super::value::{Fields, Read, text, to_json};

/// Most of each kind.
const MOST: usize = 10_000;

impl Firestore {
    async fn setting<T: DeserializeOwned>(
        &self,
        collection: &'static str,
        id: &str,
    ) -> PortResult<Option<T>> {
        let found = self.client().one(collection, &key(id)).await?;
        found.map(|document| document.json("setting", DOCUMENT)).transpose()
    }

    async fn put_setting<T: Serialize + Sync>(
        &self,
        collection: &'static str,
        id: &str,
        value: &T,
    ) -> PortResult<()> {
        let fields = Fields::default().set(DOCUMENT, text(to_json("the setting", value)?));
        let document = fields.document(self.client().name(collection, &key(id)));
        self.write(vec![put(document, Guard::Any)]).await
    }

    async fn settings<T: DeserializeOwned>(&self, collection: &'static str) -> PortResult<Vec<T>> {
        let query = Query { collection, limit: MOST, ..Query::default() };
        let found = self.client().all(query).await?;
        found.iter().map(|document| document.json("setting", DOCUMENT)).collect()
    }
}

#[async_trait]
impl ConfigStore for Firestore {
    async fn connection(&self, id: &str) -> PortResult<Option<Connection>> {
        self.setting(CONNECTIONS, id).await
    }

    async fn put_connection(&self, connection: &Connection) -> PortResult<()> {
        self.put_setting(CONNECTIONS, &connection.id, connection).await
    }

    async fn connections(&self) -> PortResult<Vec<Connection>> {
        let mut found: Vec<Connection> = self.settings(CONNECTIONS).await?;
        found.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(found)
    }

    async fn key(&self, id: &str) -> PortResult<Option<ApiKey>> {
        self.setting(KEYS, id).await
    }

    async fn put_key(&self, key: &ApiKey) -> PortResult<()> {
        self.put_setting(KEYS, &key.id, key).await
    }

    async fn keys(&self) -> PortResult<Vec<ApiKey>> {
        let mut found: Vec<ApiKey> = self.settings(KEYS).await?;
        found.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(found)
    }

    async fn queues(&self) -> PortResult<Vec<Queue>> {
        let mut found: Vec<Queue> = self.settings(QUEUES).await?;
        found.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(found)
    }

    async fn put_queue(&self, queue: &Queue) -> PortResult<()> {
        self.put_setting(QUEUES, &queue.id, queue).await
    }

    async fn table(&self, id: &str) -> PortResult<Option<Table>> {
        self.setting(TABLES, id).await
    }

    async fn put_table(&self, table: &Table) -> PortResult<()> {
        self.put_setting(TABLES, table.id(), table).await
    }

    async fn tables(&self) -> PortResult<Vec<Table>> {
        let mut found: Vec<Table> = self.settings(TABLES).await?;
        found.sort_by(|one, other| one.id().cmp(other.id()));
        Ok(found)
    }
}
