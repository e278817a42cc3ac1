//! Pushes from the outside: what they are taken for, how they are answered, what is kept.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use backend_sqlite::{Options, Sqlite};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ports::{Envelope, Failure, FailureKind, Page, Topic};
use runtime::jobs::{Accepted, AcceptedBody, DeadLetter};
use runtime::{Limits, Outcome};
use serde_json::{Value, json};
use test_support::VirtualClock;
use tower::ServiceExt;

use super::{ATTEMPTS_MAX, BODY_BYTES_MAX, router};
use crate::Local;

struct Tested {
    local: Local,
    router: Router,
}

impl Tested {
    /// A function whose handler does what the envelope's body says; anything else it passes on to
    /// where a test can see it.
    fn new(topic: Topic) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let sqlite = Sqlite::in_memory(Options::new(clock.clone())).unwrap();
        let local = Local::on(sqlite, clock, Limits::default(), Arc::new(|_| {})).unwrap();
        let router = router(local.app.clone(), topic, |app, envelope, attempt| {
            Box::pin(async move {
                match envelope.body.as_str() {
                    "again" => {
                        Outcome::Retry { after: Duration::from_secs(3), reason: "not now".into() }
                    }
                    "never" => Outcome::GiveUp { reason: "no such task".into() },
                    "panic" => panic!("as the test wants it"),
                    _ => {
                        let key = format!("{}#{attempt}", envelope.key);
                        let seen = Envelope { topic: Topic::Outbound, key, ..envelope.clone() };
                        app.bus().publish(&[seen]).await.unwrap();
                        Outcome::Done
                    }
                }
            })
        });
        Self { local, router }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        (response.status(), response.headers().clone())
    }

    async fn push(&self, push: &Value) -> StatusCode {
        self.raw(push.to_string()).await
    }

    async fn raw(&self, body: impl Into<Body>) -> StatusCode {
        self.send(Request::post("/").body(body.into()).unwrap()).await.0
    }

    /// What the handler saw.
    async fn seen(&self) -> Vec<Envelope> {
        let seen = self.local.deliveries.after(0, 100).await.unwrap();
        seen.into_iter().map(|delivery| delivery.envelope).collect()
    }

    async fn failures(&self) -> Vec<Failure> {
        let page = Page { limit: 100, cursor: None };
        self.local.app.store().failures(None, None, &page).await.unwrap().items
    }

    async fn only_failure(&self) -> Failure {
        let failures = self.failures().await;
        assert_eq!(failures.len(), 1, "{failures:#?}");
        failures.into_iter().next().unwrap()
    }
}

/// A wrapped push as Google sends it, with both spellings of the message's fields.
fn wrapped(data: &[u8], attributes: &Value) -> Value {
    json!({
        "deliveryAttempt": 3,
        "message": {
            "attributes": attributes,
            "data": STANDARD.encode(data),
            "messageId": "2070443601311540",
            "message_id": "2070443601311540",
            "orderingKey": "conv_1",
            "publishTime": "2026-01-05T08:00:00.123Z",
            "publish_time": "2026-01-05T08:00:00.123Z",
        },
        "subscription": "projects/p/subscriptions/chatflow-events",
    })
}

fn ours(data: &str) -> Value {
    wrapped(data.as_bytes(), &json!({ "envelope": "evt_1", "key": "conv_0" }))
}

#[tokio::test]
async fn a_wrapped_push_becomes_its_envelope() {
    let tested = Tested::new(Topic::Events);
    assert_eq!(tested.push(&ours("{}")).await, StatusCode::NO_CONTENT);
    let mut emulated = ours("{\"n\":2}");
    emulated["message"].as_object_mut().unwrap().remove("orderingKey");
    emulated.as_object_mut().unwrap().remove("deliveryAttempt");
    emulated["message"]["attributes"]["envelope"] = "evt_2".into();
    assert_eq!(tested.push(&emulated).await, StatusCode::NO_CONTENT);
    let seen = tested.seen().await;
    let of = |envelope: &Envelope| (envelope.id.clone(), envelope.key.clone());
    assert_eq!(of(&seen[0]), ("evt_1".into(), "conv_1#2".into()));
    assert_eq!(of(&seen[1]), ("evt_2".into(), "conv_0#0".into()));
    assert_eq!((seen[0].body.as_str(), seen[1].body.as_str()), ("{}", "{\"n\":2}"));
    assert!(tested.failures().await.is_empty());
}

#[tokio::test]
async fn an_unwrapped_push_becomes_its_envelope() {
    let tested = Tested::new(Topic::Outbound);
    // Data that looks like a wrapper stays data.
    let data = ours("never").to_string();
    let request = Request::post("/")
        .header("x-goog-pubsub-subscription-name", "projects/p/subscriptions/s")
        .header("x-goog-pubsub-message-id", "77")
        .header("x-goog-pubsub-publish-time", "2026-01-05T08:00:00Z")
        .header("x-goog-pubsub-ordering-key", "conv_9")
        .header("envelope", "evt_9")
        .header("authorization", "Bearer x")
        .body(Body::from(data.clone()))
        .unwrap();
    assert_eq!(tested.send(request).await.0, StatusCode::NO_CONTENT);
    let seen = tested.seen().await;
    assert_eq!((seen[0].id.as_str(), seen[0].key.as_str()), ("evt_9", "conv_9#0"));
    assert_eq!(seen[0].body, data);
}

#[tokio::test(start_paused = true)]
async fn outcomes_decide_the_answer() {
    let tested = Tested::new(Topic::Events);
    let request = Request::post("/").body(Body::from(ours("again").to_string())).unwrap();
    let began = tokio::time::Instant::now();
    let (status, headers) = tested.send(request).await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503.try_into().unwrap(), "2"));
    assert!(began.elapsed() <= Duration::from_secs(2));
    assert_eq!(tested.push(&ours("panic")).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(tested.failures().await.is_empty());
    assert_eq!(tested.push(&ours("never")).await, StatusCode::NO_CONTENT);
    let failure = tested.only_failure().await;
    assert_eq!(failure.kind, FailureKind::DeadLetter);
    assert_eq!((failure.id.as_str(), failure.attempts), ("fail_evt_1", 3));
    assert!(failure.reason.contains("no such task"), "{}", failure.reason);
    assert_eq!(failure.envelope.unwrap().body, "never");
}

#[tokio::test(start_paused = true)]
async fn after_many_attempts_it_is_kept() {
    for (body, said) in [("again", "not now"), ("panic", "panicked")] {
        let tested = Tested::new(Topic::Calls);
        let mut push = ours(body);
        push["deliveryAttempt"] = (ATTEMPTS_MAX - 1).into();
        assert!(tested.push(&push).await.is_server_error());
        push["deliveryAttempt"] = ATTEMPTS_MAX.into();
        assert_eq!(tested.push(&push).await, StatusCode::NO_CONTENT);
        let failure = tested.only_failure().await;
        assert!(failure.reason.contains(said), "{}", failure.reason);
        assert_eq!(failure.attempts, ATTEMPTS_MAX);
    }
    // Failures have nowhere further to go.
    let tested = Tested::new(Topic::Failures);
    let mut push = ours("again");
    push["deliveryAttempt"] = 1_000.into();
    assert_eq!(tested.push(&push).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_cannot_be_kept_comes_again() {
    let tested = Tested::new(Topic::Events);
    tested.local.close().await;
    assert_eq!(tested.push(&ours("never")).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(tested.raw("nonsense").await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn malformed_pushes_are_kept_once_and_acknowledged() {
    let mut not_base64 = ours("x");
    not_base64["message"]["data"] = "%%".into();
    let mut nameless = ours("x");
    for name in ["messageId", "message_id"] {
        nameless["message"].as_object_mut().unwrap().remove(name);
    }
    let foreign = wrapped(b"{}", &json!({}));
    let cases = [
        ("nonsense".to_owned(), "no push"),
        ("[]".to_owned(), "no push"),
        (String::new(), "no push"),
        (not_base64.to_string(), "not base64"),
        (nameless.to_string(), "no messageId"),
        (wrapped(&[0xff], &json!({ "envelope": "e" })).to_string(), "not UTF-8"),
        (foreign.to_string(), "no attribute `envelope`"),
    ];
    for (body, said) in cases {
        let tested = Tested::new(Topic::Landing);
        for _ in 0..2 {
            assert_eq!(tested.raw(body.clone()).await, StatusCode::NO_CONTENT, "{said}");
        }
        let failure = tested.only_failure().await;
        assert!(failure.reason.contains(said), "{said}: {}", failure.reason);
        assert_eq!(failure.envelope.unwrap().topic, Topic::Landing);
        assert!(tested.seen().await.is_empty());
    }
}

#[tokio::test]
async fn the_raw_data_is_kept_where_it_fits() {
    let tested = Tested::new(Topic::Landing);
    tested.push(&wrapped(b"{\"foreign\":true}", &json!(null))).await;
    assert_eq!(tested.only_failure().await.envelope.unwrap().body, "{\"foreign\":true}");
    let tested = Tested::new(Topic::Landing);
    let large = vec![b'x'; BODY_BYTES_MAX + 1];
    assert_eq!(tested.raw(large.clone()).await, StatusCode::NO_CONTENT);
    assert_eq!(tested.raw(large).await, StatusCode::NO_CONTENT);
    let failure = tested.only_failure().await;
    assert!(failure.reason.contains("over the limit"), "{}", failure.reason);
    assert_eq!(failure.envelope.unwrap().body, "");
}

fn cloud_event() -> Value {
    json!({
        "specversion": "1.0", "id": "o-1", "source": "shop", "type": "order.paid",
        "subject": "order-7", "time": "2026-01-05T07:59:00Z", "data": { "total": 12.5 },
    })
}

fn external(envelope: &Envelope) -> (Accepted, runtime::jobs::ExternalEvent) {
    let accepted: Accepted = serde_json::from_str(&envelope.body).unwrap();
    match accepted.body.clone() {
        AcceptedBody::External(event) => (accepted, event),
        AcceptedBody::Conversation(other) => panic!("not an event from outside: {other:?}"),
    }
}

#[tokio::test]
async fn publishers_outside_are_understood_as_by_the_gateway() {
    let tested = Tested::new(Topic::Events);
    let bytes = cloud_event().to_string();
    let push = wrapped(bytes.as_bytes(), &json!({ "type": "ignored", "id": "ignored" }));
    assert_eq!(tested.push(&push).await, StatusCode::NO_CONTENT);
    let seen = tested.seen().await;
    let (accepted, event) = external(&seen[0]);
    assert_eq!(accepted.id, engine::EventId::of("shop", "o-1"));
    assert_eq!(accepted.at.to_rfc3339(), "2026-01-05T08:00:00.123+00:00");
    assert_eq!((event.kind.as_str(), event.connection.as_str()), ("order.paid", "api"));
    assert_eq!((event.subject.as_deref(), &event.data["total"]), (Some("order-7"), &json!(12.5)));

    // What the gateway makes of the same event is handled as the same.
    let gateway = Tested::new(Topic::Events);
    runtime::receive::cloud_event(&gateway.local.app, "o-1", event).await.unwrap();
    let by_gateway = gateway.seen().await.pop().unwrap();
    assert_eq!((by_gateway.id, by_gateway.topic), (seen[0].id.clone(), Topic::Events));
    assert_eq!(format!("{}#2", by_gateway.key), seen[0].key);
}

#[tokio::test]
async fn attributes_stand_in_for_type_and_id() {
    let tested = Tested::new(Topic::Events);
    let body = json!({ "specversion": "1.0", "source": "shop", "data": 1 }).to_string();
    let push = wrapped(body.as_bytes(), &json!({ "type": "order.paid", "id": "o-2" }));
    assert_eq!(tested.push(&push).await, StatusCode::NO_CONTENT);
    let (accepted, event) = external(&tested.seen().await[0]);
    assert_eq!(accepted.id, engine::EventId::of("shop", "o-2"));
    assert_eq!(event.kind, "order.paid");
}

#[tokio::test]
async fn events_that_are_none_are_kept() {
    let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    let change = |name: &str, value: Value| {
        let mut event = cloud_event();
        event[name] = value;
        event.to_string()
    };
    let cases = [
        ("not json".to_owned(), "is not JSON"),
        ("[1]".to_owned(), "a JSON object"),
        (change("specversion", "0.3".into()), "must be 1.0"),
        (change("id", "".into()), "/id must have 1 to 200 bytes"),
        (change("source", "x".repeat(201).into()), "/source must have"),
        (change("type", "a\nb".into()), "/type must have"),
        (change("subject", 5.into()), "is no CloudEvent"),
        (change("connection", "nowhere".into()), "connection `nowhere`"),
        (change("data", "a\0b".into()), "NUL"),
        (change("data", serde_json::from_str(&deep).unwrap()), "nested deeper"),
        (change("data", "x".repeat(400_000).into()), "larger than"),
    ];
    for (body, said) in cases {
        let tested = Tested::new(Topic::Events);
        let push = wrapped(body.as_bytes(), &json!({}));
        assert_eq!(tested.push(&push).await, StatusCode::NO_CONTENT, "{said}");
        let failure = tested.only_failure().await;
        assert!(failure.reason.contains(said), "{said}: {}", failure.reason);
        assert_eq!(failure.envelope.unwrap().body, body);
    }
}

fn forwarded(data: &[u8], subscription: &str, attributes: Value) -> Value {
    let Value::Object(mut all) = attributes else { panic!("attributes are an object") };
    let source = "CloudPubSubDeadLetterSource";
    all.insert(format!("{source}Subscription"), subscription.into());
    all.insert(format!("{source}SubscriptionProject"), "p".into());
    all.insert(format!("{source}DeliveryCount"), "10".into());
    wrapped(data, &Value::Object(all))
}

#[tokio::test]
async fn dead_letters_of_google_become_failures() {
    let tested = Tested::new(Topic::Failures);
    let push = forwarded(
        b"{\"message\":\"msg_1\"}",
        "chatflow-messenger",
        json!({
            "envelope": "send/1", "key": "conv_1",
        }),
    );
    assert_eq!(tested.push(&push).await, StatusCode::NO_CONTENT);
    let failure = tested.only_failure().await;
    assert_eq!((failure.id.as_str(), failure.attempts), ("fail_send/1", 10));
    assert!(failure.reason.contains("10 times to `chatflow-messenger`"), "{}", failure.reason);
    let envelope = failure.envelope.unwrap();
    assert_eq!((envelope.topic, envelope.key.as_str()), (Topic::Outbound, "conv_1"));
    assert_eq!(envelope.body, "{\"message\":\"msg_1\"}");
    assert!(tested.seen().await.is_empty());
}

#[tokio::test]
async fn a_dead_event_from_outside_can_be_retried() {
    let tested = Tested::new(Topic::Failures);
    let data = cloud_event().to_string();
    let push = forwarded(data.as_bytes(), "chatflow-controller", json!({}));
    assert_eq!(tested.push(&push).await, StatusCode::NO_CONTENT);
    let envelope = tested.only_failure().await.envelope.unwrap();
    let (accepted, event) = external(&envelope);
    assert_eq!((envelope.topic, envelope.id), (Topic::Events, accepted.id.0));
    assert_eq!(event.kind, "order.paid");
}

#[tokio::test]
async fn a_dead_letter_in_a_dead_letter_is_kept_once() {
    let tested = Tested::new(Topic::Failures);
    let inner = Envelope {
        id: "evt_5".into(),
        topic: Topic::Events,
        key: "conv_5".into(),
        due: None,
        body: "{}".into(),
    };
    let letter = DeadLetter { envelope: inner.clone(), reason: "lost".into(), attempts: 4 };
    let data = serde_json::to_vec(&letter).unwrap();
    let push = forwarded(&data, "chatflow-failures", json!({ "envelope": "dead/evt_5" }));
    assert_eq!(tested.push(&push).await, StatusCode::NO_CONTENT);
    let failure = tested.only_failure().await;
    assert_eq!((failure.envelope.unwrap(), failure.attempts), (inner, 4));
}

#[tokio::test]
async fn other_methods_and_paths_are_not_there() {
    let tested = Tested::new(Topic::Events);
    let request = Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(tested.send(request).await.0, StatusCode::METHOD_NOT_ALLOWED);
    let request = Request::post("/other").body(Body::empty()).unwrap();
    assert_eq!(tested.send(request).await.0, StatusCode::NOT_FOUND);
}

#[test]
fn spans_know_what_an_envelope_is_about() {
    let of = |body: Value| {
        let about = super::About::of(&Envelope {
            id: "e".into(),
            topic: Topic::Events,
            key: "k".into(),
            due: None,
            body: body.to_string(),
        });
        (about.conversation().map(str::to_owned), about.task().map(str::to_owned))
    };
    let both = (Some("conv_1".to_owned()), Some("task_1".to_owned()));
    let thread = json!({ "id": "conv_1", "connection": "c" });
    let accepted = json!({ "id": "evt", "body": {
        "kind": "conversation", "thread": thread, "what": { "what": "task", "task": "task_1" },
    } });
    assert_eq!(of(accepted), both);
    assert_eq!(of(json!({ "task": "task_1", "thread": thread, "request": {} })), both);
    assert_eq!(of(json!({ "rows": [] })), (None, None));
    assert_eq!(of(json!("x")), (None, None));
}
