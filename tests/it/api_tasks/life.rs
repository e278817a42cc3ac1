//! A task from its start to its end, as the API shows it.

use http::Method;
use it::TestApp;
use serde_json::{Value, json};

use crate::talk::{DESK, GREET, each, id, items, open_queue, refused, refused_at, said, start};
use crate::talk::{task, tell};

#[tokio::test]
async fn a_task_starts_talks_and_ends() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let contact = json!({ "id": "ann", "name": "Ann", "lang": "en" });
    let body = json!({ "flow": "greet", "contact": contact, "vars": {} });
    let started = app.post("/v1/tasks", body).await;
    assert_eq!(started.status, 201, "{}", started.text);
    let first = started.body;
    assert_eq!(first["contact"], contact);
    assert_eq!(
        json!([first["flow"], first["version"], first["label"], first["status"], first["step"]]),
        json!(["greet", 1, "Greeting", "waiting", "ask_who"])
    );
    assert_eq!(first["waiting_for"], "reply");
    assert_eq!(first["vars"], json!({ "who": null, "age": null }));
    assert_eq!((&first["connection"], &first["sequence"]), (&json!("api"), &json!(1)));
    assert_eq!((&first["ended_at"], &first["result"]), (&Value::Null, &Value::Null));
    let id = id(&first).to_owned();
    assert!(id.starts_with("task_"), "{id}");

    let accepted = tell(&app, &id, "Ann").await;
    assert_eq!(accepted["conversation"], first["conversation"]);
    assert!(accepted["message"].as_str().is_some_and(|id| id.starts_with("msg_")));
    let after = task(&app, &id).await;
    assert_eq!((&after["step"], &after["vars"]["who"]), (&json!("ask_age"), &json!("Ann")));
    assert_eq!(after["progress"], json!({ "visited": 2, "steps": 4 }));
    tell(&app, &id, "two hundred").await;
    assert_eq!(task(&app, &id).await["step"], "ask_age");
    tell(&app, &id, "４２").await;
    let ended = task(&app, &id).await;
    assert_eq!(json!([ended["status"], ended["outcome"]]), json!(["completed", "greeted"]));
    assert_eq!(ended["result"], json!({ "who": "Ann", "age": 42 }));
    assert_eq!(ended["progress"], json!({ "visited": 4, "steps": 4 }));
    assert_eq!((&ended["step"], &ended["children"]), (&Value::Null, &json!([])));
    assert_eq!(ended["ended_at"], ended["updated_at"]);
    assert_eq!(said(&app, &id).await.first().map(String::as_str), Some("Your name?"));
    assert_eq!(said(&app, &id).await.last().map(String::as_str), Some("Bye Ann, 42"));

    let late = app.post(&format!("/v1/tasks/{id}/messages"), json!({ "text": "more" })).await;
    let late = refused(&late, 409);
    assert_eq!(late["detail"], "the task is completed; it takes no messages any more");
    refused(&app.post(&format!("/v1/tasks/{id}/cancel"), json!({})).await, 409);
    refused(&app.post(&format!("/v1/tasks/{id}/retry"), json!({})).await, 409);
    app.finish().await;
}

#[tokio::test]
async fn messages_and_history_tell_what_happened() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let started = start(&app, "greet", "ann", json!({ "age": "7" })).await;
    assert_eq!(started["vars"]["age"], 7, "a text that is a number becomes one");
    let id = id(&started);
    let accepted = tell(&app, id, "Ann").await;
    tell(&app, id, "8").await;

    let messages = app.get(&format!("/v1/tasks/{id}/messages")).await;
    assert_eq!(each(&messages, "/direction"), ["out", "in", "out", "in", "out"]);
    let kinds = ["flow", "contact", "flow", "contact", "flow"];
    assert_eq!(each(&messages, "/sender/kind"), kinds);
    let states = ["sent", "processed", "sent", "processed", "sent"];
    assert_eq!(each(&messages, "/state"), states);
    let reply = &items(&messages)[1];
    assert_eq!((&reply["id"], &reply["rule"]), (&accepted["message"], &json!("named")));
    let passed: Vec<&str> = reply["states"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|state| state["state"].as_str())
        .collect();
    assert_eq!(passed, ["received", "routed", "processed"]);
    assert_eq!(items(&messages)[2]["in_reply_to"], reply["id"]);
    let page = app.get(&format!("/v1/tasks/{id}/messages?limit=2")).await;
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let rest = app.get(&format!("/v1/tasks/{id}/messages?limit=1000&cursor={cursor}")).await;
    assert_eq!(items(&rest), &items(&messages)[2..]);
    assert_eq!(rest["next_cursor"], Value::Null);

    let history = app.get(&format!("/v1/tasks/{id}/history")).await;
    assert_eq!(each(&history, "/event/body/kind"), ["started", "reply", "reply"]);
    let second = &items(&history)[1];
    assert_eq!(second["sequence"], 2);
    assert_eq!(second["vars_changed"], json!({ "who": "Ann" }));
    assert_eq!(second["steps"][0], json!({ "step": "ask_who", "left_by": "next" }));
    assert_eq!(second["status"]["on"]["for"], "reply");
    assert_eq!(second["effects"][0]["effect"], "send");
    assert_eq!(items(&history)[2]["status"]["state"], "completed");
    let part = app.get(&format!("/v1/tasks/{id}/history?after=1&limit=1")).await;
    assert_eq!((items(&part), &part["next_cursor"]), (&items(&history)[1..2], &json!("2")));
    let behind = app.get(&format!("/v1/tasks/{id}/history?after=3")).await;
    assert_eq!(behind, json!({ "items": [], "next_cursor": null }));
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let with = async |field: &str, value: Value| {
        let mut body = json!({ "flow": "greet", "contact": { "id": "ann" } });
        body[field] = value;
        app.post("/v1/tasks", body).await
    };
    refused_at(&with("flow", json!("gret")).await, 422, "/flow", "did you mean `greet`?");
    refused_at(&with("flow", json!("zzz")).await, 422, "/flow", "publish it first");
    let wrong = with("vars", json!({ "age": "old", "whoo": 1 })).await;
    refused_at(&wrong, 422, "/vars", "`age` must be of type integer");
    refused_at(&wrong, 422, "/vars", "did you mean `who`?");
    refused_at(&with("vars", json!([])).await, 422, "/vars", "expected a map");
    refused_at(&with("contact", json!({ "id": "" })).await, 422, "/contact/id", "1 to 200 bytes");
    refused_at(&with("contact", json!({ "id": "a\nb" })).await, 422, "/contact/id", "control");
    refused_at(&with("contact", json!({ "id": 7 })).await, 422, "/contact/id", "expected a string");
    refused_at(&with("contact", json!({ "id": "a", "x": 1 })).await, 422, "/contact/x", "unknown");
    refused_at(
        &with("connection", json!("nope")).await,
        422,
        "/connection",
        "no connection `nope`",
    );
    refused_at(&with("conversation", json!("x".repeat(201))).await, 422, "/conversation", "200");
    let incomplete = app.post("/v1/tasks", json!({ "flow": "greet" })).await;
    assert_eq!(refused(&incomplete, 422)["detail"], "missing field `contact`");
    assert_eq!(app.get("/v1/tasks").await["items"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn a_task_waits_for_its_own_message_and_focus_follows() {
    let app = TestApp::empty().await;
    open_queue(&app, "desk").await;
    app.publish(GREET).await;
    app.publish(DESK).await;
    let first = start(&app, "greet", "ann", json!({})).await;
    let second = start(&app, "greet", "ann", json!({})).await;
    let conversation = first["conversation"].as_str().unwrap();
    assert_eq!(second["conversation"], conversation);
    let path = format!("/v1/conversations/{conversation}");
    let view = app.get(&path).await;
    assert_eq!(view["focus"], first["id"], "what starts by itself takes no focus");
    let numbers: Vec<&Value> =
        view["open"].as_array().unwrap().iter().map(|open| &open["number"]).collect();
    assert_eq!(numbers, [&json!(1), &json!(2)]);

    // A message to the conversation goes to the task in focus; one to a task names it.
    let routed = app.post(&format!("{path}/messages"), json!({ "text": "Ann" })).await;
    assert_eq!(routed.status, 202, "{}", routed.text);
    app.settle().await;
    assert_eq!(task(&app, id(&first)).await["vars"]["who"], "Ann");
    let switched = app.post(&format!("{path}/focus"), json!({ "task": second["id"] })).await;
    assert_eq!((switched.status, &switched.body["focus"]), (200, &second["id"]));
    app.post(&format!("{path}/messages"), json!({ "text": "Bob" })).await;
    app.settle().await;
    let second = task(&app, id(&second)).await;
    assert_eq!(second["vars"]["who"], "Bob");
    let spoken = said(&app, id(&second)).await;
    assert_eq!(
        spoken,
        ["[Greeting] Your name?", "Your name?", "Hi Bob, how old are you?"],
        "it introduces itself while out of focus, and asks again when it gets the focus"
    );
    let other = json!({ "task": "task_of_somebody_else" });
    refused_at(&app.post(&format!("{path}/focus"), other).await, 422, "/task", "not an open task");
    refused(&app.post("/v1/conversations/conv_x/messages", json!({ "text": "a" })).await, 404);
    refused(&app.post("/v1/conversations/conv_x/focus", json!({ "task": "a" })).await, 404);
    refused(&app.api(Method::GET, "/v1/conversations/conv_x", None).await, 404);
    let listed = app.get("/v1/conversations?connection=api&contact=ann").await;
    assert_eq!(each(&listed, "/id"), [conversation]);
    assert_eq!(app.get("/v1/conversations?contact=bob").await["items"], json!([]));
    app.finish().await;
}
