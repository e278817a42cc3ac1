//! The bus: Pub/Sub for what is due at once, the store and alarms for what is due later.
//!
//! | module | holds |
//! |---|---|
//! | [`message`] | an envelope as a message |
//! | [`lane`] | one topic's publisher: in order within a key, bounded in memory |
//!
//! Pub/Sub does not know that an id comes twice: whoever receives drops repetitions by the
//! envelope's id. A call that fails may have published some; its caller publishes all again.

mod lane;
mod message;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use google_cloud_auth::credentials::anonymous;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use google_cloud_gax::retry_policy::{Aip194Strict, RetryPolicyExt as _};
use google_cloud_pubsub::client::{BasePublisher, TopicAdmin};
use google_cloud_pubsub::model::Message;
use google_cloud_pubsub::retry_policy::RetryableErrors;
use ports::{Bus, Envelope, PortError, PortResult, Timers as _, Topic};
use tokio::sync::Semaphore;

use crate::alarms::{Alarms, has_code};
use crate::config::Config;
use crate::error::{from_google, unavailable};
use crate::firestore::Firestore;
use crate::gcp::Traceparent;

use self::lane::{Lane, REQUEST_MESSAGES_MAX};

/// Longest time until a call's envelopes are stored; the caller publishes again.
const CALL_MAX: Duration = Duration::from_secs(10);

/// Longest time of all tries of one request: shorter than the call, so that a call's messages
/// are settled when it ends.
const REQUEST_MAX: Duration = Duration::from_secs(8);

/// Longest time to open the connection at the start.
const WARM_MAX: Duration = Duration::from_secs(5);

/// Longest wait for one answer about topics, and for all tries.
const ADMIN_ATTEMPT_MAX: Duration = Duration::from_secs(5);
const ADMIN_MAX: Duration = Duration::from_secs(10);

/// Most bytes that one call has on its way on one topic; a larger call goes in parts.
const PART_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most kilobytes that all calls have on their way; more wait.
const ON_THE_WAY_KIB_MAX: usize = 64 * 1024;

/// The topic that is never made: what is published to it opens the connection and no more.
const NO_TOPIC: &str = "no-topic";

/// Publishes to Pub/Sub and keeps timers. Clones share one connection.
#[derive(Clone)]
pub struct PubSub {
    inner: Arc<Inner>,
}

struct Inner {
    lanes: Vec<(Topic, Lane)>,
    none: Lane,
    store: Firestore,
    alarms: Alarms,
    traceparent: Traceparent,
    on_the_way: Semaphore,
    endpoint: Option<String>,
}

impl fmt::Debug for PubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics = self.inner.lanes.iter().map(|(_, lane)| lane.topic()).collect::<Vec<_>>();
        f.debug_struct("PubSub").field("topics", &topics).finish_non_exhaustive()
    }
}

impl PubSub {
    /// A publisher to every topic, over one connection that opens with the first message or
    /// by [`PubSub::warm`]. Timers go to `store`; `alarms` bounds how many of theirs are being
    /// set at once.
    pub async fn connect(
        config: &Config,
        store: Firestore,
        alarms: Alarms,
        traceparent: Traceparent,
    ) -> PortResult<Self> {
        let mut builder = BasePublisher::builder()
            .with_retry_policy(RetryableErrors.with_time_limit(REQUEST_MAX));
        if let Some(endpoint) = &config.endpoints.pubsub {
            builder = builder
                .with_endpoint(endpoint.as_str())
                .with_credentials(anonymous::Builder::new().build());
        }
        let base = builder.build().await.map_err(PortError::backend)?;
        let lane = |name: &str| {
            let (project, prefix) = (&config.project, &config.topic_prefix);
            Lane::new(&base, format!("projects/{project}/topics/{prefix}{name}"))
        };
        Ok(Self {
            inner: Arc::new(Inner {
                lanes: Topic::ALL.into_iter().map(|topic| (topic, lane(topic.name()))).collect(),
                none: lane(NO_TOPIC),
                store,
                alarms,
                traceparent,
                on_the_way: Semaphore::new(ON_THE_WAY_KIB_MAX),
                endpoint: config.endpoints.pubsub.clone(),
            }),
        })
    }

    /// Opens the connection and fetches a token, so that the first message waits for neither. An
    /// empty message is sent to a topic that does not exist: refused everywhere, and the
    /// cheapest answer that there is. Whether it works shows with the first message.
    pub async fn warm(&self) {
        let opening = self.inner.none.probe(Message::new());
        if tokio::time::timeout(WARM_MAX, opening).await.is_err() {
            tracing::warn!("Pub/Sub does not answer yet; the first message will wait for it");
        }
    }

    /// Makes the topics that are missing at a server that stands in for Google's; the real ones
    /// are made by Terraform.
    pub async fn provision(&self) -> PortResult<()> {
        if self.inner.endpoint.is_none() {
            return Ok(());
        }
        let admin = self.admin().await?;
        for (_, lane) in &self.inner.lanes {
            let created = admin
                .create_topic()
                .set_name(lane.topic())
                .with_idempotency(true)
                .with_attempt_timeout(ADMIN_ATTEMPT_MAX)
                .send()
                .await;
            match created {
                Ok(_) => {}
                Err(error) if has_code(&error, Code::AlreadyExists, 409) => {}
                Err(error) => return Err(from_google(error)),
            }
        }
        Ok(())
    }

    /// Looks whether every topic is there, for `chatflow doctor`: what was looked at, and what
    /// is wrong with it in words for people.
    pub async fn examine(&self) -> Vec<(String, Result<(), String>)> {
        let admin = match self.admin().await {
            Ok(admin) => admin,
            Err(error) => return vec![("Pub/Sub".to_owned(), Err(error.to_string()))],
        };
        join_all(self.inner.lanes.iter().map(async |(_, lane)| {
            let found = admin
                .get_topic()
                .set_topic(lane.topic())
                .with_attempt_timeout(ADMIN_ATTEMPT_MAX)
                .send()
                .await;
            let result = match found {
                Ok(_) => Ok(()),
                Err(error) if has_code(&error, Code::NotFound, 404) => {
                    Err("there is no such topic; create it by `terraform apply`".to_owned())
                }
                Err(error) => Err(error.to_string()),
            };
            (format!("topic {}", lane.topic()), result)
        }))
        .await
    }

    /// The client that makes topics and looks at them; made when needed, for it is not when
    /// messages go.
    async fn admin(&self) -> PortResult<TopicAdmin> {
        let mut builder = TopicAdmin::builder()
            .with_retry_policy(Aip194Strict.with_time_limit(ADMIN_MAX).with_attempt_limit(3));
        if let Some(endpoint) = &self.inner.endpoint {
            builder = builder
                .with_endpoint(endpoint.as_str())
                .with_credentials(anonymous::Builder::new().build());
        }
        builder.build().await.map_err(PortError::backend)
    }
}

#[async_trait]
impl Bus for PubSub {
    async fn publish(&self, envelopes: &[Envelope]) -> PortResult<()> {
        envelopes.iter().try_for_each(message::check)?;
        let timers: Vec<Envelope> =
            envelopes.iter().filter(|envelope| envelope.due.is_some()).cloned().collect();
        let work = async {
            // Both to their ends, so that a failure of one leaves nothing half done of the other.
            tokio::join!(self.inner.keep(&timers), self.inner.send(envelopes))
        };
        let Ok((kept, sent)) = tokio::time::timeout(CALL_MAX, work).await else {
            tracing::warn!(count = envelopes.len(), "publishing took too long");
            return Err(unavailable());
        };
        kept?;
        // From here on they are safe: whether their alarms can be set is no matter of the call.
        self.inner.ring(timers).await;
        sent
    }
}

impl Inner {
    /// Stores those that are due later.
    async fn keep(&self, timers: &[Envelope]) -> PortResult<()> {
        if timers.is_empty() { Ok(()) } else { self.store.keep_timers(timers).await }
    }

    /// Sets the alarms of timers that are stored, within a bounded time.
    async fn ring(&self, timers: Vec<Envelope>) {
        if timers.is_empty() {
            return;
        }
        let setting = timers.into_iter().map(|timer| {
            let store = self.store.clone();
            async move {
                let set = store.alarm(&timer).await;
                (timer.id, set)
            }
        });
        self.alarms.set_each(setting.collect()).await;
    }

    /// Sends those that are due at once, each topic by itself.
    async fn send(&self, envelopes: &[Envelope]) -> PortResult<()> {
        let traceparent = (self.traceparent)();
        let sending = self.lanes.iter().filter_map(|(topic, lane)| {
            let of_topic: Vec<&Envelope> = envelopes
                .iter()
                .filter(|envelope| envelope.topic == *topic && envelope.due.is_none())
                .collect();
            (!of_topic.is_empty()).then(|| self.send_to(lane, of_topic, traceparent.as_deref()))
        });
        join_all(sending).await.into_iter().collect()
    }

    /// Sends the envelopes of one topic, part by part, in order.
    async fn send_to(
        &self,
        lane: &Lane,
        envelopes: Vec<&Envelope>,
        traceparent: Option<&str>,
    ) -> PortResult<()> {
        for part in parts(&envelopes) {
            let bytes: usize = part.iter().map(|envelope| message::weight(envelope)).sum();
            let kib = u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX);
            let permit = self.on_the_way.acquire_many(kib).await;
            let messages = part.iter().map(|one| message::message(one, traceparent)).collect();
            lane.publish(messages).await?;
            drop(permit);
        }
        Ok(())
    }
}

/// Cuts a call into parts that fit into one request each, even if all are of one key.
fn parts<'a, 'e>(envelopes: &'a [&'e Envelope]) -> Vec<&'a [&'e Envelope]> {
    let (mut parts, mut rest) = (Vec::new(), envelopes);
    while !rest.is_empty() {
        let (mut count, mut bytes) = (0, 0);
        while let Some(envelope) = rest.get(count) {
            bytes += message::weight(envelope);
            if count > 0 && (bytes > PART_BYTES_MAX || count >= REQUEST_MESSAGES_MAX as usize) {
                break;
            }
            count += 1;
        }
        let (part, left) = rest.split_at(count);
        parts.push(part);
        rest = left;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(bytes: usize) -> Envelope {
        let (id, key) = ("env-1".to_owned(), "k".to_owned());
        Envelope { id, topic: Topic::Landing, key, due: None, body: "x".repeat(bytes) }
    }

    #[test]
    fn a_call_goes_in_parts_that_fit() {
        let lengths = |envelopes: &[Envelope]| -> Vec<usize> {
            let all: Vec<&Envelope> = envelopes.iter().collect();
            parts(&all).iter().map(|part| part.len()).collect()
        };
        assert_eq!(lengths(&[]), Vec::<usize>::new());
        assert_eq!(lengths(&vec![envelope(1); 2_500]), [1_000, 1_000, 500]);
        assert_eq!(lengths(&vec![envelope(900 * 1024); 12]), [9, 3]);
    }
}
