//! Messages: what is published, its limits, and its form on the wire.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use gcloud_sdk::google::pubsub::v1::PubsubMessage;
use gcloud_sdk::prost_types::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::problem::Problem;

/// Bytes of one message and of all messages of one request.
pub(super) const BYTES_MAX: usize = 10_000_000;
/// Messages of one request.
pub(super) const BATCH_MAX: usize = 1000;
const ATTRIBUTES_MAX: usize = 100;
const ATTRIBUTE_KEY_BYTES_MAX: usize = 256;
const ATTRIBUTE_VALUE_BYTES_MAX: usize = 1024;
const ORDERING_KEY_BYTES_MAX: usize = 1024;

/// What a publisher hands in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The payload.
    pub data: Bytes,
    /// Names and values beside it.
    pub attributes: BTreeMap<String, String>,
    /// Messages with the same key keep their order; empty means no order.
    pub ordering_key: String,
}

/// A published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) published: DateTime<Utc>,
    pub(super) draft: Draft,
}

/// A message in REST's form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RestDraft {
    #[serde(default)]
    data: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    ordering_key: String,
}

impl Draft {
    /// Bytes of the data, the attributes and the key.
    pub(super) fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(key, value)| key.len() + value.len());
        self.data.len() + self.ordering_key.len() + attributes.sum::<usize>()
    }

    /// Holds the message to Pub/Sub's limits.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.data.is_empty() && self.attributes.is_empty() {
            return Err(Problem::invalid("a message needs data or an attribute"));
        }
        if self.bytes() > BYTES_MAX {
            return Err(Problem::invalid(format!("a message has more than {BYTES_MAX} bytes")));
        }
        if self.ordering_key.len() > ORDERING_KEY_BYTES_MAX {
            return Err(Problem::invalid("an ordering key has more than 1024 bytes"));
        }
        if self.attributes.len() > ATTRIBUTES_MAX {
            return Err(Problem::invalid("a message has more than 100 attributes"));
        }
        for (key, value) in &self.attributes {
            if key.is_empty() || key.len() > ATTRIBUTE_KEY_BYTES_MAX || key.starts_with("goog") {
                return Err(Problem::invalid(format!(
                    "the attribute's name {key:?} is empty, longer than 256 bytes, or starts \
                     with goog"
                )));
            }
            if value.len() > ATTRIBUTE_VALUE_BYTES_MAX {
                return Err(Problem::invalid(format!(
                    "the attribute {key:?} has more than 1024 bytes"
                )));
            }
        }
        Ok(())
    }
}

impl From<PubsubMessage> for Draft {
    fn from(message: PubsubMessage) -> Self {
        Self {
            data: message.data.into(),
            attributes: message.attributes.into_iter().collect(),
            ordering_key: message.ordering_key,
        }
    }
}

impl TryFrom<RestDraft> for Draft {
    type Error = Problem;

    fn try_from(draft: RestDraft) -> Result<Self, Problem> {
        let data = STANDARD
            .decode(draft.data)
            .map_err(|_| Problem::invalid("a message's data is not base64: encode it"))?;
        Ok(Self {
            data: data.into(),
            attributes: draft.attributes,
            ordering_key: draft.ordering_key,
        })
    }
}

impl Message {
    /// The time of publication, as Google writes it.
    pub(super) fn published_text(&self) -> String {
        self.published.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// REST's form. Like Google, it leaves out what is empty.
    pub(super) fn rest(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        if !self.draft.data.is_empty() {
            fields.insert("data".to_owned(), json!(STANDARD.encode(&self.draft.data)));
        }
        if !self.draft.attributes.is_empty() {
            fields.insert("attributes".to_owned(), json!(self.draft.attributes));
        }
        fields.insert("messageId".to_owned(), json!(self.id));
        fields.insert("publishTime".to_owned(), json!(self.published_text()));
        if !self.draft.ordering_key.is_empty() {
            fields.insert("orderingKey".to_owned(), json!(self.draft.ordering_key));
        }
        fields
    }

    /// gRPC's form.
    pub(super) fn grpc(&self) -> PubsubMessage {
        PubsubMessage {
            data: self.draft.data.to_vec(),
            attributes: self.draft.attributes.clone().into_iter().collect(),
            message_id: self.id.clone(),
            publish_time: Some(Timestamp {
                seconds: self.published.timestamp(),
                nanos: i32::try_from(self.published.timestamp_subsec_nanos()).unwrap_or_default(),
            }),
            ordering_key: self.draft.ordering_key.clone(),
        }
    }
}
