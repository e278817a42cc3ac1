//! Rows that do not fit their table: kept here, as BigQuery removes rows only by rewriting them.

use gcloud_sdk::google::firestore::v1::Write;
use ports::{Page, PageOf, PortResult, QuarantinedRow};

use super::Firestore;
use super::client::{Guard, delete, put};
use super::cursor::List;
use super::documents::DOCUMENT;
use super::keys::{QUARANTINE, key};
use super::query::Query;
use super::value::{Fields, text, time, to_json};

/// Most documents written in one call: rows may be large.
const WRITES_MAX: usize = 10;
/// Most removed in one call.
const DELETES_MAX: usize = 400;

impl Firestore {
    /// Keeps rows; one with the id of another replaces it.
    pub async fn quarantine(&self, rows: &[QuarantinedRow]) -> PortResult<()> {
        for rows in rows.chunks(WRITES_MAX) {
            let write = |row: &QuarantinedRow| -> PortResult<Write> {
                let fields = Fields::default()
                    .set("table", text(&row.table))
                    .set("at", time(row.at))
                    .set(DOCUMENT, text(to_json("the row", row)?));
                let name = self.client().name(QUARANTINE, &key(&row.id));
                Ok(put(fields.document(name), Guard::Any))
            };
            self.write(rows.iter().map(write).collect::<PortResult<_>>()?).await?;
        }
        Ok(())
    }

    /// Rows of a table, oldest first.
    pub async fn quarantined(
        &self,
        table: &str,
        page: &Page,
    ) -> PortResult<PageOf<QuarantinedRow>> {
        let query = Query {
            collection: QUARANTINE,
            equals: vec![("table", text(table))],
            order: Some(("at", false)),
            ..Query::default()
        };
        self.page("quarantined row", query, page, List::Quarantine, |_| true).await
    }

    /// Removes rows that have landed.
    pub async fn release(&self, ids: &[String]) -> PortResult<()> {
        for ids in ids.chunks(DELETES_MAX) {
            let writes = ids.iter().map(|id| delete(self.client().name(QUARANTINE, &key(id))));
            self.write(writes.collect()).await?;
        }
        Ok(())
    }
}
