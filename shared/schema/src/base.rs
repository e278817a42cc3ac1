//! The tables Chatflow itself lands in, from `infra/bigquery/*.json`.

use std::sync::LazyLock;

use crate::table::Table;

/// Ids of the base tables; no user table has one of them.
pub(crate) const BASE_TABLE_IDS: [&str; 4] = ["tasks", "messages", "history", "audit"];

const SOURCES: [&str; 4] = [
    include_str!("../../../infra/bigquery/tasks.json"),
    include_str!("../../../infra/bigquery/messages.json"),
    include_str!("../../../infra/bigquery/history.json"),
    include_str!("../../../infra/bigquery/audit.json"),
];

static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let parse = |source| serde_json::from_str(source).expect("infra/bigquery/*.json are tables");
    SOURCES.into_iter().map(parse).collect()
});

/// `tasks`, `messages`, `history` and `audit`, meta columns included.
pub fn base_tables() -> &'static [Table] {
    &TABLES
}

/// The base table of that id. A flow's `record` step may not write to one.
pub fn base_table(id: &str) -> Option<&'static Table> {
    base_tables().iter().find(|table| table.id() == id)
}

#[cfg(test)]
mod tests {
    use super::{BASE_TABLE_IDS, base_table, base_tables};

    #[test]
    fn every_source_is_the_table_of_its_id() {
        let ids: Vec<&str> = base_tables().iter().map(crate::Table::id).collect();
        assert_eq!(ids, BASE_TABLE_IDS);
        assert!(base_table("history").is_some());
        assert!(base_table("leave_requests").is_none());
    }
}
