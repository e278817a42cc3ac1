//! The system's clock.

use async_trait::async_trait;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use ports::Clock;

/// The time of this machine, in microseconds: what SQLite and BigQuery keep.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> DateTime<Utc> {
        let now: DateTime<Utc> = std::time::SystemTime::now().into();
        now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        if let Ok(wait) = at.signed_duration_since(self.now()).to_std() {
            tokio::time::sleep(wait).await;
        }
    }
}
