//! The demo, as a new user tries it.

use it::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_leave_request_goes_from_webhook_to_warehouse() {
    let app = TestApp::demo().await;
    let first = json!({
        "id": "evt-1", "contact": { "id": "mei", "name": "Mei", "lang": "zh-TW" }, "text": "請假",
    });
    // Delivered three times, it takes effect once.
    for _ in 0..3 {
        assert_eq!(app.webhook("demo", first.clone()).await.status, 200);
    }
    app.settle().await;
    assert_eq!(app.said_to("mei").len(), 1);
    app.say("mei", "明天").await;
    app.say("mei", "２").await;
    let task = app.task_of("mei").await;
    assert_eq!(task["vars"]["days"], 2);
    assert_eq!(task["status"], "waiting");
    let messages = app.get(&format!("/v1/tasks/{}/messages", task["id"].as_str().unwrap())).await;
    let states: Vec<&str> =
        messages["items"].as_array().unwrap().iter().filter_map(|m| m["state"].as_str()).collect();
    assert_eq!(states, ["processed", "sent", "processed", "sent", "processed", "sent"]);
    let landed = app.get("/v1/tables/messages/rows?current=true").await;
    assert_eq!(landed["items"].as_array().unwrap().len(), 6);
    app.finish().await;
}
