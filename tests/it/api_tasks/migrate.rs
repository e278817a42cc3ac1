//! Versions: running tasks stay on theirs; `migrate` moves one where it can.

use it::TestApp;
use serde_json::json;

use crate::talk::{id, refused, said, start, task, tell};

fn version(step: &str, answer: &str) -> String {
    format!(
        r#"
flow: survey
name: Survey
vars: {{colour: {{type: string}}}}
start: {step}
steps:
  {step}: {{type: ask, text: "Which colour?", into: colour, next: tell}}
  tell: {{type: say, text: "{answer} {{{{ colour }}}}", next: done}}
  done: {{type: end}}
"#
    )
}

#[tokio::test]
async fn a_running_task_stays_on_its_version() {
    let app = TestApp::empty().await;
    app.publish(&version("one", "First")).await;
    let old = start(&app, "survey", "ann", json!({})).await;
    app.publish(&version("one", "Second")).await;
    let new = start(&app, "survey", "bob", json!({})).await;
    assert_eq!(json!([old["version"], new["version"]]), json!([1, 2]));
    tell(&app, id(&old), "red").await;
    tell(&app, id(&new), "blue").await;
    assert_eq!(said(&app, id(&old)).await.last().unwrap(), "First red");
    assert_eq!(said(&app, id(&new)).await.last().unwrap(), "Second blue");
    app.finish().await;
}

#[tokio::test]
async fn a_waiting_task_moves_where_its_step_still_is() {
    let app = TestApp::empty().await;
    app.publish(&version("one", "First")).await;
    let started = start(&app, "survey", "ann", json!({})).await;
    app.publish(&version("one", "Second")).await;
    app.publish(&version("other", "Third")).await;
    let path = format!("/v1/tasks/{}/migrate", id(&started));

    let told = app.post(&path, json!({ "version": 2, "dry_run": true })).await;
    assert_eq!(told.status, 200, "{}", told.text);
    assert_eq!(told.body, json!({ "task": started["id"], "from": 1, "to": 2, "moves": true }));
    let told = app.post(&path, json!({ "version": 3, "dry_run": true })).await;
    assert_eq!(told.body["moves"], false);
    let reason = told.body["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("no step `one`"), "{reason}");
    assert_eq!(task(&app, id(&started)).await["version"], 1, "a dry run moves nothing");

    let stuck = app.post(&path, json!({ "version": 3 })).await;
    let detail = refused(&stuck, 409)["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("no step `one`"), "{detail}");
    refused(&app.post(&path, json!({ "version": 9 })).await, 409);
    refused(&app.post(&path, json!({ "version": 9, "dry_run": true })).await, 404);
    refused(&app.post(&path, json!({ "version": -1 })).await, 422);

    let moved = app.post(&path, json!({ "version": 2 })).await;
    assert_eq!((moved.status, &moved.body["version"]), (200, &json!(2)));
    tell(&app, id(&started), "green").await;
    assert_eq!(said(&app, id(&started)).await, ["Which colour?", "Second green"]);
    refused(&app.post(&path, json!({ "version": 1 })).await, 409);
    app.finish().await;
}
