//! What an operator may do: cancel, retry, assign, reply, resolve.

use it::TestApp;
use serde_json::{Value, json};

use crate::partner::{Partner, Says};
use crate::talk::{DESK, GREET, each, id, items, open_queue, put, refused, refused_at};
use crate::talk::{said, start, task, tell};

/// Calls somebody else's server; nothing is done about a call that cannot be made.
fn calling(host: &str) -> String {
    format!(
        r#"
flow: calling
name: Calling
start: call
steps:
  call:
    type: call
    connection: outside
    request: {{url: "http://{host}/"}}
    retry: {{times: 0}}
    into: answer
    next: done
  done: {{type: end, outcome: "{{{{ answer.status }}}}", result: "{{{{ answer.body.ok }}}}"}}
"#
    )
}

async fn allow(app: &TestApp, hosts: Value) {
    let connection =
        json!({ "id": "outside", "unsigned_from_loopback": true, "allowed_hosts": hosts });
    let answer = put(app, "/v1/connections/outside", connection).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn a_failed_task_says_why_and_can_be_retried() {
    let mut app = TestApp::empty().await;
    app.expect_failures();
    let outside = Partner::saying(&[Says::Json(200, json!({ "ok": true }))]).await;
    allow(&app, json!([])).await;
    app.publish(&calling(&outside.host)).await;
    let first = start(&app, "calling", "ann", json!({})).await;
    let second = start(&app, "calling", "bob", json!({})).await;
    let failed = task(&app, id(&first)).await;
    assert_eq!(json!([failed["status"], failed["step"]]), json!(["failed", "call"]));
    let reason = failed["error"].as_str().unwrap_or_default();
    assert!(reason.contains("127.0.0.1"), "{reason}");
    assert!(outside.asked().is_empty(), "an address inside is never reached unless allowed");
    let list = app.get("/v1/failures?state=open&kind=task").await;
    assert_eq!(each(&list, "/task"), [id(&second), id(&first)]);

    allow(&app, json!([outside.host])).await;
    let retried = app.post(&format!("/v1/tasks/{}/retry", id(&first)), json!({})).await;
    assert_eq!((retried.status, &retried.body["waiting_for"]), (200, &json!("call")));
    let failure = id(&items(&list)[0]).to_owned();
    let retried = app.post(&format!("/v1/failures/{failure}/retry"), json!({})).await;
    assert_eq!((retried.status, &retried.body["state"]), (200, &json!("retried")));
    app.settle().await;
    for id in [id(&first), id(&second)] {
        let ended = task(&app, id).await;
        assert_eq!(
            json!([ended["status"], ended["outcome"], ended["result"], ended["error"]]),
            json!(["completed", "200", true, null])
        );
    }
    assert_eq!(outside.asked().len(), 2);
    refused(&app.post(&format!("/v1/failures/{failure}/retry"), json!({})).await, 409);
    refused(&app.post("/v1/failures/fail_x/discard", json!({})).await, 404);
    app.finish().await;
}

#[tokio::test]
async fn cancelling_stops_a_task_for_good() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let started = start(&app, "greet", "ann", json!({})).await;
    let path = format!("/v1/tasks/{}", id(&started));
    let body = json!({ "reason": "no longer needed" });
    let cancelled = app.post(&format!("{path}/cancel"), body).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    assert_eq!(cancelled.body["status"], "cancelled");
    assert_eq!(cancelled.body["error"], "no longer needed");
    assert_eq!(task(&app, id(&started)).await["ended_at"], cancelled.body["updated_at"]);
    refused(&app.post(&format!("{path}/cancel"), json!({})).await, 409);
    let history = app.get(&format!("{path}/history")).await;
    let entry = items(&history).last().unwrap();
    assert_eq!(entry["event"]["body"]["by"], "administrator");
    for act in ["cancel", "retry", "assign"] {
        refused(&app.post(&format!("/v1/tasks/task_x/{act}"), json!({})).await, 404);
    }
    app.finish().await;
}

#[tokio::test]
async fn a_person_takes_over_and_hands_back() {
    let app = TestApp::empty().await;
    open_queue(&app, "desk").await;
    open_queue(&app, "second-line").await;
    app.publish(DESK).await;
    let started = start(&app, "at-the-desk", "ann", json!({})).await;
    assert_eq!(
        json!([started["waiting_for"], started["queue"], started["assignee"]]),
        json!(["human", "desk", null])
    );
    let path = format!("/v1/tasks/{}", id(&started));
    let act = async |what: &str, body: Value| app.post(&format!("{path}/{what}"), body).await;

    let moved = act("assign", json!({ "queue": "second-line" })).await;
    assert_eq!(json!([moved.body["queue"], moved.body["assignee"]]), json!(["second-line", null]));
    let taken = act("assign", json!({ "assignee": "joe" })).await;
    assert_eq!(json!([taken.body["queue"], taken.body["assignee"]]), json!(["second-line", "joe"]));
    assert_eq!(each(&app.get("/v1/tasks?queue=second-line").await, "/id"), [id(&started)]);
    assert_eq!(app.get("/v1/tasks?queue=desk").await["items"], json!([]));
    refused_at(
        &act("assign", json!({ "queue": "third" })).await,
        422,
        "/queue",
        "no queue `third`",
    );

    tell(&app, id(&started), "Is anybody there?").await;
    assert_eq!(task(&app, id(&started)).await["input"], "Is anybody there?");
    assert_eq!(act("reply", json!({ "text": "I am!" })).await.status, 200);
    refused_at(&act("reply", json!({ "text": "  " })).await, 422, "/text", "empty");
    let messages = app.get(&format!("{path}/messages")).await;
    let last = items(&messages).last().unwrap();
    assert_eq!(last["sender"], json!({ "kind": "operator", "name": "administrator" }));
    assert_eq!(last["content"]["text"], "I am!");

    let unknown = act("resolve", json!({ "resolution": "lost" })).await;
    let detail = refused(&unknown, 422)["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("use one of solved, refunded"), "{detail}");
    let done = act("resolve", json!({ "resolution": "solved", "note": "ok" })).await;
    assert_eq!(json!([done.body["status"], done.body["outcome"]]), json!(["completed", "solved"]));
    let spoken = said(&app, id(&started)).await;
    assert_eq!(spoken, ["Somebody will come.", "I am!", "solved by administrator: ok"]);
    refused(&act("resolve", json!({ "resolution": "solved" })).await, 409);
    refused(&act("reply", json!({ "text": "Bye" })).await, 409);
    app.finish().await;
}

#[tokio::test]
async fn only_a_task_that_waits_for_a_person_is_assigned_or_resolved() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let started = start(&app, "greet", "ann", json!({})).await;
    let path = format!("/v1/tasks/{}", id(&started));
    refused(&app.post(&format!("{path}/assign"), json!({})).await, 409);
    refused(&app.post(&format!("{path}/resolve"), json!({ "resolution": "x" })).await, 409);
    refused(&app.post(&format!("{path}/retry"), json!({})).await, 409);
    // A word in between changes nothing about what the task waits for.
    let said_so = app.post(&format!("{path}/reply"), json!({ "text": "One moment" })).await;
    assert_eq!((said_so.status, &said_so.body["step"]), (200, &json!("ask_who")));
    app.finish().await;
}
