//! A clock that goes backwards: order and promises stay.

use std::sync::Arc;

use chrono::TimeDelta;
use it::TestApp;
use serde_json::{Value, json};
use test_support::VirtualClock;

use crate::talk::{GREET, each, id, items, open_demo, task};

#[tokio::test]
async fn time_within_a_conversation_never_goes_back() {
    let clock = Arc::new(VirtualClock::default());
    let app = TestApp::start(false, clock.clone()).await;
    open_demo(&app, json!({})).await;
    app.publish(GREET).await;
    app.say("ann", "hello").await;
    clock.advance(TimeDelta::hours(-3));
    app.say("ann", "Ann").await;
    clock.advance(TimeDelta::hours(-3));
    // What is published while the clock is behind counts at once.
    app.publish(&GREET.replace("Your name?", "Who are you?")).await;
    app.say("bob", "hello").await;
    assert_eq!(app.said_to("bob"), ["Who are you?"]);
    app.say("ann", "30").await;
    let task_id = id(&app.task_of("ann").await).to_owned();
    let ended = task(&app, &task_id).await;
    assert_eq!(ended["result"], json!({ "who": "Ann", "age": 30 }));
    assert!(ended["ended_at"].as_str() >= ended["created_at"].as_str(), "{ended}");

    let messages = app.get("/v1/messages?contact=ann").await;
    let texts = ["hello", "Your name?", "Ann", "Hi Ann, how old are you?", "30", "Bye Ann, 30"];
    assert_eq!(each(&messages, "/content/text"), texts, "in the order they were made");
    let times = each(&messages, "/created_at");
    assert!(times.is_sorted(), "{times:?}");
    let history = app.get(&format!("/v1/tasks/{task_id}/history")).await;
    let numbers: Vec<&Value> = items(&history).iter().map(|entry| &entry["sequence"]).collect();
    assert_eq!(numbers, [&json!(1), &json!(2), &json!(3)]);
    assert!(each(&history, "/at").is_sorted(), "{history}");
    app.finish().await;
}
