//! Shorthands: what the tests of the API do again and again, and the flows they do it with.

use http::Method;
use it::{Answer, TestApp};
use serde_json::{Value, json};

/// Asks two things and tells them again.
pub(crate) const GREET: &str = r#"
flow: greet
name: Greeting
triggers: [{on: keyword, any: [hello], when_busy: interrupt}]
vars: {who: {type: string}, age: {type: integer}}
start: ask_who
steps:
  ask_who: {type: ask, text: "Your name?", into: who, next: ask_age}
  ask_age:
    type: ask
    text: "Hi {{ who }}, how old are you?"
    into: age
    expect: {type: integer, min: 1, max: 150}
    next: bye
  bye: {type: say, text: "Bye {{ who }}, {{ age }}", next: done}
  done: {type: end, outcome: greeted, result: {who: "{{ who }}", age: "{{ age }}"}}
"#;

/// Waits for a person in the queue `desk`.
pub(crate) const DESK: &str = r#"
flow: at-the-desk
name: Desk
triggers: [{on: keyword, any: [person], when_busy: interrupt}]
start: hand
steps:
  hand:
    type: handoff
    queue: desk
    text: Somebody will come.
    resolutions: [solved, refunded]
    into: answer
    next: told
  told: {type: say, text: "{{ answer.resolution }} by {{ answer.by }}: {{ answer.note }}", next: done}
  done: {type: end, outcome: "{{ answer.resolution }}"}
"#;

/// Waits for the event `shop.paid` of its order.
pub(crate) const ORDER: &str = r#"
flow: order
name: Order
vars: {number: {type: string}}
start: hold
steps:
  hold: {type: wait, event: {type: shop.paid, key: "{{ number }}"}, into: paid, next: thank}
  thank: {type: say, text: "Paid {{ paid.amount }}", next: done}
  done: {type: end, outcome: paid}
"#;

/// The id of a task, message, conversation, failure.
pub(crate) fn id(of: &Value) -> &str {
    of["id"].as_str().expect("it has an id")
}

/// The items of a list.
pub(crate) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().expect("it is a list")
}

/// One field of every item; empty where it is null.
pub(crate) fn each<'a>(list: &'a Value, pointer: &str) -> Vec<&'a str> {
    let one = |item: &'a Value| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    items(list).iter().map(one).collect()
}

/// A PUT of the API.
pub(crate) async fn put(app: &TestApp, path: &str, body: Value) -> Answer {
    app.api(Method::PUT, path, Some(body)).await
}

/// Starts a task by the API, which must go well.
pub(crate) async fn start(app: &TestApp, flow: &str, contact: &str, vars: Value) -> Value {
    let body = json!({ "flow": flow, "contact": { "id": contact }, "vars": vars });
    let answer = app.post("/v1/tasks", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    app.settle().await;
    answer.body
}

/// A task as it stands.
pub(crate) async fn task(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/v1/tasks/{id}")).await
}

/// The contact says something into a task; waits until everything it set going is done.
pub(crate) async fn tell(app: &TestApp, task: &str, text: &str) -> Value {
    let answer = app.post(&format!("/v1/tasks/{task}/messages"), json!({ "text": text })).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    app.settle().await;
    answer.body
}

/// What a task said, oldest first.
pub(crate) async fn said(app: &TestApp, task: &str) -> Vec<String> {
    let path = format!("/v1/messages?task={task}&direction=out&limit=1000");
    each(&app.get(&path).await, "/content/text").into_iter().map(str::to_owned).collect()
}

/// Opens the unsigned connection `demo`, whose replies the terminal shows.
pub(crate) async fn open_demo(app: &TestApp, settings: Value) {
    let mut connection =
        json!({ "id": "demo", "unsigned_from_loopback": true, "reply": { "to": "terminal" } });
    let fields = connection.as_object_mut().expect("an object");
    fields.extend(settings.as_object().cloned().unwrap_or_default());
    let answer = put(app, "/v1/connections/demo", connection).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Makes a queue of people.
pub(crate) async fn open_queue(app: &TestApp, queue: &str) {
    let answer = put(app, &format!("/v1/queues/{queue}"), json!({ "name": queue })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// The answer must be a problem document of this status that says what to do.
pub(crate) fn refused(answer: &Answer, status: u16) -> &Value {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text);
    let body = &answer.body;
    assert_eq!(body["status"], status, "{body}");
    assert!(body["type"].is_string() && body["title"].is_string(), "{body}");
    assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{body}");
    body
}

/// The same, with the one field at fault and a part of what is said of it.
pub(crate) fn refused_at(answer: &Answer, status: u16, pointer: &str, part: &str) {
    let body = refused(answer, status);
    assert_eq!(body["errors"][0]["pointer"], pointer, "{body}");
    let message = body["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains(part), "{part}: {body}");
}
