//! Time.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Where time comes from.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time, with a resolution of one microsecond.
    fn now(&self) -> DateTime<Utc>;

    /// Waits until that time has come.
    async fn sleep_until(&self, at: DateTime<Utc>);
}
