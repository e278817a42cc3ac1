//! What stands between one function and Google's services: it counts what goes through, and
//! fails on demand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use emulators::proxy::{Counts, Proxy};
use emulators::run::Running;

/// A service that functions talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Firestore.
    Firestore,
    /// Pub/Sub, to publish.
    Pubsub,
    /// BigQuery's REST API: tables and queries.
    Bigquery,
    /// BigQuery's Storage Write API.
    StorageWrite,
    /// Cloud Tasks.
    Tasks,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Firestore, Self::Pubsub, Self::Bigquery, Self::StorageWrite, Self::Tasks];

    /// The variable that tells a function where it is.
    fn variable(self) -> &'static str {
        match self {
            Self::Firestore => "CHATFLOW_FIRESTORE_ENDPOINT",
            Self::Pubsub => "CHATFLOW_PUBSUB_ENDPOINT",
            Self::Bigquery => "CHATFLOW_BIGQUERY_ENDPOINT",
            Self::StorageWrite => "CHATFLOW_BIGQUERY_STORAGE_ENDPOINT",
            Self::Tasks => "CHATFLOW_TASKS_ENDPOINT",
        }
    }
}

/// The proxies of one function, one for each service.
pub struct Proxies(BTreeMap<Service, Proxy>);

impl Proxies {
    /// Puts a proxy before each server that runs.
    pub(crate) async fn start(around: &Running) -> anyhow::Result<Self> {
        let addresses: BTreeMap<&str, String> = around.variables().into_iter().collect();
        let mut proxies = BTreeMap::new();
        for service in Service::ALL {
            let Some(address) = addresses.get(service.variable()) else { continue };
            let upstream: SocketAddr =
                address.strip_prefix("http://").and_then(|host| host.parse().ok()).with_context(
                    || format!("{service:?} is at {address}, which is no http:// host"),
                )?;
            proxies.insert(service, Proxy::start(upstream).await?);
        }
        Ok(Self(proxies))
    }

    /// The settings that lead a function through them.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.0.iter().map(|(service, proxy)| (service.variable(), proxy.endpoint()))
    }

    /// What went to a service since the start or the last [`Proxies::reset`].
    pub fn counts(&self, service: Service) -> Counts {
        self.0.get(&service).map(Proxy::counts).unwrap_or_default()
    }

    /// Forgets what went through.
    pub fn reset(&self) {
        self.0.values().for_each(Proxy::reset);
    }

    /// Takes a service away for so long (see [`Proxy::outage`]).
    pub fn outage(&self, service: Service, length: Duration) {
        if let Some(proxy) = self.0.get(&service) {
            proxy.outage(length);
        }
    }
}
