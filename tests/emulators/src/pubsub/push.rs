//! The loop that pushes one subscription's messages.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::queue::Taken;
use super::store::{Next, Outcome, Store};
use super::subscription::{PushConfig, Subscription};
use super::wire;
use crate::tokens::Issuer;

/// Pushes of one subscription at a time.
const PUSHES_MAX: usize = 256;
/// Extra copies of one subscription that wait or are on their way.
const EXTRA_MAX: usize = 2048;
/// Bytes of an answer that are read; it means nothing, but the connection can be used again.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What pushing needs.
#[derive(Clone)]
pub(super) struct Pusher {
    store: Arc<Store>,
    client: Client<HttpConnector, Full<Bytes>>,
    issuer: Option<Issuer>,
    ack_deadline: Option<Duration>,
}

/// One subscription's loop.
struct Lane {
    pusher: Pusher,
    subscription: Arc<Subscription>,
    push: PushConfig,
    /// How long an endpoint may take to answer.
    deadline: Duration,
}

impl Pusher {
    pub(super) fn new(
        store: Arc<Store>,
        issuer: Option<Issuer>,
        ack_deadline: Option<Duration>,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { store, client, issuer, ack_deadline }
    }

    /// Whether it can sign tokens.
    pub(super) fn has_issuer(&self) -> bool {
        self.issuer.is_some()
    }

    /// Pushes until the subscription is gone. Dropping the future stops every push of it.
    pub(super) async fn run(
        self,
        subscription: Arc<Subscription>,
        push: PushConfig,
        mut wake: watch::Receiver<()>,
    ) {
        let seconds = Duration::from_secs(subscription.ack_deadline_seconds.into());
        let deadline = self.ack_deadline.unwrap_or(seconds);
        let lane = Arc::new(Lane { pusher: self, subscription, push, deadline });
        let store = &lane.pusher.store;
        let (pushes, extras) =
            (Arc::new(Semaphore::new(PUSHES_MAX)), Arc::new(Semaphore::new(EXTRA_MAX)));
        let mut faults = store.mischief.watch();
        let mut tasks = JoinSet::new();
        loop {
            while tasks.try_join_next().is_some() {}
            let Ok(permit) = Arc::clone(&pushes).acquire_owned().await else {
                return;
            };
            wake.borrow_and_update();
            faults.borrow_and_update();
            if let Some(until) = store.mischief.outage() {
                woken(&mut faults, Some(until)).await;
                continue;
            }
            let taken = match store.next_push(&lane.subscription.name) {
                Next::Gone => return,
                Next::Wait(due) => {
                    if !woken(&mut wake, due).await {
                        return;
                    }
                    continue;
                }
                Next::Push(taken) => taken,
            };
            let plan = store.mischief.plan();
            for late in plan.extra {
                let Ok(permit) = Arc::clone(&extras).acquire_owned().await else {
                    return;
                };
                store.pushed(&lane.subscription.name, true);
                let (lane, taken) = (Arc::clone(&lane), taken.clone());
                tasks.spawn(async move {
                    tokio::time::sleep(late).await;
                    lane.send(&taken).await;
                    lane.pusher.store.extra_ended(&lane.subscription.name);
                    drop(permit);
                });
            }
            let lane = Arc::clone(&lane);
            tasks.spawn(async move {
                tokio::time::sleep(plan.delay).await;
                lane.deliver(&taken, plan.lose_answer).await;
                drop(permit);
            });
        }
    }
}

impl Lane {
    /// Sends a message and ends its delivery.
    async fn deliver(&self, taken: &Taken, lose_answer: bool) {
        let (store, name) = (&self.pusher.store, &self.subscription.name);
        store.pushed(name, false);
        let good = self.send(taken).await;
        let outcome = if good && !lose_answer { Outcome::Ack } else { Outcome::Nack };
        store.settle(name, taken.place, taken.attempt, outcome);
    }

    /// Sends a message; whether the endpoint took it in time.
    async fn send(&self, taken: &Taken) -> bool {
        let request = match self.request(taken) {
            Ok(request) => request,
            Err(error) => {
                tracing::error!(%error, subscription = self.subscription.name, "cannot push");
                return false;
            }
        };
        let exchange = async {
            let answer = self.pusher.client.request(request).await?;
            let status = answer.status();
            // What an answer says is of no use; read to its end, its connection is.
            drop(Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await);
            Ok::<StatusCode, hyper_util::client::legacy::Error>(status)
        };
        match tokio::time::timeout(self.deadline, exchange).await {
            Ok(Ok(status)) => matches!(status.as_u16(), 102 | 200 | 201 | 202 | 204),
            Ok(Err(error)) => {
                tracing::debug!(%error, subscription = self.subscription.name, "a push failed");
                false
            }
            Err(_) => false,
        }
    }

    fn request(&self, taken: &Taken) -> anyhow::Result<axum::http::Request<Full<Bytes>>> {
        let token = match (&self.push.oidc_token, &self.pusher.issuer) {
            (Some(oidc), Some(issuer)) => {
                let endpoint = &self.push.push_endpoint;
                let audience = if oidc.audience.is_empty() { endpoint } else { &oidc.audience };
                Some(issuer.token(audience, &oidc.service_account_email)?)
            }
            _ => None,
        };
        wire::request(&self.subscription, &self.push, taken, token.as_deref())
    }
}

/// Waits for a change, or until `due`; false when the subscription is gone.
pub(super) async fn woken(wake: &mut watch::Receiver<()>, due: Option<Instant>) -> bool {
    let far = Instant::now() + Duration::from_secs(3600);
    tokio::select! {
        changed = wake.changed() => changed.is_ok(),
        () = tokio::time::sleep_until(due.unwrap_or(far)) => true,
    }
}
