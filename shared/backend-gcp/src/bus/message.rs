//! An envelope as a message of Pub/Sub.

use std::collections::HashMap;
use std::fmt::Write as _;

use google_cloud_pubsub::model::Message;
use ports::{ENVELOPE_BYTES_MAX, Envelope, PortError, PortResult};
use sha2::{Digest as _, Sha256};

use crate::error::invalid;

/// The attribute that holds the envelope's id.
pub(super) const ENVELOPE: &str = "envelope";
/// The attribute that holds the key: not every push carries the ordering key.
pub(super) const KEY: &str = "key";
/// The attribute that carries the trace.
pub(super) const TRACEPARENT: &str = "traceparent";

/// Pub/Sub's limit of an ordering key, and of the value of an attribute.
const TEXT_BYTES_MAX: usize = 1_024;

/// What a message takes beside its texts: lengths and the names of attributes.
const OVERHEAD_BYTES: usize = 128;

/// Whether Pub/Sub can take it.
pub(super) fn check(envelope: &Envelope) -> PortResult<()> {
    if envelope.body.len() > ENVELOPE_BYTES_MAX {
        let what = format!("envelope {}", envelope.id);
        return Err(PortError::TooLarge { what, limit: ENVELOPE_BYTES_MAX });
    }
    if envelope.id.is_empty() || envelope.id.len() > TEXT_BYTES_MAX {
        let reason = format!("the id of an envelope has 1 to {TEXT_BYTES_MAX} bytes; shorten it");
        return Err(invalid(reason));
    }
    Ok(())
}

/// About how many bytes it takes on the wire.
pub(super) fn weight(envelope: &Envelope) -> usize {
    let key = envelope.key.len().min(TEXT_BYTES_MAX);
    envelope.body.len() + envelope.id.len() + 2 * key + OVERHEAD_BYTES
}

/// The message: the body as data, the rest as attributes.
pub(super) fn message(envelope: &Envelope, traceparent: Option<&str>) -> Message {
    let key = ordering_key(&envelope.key);
    let mut attributes = HashMap::from([
        (ENVELOPE.to_owned(), envelope.id.clone()),
        // The key as it is, wherever it fits; a longer one is known by its hash from here on.
        (KEY.to_owned(), if envelope.key.is_empty() { String::new() } else { key.clone() }),
    ]);
    if let Some(traceparent) = traceparent.filter(|text| text.len() <= TEXT_BYTES_MAX) {
        attributes.insert(TRACEPARENT.to_owned(), traceparent.to_owned());
    }
    Message::new().set_data(envelope.body.clone()).set_attributes(attributes).set_ordering_key(key)
}

/// The ordering key of a key. The empty one would mean no order, so it has a name of its own;
/// one that is too long is hashed.
pub(super) fn ordering_key(key: &str) -> String {
    if key.is_empty() {
        return "none".to_owned();
    }
    if key.len() <= TEXT_BYTES_MAX {
        return key.to_owned();
    }
    Sha256::digest(key).iter().fold("sha256-".to_owned(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use ports::Topic;

    use super::*;

    fn envelope(key: &str) -> Envelope {
        let (id, body) = ("env-1".to_owned(), "{\"請假\":1}".to_owned());
        Envelope { id, topic: Topic::Events, key: key.to_owned(), due: None, body }
    }

    #[test]
    fn a_message_carries_the_envelope() {
        let message = message(&envelope("conversation-1"), Some("00-1-2-01"));
        assert_eq!(message.data, "{\"請假\":1}".as_bytes());
        assert_eq!(message.ordering_key, "conversation-1");
        assert_eq!(message.attributes["envelope"], "env-1");
        assert_eq!(message.attributes["key"], "conversation-1");
        assert_eq!(message.attributes["traceparent"], "00-1-2-01");
        assert!(weight(&envelope("conversation-1")) > "{\"請假\":1}".len() + 2 * 14);
    }

    #[test]
    fn every_key_has_an_order() {
        let none = message(&envelope(""), None);
        assert_eq!((none.ordering_key.as_str(), none.attributes["key"].as_str()), ("none", ""));
        assert!(!none.attributes.contains_key("traceparent"));
        let long = "長".repeat(400);
        let message = message(&envelope(&long), None);
        assert!(message.ordering_key.starts_with("sha256-"));
        assert_eq!(message.ordering_key, message.attributes["key"]);
        assert_ne!(message.ordering_key, ordering_key(&"短".repeat(400)));
        assert_eq!(ordering_key(&"k".repeat(1_024)), "k".repeat(1_024));
    }

    #[test]
    fn what_cannot_be_taken_is_refused() {
        assert!(check(&envelope("k")).is_ok());
        let nameless = Envelope { id: String::new(), ..envelope("k") };
        assert!(matches!(check(&nameless), Err(PortError::Invalid { .. })));
        let large = Envelope { body: "x".repeat(ENVELOPE_BYTES_MAX + 1), ..envelope("k") };
        assert!(matches!(check(&large), Err(PortError::TooLarge { .. })));
    }
}
