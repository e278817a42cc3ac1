//! A message as Pub/Sub pushes it: wrapped in JSON, or unwrapped with its metadata in headers.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

/// The id of one of our envelopes; a message without it comes from somebody else.
pub const ENVELOPE: &str = "envelope";
/// The envelope's key: not every sender passes the ordering key on.
pub const KEY: &str = "key";
/// The trace the envelope was published in (W3C Trace Context).
pub const TRACEPARENT: &str = "traceparent";
/// The subscription whose deliveries failed too often.
pub const DEAD_SUBSCRIPTION: &str = "CloudPubSubDeadLetterSourceSubscription";
/// How often they did.
pub const DEAD_COUNT: &str = "CloudPubSubDeadLetterSourceDeliveryCount";
/// When the message was published at first.
pub const DEAD_PUBLISHED: &str = "CloudPubSubDeadLetterSourceTopicPublishTime";
/// The type of a publisher's `CloudEvent`.
pub const TYPE: &str = "type";
/// The id of a publisher's `CloudEvent`.
pub const ID: &str = "id";

/// Attributes looked for among the headers of an unwrapped push: all that this system reads.
const KNOWN: [&str; 8] =
    [ENVELOPE, KEY, TRACEPARENT, DEAD_SUBSCRIPTION, DEAD_COUNT, DEAD_PUBLISHED, TYPE, ID];

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id Pub/Sub gave it, the same at every delivery.
    pub id: String,
    /// The data.
    pub data: Vec<u8>,
    /// The attributes; of an unwrapped push those that this system knows.
    pub attributes: BTreeMap<String, String>,
    /// The ordering key, where the sender passes it on.
    pub ordering_key: Option<String>,
    /// When it was published.
    pub published_at: Option<DateTime<Utc>>,
    /// How often it was delivered before, where the subscription counts (those with a dead-letter
    /// topic do; an unwrapped push never says it).
    pub attempt: u32,
}

impl Message {
    /// An attribute that says something.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

#[derive(Deserialize)]
struct Wrapper {
    message: Wrapped,
    #[serde(default, rename = "deliveryAttempt")]
    delivery_attempt: Option<u32>,
}

// Google sends most fields twice, in camel case and in snake case: aliases would clash.
#[derive(Deserialize)]
struct Wrapped {
    #[serde(default, deserialize_with = "or_default")]
    data: String,
    #[serde(default, deserialize_with = "or_default")]
    attributes: BTreeMap<String, String>,
    #[serde(default, rename = "messageId")]
    message_id: Option<String>,
    #[serde(default, rename = "message_id")]
    message_id_snake: Option<String>,
    #[serde(default, rename = "orderingKey")]
    ordering_key: Option<String>,
    #[serde(default, rename = "publishTime")]
    publish_time: Option<String>,
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a push. The error says, without any of the content, why it is none.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Message, String> {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let unwrapped = header("x-goog-pubsub-message-id");
    let wrapped = serde_json::from_slice::<Wrapper>(body);
    match (unwrapped, wrapped) {
        // Data that only looks like a wrapper has another id than the header says.
        (Some(id), Ok(wrapper)) if wrapper.message.id() == Some(id.as_str()) => wrapper.read(),
        (None, Ok(wrapper)) => wrapper.read(),
        (Some(id), _) => Ok(Message {
            id,
            data: body.to_vec(),
            attributes: KNOWN
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), header(name)?)))
                .collect(),
            ordering_key: header("x-goog-pubsub-ordering-key"),
            published_at: header("x-goog-pubsub-publish-time").and_then(|at| at.parse().ok()),
            attempt: 0,
        }),
        (None, Err(error)) => Err(format!(
            "the request is no push: neither a wrapped message (line {}, column {}) nor the \
             header x-goog-pubsub-message-id",
            error.line(),
            error.column()
        )),
    }
}

impl Wrapped {
    fn id(&self) -> Option<&str> {
        self.message_id.as_deref().or(self.message_id_snake.as_deref()).filter(|id| !id.is_empty())
    }
}

impl Wrapper {
    fn read(self) -> Result<Message, String> {
        let id = self.message.id().ok_or("the pushed message has no messageId")?.to_owned();
        let message = self.message;
        let data = STANDARD
            .decode(message.data)
            .map_err(|_| format!("the data of the pushed message `{id}` is not base64"))?;
        Ok(Message {
            id,
            data,
            attributes: message.attributes,
            ordering_key: message.ordering_key.filter(|key| !key.is_empty()),
            published_at: message.publish_time.and_then(|at| at.parse().ok()),
            attempt: self.delivery_attempt.unwrap_or(1).saturating_sub(1),
        })
    }
}
