//! Pub/Sub with push: ordering, tokens, redelivery, dead letters, and faults on demand.
//!
//! Google's own emulator drops the ordering key on push, sends no token and knows no dead letters.
//! One port speaks both protocols: gRPC (without TLS) and REST.
//!
//! - gRPC `Publisher`: `CreateTopic`, `GetTopic`, `Publish`; `Subscriber`: `CreateSubscription`,
//!   `Pull`, `Acknowledge`, `ModifyAckDeadline`.
//! - REST `PUT`, `GET`, `DELETE /v1/projects/P/topics/T`, `:publish`, and the list; the same for
//!   `/v1/projects/P/subscriptions/S` with `:pull`, `:acknowledge`, `:modifyAckDeadline`.
//! - Controls: `POST /control/faults` ([`Faults`]), `POST /control/quiet`
//!   (`{"limit_milliseconds": N}`, answers once nothing is out), `GET /control/counters`.
//!
//! Everything is in memory and bounded. A field of a subscription that is not honoured is refused.

mod faults;
mod filter;
mod grpc;
mod message;
mod problem;
mod push;
mod queue;
mod rest;
mod service;
mod store;
mod subscription;
mod wire;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use faults::Faults;
pub use message::Draft;
pub use problem::Problem;
pub use store::Counters;
pub use subscription::{
    Backoff, DeadLetterPolicy, NoWrapper, OidcToken, PubsubWrapper, PushConfig, RetryPolicy,
    Subscription,
};

use crate::rest::listen;
use crate::tokens::Issuer;
use push::Pusher;
use service::Service;
use store::Store;

/// How a server differs from Google's.
#[derive(Clone, Debug)]
pub struct Options {
    /// Signs the tokens of pushes. Without it a subscription with `oidcToken` is refused.
    pub issuer: Option<Issuer>,
    /// The port; 0 means a free one.
    pub port: u16,
    /// How long a refused message waits where its subscription has no retry policy.
    pub backoff: Backoff,
    /// How long a delivery may go unanswered, in place of what every subscription says.
    pub ack_deadline: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        let backoff =
            Backoff { minimum: Duration::from_millis(50), maximum: Duration::from_secs(2) };
        Self { issuer: None, port: 0, backoff, ack_deadline: None }
    }
}

/// A running server. It ends when dropped, and what it holds is gone.
pub struct Server {
    /// Where gRPC is served, without TLS.
    pub grpc: SocketAddr,
    /// Where REST is served: the same port.
    pub rest: SocketAddr,
    service: Arc<Service>,
    _listening: JoinSet<()>,
}

impl Server {
    /// Listens on loopback.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
            .await
            .with_context(|| format!("port {} is not free for Pub/Sub", options.port))?;
        let address = listener.local_addr()?;
        let store = Arc::new(Store::new(options.backoff));
        let pusher = Pusher::new(Arc::clone(&store), options.issuer, options.ack_deadline);
        let service = Arc::new(Service::new(store, pusher, options.ack_deadline));
        let router = rest::router(Arc::clone(&service)).merge(grpc::router(Arc::clone(&service)));
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, router));
        Ok(Self { grpc: address, rest: address, service, _listening: listening })
    }

    /// `http://127.0.0.1:PORT`, for clients of either protocol.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Creates `projects/{project}/topics/{topic}`.
    pub fn create_topic(&self, name: &str) -> Result<(), Problem> {
        self.service.store.create_topic(name, BTreeMap::new())
    }

    /// Creates a subscription, and starts to push if it has an endpoint.
    pub fn create_subscription(&self, subscription: Subscription) -> Result<(), Problem> {
        self.service.subscribe(subscription).map(|_| ())
    }

    /// Deletes a subscription with its messages; pushes of it end at once.
    pub fn delete_subscription(&self, name: &str) -> Result<(), Problem> {
        self.service.unsubscribe(name)
    }

    /// Publishes messages, all or none; their ids.
    pub fn publish(&self, topic: &str, messages: Vec<Draft>) -> Result<Vec<String>, Problem> {
        self.service.publish(topic, messages)
    }

    /// Makes these faults happen from now on, in place of those before.
    pub fn set_faults(&self, faults: Faults) -> Result<(), Problem> {
        faults.check()?;
        self.service.store.mischief.set(faults);
        Ok(())
    }

    /// For so long, or until other faults are set, refuses to publish and pull as `UNAVAILABLE`,
    /// and pushes nothing. Pushes that are under way end as they end.
    pub fn outage(&self, length: Duration) {
        self.service.store.mischief.start_outage(length);
    }

    /// Waits until every push subscription is empty and no copy is on its way. An error says what
    /// is left after `limit`.
    pub async fn idle(&self, limit: Duration) -> anyhow::Result<()> {
        self.service.idle(limit).await
    }

    /// What happened so far, by the topic's full name.
    pub fn counters(&self) -> BTreeMap<String, Counters> {
        self.service.store.counters()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.service.stop();
    }
}
