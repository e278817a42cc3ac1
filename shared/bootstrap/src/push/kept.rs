//! What is kept as a failure instead of being delivered again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::ids::hex;
use ports::{ENVELOPE_BYTES_MAX, Envelope, Topic};
use runtime::jobs::{DeadLetter, open};
use runtime::{App, HandleError};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::message::{self, Message};
use super::{Pushed, cloud_event};

/// The id of something that names none: the same at every delivery.
pub(super) fn id_of(raw: &[u8]) -> String {
    let digest = Sha256::digest(raw);
    let short = digest.get(..16).unwrap_or(&digest);
    format!("push_{}", hex(short))
}

/// A push that can never be handled, with what it brought where that fits.
pub(super) fn malformed(topic: Topic, id: String, raw: &[u8], reason: String) -> DeadLetter {
    let envelope = Envelope { key: id.clone(), id, topic, due: None, body: body_of(raw) };
    DeadLetter { envelope, reason, attempts: 1 }
}

/// The data as the body of an envelope: as it is, as base64 in JSON, or only its size.
fn body_of(raw: &[u8]) -> String {
    let whole = match std::str::from_utf8(raw) {
        Ok(text) => text.to_owned(),
        Err(_) => json!({ "base64": STANDARD.encode(raw) }).to_string(),
    };
    if whole.len() <= ENVELOPE_BYTES_MAX {
        return whole;
    }
    json!({ "omitted_bytes": raw.len() }).to_string()
}

/// What another subscription gave up and Pub/Sub forwarded to the topic of failures.
pub(super) async fn forwarded(app: &App, message: &Message, subscription: &str) -> Pushed {
    let count = message.attribute(message::DEAD_COUNT).and_then(|count| count.parse().ok());
    let attempts = count.unwrap_or(1);
    let body = body_of(&message.data);
    let key = message.ordering_key.as_deref().or(message.attribute(message::KEY));
    let id = message.attribute(message::ENVELOPE).unwrap_or(&message.id).to_owned();
    let envelope = Envelope {
        key: key.unwrap_or(&id).to_owned(),
        topic: topic_of(subscription).unwrap_or(Topic::Failures),
        id,
        due: None,
        body,
    };
    // A letter that was itself not kept in time: what counts is what it holds.
    if envelope.topic == Topic::Failures
        && let Ok(letter) = open::<DeadLetter>(&envelope)
    {
        return Pushed::letter(letter);
    }
    // An event from outside becomes what a retry can publish.
    let envelope =
        if message.attribute(message::ENVELOPE).is_none() && envelope.topic == Topic::Events {
            match cloud_event::envelope(app, message).await {
                Ok(accepted) => accepted,
                Err(HandleError::Port(error)) if error.is_passing() => {
                    return Pushed::Again(error.to_string());
                }
                Err(_) => envelope,
            }
        } else {
            envelope
        };
    let name = subscription.rsplit('/').next().unwrap_or(subscription);
    let reason = format!("Pub/Sub delivered it {attempts} times to `{name}` without success");
    Pushed::letter(DeadLetter { envelope, reason, attempts })
}

/// The topic a subscription belongs to, by a part of its name: the topic's or the function's.
fn topic_of(subscription: &str) -> Option<Topic> {
    let name = subscription.rsplit('/').next()?;
    name.split(['-', '_', '.']).find_map(|part| match part {
        "controller" => Some(Topic::Events),
        "messenger" => Some(Topic::Outbound),
        "connector" => Some(Topic::Calls),
        "timekeeper" => Some(Topic::Timers),
        _ => Topic::from_name(part),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_name_their_topic() {
        let of = |name: &str| topic_of(&format!("projects/p/subscriptions/{name}"));
        assert_eq!(of("chatflow-events"), Some(Topic::Events));
        assert_eq!(of("chatflow-controller-push"), Some(Topic::Events));
        assert_eq!(of("staging.outbound"), Some(Topic::Outbound));
        assert_eq!(of("connector"), Some(Topic::Calls));
        assert_eq!(of("chatflow_timekeeper"), Some(Topic::Timers));
        assert_eq!(of("something-else"), None);
    }

    #[test]
    fn data_is_kept_as_far_as_it_fits() {
        assert_eq!(body_of(b"{}"), "{}");
        assert_eq!(body_of(&[0xff, 0]), r#"{"base64":"/wA="}"#);
        let large = vec![b'x'; ENVELOPE_BYTES_MAX + 1];
        assert_eq!(body_of(&large), format!("{{\"omitted_bytes\":{}}}", large.len()));
    }
}
