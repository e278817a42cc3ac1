//! What goes wrong for good is kept, with all that a retry needs.

use http::Method;
use it::TestApp;
use ports::{Envelope, Topic};
use serde_json::{Value, json};

use crate::talk::{ORDER, each, id, items, refused, start, task};

/// Divides by what it is given.
const DIVIDE: &str = r#"
flow: divide
vars: {by: {type: integer}, result: {type: integer}}
start: think
steps:
  think: {type: set, vars: {result: "{{ 12 // by }}"}, next: tell}
  tell: {type: say, text: "{{ result }}", next: done}
  done: {type: end}
"#;

async fn open(app: &TestApp) -> Value {
    app.get("/v1/failures?state=open").await
}

async fn event(app: &TestApp, event_id: &str, subject: &str) {
    let bearer = format!("Bearer {}", app.key);
    let body = json!({
        "specversion": "1.0", "id": event_id, "source": "/shop", "type": "shop.paid",
        "subject": subject, "data": { "amount": 5 },
    });
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/cloudevents+json")];
    let answer = app.request(Method::POST, "/events", &headers, Some(body.to_string().into()));
    let answer = answer.await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    app.settle().await;
}

#[tokio::test]
async fn a_task_that_fails_is_kept_with_its_reason_and_can_be_retried() {
    let mut app = TestApp::empty().await;
    app.expect_failures();
    app.publish(DIVIDE).await;
    let begun = start(&app, "divide", "ann", json!({ "by": 0 })).await;
    let failed = task(&app, id(&begun)).await;
    assert_eq!((&failed["status"], &failed["step"]), (&json!("failed"), &json!("think")));
    let kept = open(&app).await;
    let [failure] = items(&kept) else { panic!("{kept}") };
    assert_eq!((&failure["kind"], &failure["task"]), (&json!("task"), &begun["id"]));
    assert_eq!(failure["reason"], failed["error"]);
    assert_eq!(failure["conversation"], begun["conversation"]);

    // It is retried and fails again: the first failure is settled, a second one is open.
    let retry = format!("/v1/failures/{}/retry", id(failure));
    let retried = app.post(&retry, json!({})).await;
    assert_eq!(retried.status, 200, "{}", retried.text);
    assert_eq!(
        (&retried.body["state"], &retried.body["settled_by"]),
        (&json!("retried"), &json!("administrator"))
    );
    app.settle().await;
    let again = open(&app).await;
    assert_eq!(items(&again).len(), 1);
    assert_ne!(id(&items(&again)[0]), id(failure));
    refused(&app.post(&retry, json!({})).await, 409);
    let discard = format!("/v1/failures/{}/discard", id(&items(&again)[0]));
    assert_eq!(app.post(&discard, json!({})).await.body["state"], "discarded");
    refused(&app.post(&discard, json!({})).await, 409);
    assert_eq!(items(&open(&app).await).len(), 0);
    assert_eq!(items(&app.get("/v1/failures?kind=task").await).len(), 2);
    refused(&app.post("/v1/failures/fail_none/retry", json!({})).await, 404);
    app.finish().await;
}

#[tokio::test]
async fn an_event_that_nothing_waits_for_is_kept_until_something_does() {
    let app = TestApp::empty().await;
    app.publish(ORDER).await;
    event(&app, "e1", "A-1").await;
    let kept = open(&app).await;
    assert_eq!(each(&kept, "/kind"), ["event"]);
    assert_eq!(
        each(&kept, "/reason"),
        ["no task waits for `shop.paid` with key `A-1`, and no trigger names it"]
    );
    // The same event once more is the same failure.
    event(&app, "e1", "A-1").await;
    assert_eq!(items(&open(&app).await).len(), 1);

    let begun = start(&app, "order", "ann", json!({ "number": "A-1" })).await;
    let retry = format!("/v1/failures/{}/retry", id(&items(&kept)[0]));
    assert_eq!(app.post(&retry, json!({})).await.status, 200);
    app.settle().await;
    let paid = task(&app, id(&begun)).await;
    assert_eq!((&paid["outcome"], &paid["vars"]["paid"]["amount"]), (&json!("paid"), &json!(5)));
    assert_eq!(items(&open(&app).await).len(), 0);
    app.finish().await;
}

#[tokio::test]
async fn a_retry_that_does_not_help_leaves_the_failure_open() {
    let mut app = TestApp::empty().await;
    app.expect_failures();
    event(&app, "e1", "A-1").await;
    let kept = open(&app).await;
    let retry = format!("/v1/failures/{}/retry", id(&items(&kept)[0]));
    assert_eq!(app.post(&retry, json!({})).await.status, 200);
    app.settle().await;
    assert_eq!(each(&open(&app).await, "/id"), each(&kept, "/id"));
    app.finish().await;
}

#[tokio::test]
async fn an_envelope_nobody_can_read_becomes_a_failure_and_holds_up_nothing() {
    let mut app = TestApp::empty().await;
    app.expect_failures();
    app.publish(DIVIDE).await;
    let topics = [Topic::Events, Topic::Outbound, Topic::Calls, Topic::Landing];
    let envelopes = topics.map(|topic| Envelope {
        id: format!("broken/{}", topic.name()),
        topic,
        key: "same".into(),
        due: None,
        body: "{".into(),
    });
    app.server().app.bus().publish(&envelopes).await.unwrap();
    app.settle().await;
    let kept = open(&app).await;
    assert_eq!(each(&kept, "/kind"), ["dead_letter"; 4]);
    let mut topics = each(&kept, "/topic");
    topics.sort_unstable();
    assert_eq!(topics, ["calls", "events", "landing", "outbound"]);
    assert!(
        each(&kept, "/reason").iter().all(|reason| reason.contains("cannot be read")),
        "{kept}"
    );
    // Its id goes into an address like any other.
    let encoded = id(&items(&kept)[0]).replace('/', "%2F");
    let discarded = app.post(&format!("/v1/failures/{encoded}/discard"), json!({})).await;
    assert_eq!(discarded.status, 200, "{}", discarded.text);
    let encoded = id(&items(&kept)[1]).replace('/', "%2F");
    assert_eq!(app.post(&format!("/v1/failures/{encoded}/retry"), json!({})).await.status, 200);
    app.settle().await;
    assert_eq!(items(&open(&app).await).len(), 3, "it could not be read again");
    let begun = start(&app, "divide", "ann", json!({ "by": 3 })).await;
    assert_eq!(task(&app, id(&begun)).await["vars"]["result"], 4);
    app.finish().await;
}

#[tokio::test]
async fn a_message_for_a_task_that_is_gone_is_told_and_not_lost() {
    let app = TestApp::demo().await;
    app.say("ann", "hello").await;
    let body = json!({ "contact": { "id": "ann" }, "text": "hi", "task": "task_of-nobody" });
    assert_eq!(app.webhook("demo", body).await.status, 200);
    app.settle().await;
    let failed = app.get("/v1/messages?contact=ann&state=failed").await;
    assert_eq!(each(&failed, "/content/text"), ["hi"]);
    assert!(each(&failed, "/error")[0].contains("task_of-nobody"), "{failed}");
    app.finish().await;
}
