//! The generic webhook: who is let in, what is read.

use channels::webhook::signature;
use chrono::TimeDelta;
use http::Method;
use it::{Answer, TestApp};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::bench::{Bench, How};
use crate::talk::{GREET, each, items, open_demo, put, refused, refused_at};
use crate::wire;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A server with the signed connection `shop`.
async fn shop(settings: Value) -> TestApp {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    assert_eq!(put(&app, "/v1/secrets/shop", json!({ "value": SECRET })).await.status, 204);
    let mut connection = json!({ "id": "shop", "secret": "shop" });
    let fields = connection.as_object_mut().expect("an object");
    fields.extend(settings.as_object().cloned().unwrap_or_default());
    let made = put(&app, "/v1/connections/shop", connection).await;
    assert_eq!(made.status, 200, "{}", made.text);
    app
}

/// A request as its sender signs it.
struct Signed<'a> {
    id: &'a str,
    secret: &'a str,
    seconds_ago: i64,
    body: Value,
}

impl Signed<'_> {
    async fn send(&self, app: &TestApp) -> Answer {
        let at = app.server().app.now() - TimeDelta::seconds(self.seconds_ago);
        let body = self.body.to_string();
        let (time, signed) = (
            at.timestamp().to_string(),
            signature::sign(self.secret, self.id, at, body.as_bytes()),
        );
        let headers = [
            ("content-type", "application/json"),
            (signature::ID, self.id),
            (signature::TIMESTAMP, time.as_str()),
            (signature::SIGNATURE, signed.as_str()),
        ];
        let answer = app.request(Method::POST, "/webhooks/shop", &headers, Some(body.into())).await;
        app.settle().await;
        answer
    }
}

fn hello(id: &str) -> Signed<'_> {
    let body = json!({ "contact": { "id": "ann" }, "text": "hello" });
    Signed { id, secret: SECRET, seconds_ago: 0, body }
}

async fn refusals(app: &TestApp) -> String {
    let metrics = app.api(Method::GET, "/metrics", None).await.text;
    let count = metrics.lines().find(|line| line.starts_with("chatflow_webhooks_refused_total"));
    count.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_is_signed_is_accepted_once() {
    let app = shop(json!({})).await;
    let first = hello("msg-1").send(&app).await;
    assert_eq!((first.status, &first.body["accepted"]), (200, &json!(true)), "{}", first.text);
    for seconds_ago in [0, 200, -200] {
        let again = Signed { seconds_ago, ..hello("msg-1") }.send(&app).await;
        assert_eq!((again.status, &again.body["event"]), (200, &first.body["event"]));
    }
    let messages = app.get("/v1/messages?contact=ann").await;
    assert_eq!(each(&messages, "/content/text"), ["hello", "Your name?"]);
    assert_eq!(items(&messages)[0]["external_id"], "msg-1");
    assert_eq!(items(&messages)[0]["id"], first.body["message"]);
    assert_eq!(app.task_of("ann").await["step"], "ask_who");
    assert_eq!(hello("msg-2").send(&app).await.status, 200);
    assert_eq!(items(&app.get("/v1/tasks?contact=ann").await).len(), 2, "another delivery");
    app.finish().await;
}

#[tokio::test]
async fn ten_deliveries_at_once_have_one_effect() {
    let app = shop(json!({})).await;
    let all =
        futures::future::join_all((0..10).map(|_| async { hello("msg-1").send(&app).await })).await;
    assert!(all.iter().all(|one| one.status == 200 && one.body["event"] == all[0].body["event"]));
    assert_eq!(app.task_of("ann").await["step"], "ask_who");
    assert_eq!(items(&app.get("/v1/messages?contact=ann").await).len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn what_is_not_signed_as_it_must_be_leaves_only_a_count() {
    let app = shop(json!({})).await;
    let unsigned = app.webhook("shop", hello("x").body).await;
    refused(&unsigned, 401);
    let wrong = Signed { secret: "whsec_AAAA", ..hello("x") }.send(&app).await;
    refused(&wrong, 401);
    let old = Signed { seconds_ago: 301, ..hello("x") }.send(&app).await;
    refused(&old, 401);
    let early = Signed { seconds_ago: -302, ..hello("x") }.send(&app).await;
    assert_eq!(refused(&early, 401)["detail"], "the signature is missing, wrong or too old");
    // A signature is of one body only.
    let now = app.server().app.now();
    let (time, signed) =
        (now.timestamp().to_string(), signature::sign(SECRET, "x", now, b"{\"text\": 1}"));
    let headers = [
        ("content-type", "application/json"),
        (signature::ID, "x"),
        (signature::TIMESTAMP, time.as_str()),
        (signature::SIGNATURE, signed.as_str()),
    ];
    let other = hello("x").body.to_string().into_bytes();
    refused(&app.request(Method::POST, "/webhooks/shop", &headers, Some(other)).await, 401);
    // Neither is anything said about what is inside before it is verified.
    refused(&app.webhook("shop", json!([])).await, 401);
    assert_eq!(refusals(&app).await, "chatflow_webhooks_refused_total 6");
    for list in ["messages", "tasks", "conversations", "failures"] {
        assert_eq!(app.get(&format!("/v1/{list}")).await["items"], json!([]), "{list}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_secret_that_is_not_set_lets_nobody_in() {
    let app = TestApp::empty().await;
    let connection = json!({ "id": "shop", "secret": "lost" });
    assert_eq!(put(&app, "/v1/connections/shop", connection).await.status, 200);
    for secret in ["", "lost", SECRET] {
        refused(&Signed { secret, ..hello("x") }.send(&app).await, 401);
    }
    app.finish().await;
}

#[tokio::test]
async fn unsigned_is_for_programs_on_this_machine() {
    let app = TestApp::empty().await;
    open_demo(&app, json!({})).await;
    let body = json!({ "contact": { "id": "ann" }, "text": "hi" }).to_string();
    let from = async |more: &str| {
        let head = format!(
            "POST /webhooks/demo HTTP/1.0\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{more}",
            body.len()
        );
        wire::exchange(&app, &head, body.as_bytes()).await
    };
    let address = app.server().address;
    for host in
        [address.to_string(), "localhost".to_owned(), format!("localhost:{}", address.port())]
    {
        assert_eq!(from(&format!("Host: {host}")).await.status, 200, "{host}");
    }
    // A page elsewhere whose name resolves to loopback (DNS rebinding), and what a proxy brings.
    for head in [
        "Host: evil.example",
        "Host: evil.example:8080",
        "Host: localhost.evil.example",
        "Host: 127.0.0.1.evil.example",
        "Host: 10.0.0.1",
        "Host: localhost\r\nX-Forwarded-For: 203.0.113.9",
        "Host: localhost\r\nForwarded: for=203.0.113.9",
        "Host: localhost\r\nVia: 1.1 proxy",
    ] {
        refused(&from(head).await, 401);
    }
    // What a form on a web page can send without asking is no JSON.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        let headers = [("content-type", kind)];
        let sent = Some(body.clone().into_bytes());
        refused(&app.request(Method::POST, "/webhooks/demo", &headers, sent).await, 415);
    }
    app.settle().await;
    assert_eq!(items(&app.get("/v1/messages").await).len(), 3);
    app.finish().await;
}

#[tokio::test]
async fn a_mapping_reads_the_senders_own_json() {
    let mapping = json!({
        "id": "body.update_id",
        "contact_id": "body.message.from.id",
        "contact_name": "body.message.from.first ~ ' ' ~ body.message.from.last",
        "contact_lang": "body.message.from.language_code",
        "conversation": "'chat-' ~ body.message.chat",
        "text": "body.message.lines | join(' ')",
        "event": "",
    });
    let app = shop(json!({ "mapping": mapping })).await;
    let from = json!({ "id": 42, "first": "Mei", "last": "Lin", "language_code": "zh-TW" });
    let body = json!({
        "update_id": 7,
        "message": { "from": from, "chat": 9, "lines": ["hello"] },
    });
    let sent = Signed { body: body.clone(), ..hello("d-1") }.send(&app).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    let again = Signed { body, ..hello("d-2") }.send(&app).await;
    assert_eq!(again.body["event"], sent.body["event"], "its own id makes it the same delivery");
    let task = app.task_of("42").await;
    assert_eq!(task["contact"], json!({ "id": "42", "name": "Mei Lin", "lang": "zh-TW" }));
    let view = app.get("/v1/conversations?contact=42").await;
    assert_eq!(items(&view)[0]["key"], "chat-9");
    let wrong = json!({ "update_id": 8, "message": { "from": { "id": 42 }, "chat": 9 } });
    refused(&Signed { body: wrong, ..hello("d-3") }.send(&app).await, 422);
    app.finish().await;
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_named() {
    let app = TestApp::empty().await;
    open_demo(&app, json!({})).await;
    let at = async |body: Value, pointer: &str, part: &str| {
        refused_at(&app.webhook("demo", body).await, 422, pointer, part);
    };
    at(json!({ "text": "hi" }), "/contact/id", "a message needs a contact").await;
    at(json!({ "contact": { "id": "a" } }), "/text", "neither a message nor an event").await;
    at(json!({ "contact": { "id": "a" }, "text": {} }), "/text", "must be a text").await;
    at(json!({ "contact": { "id": "a\nb" }, "text": "x" }), "/contact/id", "control").await;
    at(json!({ "contact": { "id": "a" }, "text": "a\u{0}b" }), "/text", "NUL").await;
    let long = "x".repeat(20_001);
    at(json!({ "contact": { "id": "a" }, "text": long }), "/text", "20000 characters").await;
    let file = json!([{ "kind": "image" }]);
    at(json!({ "contact": { "id": "a" }, "attachments": file }), "/attachments/0", "url").await;
    refused(&app.webhook("demo", json!(["a"])).await, 422);
    let headers = [("content-type", "application/json")];
    let broken = app.request(Method::POST, "/webhooks/demo", &headers, Some(b"{".to_vec())).await;
    let detail = refused(&broken, 400)["detail"].as_str().unwrap();
    assert!(detail.contains("not JSON"), "{detail}");
    refused(&app.webhook("nowhere", json!({})).await, 404);
    refused(&app.webhook("api", json!({})).await, 404);
    refused(&app.request(Method::GET, "/webhooks/demo", &[], None).await, 405);
    assert_eq!(app.get("/v1/messages").await["items"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn a_public_service_serves_webhooks_and_nothing_else() {
    let bench = Bench::new(How::default(), &[GREET]).await;
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let gateway = gateway::Gateway::new(bench.app.clone(), None, stopped);
    let routes = gateway::webhooks_only(gateway::router(gateway, axum::Router::new()));
    let answer = async |method: &str, path: &str, body: Value| {
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        let request = request.body(axum::body::Body::from(body.to_string())).unwrap();
        routes.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    let told = json!({ "id": "m-1", "contact": { "id": "mei" }, "text": "hello" });
    // Not from loopback and not signed: the webhook itself turns it away.
    assert_eq!(answer("POST", "/webhooks/demo", told.clone()).await, 401);
    assert_eq!(answer("POST", "/webhooks/nobody", told).await, 404);
    assert_eq!(answer("GET", "/healthz", Value::Null).await, 200);
    assert_eq!(answer("GET", "/readyz", Value::Null).await, 200);
    for path in [
        "/",
        "/v1/flows",
        "/v1/tasks",
        "/docs/",
        "/openapi.json",
        "/metrics",
        "/webhooks",
        "/events",
    ] {
        assert_eq!(answer("GET", path, Value::Null).await, 404, "{path}");
    }
    assert_eq!(answer("POST", "/events", json!({})).await, 404);
}
