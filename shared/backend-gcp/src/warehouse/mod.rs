//! `Warehouse` on BigQuery: tables by its REST API, rows by its Storage Write API, quarantine in
//! Firestore.
//!
//! | module | holds |
//! |---|---|
//! | `catalog`, `resource` | tables and views: made, changed, compared |
//! | `order` | the hidden column that keeps the order in which rows landed, and cursors |
//! | `shape`, `bind`, `arrow` | a table's schema in Arrow, and rows in it |
//! | `lane`, `stream` | appends of one table, put together, over one connection |
//! | `query`, `read`, `values` | rows and counts by queries |
//! | `examine` | what `chatflow doctor` asks |

mod arrow;
mod bind;
mod catalog;
mod connect;
mod examine;
mod lane;
mod order;
mod query;
mod read;
mod resource;
mod shape;
mod stream;
mod values;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lru::LruCache;
use ports::{Page, PageOf, PortResult, QuarantinedRow, RefusedRow, Warehouse};
use schema::{Row, Table};
use serde_json::{Map, Value};

use self::bind::bind;
use self::catalog::Catalog;
use self::lane::Lane;
use self::read::Source;
use self::shape::Shape;
use self::stream::Writes;
use crate::firestore::Firestore;

/// Most tables with a connection of their own; a connection to Google carries 100 streams.
const LANES_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("more than none");
/// Most tables whose form in Arrow is remembered.
const SHAPES_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("more than none");

/// The warehouse. Clones share their connections.
///
/// Appends land at least once: after [`ports::PortError::Unavailable`] rows may be there all the
/// same. Rows can be read as soon as an append has returned.
#[derive(Clone)]
pub struct BigQuery {
    inner: Arc<Inner>,
}

struct Inner {
    catalog: Arc<Catalog>,
    writes: Arc<Writes>,
    store: Firestore,
    shapes: Mutex<LruCache<String, Arc<Shape>>>,
    lanes: Mutex<LruCache<String, Lane>>,
}

impl fmt::Debug for BigQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Catalog { project, dataset, .. } = &*self.inner.catalog;
        let mut debug = formatter.debug_struct("BigQuery");
        debug.field("project", project).field("dataset", dataset).finish_non_exhaustive()
    }
}

impl BigQuery {
    /// The table resource of BigQuery's REST API with every column that Chatflow needs: those of
    /// the table, the meta columns, and the hidden one that keeps the order of rows. Project and
    /// dataset are left out.
    pub fn table_resource(table: &Table) -> Value {
        resource::resource(table)
    }

    fn shape(&self, table: &Table) -> Arc<Shape> {
        let mut shapes = self.inner.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        match shapes.get(table.id()).filter(|shape| shape.is_of(table)) {
            Some(shape) => Arc::clone(shape),
            None => {
                let shape = Shape::of(table);
                shapes.put(table.id().to_owned(), Arc::clone(&shape));
                shape
            }
        }
    }

    fn lane(&self, table: &Table) -> Lane {
        let mut lanes = self.inner.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        match lanes.get(table.id()).filter(|lane| !lane.is_closed()) {
            Some(lane) => lane.clone(),
            None => {
                let lane = Lane::open(table.id(), Arc::clone(&self.inner.writes));
                lanes.put(table.id().to_owned(), lane.clone());
                lane
            }
        }
    }

    fn source(&self, table: &Table) -> Source<'_> {
        let catalog = &self.inner.catalog;
        let path = catalog.path(table.id());
        Source { jobs: &catalog.jobs, path, order: &catalog.order }
    }
}

#[async_trait]
impl Warehouse for BigQuery {
    async fn ensure(&self, table: &Table) -> PortResult<()> {
        let shape = self.shape(table);
        if self.inner.catalog.ensure(&shape.table).await? {
            // A connection keeps the columns that the table had when it was opened.
            let mut lanes = self.inner.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.pop(table.id());
        }
        Ok(())
    }

    async fn append(&self, table: &Table, rows: &[Row]) -> PortResult<Vec<RefusedRow>> {
        let shape = self.shape(table);
        let mut refused = Vec::new();
        let mut bound = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            match bind(&shape.table, row) {
                Ok(row) => bound.push((index, row)),
                Err(reason) => refused.push(RefusedRow { index, reason }),
            }
        }
        if !bound.is_empty() {
            refused.extend(self.lane(table).append(shape, bound).await?);
            refused.sort_by_key(|row| row.index);
        }
        Ok(refused)
    }

    async fn rows(
        &self,
        table: &Table,
        current: bool,
        page: &Page,
    ) -> PortResult<PageOf<Map<String, Value>>> {
        let shape = self.shape(table);
        self.source(table).rows(&shape.table, current, page).await
    }

    async fn count(&self, table: &Table, current: bool) -> PortResult<u64> {
        let shape = self.shape(table);
        self.source(table).count(&shape.table, current).await
    }

    async fn quarantine(&self, rows: &[QuarantinedRow]) -> PortResult<()> {
        self.inner.store.quarantine(rows).await
    }

    async fn quarantined(&self, table: &str, page: &Page) -> PortResult<PageOf<QuarantinedRow>> {
        self.inner.store.quarantined(table, page).await
    }

    async fn release(&self, ids: &[String]) -> PortResult<()> {
        self.inner.store.release(ids).await
    }
}
