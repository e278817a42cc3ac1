//! Finding tasks and messages: filters, order, pages.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use http::Method;
use it::TestApp;
use serde_json::{Value, json};
use test_support::VirtualClock;

use crate::talk::{DESK, GREET, each, id, items, open_queue, refused, start, tell};

fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

#[tokio::test]
async fn tasks_are_found_by_every_filter() {
    let clock = Arc::new(VirtualClock::default());
    let app = TestApp::start(false, clock.clone()).await;
    open_queue(&app, "desk").await;
    app.publish(GREET).await;
    app.publish(DESK).await;
    let ann = start(&app, "greet", "ann", json!({})).await;
    clock.advance(TimeDelta::minutes(1));
    let bob = start(&app, "greet", "bob", json!({})).await;
    clock.advance(TimeDelta::minutes(1));
    let middle = stamp(app.server().app.now());
    let desk = start(&app, "at-the-desk", "ann", json!({})).await;
    clock.advance(TimeDelta::minutes(1));
    tell(&app, id(&ann), "烏龍茶 drinker").await;
    tell(&app, id(&ann), "30").await;
    let (ann, bob, desk) = (id(&ann).to_owned(), id(&bob).to_owned(), id(&desk).to_owned());
    let conversation = app.get(&format!("/v1/tasks/{bob}")).await["conversation"].clone();
    let conversation = conversation.as_str().unwrap();

    let found = async |query: &str| -> Vec<String> {
        let list = app.get(&format!("/v1/tasks?{query}")).await;
        each(&list, "/id").into_iter().map(str::to_owned).collect()
    };
    assert_eq!(found("").await, [&*desk, &bob, &ann], "newest first");
    assert_eq!(found("sort=created_asc").await, [&*ann, &bob, &desk]);
    assert_eq!(found("sort=updated_desc").await, [&*ann, &desk, &bob]);
    assert_eq!(found("sort=updated_asc").await, [&*bob, &desk, &ann]);
    assert_eq!(found("flow=greet").await, [&*bob, &ann]);
    assert_eq!(found("status=completed").await, [&*ann]);
    assert_eq!(found("status=waiting&waiting_for=human").await, [&*desk]);
    assert_eq!(found("waiting_for=reply").await, [&*bob]);
    assert_eq!(found("contact=ann&sort=created_asc").await, [&*ann, &desk]);
    assert_eq!(found(&format!("conversation={conversation}")).await, [&*bob]);
    assert_eq!(found("queue=desk").await, [&*desk]);
    assert_eq!(found("label=Desk").await, [&*desk]);
    assert_eq!(found("label=reet&contact=bob").await, [&*bob]);
    assert_eq!(found(&format!("created_after={middle}")).await, [&*desk]);
    assert_eq!(found(&format!("created_before={middle}")).await, [&*bob, &ann]);
    assert_eq!(found("q=%E7%83%8F%E9%BE%8D").await, [&*ann], "two characters of Chinese");
    assert_eq!(found("q=drinker").await, [&*ann]);
    assert_eq!(found("q=drinker&flow=at-the-desk").await, [""; 0]);
    assert_eq!(found(&format!("parent={ann}")).await, [""; 0]);
    app.finish().await;
}

#[tokio::test]
async fn pages_hold_everything_once() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    for n in 0..7 {
        start(&app, "greet", &format!("contact-{n}"), json!({})).await;
    }
    for sort in ["created_desc", "created_asc", "updated_desc", "updated_asc"] {
        let whole = app.get(&format!("/v1/tasks?sort={sort}&limit=200")).await;
        assert_eq!((items(&whole).len(), &whole["next_cursor"]), (7, &Value::Null));
        let mut paged: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = app.get(&format!("/v1/tasks?sort={sort}&limit=3{cursor}")).await;
            paged.extend_from_slice(items(&page));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, items(&whole), "{sort}");
    }
    let cursor = app.get("/v1/tasks?limit=1").await["next_cursor"].clone();
    let cursor = cursor.as_str().unwrap();
    for wrong in [
        format!("/v1/tasks?sort=created_asc&cursor={cursor}"),
        format!("/v1/messages?cursor={cursor}"),
        "/v1/tasks?cursor=x".to_owned(),
        "/v1/tasks?cursor=%E8%8C%B6".to_owned(),
        "/v1/tasks?limit=0".to_owned(),
        "/v1/tasks?limit=201".to_owned(),
        "/v1/tasks?limit=-1".to_owned(),
        "/v1/tasks?sort=size".to_owned(),
        "/v1/tasks?status=lost".to_owned(),
        "/v1/tasks?waiting_for=godot".to_owned(),
        "/v1/tasks?created_after=yesterday".to_owned(),
        "/v1/tasks?colour=red".to_owned(),
        "/v1/messages?limit=1001".to_owned(),
        "/v1/messages?state=lost".to_owned(),
        "/v1/messages?direction=up".to_owned(),
        "/v1/messages?order=random".to_owned(),
        "/v1/failures?kind=odd".to_owned(),
        "/v1/conversations?limit=201".to_owned(),
    ] {
        let answer = app.api(Method::GET, &wrong, None).await;
        assert_eq!(answer.status, 422, "{wrong}");
        refused(&answer, 422);
    }
    app.finish().await;
}

#[tokio::test]
async fn messages_are_found_by_every_filter() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let ann = start(&app, "greet", "ann", json!({})).await;
    start(&app, "greet", "bob", json!({})).await;
    tell(&app, id(&ann), "Anna Karenina").await;
    let texts = async |query: &str| -> Vec<String> {
        let list = app.get(&format!("/v1/messages?{query}")).await;
        each(&list, "/content/text").into_iter().map(str::to_owned).collect()
    };
    let hi = "Hi Anna Karenina, how old are you?";
    assert_eq!(texts("contact=ann").await, ["Your name?", "Anna Karenina", hi]);
    assert_eq!(texts("contact=ann&order=newest&limit=1").await, [hi]);
    assert_eq!(texts("contact=ann&direction=in").await, ["Anna Karenina"]);
    assert_eq!(texts("state=processed").await, ["Anna Karenina"]);
    assert_eq!(texts("q=karenina&direction=out").await, [hi]);
    assert_eq!(texts("connection=api").await.len(), 4);
    assert_eq!(texts("connection=demo").await.len(), 0);
    assert_eq!(texts(&format!("task={}", id(&ann))).await.len(), 3);
    let conversation = ann["conversation"].as_str().unwrap();
    assert_eq!(texts(&format!("conversation={conversation}")).await.len(), 3);
    let now = stamp(app.server().app.now());
    assert_eq!(texts(&format!("created_after={now}")).await.len(), 0);
    assert_eq!(texts(&format!("created_before={now}")).await.len(), 4);
    app.finish().await;
}
