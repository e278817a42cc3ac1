//! `Idempotency-Key`: the same request twice starts one task.

use std::sync::Arc;

use chrono::TimeDelta;
use http::Method;
use it::{Answer, TestApp};
use serde_json::{Value, json};
use test_support::VirtualClock;

use crate::talk::{GREET, id, items, refused, start};

async fn begin(app: &TestApp, key: &str, contact: &str) -> Answer {
    let bearer = format!("Bearer {}", app.key);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    let body = json!({ "flow": "greet", "contact": { "id": contact } });
    app.request(Method::POST, "/v1/tasks", &headers, Some(body.to_string().into_bytes())).await
}

async fn tasks(app: &TestApp) -> usize {
    items(&app.get("/v1/tasks?limit=200").await).len()
}

#[tokio::test]
async fn the_same_key_and_body_give_the_first_answer() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let first = begin(&app, "k-1", "ann").await;
    assert_eq!(first.status, 201, "{}", first.text);
    let told = json!({ "text": "Ann" });
    app.post(&format!("/v1/tasks/{}/messages", id(&first.body)), told).await;
    app.settle().await;
    let again = begin(&app, "k-1", "ann").await;
    assert_eq!((again.status, &again.body), (201, &first.body), "as it was answered then");
    let other = begin(&app, "k-1", "bob").await;
    let detail = refused(&other, 409)["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("use a new key"), "{detail}");
    assert_eq!(tasks(&app).await, 1);
    assert_eq!(begin(&app, "k-2", "bob").await.status, 201);
    assert_eq!(tasks(&app).await, 2);
    refused(&begin(&app, &"k".repeat(256), "ann").await, 400);
    refused(&begin(&app, "", "ann").await, 400);
    app.finish().await;
}

#[tokio::test]
async fn twenty_at_once_start_one_task() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let all = futures::future::join_all((0..20).map(|_| begin(&app, "k", "ann"))).await;
    let first = &all[0];
    for answer in &all {
        assert_eq!((answer.status, &answer.body), (201, &first.body), "{}", answer.text);
    }
    assert_eq!(tasks(&app).await, 1);

    // With two bodies under one key, one of them wins and the other is told.
    let who = |n: usize| if n.is_multiple_of(2) { "bob" } else { "cid" };
    let all = futures::future::join_all((0..10).map(|n| begin(&app, "k2", who(n)))).await;
    let won: Vec<&Answer> = all.iter().filter(|answer| answer.status == 201).collect();
    let winner = &won.first().expect("one of them starts").body;
    assert!(won.iter().all(|answer| answer.body == *winner));
    for answer in all.iter().filter(|answer| answer.status != 201) {
        let detail = refused(answer, 409)["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("use a new key"), "{detail}");
    }
    assert_eq!((won.len(), tasks(&app).await), (5, 2));
    app.finish().await;
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day() {
    let clock = Arc::new(VirtualClock::default());
    let app = TestApp::start(false, clock.clone()).await;
    app.publish(GREET).await;
    let first = begin(&app, "k", "ann").await;
    assert_eq!(first.status, 201, "{}", first.text);
    clock.advance(TimeDelta::hours(24) - TimeDelta::seconds(1));
    assert_eq!(begin(&app, "k", "ann").await.body, first.body);
    clock.advance(TimeDelta::seconds(2));
    let later = begin(&app, "k", "ann").await;
    assert_eq!(later.status, 201, "{}", later.text);
    assert_ne!(later.body["id"], first.body["id"]);
    assert_eq!(begin(&app, "k", "ann").await.body, later.body);
    app.finish().await;
}

#[tokio::test]
async fn a_message_with_a_key_is_taken_once() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let task = start(&app, "greet", "ann", json!({})).await;
    let path = format!("/v1/tasks/{}/messages", id(&task));
    let bearer = format!("Bearer {}", app.key);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "m-1"),
    ];
    let mut answers: Vec<Value> = Vec::new();
    for _ in 0..3 {
        let body = json!({ "text": "Ann" }).to_string().into_bytes();
        answers.push(app.request(Method::POST, &path, &headers, Some(body)).await.body);
    }
    app.settle().await;
    assert_eq!(answers[0]["event"], answers[2]["event"]);
    let messages = app.get(&path).await;
    assert_eq!(items(&messages).len(), 3, "one question, one answer, one question: {messages}");
    app.finish().await;
}
