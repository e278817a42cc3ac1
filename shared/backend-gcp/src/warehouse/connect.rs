//! The clients of BigQuery's services.

use std::sync::{Arc, Mutex};

use google_cloud_auth::credentials::{Credentials, anonymous};
use google_cloud_bigquery::client::Write;
use google_cloud_bigquery::query::retry_policy::RetryableErrors;
use google_cloud_bigquery_v2::client::{DatasetService, JobService, TableService};
use google_cloud_gax::retry_policy::RetryPolicyExt as _;
use lru::LruCache;
use ports::{Clock, PortError, PortResult};

use super::catalog::Catalog;
use super::order::Order;
use super::query::Jobs;
use super::stream::Writes;
use super::{BigQuery, Inner, LANES_MAX, SHAPES_MAX};
use crate::config::Config;
use crate::firestore::Firestore;

/// How often a request of the REST API is made before its error counts.
const ATTEMPTS_MAX: u32 = 4;

/// A client of the REST API: a server that stands in is asked without credentials.
macro_rules! rest {
    ($service:ty, $config:expr) => {{
        let mut builder = <$service>::builder()
            .with_retry_policy(RetryableErrors.with_attempt_limit(ATTEMPTS_MAX));
        if let Some(endpoint) = &$config.endpoints.bigquery {
            builder = builder.with_endpoint(endpoint).with_credentials(nobody());
        }
        builder.build().await.map_err(PortError::backend)?
    }};
}

fn nobody() -> Credentials {
    anonymous::Builder::new().build()
}

impl BigQuery {
    /// Makes the clients. Nothing is asked of BigQuery yet, so that a process starts without it.
    ///
    /// # Errors
    /// `Backend` when there are no credentials or an endpoint is no address.
    pub async fn connect(
        config: &Config,
        clock: Arc<dyn Clock>,
        store: Firestore,
    ) -> PortResult<Self> {
        let datasets = rest!(DatasetService, config);
        let tables = rest!(TableService, config);
        let service = rest!(JobService, config);
        let mut write = Write::builder();
        if let Some(endpoint) = &config.endpoints.bigquery_storage {
            write = write.with_endpoint(endpoint).with_credentials(nobody());
        }
        let client = write.build().await.map_err(PortError::backend)?;
        let jobs = Jobs { service, project: config.project.clone() };
        let order = Arc::new(Order::new(clock));
        let catalog = Arc::new(Catalog::new((datasets, tables, jobs), order, config));
        let writes = Arc::new(Writes { client, catalog: Arc::clone(&catalog) });
        let inner = Inner {
            catalog,
            writes,
            store,
            shapes: Mutex::new(LruCache::new(SHAPES_MAX)),
            lanes: Mutex::new(LruCache::new(LANES_MAX)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}
