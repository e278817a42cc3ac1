//! `/events`: CloudEvents wake tasks that wait for them and start flows that name them.

use http::Method;
use it::{Answer, TestApp};
use serde_json::{Value, json};

use crate::talk::{ORDER, each, id, items, open_demo, refused, refused_at, said, start, task};

const OPENING: &str = r#"
flow: opening
name: Opening
triggers:
  - on: event
    type: shop.opened
    contact: "{{ event.data.owner }}"
    vars: {shop: "{{ event.data.name }}"}
vars: {shop: {type: string}}
start: ask
steps:
  ask: {type: ask, text: "Is {{ shop }} open?", into: shop, next: done}
  done: {type: end}
"#;

async fn send(app: &TestApp, headers: &[(&str, &str)], body: &str) -> Answer {
    let bearer = format!("Bearer {}", app.key);
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    let answer = app.request(Method::POST, "/events", &all, Some(body.into())).await;
    app.settle().await;
    answer
}

async fn structured(app: &TestApp, event: &Value) -> Answer {
    send(app, &[("content-type", "application/cloudevents+json")], &event.to_string()).await
}

async fn batch(app: &TestApp, events: &Value) -> Answer {
    let kind = [("content-type", "application/cloudevents-batch+json; charset=utf-8")];
    send(app, &kind, &events.to_string()).await
}

fn paid(id: &str, order: &str, amount: u32) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/shop", "type": "shop.paid", "subject": order,
        "time": "2026-11-30T09:00:00Z", "data": { "amount": amount },
    })
}

#[tokio::test]
async fn events_in_every_mode_wake_the_task_that_waits() {
    let app = TestApp::empty().await;
    app.publish(ORDER).await;
    let mut orders = Vec::new();
    for number in ["A-1", "A-2", "A-3", "A-4"] {
        let order =
            start(&app, "order", &format!("of {number}"), json!({ "number": number })).await;
        assert_eq!(order["waiting_for"], "event");
        orders.push(id(&order).to_owned());
    }
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "e-1"),
        ("ce-source", "/shop"),
        ("ce-type", "shop.paid"),
        ("ce-subject", "A-1"),
    ];
    let binary = send(&app, &headers, r#"{"amount": 1}"#).await;
    assert_eq!(binary.status, 202, "{}", binary.text);
    assert_eq!(structured(&app, &paid("e-2", "A-2", 2)).await.status, 202);
    let both = batch(&app, &json!([paid("e-3", "A-3", 3), paid("e-4", "A-4", 4)])).await;
    assert_eq!(both.status, 202, "{}", both.text);
    assert_eq!(both.body["events"].as_array().map(Vec::len), Some(2));
    for (order, amount) in orders.iter().zip(1..) {
        assert_eq!(said(&app, order).await, [format!("Paid {amount}")]);
        assert_eq!(task(&app, order).await["outcome"], "paid");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_event_wakes_all_who_wait_for_it_and_only_once() {
    let app = TestApp::empty().await;
    app.publish(ORDER).await;
    let one = start(&app, "order", "ann", json!({ "number": "B" })).await;
    let two = start(&app, "order", "bob", json!({ "number": "B" })).await;
    let other = start(&app, "order", "cid", json!({ "number": "C" })).await;
    let first = structured(&app, &paid("e-1", "B", 5)).await;
    let again = structured(&app, &paid("e-1", "B", 5)).await;
    assert_eq!(first.body, again.body);
    for order in [&one, &two] {
        assert_eq!(said(&app, id(order)).await, ["Paid 5"]);
    }
    assert_eq!(task(&app, id(&other)).await["status"], "waiting");
    app.finish().await;
}

#[tokio::test]
async fn an_event_starts_the_flows_that_name_it() {
    let app = TestApp::empty().await;
    open_demo(&app, json!({})).await;
    app.publish(OPENING).await;
    let event = json!({
        "specversion": "1.0", "id": "o-1", "source": "/shop", "type": "shop.opened",
        "data": { "owner": "mei", "name": "茶行" }, "connection": "demo",
    });
    assert_eq!(structured(&app, &event).await.status, 202);
    assert_eq!(structured(&app, &event).await.status, 202);
    let task = app.task_of("mei").await;
    assert_eq!(json!([task["flow"], task["connection"]]), json!(["opening", "demo"]));
    assert_eq!(app.said_to("mei"), ["Is 茶行 open?"]);

    // The same event as a delivery of a webhook.
    let body =
        json!({ "id": "o-2", "event": "shop.opened", "data": { "owner": "bo", "name": "B" } });
    let answer = app.webhook("demo", body).await;
    assert_eq!((answer.status, &answer.body["message"]), (200, &Value::Null));
    app.settle().await;
    assert_eq!(app.said_to("bo"), ["Is B open?"]);
    app.finish().await;
}

#[tokio::test]
async fn an_event_that_nobody_awaits_is_kept_and_can_be_tried_again() {
    let mut app = TestApp::empty().await;
    app.expect_failures();
    app.publish(ORDER).await;
    assert_eq!(structured(&app, &paid("e-1", "D", 7)).await.status, 202);
    assert_eq!(structured(&app, &paid("e-2", "E", 8)).await.status, 202);
    let open = app.get("/v1/failures?state=open&kind=event").await;
    assert_eq!(items(&open).len(), 2);
    let reason = items(&open)[1]["reason"].as_str().unwrap();
    assert!(reason.contains("no task waits for `shop.paid` with key `D`"), "{reason}");
    let failure = format!("/v1/failures/{}", id(&items(&open)[1]));

    // Too early: it is kept again.
    assert_eq!(app.post(&format!("{failure}/retry"), json!({})).await.status, 200);
    app.settle().await;
    assert_eq!(items(&app.get("/v1/failures?state=open").await).len(), 2);
    let order = start(&app, "order", "dee", json!({ "number": "D" })).await;
    assert_eq!(app.post(&format!("{failure}/retry"), json!({})).await.status, 200);
    app.settle().await;
    assert_eq!(said(&app, id(&order)).await, ["Paid 7"]);
    let other = format!("/v1/failures/{}", id(&items(&open)[0]));
    let discarded = app.post(&format!("{other}/discard"), json!({})).await;
    assert_eq!(
        json!([discarded.body["state"], discarded.body["settled_by"]]),
        json!(["discarded", "administrator"])
    );
    refused(&app.post(&format!("{other}/discard"), json!({})).await, 409);
    assert_eq!(app.get("/v1/failures?state=open").await["items"], json!([]));
    assert_eq!(each(&app.get("/v1/failures?state=retried").await, "/topic"), ["events"]);
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_cloud_event_is_refused_as_a_whole() {
    let app = TestApp::empty().await;
    let with = |field: &str, value: Value| {
        let mut event = paid("e-1", "F", 1);
        event[field] = value;
        event
    };
    let old = structured(&app, &with("specversion", json!("0.3"))).await;
    refused_at(&old, 422, "/specversion", "only CloudEvents 1.0");
    refused_at(&structured(&app, &with("id", json!(""))).await, 422, "/id", "1 to 200 bytes");
    refused_at(&structured(&app, &with("type", json!(7))).await, 422, "/type", "expected a string");
    refused_at(
        &structured(&app, &with("subject", json!("a\nb"))).await,
        422,
        "/subject",
        "control",
    );
    refused_at(&structured(&app, &with("time", json!("noon"))).await, 422, "/time", "invalid");
    let one_bad = batch(&app, &json!([paid("e-1", "F", 1), with("source", json!(""))])).await;
    refused_at(&one_bad, 422, "/1/source", "1 to 200 bytes");
    refused_at(&batch(&app, &json!([paid("e", "F", 1), 5])).await, 422, "/1", "JSON object");
    refused(&batch(&app, &json!([])).await, 422);
    refused(&batch(&app, &json!({})).await, 422);
    let many: Vec<Value> = (0..501).map(|n| paid(&n.to_string(), "F", 1)).collect();
    refused(&batch(&app, &json!(many)).await, 422);
    refused(&send(&app, &[("content-type", "application/json")], "{}").await, 415);
    let headers = [("content-type", "application/json"), ("ce-specversion", "1.0")];
    let missing = send(&app, &headers, "{}").await;
    assert_eq!(refused(&missing, 400)["detail"], "the header `ce-id` is missing");
    assert_eq!(app.get("/v1/failures").await["items"], json!([]), "nothing was accepted");
    app.finish().await;
}
