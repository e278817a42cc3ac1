//! Anything to anywhere: random requests to every route, none of which is answered 5xx.

use std::cell::RefCell;
use std::collections::BTreeMap;

use http::Method;
use it::{Answer, TestApp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::openapi::{Route, body_of, media_type, routes};
use crate::talk::{DESK, GREET, ORDER, id, open_demo, open_queue, start};

/// Requests of one run.
const CASES: u32 = 250;

/// A request: which route, with what in its place.
#[derive(Debug, Clone)]
struct Case {
    route: usize,
    ids: Vec<String>,
    query: String,
    body: Body,
    kind: Option<&'static str>,
    key: String,
}

#[derive(Debug, Clone)]
enum Body {
    Bytes(Vec<u8>),
    Json(Value),
    /// The route's own body with something else at one place: which place, and what.
    Changed(usize, Value),
    /// The route's own body, cut off.
    Cut(usize),
}

fn odd_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        "\\PC{0,12}".prop_map(Value::from),
        "[a-z{}%. 0-9|]{0,12}".prop_map(Value::from),
        Just(json!("{{ range(999999999) }}")),
        Just(json!("2026-02-30T25:00:00Z")),
        Just(json!("x".repeat(10_000))),
        Just(json!("a\u{0}b")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("\\PC{0,6}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Text for a path or query, percent-encoded.
fn encoded() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("{known}".to_owned()),
        1 => "[a-z0-9-]{1,12}".boxed(),
        2 => prop::collection::vec(any::<u8>(), 1..12).prop_map(|bytes| {
            bytes.iter().map(|byte| format!("%{byte:02X}")).collect::<Vec<String>>().concat()
        }),
    ]
}

fn case(routes: usize) -> impl Strategy<Value = Case> {
    let body = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(Body::Bytes),
        2 => odd_json().prop_map(Body::Json),
        5 => (any::<prop::sample::Index>(), odd_json())
            .prop_map(|(at, value)| Body::Changed(at.index(64), value)),
        1 => (1..40_usize).prop_map(Body::Cut),
    ];
    let names = prop::sample::select(vec![
        "limit",
        "cursor",
        "q",
        "sort",
        "status",
        "created_after",
        "after",
        "current",
        "state",
        "x",
    ]);
    let query = prop::collection::vec((names, encoded()), 0..3).prop_map(|pairs| {
        pairs.iter().map(|(name, value)| ["&", name, "=", value].concat()).collect::<String>()
    });
    let kind = prop::sample::select(vec![None, None, None, Some("text/plain"), Some("a/b; c=\"")]);
    let ids = prop::collection::vec(encoded(), 2);
    (0..routes, ids, query, body, kind, "[ -~]{0,20}").prop_map(
        |(route, ids, query, body, kind, key)| Case { route, ids, query, body, kind, key },
    )
}

/// Replaces one value somewhere in `whole`, in the order of a walk through it.
fn change(whole: &mut Value, at: &mut usize, with: &Value) -> bool {
    if *at == 0 {
        *whole = with.clone();
        return true;
    }
    *at -= 1;
    match whole {
        Value::Array(items) => items.iter_mut().any(|item| change(item, at, with)),
        Value::Object(fields) => fields.values_mut().any(|field| change(field, at, with)),
        _ => false,
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

fn bytes(route: &Route, body: &Body) -> Vec<u8> {
    let own = body_of(route).unwrap_or_else(|| json!({}));
    match body {
        Body::Bytes(bytes) => bytes.clone(),
        Body::Json(value) => value.to_string().into_bytes(),
        Body::Cut(bytes) => own.to_string().into_bytes().into_iter().take(*bytes).collect(),
        Body::Changed(at, value) => {
            let mut whole = own;
            // Mostly below the top, so that most of it stays valid.
            let mut at = at % size(&whole).max(2);
            change(&mut whole, &mut at, value);
            whole.to_string().into_bytes()
        }
    }
}

/// What there is, by the parameter's place in the API, so that many requests get past the 404.
struct Known {
    task: String,
    conversation: String,
    message: String,
}

impl Known {
    fn of(&self, path: &str) -> &str {
        match path.split('/').nth(2).unwrap_or_default() {
            "tasks" if !path.starts_with("/webhooks") => &self.task,
            "conversations" => &self.conversation,
            "messages" => &self.message,
            "flows" => "greet",
            "connections" => "demo",
            "queues" => "desk",
            "tables" => "messages",
            _ if path.starts_with("/webhooks") => "demo",
            _ => "x1",
        }
    }
}

async fn town() -> (TestApp, Known) {
    let mut app = TestApp::empty().await;
    app.expect_failures();
    open_demo(&app, json!({})).await;
    open_queue(&app, "desk").await;
    for flow in [GREET, DESK, ORDER] {
        app.publish(flow).await;
    }
    app.say("ann", "nothing").await;
    let message = app.get("/v1/messages").await["items"][0]["id"].clone();
    let task = start(&app, "at-the-desk", "ann", json!({})).await;
    let known = Known {
        task: id(&task).to_owned(),
        conversation: task["conversation"].as_str().unwrap_or_default().to_owned(),
        message: message.as_str().unwrap_or_default().to_owned(),
    };
    (app, known)
}

async fn send(app: &TestApp, route: &Route, known: &Known, case: &Case) -> Answer {
    let mut ids = case.ids.iter();
    let path = route.with(|| {
        let id = ids.next().cloned().unwrap_or_default();
        if id == "{known}" { known.of(&route.path).to_owned() } else { id }
    });
    let query = case.query.replace("{known}", "1");
    let path = format!("{path}?{}", query.trim_start_matches('&'));
    let path = path.trim_end_matches('?');
    let bearer = format!("Bearer {}", app.key);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", case.kind.unwrap_or_else(|| media_type(route))),
        ("idempotency-key", case.key.as_str()),
        ("if-match", case.key.as_str()),
    ];
    let headers = if case.key.is_empty() { &headers[..2] } else { &headers[..] };
    let body = (route.method != Method::GET).then(|| bytes(route, &case.body));
    app.request(route.method.clone(), path, headers, body).await
}

#[test]
fn nothing_is_answered_with_a_server_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (app, known) = runtime.block_on(town());
    let document = runtime.block_on(app.get("/openapi.json"));
    let routes: Vec<Route> =
        routes(&document).into_iter().filter(|route| !route.path.ends_with("/stream")).collect();
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    // Each status with how often it was the answer: the requests must get deep enough.
    let answers: RefCell<BTreeMap<u16, u32>> = RefCell::default();
    let outcome = runner.run(&case(routes.len()), |case| {
        let route = &routes[case.route];
        let answer = runtime.block_on(send(&app, route, &known, &case));
        *answers.borrow_mut().entry(answer.status).or_default() += 1;
        prop_assert!(answer.status < 500, "{route:?} {case:?}: {}", answer.text);
        if answer.status >= 400 {
            prop_assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            prop_assert!(!detail.is_empty(), "{route:?} {case:?}: {}", answer.text);
        }
        Ok(())
    });
    runtime.block_on(app.finish());
    if let Err(found) = outcome {
        panic!("{found}");
    }
    let answers = answers.into_inner();
    for status in [200, 400, 404, 415, 422] {
        assert!(answers.contains_key(&status), "{status} is never the answer: {answers:?}");
    }
    assert!(answers.get(&200) > Some(&(CASES / 10)), "too few get through: {answers:?}");
}
