//! Tasks that start tasks: one that waits, one that does not, many side by side.

use it::TestApp;
use serde_json::{Value, json};

use crate::talk::{GREET, each, id, items, open_queue, refused, start, task, tell};

const PARENT: &str = r#"
flow: parent
name: Parent
vars: {mode: {type: string}}
start: which
steps:
  which:
    type: branch
    cases:
      - {if: "mode == 'detach'", next: go}
      - {if: "mode == 'guarded'", next: guarded}
    else: wait
  wait: {type: start, flow: greet, vars: {age: 5}, into: child, next: done}
  guarded: {type: start, flow: greet, into: child, next: done, on_error: sorry}
  go: {type: start, flow: greet, mode: detach, contact: "{{ contact.id }}-too", into: child, next: done}
  sorry: {type: end, outcome: "sorry: {{ child.outcome }}"}
  done: {type: end, result: "{{ child.result }}"}
"#;

/// Asks every one of a list of contacts, two at a time.
const POLL: &str = r#"
flow: poll
name: Poll
vars: {people: {type: list}, guarded: {type: boolean, default: false}}
start: ask_all
steps:
  ask_all:
    type: each
    items: "{{ people }}"
    flow: greet
    vars: {age: "{{ index }}"}
    contact: "{{ item }}"
    parallel: 2
    into: answers
    next: done
    on_error: partly
  done: {type: end, outcome: all, result: "{{ answers }}"}
  partly: {type: end, outcome: partly, result: "{{ answers }}"}
"#;

async fn family() -> TestApp {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    app.publish(PARENT).await;
    app.publish(POLL).await;
    app
}

async fn children(app: &TestApp, parent: &str) -> Vec<Value> {
    let list = app.get(&format!("/v1/tasks?parent={parent}&sort=created_asc")).await;
    items(&list).to_vec()
}

#[tokio::test]
async fn a_parent_waits_for_its_child_and_takes_its_result() {
    let app = family().await;
    let parent = start(&app, "parent", "ann", json!({ "mode": "wait" })).await;
    assert_eq!(parent["waiting_for"], "child");
    let child = children(&app, id(&parent)).await.remove(0);
    assert_eq!(task(&app, id(&parent)).await["children"], json!([child["id"]]));
    assert_eq!(
        json!([child["parent"], child["conversation"], child["vars"]["age"]]),
        json!([parent["id"], parent["conversation"], 5])
    );
    tell(&app, id(&child), "Ann").await;
    tell(&app, id(&child), "6").await;
    let ended = task(&app, id(&parent)).await;
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["result"], json!({ "who": "Ann", "age": 6 }));
    assert_eq!(ended["vars"]["child"]["outcome"], "greeted");
    app.finish().await;
}

#[tokio::test]
async fn a_detached_child_lives_by_itself() {
    let app = family().await;
    let parent = start(&app, "parent", "ann", json!({ "mode": "detach" })).await;
    assert_eq!((&parent["status"], &parent["result"]), (&json!("completed"), &Value::Null));
    let child = children(&app, id(&parent)).await.remove(0);
    assert_eq!(json!([child["status"], child["contact"]["id"]]), json!(["waiting", "ann-too"]));
    assert_ne!(child["conversation"], parent["conversation"]);
    tell(&app, id(&child), "Ann").await;
    tell(&app, id(&child), "6").await;
    assert_eq!(task(&app, id(&child)).await["status"], "completed");
    assert_eq!(task(&app, id(&parent)).await["updated_at"], parent["updated_at"]);
    app.finish().await;
}

#[tokio::test]
async fn the_end_of_a_child_reaches_its_parent() {
    let mut app = family().await;
    app.expect_failures();
    let guarded = start(&app, "parent", "ann", json!({ "mode": "guarded" })).await;
    let plain = start(&app, "parent", "bob", json!({ "mode": "wait" })).await;
    for parent in [&guarded, &plain] {
        let child = children(&app, id(parent)).await.remove(0);
        let cancelled = app.post(&format!("/v1/tasks/{}/cancel", id(&child)), json!({})).await;
        assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    }
    app.settle().await;
    let guarded = task(&app, id(&guarded)).await;
    assert_eq!(
        json!([guarded["status"], guarded["outcome"]]),
        json!(["completed", "sorry: cancelled"])
    );
    let plain = task(&app, id(&plain)).await;
    assert_eq!(plain["status"], "failed");
    assert_eq!(plain["error"], "the child `greet` ended as cancelled");

    // Retried, it starts another child.
    let retried = app.post(&format!("/v1/tasks/{}/retry", id(&plain)), json!({})).await;
    assert_eq!((retried.status, &retried.body["waiting_for"]), (200, &json!("child")));
    app.settle().await;
    let second = children(&app, id(&plain)).await.remove(1);
    assert_eq!(second["status"], "waiting");
    app.finish().await;
}

#[tokio::test]
async fn cancelling_a_parent_cancels_its_children_and_theirs() {
    let app = family().await;
    app.publish(
        &PARENT
            .replace("flow: parent", "flow: grand")
            .replace("greet", "parent")
            .replace("vars: {age: 5}", "vars: {mode: wait}"),
    )
    .await;
    let top = start(&app, "grand", "ann", json!({ "mode": "wait" })).await;
    let middle = children(&app, id(&top)).await.remove(0);
    let low = children(&app, id(&middle)).await.remove(0);
    let others = start(&app, "poll", "bob", json!({ "people": ["x", "y", "z"] })).await;
    for parent in [&top, &others] {
        let path = format!("/v1/tasks/{}/cancel", id(parent));
        assert_eq!(app.post(&path, json!({})).await.status, 200);
    }
    app.settle().await;
    for child in [&middle, &low] {
        let child = task(&app, id(child)).await;
        assert_eq!(child["status"], "cancelled");
        assert_eq!(child["error"], "the task that started it ended");
    }
    let asked = children(&app, id(&others)).await;
    assert_eq!(asked.len(), 2, "the third never starts");
    assert!(asked.iter().all(|child| child["status"] == "cancelled"), "{asked:?}");
    refused(&app.post(&format!("/v1/tasks/{}/retry", id(&top)), json!({})).await, 409);
    app.finish().await;
}

#[tokio::test]
async fn each_runs_two_at_a_time_and_keeps_the_order() {
    let app = family().await;
    let people = json!({ "people": ["x", "y", "z"] });
    let poll = start(&app, "poll", "ann", people).await;
    let asked = children(&app, id(&poll)).await;
    assert_eq!(asked.len(), 2);
    // The second answers first; then the third is asked.
    let second = asked.iter().find(|child| child["contact"]["id"] == "y").unwrap();
    tell(&app, id(second), "Yu").await;
    tell(&app, id(second), "2").await;
    let asked = app.get(&format!("/v1/tasks?parent={}&status=waiting", id(&poll))).await;
    let mut waiting = each(&asked, "/contact/id");
    waiting.sort_unstable();
    assert_eq!(waiting, ["x", "z"]);
    for child in items(&asked) {
        tell(&app, id(child), child["contact"]["id"].as_str().unwrap()).await;
        tell(&app, id(child), "9").await;
    }
    let ended = task(&app, id(&poll)).await;
    assert_eq!(json!([ended["status"], ended["outcome"]]), json!(["completed", "all"]));
    let results = ended["result"].as_array().unwrap().iter();
    let names: Vec<&Value> = results.map(|answer| &answer["result"]["who"]).collect();
    assert_eq!(names, [&json!("x"), &json!("Yu"), &json!("z")]);
    app.finish().await;
}

#[tokio::test]
async fn each_goes_on_when_a_child_does_not_complete() {
    let app = family().await;
    let poll = start(&app, "poll", "ann", json!({ "people": ["x", "y"] })).await;
    for child in children(&app, id(&poll)).await {
        if child["contact"]["id"] == "x" {
            app.post(&format!("/v1/tasks/{}/cancel", id(&child)), json!({})).await;
        } else {
            tell(&app, id(&child), "Yu").await;
            tell(&app, id(&child), "2").await;
        }
    }
    app.settle().await;
    let ended = task(&app, id(&poll)).await;
    assert_eq!(ended["outcome"], "partly");
    assert_eq!(ended["result"][0]["outcome"], "cancelled");
    assert_eq!(ended["result"][1]["result"]["who"], "Yu");
    let empty = start(&app, "poll", "bob", json!({ "people": [] })).await;
    assert_eq!(json!([empty["outcome"], empty["result"]]), json!(["all", []]));
    app.finish().await;
}

#[tokio::test]
async fn a_child_that_cannot_start_has_failed() {
    let app = TestApp::empty().await;
    open_queue(&app, "desk").await;
    app.publish(GREET).await;
    app.publish(&PARENT.replace("vars: {age: 5}", "vars: {age: \"{{ mode }}\"}").replace(
        "into: child, next: done}\n  guarded",
        "into: child, next: done, on_error: sorry}\n  guarded",
    ))
    .await;
    let parent = start(&app, "parent", "ann", json!({ "mode": "wait" })).await;
    let parent = task(&app, id(&parent)).await;
    assert_eq!(json!([parent["status"], parent["outcome"]]), json!(["completed", "sorry: failed"]));
    let reason = parent["vars"]["child"]["result"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("`age` must be of type integer"), "{reason}");
    app.finish().await;
}
