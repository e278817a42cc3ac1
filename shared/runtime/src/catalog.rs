//! The live flows and the connections, read seldom and looked at for every message.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use channels::Connection;
use chrono::{DateTime, Utc};
use engine::routing::EntryPoint;
use ports::{FlowVersion, PortResult};
use tokio::sync::{Mutex, RwLock};

use crate::app::App;
use crate::outcome::HandleError;

/// Most versions kept; a version never changes, so old ones only cost memory.
const VERSIONS_KEPT: usize = 1_000;

/// One consistent look at the live flows and the connections.
#[derive(Debug, Default)]
pub struct Catalog {
    flows: Vec<Arc<FlowVersion>>,
    connections: HashMap<String, Arc<Connection>>,
}

impl Catalog {
    /// Every trigger of every live flow, by flow id and place.
    pub fn entries(&self) -> Vec<EntryPoint<'_>> {
        self.flows
            .iter()
            .flat_map(|version| {
                let flow = &version.document;
                flow.triggers.iter().enumerate().map(|(index, trigger)| EntryPoint {
                    flow: &flow.id,
                    index,
                    trigger,
                })
            })
            .collect()
    }

    /// The live version of a flow.
    pub fn live(&self, flow: &str) -> Option<&Arc<FlowVersion>> {
        self.flows.iter().find(|version| version.document.id == flow)
    }

    /// Every live flow, by id.
    pub fn flows(&self) -> &[Arc<FlowVersion>] {
        &self.flows
    }

    /// A connection.
    pub fn connection(&self, id: &str) -> Option<&Arc<Connection>> {
        self.connections.get(id)
    }
}

/// Keeps the catalog for a short while, and versions for long.
#[derive(Debug, Default)]
pub struct CatalogCache {
    current: RwLock<Current>,
    /// One load at a time: a crowd of messages after a publish reads the store once.
    loading: Mutex<()>,
    versions: RwLock<HashMap<(String, u32), Arc<FlowVersion>>>,
}

#[derive(Debug, Default)]
struct Current {
    kept: Option<(DateTime<Utc>, Arc<Catalog>)>,
    /// How often it was forgotten: a look that began before is not kept.
    forgotten: u64,
}

impl CatalogCache {
    /// What is kept, if it is younger than `ttl`; else what `read` finds, which is kept unless the
    /// catalog was forgotten while it read.
    async fn look<R>(
        &self,
        ttl: Duration,
        now: impl Fn() -> DateTime<Utc>,
        read: impl FnOnce() -> R,
    ) -> PortResult<Arc<Catalog>>
    where
        R: Future<Output = PortResult<Catalog>>,
    {
        if let Some(catalog) = self.fresh(ttl, now()).await {
            return Ok(catalog);
        }
        let _guard = self.loading.lock().await;
        if let Some(catalog) = self.fresh(ttl, now()).await {
            return Ok(catalog);
        }
        let forgotten = self.current.read().await.forgotten;
        let catalog = Arc::new(read().await?);
        let mut current = self.current.write().await;
        if current.forgotten == forgotten {
            current.kept = Some((now(), catalog.clone()));
        }
        Ok(catalog)
    }

    async fn fresh(&self, ttl: Duration, now: DateTime<Utc>) -> Option<Arc<Catalog>> {
        let current = self.current.read().await;
        let (read_at, catalog) = current.kept.as_ref()?;
        let age = now.signed_duration_since(*read_at).to_std().ok()?;
        (age < ttl).then(|| catalog.clone())
    }

    async fn forget(&self) {
        let mut current = self.current.write().await;
        current.kept = None;
        current.forgotten += 1;
    }
}

impl App {
    /// The catalog, at most `catalog_ttl` old.
    pub async fn catalog(&self) -> PortResult<Arc<Catalog>> {
        let ttl = self.limits().catalog_ttl;
        self.catalog.look(ttl, || self.now(), || self.read_catalog()).await
    }

    async fn read_catalog(&self) -> PortResult<Catalog> {
        let mut flows = Vec::new();
        for (flow, version) in self.store().live().await? {
            if let Some(version) = self.version(&flow, version).await? {
                flows.push(version);
            }
        }
        let connections = self.store().connections().await?;
        let connections = connections.into_iter().map(|c| (c.id.clone(), Arc::new(c))).collect();
        Ok(Catalog { flows, connections })
    }

    /// The next look at the catalog reads the store.
    pub async fn forget_catalog(&self) {
        self.catalog.forget().await;
    }

    /// One published version of a flow; it never changes, so it is kept.
    pub async fn version(&self, flow: &str, version: u32) -> PortResult<Option<Arc<FlowVersion>>> {
        let key = (flow.to_owned(), version);
        if let Some(found) = self.catalog.versions.read().await.get(&key) {
            return Ok(Some(found.clone()));
        }
        let Some(found) = self.store().version(flow, version).await? else { return Ok(None) };
        let found = Arc::new(found);
        let mut versions = self.catalog.versions.write().await;
        if versions.len() >= VERSIONS_KEPT {
            versions.clear();
        }
        versions.insert(key, found.clone());
        Ok(Some(found))
    }

    /// A connection, or an error that names it.
    pub async fn connection(&self, id: &str) -> Result<Arc<Connection>, HandleError> {
        self.catalog()
            .await?
            .connection(id)
            .cloned()
            .ok_or_else(|| HandleError::NotFound(format!("connection `{id}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    async fn empty() -> PortResult<Catalog> {
        Ok(Catalog::default())
    }

    #[tokio::test]
    async fn a_look_is_kept_until_it_is_old() {
        let cache = CatalogCache::default();
        let first = cache.look(TTL, now, empty).await.unwrap();
        let kept = cache.look(TTL, || now() + TTL / 2, empty).await.unwrap();
        assert!(Arc::ptr_eq(&first, &kept));
        let later = cache.look(TTL, || now() + TTL, empty).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &later));
        // A clock that was set back does not keep it for ever.
        let earlier = cache.look(TTL, now, empty).await.unwrap();
        assert!(!Arc::ptr_eq(&later, &earlier));
    }

    #[tokio::test]
    async fn a_look_that_began_before_a_publish_is_not_kept() {
        let cache = CatalogCache::default();
        let publish_meanwhile = || async {
            let read = empty().await;
            cache.forget().await;
            read
        };
        let early = cache.look(TTL, now, publish_meanwhile).await.unwrap();
        let next = cache.look(TTL, now, empty).await.unwrap();
        assert!(!Arc::ptr_eq(&early, &next));
        assert!(Arc::ptr_eq(&next, &cache.look(TTL, now, empty).await.unwrap()));
    }
}
