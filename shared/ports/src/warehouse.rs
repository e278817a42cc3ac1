//! The warehouse: append-only tables under checked schemas.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schema::{Row, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::PortResult;
use crate::state::{Page, PageOf};

/// A row the warehouse refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Its place in the batch.
    pub index: usize,
    /// Why.
    pub reason: String,
}

/// A row that does not fit its table, kept until somebody replays it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuarantinedRow {
    /// Its id; writing the same id again replaces it.
    pub id: String,
    /// The table.
    pub table: String,
    /// The row as it came.
    pub row: Map<String, Value>,
    /// Why it does not fit, one line per problem.
    pub reasons: Vec<String>,
    /// When it came.
    pub at: DateTime<Utc>,
}

/// Tables of rows.
#[async_trait]
pub trait Warehouse: Send + Sync {
    /// Makes the table and its `_current` view, or adds the columns that are new.
    async fn ensure(&self, table: &Table) -> PortResult<()>;

    /// Appends converted rows; those that are refused do not keep the others from landing.
    async fn append(&self, table: &Table, rows: &[Row]) -> PortResult<Vec<RefusedRow>>;

    /// Rows as JSON in the order they landed: all of them, or with `current` the newest per key.
    async fn rows(
        &self,
        table: &Table,
        current: bool,
        page: &Page,
    ) -> PortResult<PageOf<Map<String, Value>>>;

    /// How many rows there are: all, or with `current` one per key.
    async fn count(&self, table: &Table, current: bool) -> PortResult<u64>;

    /// Keeps a row that does not fit.
    async fn quarantine(&self, rows: &[QuarantinedRow]) -> PortResult<()>;

    /// Rows that do not fit, oldest first.
    async fn quarantined(&self, table: &str, page: &Page) -> PortResult<PageOf<QuarantinedRow>>;

    /// Removes rows from quarantine, after they landed.
    async fn release(&self, ids: &[String]) -> PortResult<()>;
}
