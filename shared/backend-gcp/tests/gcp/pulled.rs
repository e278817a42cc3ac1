//! The receiving end of Pub/Sub for tests: subscriptions with ordering, pulled over REST.
//!
//! What was pulled is acknowledged at once and kept in memory, in the order it came, without
//! repetitions of an envelope's id; the cases of the contract acknowledge it there. Timers are
//! the store's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backend_gcp::Config;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use ports::{Bus, Deliveries, Delivery, Envelope, PortResult, Timers, Topic};
use ports_contract::at;
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// A message as Pub/Sub has it.
#[derive(Debug, Clone)]
pub(crate) struct Pulled {
    pub(crate) data: String,
    pub(crate) attributes: HashMap<String, String>,
    pub(crate) ordering_key: String,
    pub(crate) published_at: DateTime<Utc>,
}

/// One ordered subscription to every topic of a project.
pub(crate) struct Subscriptions {
    http: reqwest::Client,
    project: String,
    prefix: String,
}

impl Subscriptions {
    /// Subscribes to the topics, which must exist.
    pub(crate) async fn new(config: &Config) -> Self {
        let endpoint = config.endpoints.pubsub.as_deref().unwrap();
        let subscriptions = Self {
            http: reqwest::Client::new(),
            project: format!("{endpoint}/v1/projects/{}", config.project),
            prefix: config.topic_prefix.clone(),
        };
        for topic in Topic::ALL {
            let (project, prefix, name) = (&config.project, &config.topic_prefix, topic.name());
            let body = json!({
                "topic": format!("projects/{project}/topics/{prefix}{name}"),
                "enableMessageOrdering": true,
                "ackDeadlineSeconds": 60,
            });
            let made =
                subscriptions.http.put(subscriptions.subscription(topic)).body(body.to_string());
            subscriptions.answer(made).await;
        }
        subscriptions
    }

    fn subscription(&self, topic: Topic) -> String {
        format!("{}/subscriptions/{}{}-test", self.project, self.prefix, topic.name())
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Value {
        let request = request.header("content-type", "application/json");
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status(), answer.bytes().await.unwrap());
        assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// All messages of the topic that are there, each acknowledged, in the order they came.
    pub(crate) async fn pull(&self, topic: Topic) -> Vec<Pulled> {
        let subscription = self.subscription(topic);
        let mut pulled = Vec::new();
        loop {
            let body = json!({"maxMessages": 1_000, "returnImmediately": true}).to_string();
            let answer =
                self.answer(self.http.post(format!("{subscription}:pull")).body(body)).await;
            let received = answer["receivedMessages"].as_array().cloned().unwrap_or_default();
            if received.is_empty() {
                return pulled;
            }
            let ids: Vec<&Value> = received.iter().map(|one| &one["ackId"]).collect();
            let body = json!({ "ackIds": ids }).to_string();
            self.answer(self.http.post(format!("{subscription}:acknowledge")).body(body)).await;
            pulled.extend(received.iter().map(|one| message(&one["message"])));
        }
    }
}

fn message(json: &Value) -> Pulled {
    let data = BASE64_STANDARD.decode(json["data"].as_str().unwrap_or_default()).unwrap();
    Pulled {
        data: String::from_utf8(data).unwrap(),
        attributes: serde_json::from_value(json["attributes"].clone()).unwrap_or_default(),
        ordering_key: json["orderingKey"].as_str().unwrap_or_default().to_owned(),
        published_at: json["publishTime"].as_str().unwrap().parse().unwrap(),
    }
}

impl Pulled {
    /// The envelope that it carries.
    pub(crate) fn envelope(&self, topic: Topic) -> Envelope {
        Envelope {
            id: self.attributes["envelope"].clone(),
            topic,
            key: self.attributes["key"].clone(),
            due: None,
            body: self.data.clone(),
        }
    }
}

/// Deliveries over subscriptions and the store's timers.
pub(crate) struct PulledDeliveries {
    subscriptions: Subscriptions,
    timers: Arc<dyn Timers>,
    bus: Arc<dyn Bus>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: i64,
    waiting: Vec<Delivery>,
    seen: HashSet<String>,
    timers: HashMap<String, (i64, u32)>,
}

impl PulledDeliveries {
    pub(crate) async fn new(config: &Config, timers: Arc<dyn Timers>, bus: Arc<dyn Bus>) -> Self {
        let subscriptions = Subscriptions::new(config).await;
        Self { subscriptions, timers, bus, state: Mutex::default() }
    }

    /// Takes in what has come; tells whether anything has.
    async fn pull(&self, state: &mut State) -> bool {
        let mut any = false;
        for topic in Topic::ALL {
            for pulled in self.subscriptions.pull(topic).await {
                let (envelope, published_at) = (pulled.envelope(topic), pulled.published_at);
                if state.seen.insert(envelope.id.clone()) {
                    any = true;
                    state.next += 1;
                    let position = state.next;
                    let delivery = Delivery { position, attempts: 0, published_at, envelope };
                    state.waiting.push(delivery);
                }
            }
        }
        any
    }

    async fn timers(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>> {
        self.timers.overdue(before, limit).await
    }
}

/// After every due time of the contract.
fn end_of_time() -> DateTime<Utc> {
    at(100 * 365 * 86_400)
}

#[async_trait]
impl Deliveries for PulledDeliveries {
    async fn after(&self, position: i64, limit: usize) -> PortResult<Vec<Delivery>> {
        let mut state = self.state.lock().await;
        self.pull(&mut state).await;
        let behind = state.waiting.iter().filter(|one| one.position > position);
        Ok(behind.take(limit).cloned().collect())
    }

    async fn due(&self, now: DateTime<Utc>, limit: usize) -> PortResult<Vec<Delivery>> {
        let due = self.timers(now + TimeDelta::microseconds(1), limit).await?;
        let mut state = self.state.lock().await;
        let State { next, timers, .. } = &mut *state;
        Ok(due
            .into_iter()
            .map(|envelope| {
                let (position, attempts) =
                    *timers.entry(envelope.id.clone()).or_insert_with(|| {
                        *next += 1;
                        (*next, 0)
                    });
                Delivery { position, attempts, published_at: at(0), envelope }
            })
            .collect())
    }

    async fn next_due(&self) -> PortResult<Option<DateTime<Utc>>> {
        Ok(self.timers(end_of_time(), 1).await?.first().and_then(|timer| timer.due))
    }

    async fn acknowledge(&self, positions: &[i64], instead: &[Envelope]) -> PortResult<()> {
        self.bus.publish(instead).await?;
        let mut state = self.state.lock().await;
        state.waiting.retain(|one| !positions.contains(&one.position));
        let done: Vec<String> = state
            .timers
            .iter()
            .filter(|(_, (position, _))| positions.contains(position))
            .map(|(id, _)| id.clone())
            .collect();
        self.timers.done(&done).await
    }

    async fn tried(&self, position: i64, attempts: u32) -> PortResult<()> {
        let mut state = self.state.lock().await;
        let State { waiting, timers, .. } = &mut *state;
        let of_waiting = waiting.iter_mut().map(|one| (one.position, &mut one.attempts));
        let of_timers = timers.values_mut().map(|(position, count)| (*position, count));
        let counts = of_waiting.chain(of_timers);
        counts.filter(|(one, _)| *one == position).for_each(|(_, count)| *count = attempts);
        Ok(())
    }

    async fn published(&self, longest: Duration) {
        let waiting = async {
            while !self.pull(&mut *self.state.lock().await).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Either is a reason to look.
        let _ = tokio::time::timeout(longest, waiting).await;
    }

    async fn backlog(&self) -> PortResult<Vec<(Topic, u64)>> {
        let mut waiting = self.after(0, usize::MAX).await?;
        waiting.extend(self.due(end_of_time(), 1_000).await?);
        let count = |topic| waiting.iter().filter(|one| one.envelope.topic == topic).count();
        Ok(Topic::ALL.into_iter().map(|topic| (topic, count(topic) as u64)).collect())
    }
}
