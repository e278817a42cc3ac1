//! A push as an HTTP request, in the two forms Google has.
//!
//! Sources: "Push subscriptions" and "Payload unwrapping" in Google's Pub/Sub documentation. With
//! `writeMetadata` there are four headers of Pub/Sub's own (subscription name, message id, publish
//! time, ordering key) and one per attribute; there is none for the delivery attempt.

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::message::Message;
use super::queue::Taken;
use super::subscription::{PushConfig, Subscription};

/// Headers that belong to the connection or to the push itself: an attribute of that name is not
/// written.
const RESERVED: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// The request that delivers a message.
pub(super) fn request(
    subscription: &Subscription,
    push: &PushConfig,
    taken: &Taken,
    token: Option<&str>,
) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut headers = HeaderMap::new();
    let body = match &push.no_wrapper {
        None => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            wrapped(subscription, taken).into()
        }
        Some(bare) => {
            if bare.write_metadata {
                metadata(&mut headers, &subscription.name, &taken.message);
            }
            taken.message.draft.data.clone()
        }
    };
    headers.insert(USER_AGENT, HeaderValue::from_static("CloudPubSub-Google"));
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = push.push_endpoint.parse()?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The usual body. Google gives the id and the time under two names each.
fn wrapped(subscription: &Subscription, taken: &Taken) -> String {
    let mut message = taken.message.rest();
    message.insert("message_id".to_owned(), json!(taken.message.id));
    message.insert("publish_time".to_owned(), json!(taken.message.published_text()));
    let mut body = Map::new();
    body.insert("message".to_owned(), Value::Object(message));
    body.insert("subscription".to_owned(), json!(subscription.name));
    if subscription.dead_letter_policy.is_some() {
        body.insert("deliveryAttempt".to_owned(), json!(taken.attempt));
    }
    Value::Object(body).to_string()
}

/// Attributes first, so that none can stand in for Pub/Sub's own.
fn metadata(headers: &mut HeaderMap, subscription: &str, message: &Message) {
    for (name, value) in &message.draft.attributes {
        add(headers, &name.to_ascii_lowercase(), value);
    }
    add(headers, "x-goog-pubsub-subscription-name", subscription);
    add(headers, "x-goog-pubsub-message-id", &message.id);
    add(headers, "x-goog-pubsub-publish-time", &message.published_text());
    if !message.draft.ordering_key.is_empty() {
        add(headers, "x-goog-pubsub-ordering-key", &message.draft.ordering_key);
    }
}

/// Adds a header unless HTTP has no way to carry it.
fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    if RESERVED.contains(&name) {
        return;
    }
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use http_body_util::BodyExt as _;

    use super::super::message::Draft;
    use super::super::subscription::{DeadLetterPolicy, NoWrapper};
    use super::*;

    fn taken() -> Taken {
        let attributes = [("Kind", "order"), ("Host", "evil"), ("x-goog-pubsub-message-id", "0")];
        let draft = Draft {
            data: Bytes::from_static(b"{\"a\":1}"),
            attributes: attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ordering_key: "key".to_owned(),
        };
        let published = chrono::DateTime::UNIX_EPOCH;
        let message = Arc::new(Message { id: "17".to_owned(), published, draft });
        Taken { place: 0, attempt: 3, message }
    }

    fn subscription() -> Subscription {
        Subscription { name: "projects/p/subscriptions/sub".to_owned(), ..Subscription::default() }
    }

    fn push(no_wrapper: Option<NoWrapper>) -> PushConfig {
        let push_endpoint = "http://127.0.0.1:1/in?x=1".to_owned();
        PushConfig { push_endpoint, no_wrapper, ..PushConfig::default() }
    }

    async fn body(request: Request<Full<Bytes>>) -> Bytes {
        request.into_body().collect().await.expect("a body").to_bytes()
    }

    #[tokio::test]
    async fn the_wrapped_form_has_every_field_google_sends() {
        let mut subscription = subscription();
        subscription.dead_letter_policy = Some(DeadLetterPolicy::default());
        let mut taken = taken();
        let message = Arc::make_mut(&mut taken.message);
        message.draft.attributes = BTreeMap::from([("kind".to_owned(), "order".to_owned())]);
        let request = request(&subscription, &push(None), &taken, Some("t")).expect("a request");
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer t");
        assert_eq!(request.uri(), "http://127.0.0.1:1/in?x=1");
        let body: Value = serde_json::from_slice(&body(request).await).expect("JSON");
        assert_eq!(
            body,
            json!({
                "message": {
                    "data": "eyJhIjoxfQ==",
                    "attributes": { "kind": "order" },
                    "messageId": "17",
                    "message_id": "17",
                    "publishTime": "1970-01-01T00:00:00.000Z",
                    "publish_time": "1970-01-01T00:00:00.000Z",
                    "orderingKey": "key",
                },
                "subscription": "projects/p/subscriptions/sub",
                "deliveryAttempt": 3,
            })
        );
    }

    #[tokio::test]
    async fn the_unwrapped_form_has_the_data_and_headers() {
        let push = push(Some(NoWrapper { write_metadata: true }));
        let request = request(&subscription(), &push, &taken(), None).expect("a request");
        let headers: BTreeMap<&str, &str> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
            .collect();
        let wanted = [
            ("kind", "order"),
            ("user-agent", "CloudPubSub-Google"),
            ("x-goog-pubsub-message-id", "17"),
            ("x-goog-pubsub-ordering-key", "key"),
            ("x-goog-pubsub-publish-time", "1970-01-01T00:00:00.000Z"),
            ("x-goog-pubsub-subscription-name", "projects/p/subscriptions/sub"),
        ];
        assert_eq!(headers, wanted.into());
        assert_eq!(body(request).await, "{\"a\":1}");
    }

    #[tokio::test]
    async fn without_metadata_there_is_the_data_only() {
        let push = push(Some(NoWrapper::default()));
        let request = request(&subscription(), &push, &taken(), None).expect("a request");
        assert_eq!(request.headers().len(), 1);
        assert_eq!(body(request).await, "{\"a\":1}");
    }
}
