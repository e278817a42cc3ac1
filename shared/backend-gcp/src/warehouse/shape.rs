//! What is worked out once of a table's schema.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use schema::{Table, with_meta};

use super::arrow;

/// A table and its form in Arrow.
pub(super) struct Shape {
    /// The table as the caller has it, to see whether the shape is still its.
    given: Table,
    /// The table with the meta columns.
    pub(super) table: Table,
    /// Its columns in Arrow, with the hidden column at the end.
    pub(super) arrow: SchemaRef,
}

impl Shape {
    pub(super) fn of(table: &Table) -> Arc<Self> {
        let full = with_meta(table.clone());
        let arrow = arrow::schema_of(&full);
        Arc::new(Self { given: table.clone(), table: full, arrow })
    }

    pub(super) fn is_of(&self, table: &Table) -> bool {
        self.given == *table || self.table == *table
    }

    /// Whether rows of both fit into one request.
    pub(super) fn is_same(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other) || self.table == other.table
    }
}
