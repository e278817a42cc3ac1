//! Replies to a connection's address: signed, in order, repeated until the outcome is known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use channels::webhook::signature;
use http::Method;
use it::TestApp;
use runtime::Limits;
use serde_json::{Value, json};

use crate::partner::{Partner, Says};
use crate::talk::{each, id, items, put, refused};

/// Answers every message with a number and what was said.
pub(crate) const ECHO: &str = r#"
flow: echo
name: Echo
vars: {said: {type: string, default: ""}, n: {type: integer, default: 0}}
start: ask
steps:
  ask: {type: ask, text: "{{ n }}: {{ input }}", into: said, next: count}
  count: {type: set, vars: {n: "{{ n + 1 }}"}, next: more}
  more: {type: branch, cases: [{if: "said == 'stop'", next: done}], else: ask}
  done: {type: end}
"#;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Bounds with which a test need not wait.
fn hasty(attempts: u32) -> Limits {
    Limits {
        send_attempts_max: attempts,
        send_backoff_first: Duration::from_millis(1),
        send_backoff_max: Duration::from_millis(4),
        send_timeout: Duration::from_millis(300),
        ..Limits::default()
    }
}

/// A server with the flow and the connection, to whose contact it speaks.
async fn echoing(partner: &Partner, attempts: u32) -> TestApp {
    let app = TestApp::with_limits(hasty(attempts)).await;
    app.publish(ECHO).await;
    partner.connect(&app, json!({ "default_flow": "echo" })).await;
    app
}

/// The contact says something on the connection.
async fn hear(app: &TestApp, contact: &str, text: &str) -> Value {
    let body =
        json!({ "id": format!("{contact}/{text}"), "contact": { "id": contact }, "text": text });
    let answer = app.webhook("erp", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

/// The replies to a contact, oldest first.
async fn replies(app: &TestApp, contact: &str) -> Value {
    app.get(&format!("/v1/messages?contact={contact}&direction=out&limit=1000")).await
}

fn states(message: &Value) -> Vec<&str> {
    let states = message["states"].as_array().unwrap();
    states.iter().map(|reached| reached["state"].as_str().unwrap()).collect()
}

async fn failures(app: &TestApp) -> Value {
    app.get("/v1/failures?state=open").await
}

#[tokio::test]
async fn a_reply_is_signed_and_tells_what_it_answers() {
    let partner = Partner::saying(&[Says::Status(204)]).await;
    let app = TestApp::empty().await;
    app.publish(ECHO).await;
    assert_eq!(put(&app, "/v1/secrets/erp-key", json!({ "value": SECRET })).await.status, 204);
    let more = json!({ "default_flow": "echo", "secret": "erp-key" });
    partner.connect(&app, more).await;
    let heard = hear(&app, "ann", "請假").await;
    app.settle().await;

    let [asked] = <[_; 1]>::try_from(partner.asked()).unwrap();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/replies"));
    assert_eq!(asked.header("content-type"), "application/json");
    let verified = |secret: &str, body: &[u8]| {
        signature::verify(
            secret,
            asked.header(signature::ID),
            asked.header(signature::TIMESTAMP),
            asked.header(signature::SIGNATURE),
            body,
            app.server().app.now(),
        )
    };
    assert!(verified(SECRET, &asked.body));
    assert!(!verified("another", &asked.body));
    assert!(!verified(SECRET, b"{}"));

    let all = replies(&app, "ann").await;
    let [message] = items(&all) else { panic!("{all}") };
    assert_eq!(states(message), ["queued", "sending", "sent"]);
    assert_eq!(asked.header(signature::ID), id(message));
    assert_eq!(
        asked.json(),
        json!({
            "id": message["id"], "connection": "erp", "conversation": message["conversation"],
            "contact": "ann", "task": message["task"], "in_reply_to": heard["message"],
            "created_at": message["created_at"], "text": "0: 請假",
        })
    );
    app.finish().await;
}

#[tokio::test]
async fn replies_of_a_conversation_come_in_order_however_often_they_are_repeated() {
    const CONTACTS: usize = 6;
    const MESSAGES: usize = 12;
    // Every third request is turned away.
    let partner =
        Partner::answering(|_, before| Says::Status(if before % 3 == 1 { 503 } else { 200 }));
    let partner = partner.await;
    let app = echoing(&partner, 30).await;
    let speak = async |contact: usize| {
        for number in 0..MESSAGES {
            hear(&app, &format!("c{contact}"), &format!("m{number}")).await;
        }
    };
    futures::future::join_all((0..CONTACTS).map(speak)).await;
    app.settle().await;

    // The last time each reply came is the time it was taken.
    let mut taken: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (number, asked) in partner.asked().iter().enumerate() {
        if number % 3 != 1 {
            let body = asked.json();
            let contact = body["contact"].as_str().unwrap().to_owned();
            taken.entry(contact).or_default().push(body["text"].as_str().unwrap().to_owned());
        }
    }
    let expected: Vec<String> = (0..MESSAGES).map(|n| format!("{n}: m{n}")).collect();
    assert_eq!(taken.len(), CONTACTS);
    for (contact, texts) in taken {
        assert_eq!(texts, expected, "{contact}");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_address_in_trouble_is_asked_again_with_the_same_message() {
    let partner = Partner::saying(&[Says::Status(500), Says::Status(500), Says::Status(200)]).await;
    let app = echoing(&partner, 8).await;
    hear(&app, "ann", "hi").await;
    app.settle().await;
    let asked = partner.asked();
    let ids: BTreeSet<&str> = asked.iter().map(|asked| asked.header(signature::ID)).collect();
    let bodies: BTreeSet<&[u8]> = asked.iter().map(|asked| asked.body.as_slice()).collect();
    assert_eq!((asked.len(), ids.len(), bodies.len()), (3, 1, 1));
    let all = replies(&app, "ann").await;
    assert_eq!(each(&all, "/state"), ["sent"]);
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), each(&all, "/id"));
    app.finish().await;
}

#[tokio::test]
async fn an_address_that_keeps_failing_is_given_up() {
    let partner = Partner::saying(&[Says::Status(503)]).await;
    let mut app = echoing(&partner, 3).await;
    app.expect_failures();
    hear(&app, "ann", "hi").await;
    app.settle().await;
    assert_eq!(partner.asked().len(), 3);
    assert_eq!(each(&replies(&app, "ann").await, "/state"), ["failed"]);
    let kept = failures(&app).await;
    assert_eq!(each(&kept, "/reason"), ["the reply address answered 503"]);
    assert_eq!(items(&kept)[0]["attempts"], 3);
    app.finish().await;
}

#[tokio::test]
async fn a_refused_reply_is_kept_and_goes_out_once_after_it_was_corrected() {
    let partner = Partner::saying(&[Says::Status(410), Says::Status(200)]).await;
    let app = echoing(&partner, 8).await;
    hear(&app, "ann", "hi").await;
    app.settle().await;
    assert_eq!(partner.asked().len(), 1);
    let first = replies(&app, "ann").await;
    assert_eq!(each(&first, "/state"), ["failed"]);
    let reason = "the reply address answered 410; correct it and retry";
    assert_eq!(each(&first, "/error"), [reason]);
    let kept = failures(&app).await;
    assert_eq!((each(&kept, "/kind"), each(&kept, "/reason")), (vec!["reply"], vec![reason]));
    assert_eq!(items(&kept)[0]["task"], items(&first)[0]["task"]);

    let retry = format!("/v1/failures/{}/retry", id(&items(&kept)[0]));
    // Two operators at once: one of them is told so, and the reply goes out once.
    let (one, other) = tokio::join!(app.post(&retry, json!({})), app.post(&retry, json!({})));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    refused(&app.post(&retry, json!({})).await, 409);
    app.settle().await;
    let both = replies(&app, "ann").await;
    assert_eq!(each(&both, "/state"), ["failed", "sent"]);
    assert_eq!(each(&both, "/content/text"), ["0: hi", "0: hi"]);
    assert_eq!(partner.asked().len(), 2);
    assert_ne!(partner.asked()[0].header(signature::ID), partner.asked()[1].header(signature::ID));
    app.finish().await;
}

#[tokio::test]
async fn a_reply_whose_outcome_cannot_be_known_says_so() {
    let partner = Partner::saying(&[Says::Nothing, Says::Nothing, Says::Status(200)]).await;
    let app = echoing(&partner, 2).await;
    hear(&app, "ann", "hi").await;
    app.settle().await;
    let all = replies(&app, "ann").await;
    let message = &items(&all)[0];
    assert_eq!(states(message), ["queued", "sending", "unknown"]);
    let error = message["error"].as_str().unwrap();
    assert!(error.contains("may have arrived"), "{error}");
    let kept = failures(&app).await;
    assert_eq!(each(&kept, "/kind"), ["reply"]);

    // It goes out again as the same message, so that the receiver can tell.
    let retry = format!("/v1/failures/{}/retry", id(&items(&kept)[0]));
    assert_eq!(app.post(&retry, json!({})).await.status, 200);
    app.settle().await;
    let all = replies(&app, "ann").await;
    assert_eq!(items(&all).len(), 1);
    assert_eq!(states(&items(&all)[0]), ["queued", "sending", "unknown", "sent"]);
    assert_eq!(items(&all)[0]["error"], Value::Null);
    let ids: BTreeSet<String> =
        partner.asked().iter().map(|asked| asked.header(signature::ID).to_owned()).collect();
    assert_eq!((partner.asked().len(), ids.len()), (3, 1));
    app.finish().await;
}

#[tokio::test]
async fn a_doubt_is_not_hidden_by_a_later_refusal() {
    // The first attempt may have arrived, whatever the second one is told.
    let partner = Partner::saying(&[Says::Nothing, Says::Status(410)]).await;
    let mut app = echoing(&partner, 5).await;
    app.expect_failures();
    hear(&app, "ann", "hi").await;
    app.settle().await;
    let all = replies(&app, "ann").await;
    assert_eq!(states(&items(&all)[0]), ["queued", "sending", "unknown"]);
    assert_eq!(partner.asked().len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn an_internal_address_is_reached_only_where_the_connection_names_it() {
    let partner = Partner::saying(&[Says::Status(200)]).await;
    let mut app = TestApp::empty().await;
    app.expect_failures();
    app.publish(ECHO).await;
    let more = json!({ "default_flow": "echo", "allowed_hosts": ["127.0.0.1:1"] });
    partner.connect(&app, more).await;
    hear(&app, "ann", "hi").await;
    app.settle().await;
    let all = replies(&app, "ann").await;
    assert_eq!(each(&all, "/state"), ["failed"]);
    insta::assert_snapshot!(
        items(&all)[0]["error"].as_str().unwrap(),
        @"refused: 127.0.0.1 is at a loopback address; if the connection is meant to reach it, add exactly this host to the connection's allowed hosts"
    );
    assert_eq!(partner.asked().len(), 0);

    // Named, it is reached; what failed goes out when somebody retries it.
    let etag = app.api(Method::GET, "/v1/connections/erp", None).await;
    assert_eq!(etag.header("etag"), Some("\"1\""));
    partner.connect(&app, json!({ "default_flow": "echo" })).await;
    let kept = failures(&app).await;
    let retry = format!("/v1/failures/{}/retry", id(&items(&kept)[0]));
    assert_eq!(app.post(&retry, json!({})).await.status, 200);
    app.settle().await;
    assert_eq!(partner.asked().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_redirect_or_a_missing_secret_is_told() {
    let partner = Partner::saying(&[Says::Redirect("http://127.0.0.1:9/".into())]).await;
    let mut app = echoing(&partner, 8).await;
    app.expect_failures();
    hear(&app, "ann", "hi").await;
    app.settle().await;
    let more = json!({ "default_flow": "echo", "secret": "erp-key" });
    partner.connect(&app, more).await;
    hear(&app, "ann", "again").await;
    app.settle().await;
    assert_eq!(
        each(&replies(&app, "ann").await, "/error"),
        [
            "the reply address answered 302; correct it and retry",
            "the secret `erp-key` is not set; set it and retry",
        ]
    );
    assert_eq!(partner.asked().len(), 1);
    app.finish().await;
}
