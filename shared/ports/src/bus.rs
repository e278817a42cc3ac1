//! The bus: durable envelopes, delivered at least once, in order within a key.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::PortResult;

/// Largest body of an envelope in bytes (Pub/Sub takes 10 MB; Firestore documents 1 MiB).
pub const ENVELOPE_BYTES_MAX: usize = 900 * 1024;

/// Who gets an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The controller.
    Events,
    /// The messenger.
    Outbound,
    /// The connector.
    Calls,
    /// The landing.
    Landing,
    /// The timekeeper.
    Timers,
    /// The failures function: envelopes that others gave up.
    Failures,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Events, Self::Outbound, Self::Calls, Self::Landing, Self::Timers, Self::Failures];

    /// The topic's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Outbound => "outbound",
            Self::Calls => "calls",
            Self::Landing => "landing",
            Self::Timers => "timers",
            Self::Failures => "failures",
        }
    }

    /// The topic of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// One thing for one function to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Its id; publishing the same id twice is publishing it once, as long as it is undelivered.
    pub id: String,
    /// Who gets it.
    pub topic: Topic,
    /// Envelopes of one topic and key are delivered in the order they were published.
    pub key: String,
    /// Not before this time; such envelopes have no order. None is at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<DateTime<Utc>>,
    /// JSON.
    pub body: String,
}

/// Publishes.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes all of them, durably, in this order.
    async fn publish(&self, envelopes: &[Envelope]) -> PortResult<()>;
}

/// Timers that wait: envelopes with a due time, from the commit or publish that set them until
/// they are done or withdrawn. Where the backend delivers them itself ([`Deliveries`]) these are
/// the same envelopes.
#[async_trait]
pub trait Timers: Send + Sync {
    /// The timer of that id, due or not.
    async fn timer(&self, id: &str) -> PortResult<Option<Envelope>>;

    /// Timers due before `before`, earliest first, at most `limit`.
    async fn overdue(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>>;

    /// Wakes the timekeeper when the timer is due, where that is up to the backend. Setting an
    /// alarm twice is setting it once.
    async fn alarm(&self, timer: &Envelope) -> PortResult<()>;

    /// These have had their effect.
    async fn done(&self, ids: &[String]) -> PortResult<()>;
}

/// An envelope on its way, where the backend has no push of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its place in the order of publishing.
    pub position: i64,
    /// How often it was delivered before.
    pub attempts: u32,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// What.
    pub envelope: Envelope,
}

/// The receiving end of a bus that is polled: the in-process delivery loop.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Envelopes without a due time behind `position`, in order; fewer than `limit` where they are
    /// large.
    async fn after(&self, position: i64, limit: usize) -> PortResult<Vec<Delivery>>;

    /// Envelopes whose time has come, earliest first; fewer than `limit` where they are large.
    async fn due(&self, now: DateTime<Utc>, limit: usize) -> PortResult<Vec<Delivery>>;

    /// The earliest due time that is still to come.
    async fn next_due(&self) -> PortResult<Option<DateTime<Utc>>>;

    /// These are done. Envelopes of `instead` are published in the same step, so that giving
    /// one up and keeping it as a failure cannot come apart.
    async fn acknowledge(&self, positions: &[i64], instead: &[Envelope]) -> PortResult<()>;

    /// This one was tried and is to be tried again; keeps the count across restarts.
    async fn tried(&self, position: i64, attempts: u32) -> PortResult<()>;

    /// Waits until something was published or `longest` has passed.
    async fn published(&self, longest: Duration);

    /// How many envelopes wait, by topic.
    async fn backlog(&self) -> PortResult<Vec<(Topic, u64)>>;
}
