//! Nothing that was accepted goes without a trace: what cannot be done is kept where people see it.

use http::Method;
use it::TestApp;
use serde_json::{Value, json};

const COUNTED: &str = "
flow: counted
triggers:
  - {on: event, type: shop.counted, vars: {count: '{{ event.data.count }}'}}
vars: {count: {type: integer}}
start: told
steps:
  told: {type: say, text: '{{ count }}', next: done}
  done: {type: end}
";

fn asking(flow: &str) -> String {
    format!(
        "flow: {flow}\ntriggers: [{{on: keyword, any: [{flow}], when_busy: interrupt}}]\n\
         vars: {{answer: {{type: string}}}}\nstart: ask\nsteps:\n  \
         ask: {{type: ask, text: '{flow}? {{{{ answer }}}}', into: answer, next: done}}\n  \
         done: {{type: end}}\n"
    )
}

const RESTING: &str = "
flow: resting
triggers: [{on: keyword, any: [rest], when_busy: interrupt}]
start: rest
steps:
  rest: {type: wait, for: 1h, next: done}
  done: {type: end}
";

fn first(page: &Value) -> &Value {
    &page["items"][0]
}

#[tokio::test]
async fn an_event_whose_flow_cannot_start_is_a_failure_with_its_reason() {
    let mut app = TestApp::empty().await;
    app.expect_failures();
    app.publish(COUNTED).await;
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "shop", "type": "shop.counted",
        "data": { "count": "many" },
    });
    let bearer = format!("Bearer {}", app.key);
    let kind = ("content-type", "application/cloudevents+json");
    let headers = [("authorization", bearer.as_str()), kind];
    let body = Some(event.to_string().into_bytes());
    let sent = app.request(Method::POST, "/events", &headers, body).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    app.settle().await;
    let failures = app.get("/v1/failures?state=open").await;
    let reason = first(&failures)["reason"].as_str().unwrap();
    assert!(reason.contains("flow `counted` cannot start: `count` must be of type integer"));
    app.finish().await;
}

#[tokio::test]
async fn json_that_could_not_be_read_back_is_not_accepted() {
    let app = TestApp::demo().await;
    let deep = (0..70).fold(Value::Null, |inner, _| json!([inner]));
    let contact = json!({ "id": "mei" });
    let start = json!({ "flow": "leave-request", "contact": contact, "vars": { "reason": deep } });
    let started = app.post("/v1/tasks", start).await;
    assert_eq!(started.status, 422, "{}", started.text);
    assert!(started.text.contains("nested deeper than 64 levels"), "{}", started.text);
    let sent = app.webhook("demo", json!({ "contact": contact, "text": "hi", "data": deep })).await;
    assert_eq!(sent.status, 422, "{}", sent.text);
    app.finish().await;
}

#[tokio::test]
async fn a_message_nobody_placed_is_unrouted_when_its_tasks_have_ended() {
    let app = TestApp::demo().await;
    for source in [asking("apples"), asking("pears"), RESTING.to_owned()] {
        app.publish(&source).await;
    }
    for text in ["apples", "pears", "rest", "to which of them?"] {
        app.say("mei", text).await;
    }
    let held = app.get("/v1/messages?contact=mei&direction=in&order=newest&limit=1").await;
    assert_eq!(first(&held)["state"], "received", "{held}");
    let waiting = app.get("/v1/tasks?contact=mei&waiting_for=reply").await;
    for task in waiting["items"].as_array().unwrap() {
        let path = format!("/v1/tasks/{}/cancel", task["id"].as_str().unwrap());
        assert_eq!(app.post(&path, json!({})).await.status, 200);
    }
    app.settle().await;
    let seen = app.get("/v1/messages?contact=mei&direction=in&order=newest&limit=1").await;
    assert_eq!(first(&seen)["state"], "unrouted", "{seen}");
    assert!(first(&seen)["error"].as_str().is_some_and(|error| !error.is_empty()));
    app.finish().await;
}

#[tokio::test]
async fn an_assignment_that_is_refused_leaves_the_message_to_be_assigned() {
    let app = TestApp::empty().await;
    app.publish(RESTING).await;
    let connection = json!({ "id": "plain", "unsigned_from_loopback": true });
    let made = app.api(Method::PUT, "/v1/connections/plain", Some(connection)).await;
    assert_eq!(made.status, 200, "{}", made.text);
    for text in ["rest", "hello?"] {
        let body = json!({ "contact": { "id": "mei" }, "text": text });
        assert_eq!(app.webhook("plain", body).await.status, 200);
        app.settle().await;
    }
    let unrouted = app.get("/v1/messages?state=unrouted").await;
    let path = format!("/v1/messages/{}/assign", first(&unrouted)["id"].as_str().unwrap());
    let task = app.task_of("mei").await;
    let refused = app.post(&path, json!({ "task": task["id"] })).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let still = app.get("/v1/messages?state=unrouted").await;
    assert_eq!(first(&still)["id"], first(&unrouted)["id"], "{still}");
    app.finish().await;
}
