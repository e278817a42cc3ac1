//! The ports that have no faults: every call passes.

use async_trait::async_trait;
use channels::Connection;
use engine::{Conversation, HistoryEntry, Message, Task, TaskId};
use ports::{
    ApiKey, ConfigStore, Draft, Envelope, Failure, FailureKind, FailureState, FailureStore,
    FlowStore, FlowSummary, FlowVersion, MessageFilter, Page, PageOf, PortResult, QuarantinedRow,
    Queries, Queue, RefusedRow, Secret, Secrets, TaskFilter, Warehouse,
};
use schema::{Row, Table};
use serde_json::{Map, Value};

use super::Faulty;

#[async_trait]
impl Queries for Faulty {
    async fn list_tasks(&self, filter: &TaskFilter, page: &Page) -> PortResult<PageOf<Task>> {
        self.inner.queries.list_tasks(filter, page).await
    }

    async fn list_messages(
        &self,
        filter: &MessageFilter,
        page: &Page,
    ) -> PortResult<PageOf<Message>> {
        self.inner.queries.list_messages(filter, page).await
    }

    async fn history(
        &self,
        task: &TaskId,
        after: u64,
        limit: usize,
    ) -> PortResult<Vec<HistoryEntry>> {
        self.inner.queries.history(task, after, limit).await
    }

    async fn list_conversations(
        &self,
        connection: Option<&str>,
        contact: Option<&str>,
        page: &Page,
    ) -> PortResult<PageOf<Conversation>> {
        self.inner.queries.list_conversations(connection, contact, page).await
    }

    async fn task_counts(&self) -> PortResult<Vec<(String, String, u64)>> {
        self.inner.queries.task_counts().await
    }

    async fn ping(&self) -> PortResult<()> {
        self.inner.queries.ping().await
    }
}

#[async_trait]
impl FlowStore for Faulty {
    async fn draft(&self, flow: &str) -> PortResult<Option<Draft>> {
        self.inner.flows.draft(flow).await
    }

    async fn put_draft(&self, draft: &Draft) -> PortResult<()> {
        self.inner.flows.put_draft(draft).await
    }

    async fn publish(&self, version: &FlowVersion) -> PortResult<()> {
        self.inner.flows.publish(version).await
    }

    async fn version(&self, flow: &str, version: u32) -> PortResult<Option<FlowVersion>> {
        self.inner.flows.version(flow, version).await
    }

    async fn versions(&self, flow: &str) -> PortResult<Vec<FlowVersion>> {
        self.inner.flows.versions(flow).await
    }

    async fn list_flows(&self) -> PortResult<Vec<FlowSummary>> {
        self.inner.flows.list_flows().await
    }

    async fn live(&self) -> PortResult<Vec<(String, u32)>> {
        self.inner.flows.live().await
    }
}

#[async_trait]
impl ConfigStore for Faulty {
    async fn connection(&self, id: &str) -> PortResult<Option<Connection>> {
        self.inner.config.connection(id).await
    }

    async fn put_connection(&self, connection: &Connection) -> PortResult<()> {
        self.inner.config.put_connection(connection).await
    }

    async fn connections(&self) -> PortResult<Vec<Connection>> {
        self.inner.config.connections().await
    }

    async fn key(&self, id: &str) -> PortResult<Option<ApiKey>> {
        self.inner.config.key(id).await
    }

    async fn put_key(&self, key: &ApiKey) -> PortResult<()> {
        self.inner.config.put_key(key).await
    }

    async fn keys(&self) -> PortResult<Vec<ApiKey>> {
        self.inner.config.keys().await
    }

    async fn queues(&self) -> PortResult<Vec<Queue>> {
        self.inner.config.queues().await
    }

    async fn put_queue(&self, queue: &Queue) -> PortResult<()> {
        self.inner.config.put_queue(queue).await
    }

    async fn table(&self, id: &str) -> PortResult<Option<Table>> {
        self.inner.config.table(id).await
    }

    async fn put_table(&self, table: &Table) -> PortResult<()> {
        self.inner.config.put_table(table).await
    }

    async fn tables(&self) -> PortResult<Vec<Table>> {
        self.inner.config.tables().await
    }
}

#[async_trait]
impl FailureStore for Faulty {
    async fn failure(&self, id: &str) -> PortResult<Option<Failure>> {
        self.inner.failures.failure(id).await
    }

    async fn put_failure(&self, failure: &Failure) -> PortResult<()> {
        self.inner.failures.put_failure(failure).await
    }

    async fn settle_failure(
        &self,
        failure: &Failure,
        from: FailureState,
        envelopes: &[Envelope],
    ) -> PortResult<()> {
        self.flush().await?;
        self.inner.failures.settle_failure(failure, from, envelopes).await
    }

    async fn failures(
        &self,
        state: Option<FailureState>,
        kind: Option<FailureKind>,
        page: &Page,
    ) -> PortResult<PageOf<Failure>> {
        self.inner.failures.failures(state, kind, page).await
    }
}

#[async_trait]
impl Warehouse for Faulty {
    async fn ensure(&self, table: &Table) -> PortResult<()> {
        self.inner.warehouse.ensure(table).await
    }

    async fn append(&self, table: &Table, rows: &[Row]) -> PortResult<Vec<RefusedRow>> {
        self.inner.warehouse.append(table, rows).await
    }

    async fn rows(
        &self,
        table: &Table,
        current: bool,
        page: &Page,
    ) -> PortResult<PageOf<Map<String, Value>>> {
        self.inner.warehouse.rows(table, current, page).await
    }

    async fn count(&self, table: &Table, current: bool) -> PortResult<u64> {
        self.inner.warehouse.count(table, current).await
    }

    async fn quarantine(&self, rows: &[QuarantinedRow]) -> PortResult<()> {
        self.inner.warehouse.quarantine(rows).await
    }

    async fn quarantined(&self, table: &str, page: &Page) -> PortResult<PageOf<QuarantinedRow>> {
        self.inner.warehouse.quarantined(table, page).await
    }

    async fn release(&self, ids: &[String]) -> PortResult<()> {
        self.inner.warehouse.release(ids).await
    }
}

#[async_trait]
impl Secrets for Faulty {
    async fn secret(&self, name: &str) -> PortResult<Option<Secret>> {
        self.inner.secrets.secret(name).await
    }

    async fn put_secret(&self, name: &str, value: &Secret) -> PortResult<()> {
        self.inner.secrets.put_secret(name, value).await
    }

    async fn secret_names(&self) -> PortResult<Vec<String>> {
        self.inner.secrets.secret_names().await
    }
}
