//! What a backend gives to the suites.

use std::any::Any;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use ports::{
    Bus, ConfigStore, Deliveries, Delivery, Envelope, FailureStore, FlowStore, Queries, Receipt,
    Secrets, Timers, TurnStore, Warehouse,
};

/// Opens what a dropped backend has stored.
pub type Reopen = Arc<dyn Fn() -> BoxFuture<'static, Backend> + Send + Sync>;

/// Every port of one backend, over one empty store.
#[derive(Clone)]
pub struct Backend {
    /// Reads and commits.
    pub turns: Arc<dyn TurnStore>,
    /// Lists and search.
    pub queries: Arc<dyn Queries>,
    /// Flows.
    pub flows: Arc<dyn FlowStore>,
    /// Connections, keys, queues, tables.
    pub config: Arc<dyn ConfigStore>,
    /// Failures.
    pub failures: Arc<dyn FailureStore>,
    /// Publishes.
    pub bus: Arc<dyn Bus>,
    /// The receiving end; none where the backend pushes. The `bus` group needs it.
    pub deliveries: Option<Arc<dyn Deliveries>>,
    /// Timers that wait.
    pub timers: Arc<dyn Timers>,
    /// Tables of rows.
    pub warehouse: Arc<dyn Warehouse>,
    /// Secrets.
    pub secrets: Arc<dyn Secrets>,
    /// How to open the same store again; none where nothing outlives the process. The `restart`
    /// group needs it.
    pub reopen: Option<Reopen>,
    /// What must live as long as the ports, such as the directory of the files.
    pub keep: Option<Arc<dyn Any + Send + Sync>>,
}

/// Most deliveries that a case looks at.
const DELIVERIES_MAX: usize = 100_000;

/// A time that is after every due time and every commit of the suites.
pub(crate) fn end_of_time() -> DateTime<Utc> {
    crate::sample::at(100 * 365 * 86_400)
}

impl Backend {
    /// Drops every port and opens the store again, as a restart does.
    pub(crate) async fn reopened(self) -> Self {
        let Some(reopen) = self.reopen.clone() else {
            panic!("this backend cannot be opened again; leave the `restart` group out");
        };
        // The directory must outlive the ports that are dropped here.
        let keep = self.keep.clone();
        drop(self);
        let mut backend = reopen().await;
        backend.keep = backend.keep.or(keep);
        backend
    }

    pub(crate) fn deliveries(&self) -> &Arc<dyn Deliveries> {
        let Some(deliveries) = &self.deliveries else {
            panic!("this backend has no deliveries of its own; leave the `bus` group out");
        };
        deliveries
    }

    /// Does what a caller does after a commit.
    pub(crate) async fn publish(&self, receipt: Receipt) {
        self.publish_and_mark(&receipt.unpublished, &receipt.marks).await;
    }

    async fn publish_and_mark(&self, envelopes: &[Envelope], marks: &[String]) {
        if !envelopes.is_empty() {
            self.bus.publish(envelopes).await.unwrap();
        }
        if !marks.is_empty() {
            self.turns.mark_published(marks).await.unwrap();
        }
    }

    /// Does what the sweeper does, until nothing is left unpublished.
    pub(crate) async fn sweep(&self) {
        for _ in 0..1_000 {
            let left = self.turns.unpublished(end_of_time(), 100).await.unwrap();
            if left.is_empty() {
                return;
            }
            let ids: Vec<String> = left.iter().map(|envelope| envelope.id.clone()).collect();
            self.publish_and_mark(&left, &ids).await;
        }
        panic!("the sweeper published and marked, and there is always more");
    }

    /// Everything that is on its way and has no due time, in order.
    pub(crate) async fn on_the_way(&self) -> Vec<Delivery> {
        self.deliveries().after(0, DELIVERIES_MAX).await.unwrap()
    }

    /// Ids of everything on its way without a due time, in order; after a sweep.
    pub(crate) async fn published_ids(&self) -> Vec<String> {
        self.sweep().await;
        self.on_the_way().await.into_iter().map(|delivery| delivery.envelope.id).collect()
    }

    /// Ids of everything that has a due time, earliest first; after a sweep.
    pub(crate) async fn timer_ids(&self) -> Vec<String> {
        self.sweep().await;
        let due = self.timers.overdue(end_of_time(), DELIVERIES_MAX).await.unwrap();
        due.into_iter().map(|timer| timer.id).collect()
    }
}
