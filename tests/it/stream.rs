//! Server-Sent Events: what happens arrives, and a broken stream goes on where it was.

use std::collections::BTreeMap;

use http::Method;
use it::TestApp;
use serde_json::{Value, json};

use crate::talk::{GREET, id, items, open_demo, refused, start, tell};
use crate::wire::{Event, Events};

fn is_status(event: &Event) -> bool {
    event.name == "status"
}

fn ended(event: &Event) -> bool {
    is_status(event) && event.data["status"] == "completed"
}

#[tokio::test]
async fn a_stream_tells_messages_transitions_and_status() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let task = start(&app, "greet", "ann", json!({})).await;
    let mut stream = Events::open(&app, &format!("/v1/tasks/{}/stream", id(&task)), None).await;
    // How it stands comes first, and nothing of what was before.
    let first = stream.next().await;
    assert_eq!((first.name.as_str(), &first.data["step"]), ("status", &json!("ask_who")));
    tell(&app, id(&task), "Ann").await;
    tell(&app, id(&task), "30").await;
    let events = stream.through(ended).await;
    let transitions: Vec<&Value> = events
        .iter()
        .filter(|event| event.name == "transition")
        .map(|event| &event.data["sequence"])
        .collect();
    assert_eq!(transitions, [&json!(2), &json!(3)]);
    let history = app.get(&format!("/v1/tasks/{}/history?after=1", id(&task))).await;
    let told: Vec<Value> = events
        .iter()
        .filter(|event| event.name == "transition")
        .map(|event| event.data.clone())
        .collect();
    assert_eq!(told, items(&history));
    let mut messages: Vec<&Value> =
        events.iter().filter(|event| event.name == "message").map(|event| &event.data).collect();
    messages.sort_by_key(|message| message["created_at"].as_str());
    let texts: Vec<&Value> = messages.iter().map(|message| &message["content"]["text"]).collect();
    assert_eq!(texts, ["Ann", "Hi Ann, how old are you?", "30", "Bye Ann, 30"]);
    assert!(events.iter().all(|event| !event.id.is_empty()));
    // An open stream does not keep the server from stopping.
    app.finish().await;
}

#[tokio::test]
async fn a_message_comes_again_when_its_state_changes() {
    let app = TestApp::empty().await;
    open_demo(&app, json!({})).await;
    app.publish(GREET).await;
    app.say("ann", "hello").await;
    let task = app.task_of("ann").await;
    let mut stream = Events::open(&app, &format!("/v1/tasks/{}/stream", id(&task)), None).await;
    stream.next().await;
    app.say("ann", "Ann").await;
    let is_sent = |event: &Event| {
        event.name == "message" && event.data["direction"] == "out" && event.data["state"] == "sent"
    };
    let events = stream.through(is_sent).await;
    let sent = events.last().unwrap();
    assert_eq!(sent.data["content"]["text"], "Hi Ann, how old are you?");
    let told = events.iter().filter(|event| event.data["id"] == sent.data["id"]);
    let states: Vec<&str> = told.filter_map(|event| event.data["state"].as_str()).collect();
    assert!(matches!(states.as_slice(), ["queued", "sent"] | ["sent"]), "{states:?}");
    app.finish().await;
}

/// What a client knows after these events: every message's state and the last transition.
fn known(events: &[Event]) -> (BTreeMap<String, Value>, u64) {
    let messages = events.iter().filter(|event| event.name == "message");
    let messages =
        messages.map(|event| (id(&event.data).to_owned(), event.data["states"].clone())).collect();
    let transitions = events.iter().filter(|event| event.name == "transition");
    let last = transitions.filter_map(|event| event.data["sequence"].as_u64()).max();
    (messages, last.unwrap_or(1))
}

#[tokio::test]
async fn a_broken_stream_goes_on_without_loss_or_repetition() {
    let app = TestApp::empty().await;
    open_demo(&app, json!({})).await;
    app.publish(GREET).await;
    app.say("ann", "hello").await;
    let task = app.task_of("ann").await;
    let path = format!("/v1/tasks/{}/stream", id(&task));
    let mut stream = Events::open(&app, &path, None).await;
    let mut events = vec![stream.next().await];
    for text in ["Ann", "old", "30"] {
        app.say("ann", text).await;
    }
    events.extend(stream.through(ended).await);
    // The last states may come after the status; a new stream from there tells the rest.
    let end = events.last().unwrap().id.clone();
    events.extend(Events::open(&app, &path, Some(&end)).await.through(is_status).await);
    let (all_messages, all_transitions) = known(&events);
    assert_eq!((all_messages.len(), all_transitions), (6, 4), "{events:#?}");

    for (index, event) in events.iter().enumerate() {
        let (mut messages, sequence) = known(&events[..=index]);
        let mut again = Events::open(&app, &path, Some(&event.id)).await;
        let rest = again.through(is_status).await;
        let mut expected = sequence;
        for event in &rest {
            match event.name.as_str() {
                "transition" => {
                    expected += 1;
                    assert_eq!(event.data["sequence"], expected, "after {index}: {rest:#?}");
                }
                "message" => {
                    let before =
                        messages.insert(id(&event.data).to_owned(), event.data["states"].clone());
                    assert_ne!(before.as_ref(), Some(&event.data["states"]), "twice after {index}");
                }
                _ => assert_eq!(event.data["status"], "completed"),
            }
        }
        assert_eq!((messages, expected), (all_messages.clone(), all_transitions), "after {index}");
    }
    app.finish().await;
}

#[tokio::test]
async fn everything_that_changes_comes_by_the_whole_stream() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let mut stream = Events::open(&app, "/v1/stream", None).await;
    let ann = start(&app, "greet", "ann", json!({})).await;
    let first = stream.through(|event| event.data["id"] == ann["id"]).await;
    assert!(first.iter().all(|event| event.name == "task"), "{first:?}");
    let bob = start(&app, "greet", "bob", json!({})).await;
    stream.through(|event| event.data["id"] == bob["id"]).await;
    tell(&app, id(&ann), "Ann").await;
    let moved = |event: &Event| event.data["id"] == ann["id"] && event.data["step"] == "ask_age";
    assert_eq!(stream.through(moved).await.last().unwrap().data["vars"]["who"], "Ann");
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_followed_says_so() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let task = start(&app, "greet", "ann", json!({})).await;
    let path = format!("/v1/tasks/{}/stream", id(&task));
    let bearer = format!("Bearer {}", app.key);
    for last in
        ["", "x", "1", "1.", ".1", "1.x", "-1.1", "1.1.1.1", "99999999999999999999.1", "1.\u{e9}"]
    {
        let headers = [("authorization", bearer.as_str()), ("last-event-id", last)];
        let answer = app.request(Method::GET, &path, &headers, None).await;
        assert_eq!(answer.status, 400, "{last}");
        refused(&answer, 400);
    }
    refused(&app.api(Method::GET, "/v1/tasks/task_x/stream", None).await, 404);
    let body = json!({ "name": "tasks only", "permissions": ["tasks.read"] });
    let key = app.post("/v1/keys", body).await.body["key"].clone();
    let bearer = format!("Bearer {}", key.as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let lacking = app.request(Method::GET, &path, &headers, None).await;
    let detail = "this API key lacks the permission `messages.read`";
    assert_eq!(refused(&lacking, 403)["detail"], detail, "the stream shows messages");
    app.finish().await;
}
