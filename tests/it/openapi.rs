//! The document of the API, and what holds for every route in it.

use std::fmt::Write;

use http::Method;
use it::{Answer, TestApp};
use serde_json::{Value, json};

use crate::talk::refused;

/// One route of the document.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    /// With its parameters in braces.
    pub(crate) path: String,
}

impl Route {
    /// The path with every parameter replaced.
    pub(crate) fn with(&self, mut parameter: impl FnMut() -> String) -> String {
        let parts = self
            .path
            .split('/')
            .map(|part| if part.starts_with('{') { parameter() } else { part.to_owned() });
        parts.collect::<Vec<String>>().join("/")
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// Every route of a document.
pub(crate) fn routes(document: &Value) -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            let method = method.to_uppercase().parse().expect("a method");
            routes.push(Route { method, path: path.clone() });
        }
    }
    routes
}

/// A body that a route accepts as far as its form goes; none for a route that reads none.
pub(crate) fn body_of(route: &Route) -> Option<Value> {
    Some(match route.name().as_str() {
        "POST /v1/tasks" => json!({
            "flow": "greet", "contact": { "id": "ann", "name": "Ann", "lang": "en" },
            "vars": { "age": 3 }, "conversation": "c-1", "connection": "api",
        }),
        "POST /v1/tasks/{id}/messages" | "POST /v1/conversations/{id}/messages" => json!({
            "text": "hello", "payload": "cf1:task_x:1:0",
            "attachments": [{ "kind": "image", "url": "https://example.com/a.png", "name": "a.png",
                "mime": "image/png", "bytes": 7 }],
        }),
        "POST /v1/tasks/{id}/cancel" => json!({ "reason": "no" }),
        "POST /v1/tasks/{id}/assign" => json!({ "queue": "desk", "assignee": "joe" }),
        "POST /v1/tasks/{id}/reply" => json!({ "text": "hello" }),
        "POST /v1/tasks/{id}/resolve" => json!({ "resolution": "solved", "note": "ok" }),
        "POST /v1/tasks/{id}/migrate" => json!({ "version": 1, "dry_run": true }),
        "POST /v1/conversations/{id}/focus" | "POST /v1/messages/{id}/assign" => {
            json!({ "task": "task_x" })
        }
        "PUT /v1/flows/{id}" => json!({
            "flow": "x1", "start": "done", "vars": { "a": { "type": "integer", "default": 1 } },
            "steps": { "done": { "type": "end", "outcome": "{{ a }}" } },
        }),
        "POST /v1/flows/{id}/check" | "POST /v1/flows/{id}/test" => json!({ "source": "flow: x1" }),
        "POST /v1/flows/{id}/simulate" => json!({
            "source": "flow: x1\nstart: done\nsteps: {done: {type: end}}",
            "script": [{ "user": "a" }, { "answer": { "status": 200, "body": {} } }, { "after": "1h" }],
            "options": { "vars": {}, "lang": "en", "now": "2026-01-05T01:00:00Z", "contact": { "id": "a" } },
        }),
        "POST /v1/flows/{id}/rollback" => json!({ "version": 1 }),
        "PUT /v1/connections/{id}" => json!({
            "id": "x1", "name": "X", "unsigned_from_loopback": true, "reply": { "to": "none" },
            "mapping": { "text": "body.text" }, "allowed_hosts": ["localhost:1"], "lang": "en",
        }),
        "PUT /v1/queues/{id}" => json!({ "name": "Desk" }),
        "PUT /v1/secrets/{name}" => json!({ "value": "secret" }),
        "POST /v1/keys" => json!({ "name": "key", "permissions": ["tasks.read"] }),
        "PUT /v1/tables/{id}" | "POST /v1/tables/{id}/plan" => json!({
            "tableReference": { "tableId": "x1" },
            "schema": { "fields": [{ "name": "a", "type": "INTEGER", "mode": "REQUIRED" }] },
        }),
        "POST /events" => json!({
            "specversion": "1.0", "id": "e-1", "source": "/shop", "type": "shop.paid",
            "subject": "A", "time": "2026-11-30T09:00:00Z", "data": { "amount": 1 },
        }),
        "POST /webhooks/{connection}" => json!({
            "id": "evt-1", "contact": { "id": "ann", "name": "Ann", "lang": "en" },
            "text": "hello", "conversation": "c-1", "payload": "x",
        }),
        _ => return None,
    })
}

/// The media type of a route's body.
pub(crate) fn media_type(route: &Route) -> &'static str {
    match route.path.as_str() {
        "/events" => "application/cloudevents+json",
        "/v1/flows/{id}" => "application/yaml",
        _ => "application/json",
    }
}

async fn ask(app: &TestApp, route: &Route, key: Option<&str>) -> Answer {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let mut headers = vec![("content-type", media_type(route))];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let body = body_of(route).map(|body| body.to_string().into_bytes());
    app.request(route.method.clone(), &route.with(|| "1".into()), &headers, body).await
}

#[tokio::test]
async fn the_document_is_3_1_and_as_it_was() {
    let app = TestApp::empty().await;
    let answer = app.request(Method::GET, "/openapi.json", &[], None).await;
    assert_eq!(answer.status, 200);
    let document = answer.body;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    assert_eq!(document["components"]["securitySchemes"]["api_key"]["scheme"], "bearer");
    let mut operations: Vec<&str> = Vec::new();
    for route in routes(&document) {
        let operation = &document["paths"][&route.path][route.method.as_str().to_lowercase()];
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty(), "{} says what it does", route.name());
        let answers = operation["responses"].as_object().expect("responses");
        assert!(answers.keys().any(|status| status.starts_with('2')), "{}", route.name());
        if route.path != "/schemas/flow.json" {
            assert!(answers.contains_key("4XX"), "{} can go wrong", route.name());
        }
        operations.push(operation["operationId"].as_str().unwrap_or_default());
        assert_eq!(
            operation.get("requestBody").is_some(),
            body_of(&route).is_some(),
            "{}: the tests know a body for every route that takes one",
            route.name()
        );
        for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')) {
            let name = name.trim_end_matches('}');
            let known = operation["parameters"].as_array().is_some_and(|parameters| {
                parameters.iter().any(|given| given["name"] == name && given["in"] == "path")
            });
            assert!(known, "{}: `{name}` is described", route.name());
        }
    }
    let all = operations.len();
    operations.sort_unstable();
    operations.dedup();
    assert_eq!(operations.len(), all, "operation ids are unique, so that clients can be generated");
    insta::assert_json_snapshot!("openapi", document);
    app.finish().await;
}

#[tokio::test]
async fn every_route_asks_for_a_key_and_one_permission() {
    let app = TestApp::empty().await;
    let body = json!({ "name": "useless", "permissions": ["nothing.here"] });
    let useless = app.post("/v1/keys", body).await.body["key"].clone();
    let mut table = String::new();
    for route in routes(&app.get("/openapi.json").await) {
        let open = route.path.starts_with("/webhooks/") || route.path == "/schemas/flow.json";
        if open {
            writeln!(table, "{} – open", route.name()).unwrap();
            continue;
        }
        let without = ask(&app, &route, None).await;
        assert_eq!(without.status, 401, "{}: {}", route.name(), without.text);
        refused(&without, 401);
        assert_eq!(without.header("www-authenticate"), Some("Bearer"), "{}", route.name());
        let wrong = ask(&app, &route, Some("cf_0123456789ab_0")).await;
        assert_eq!(wrong.status, 401, "{}: {}", route.name(), wrong.text);
        let lacking = ask(&app, &route, useless.as_str()).await;
        assert_eq!(lacking.status, 403, "{}: {}", route.name(), lacking.text);
        let detail = refused(&lacking, 403)["detail"].as_str().unwrap_or_default();
        let permission = detail.strip_prefix("this API key lacks the permission ").unwrap();
        writeln!(table, "{} – {permission}", route.name()).unwrap();
    }
    insta::assert_snapshot!("routes", table);
    app.finish().await;
}

#[tokio::test]
async fn what_anybody_may_read_is_served() {
    let app = TestApp::empty().await;
    let get = async |path: &str| app.request(Method::GET, path, &[], None).await;
    let docs = get("/docs/").await;
    assert_eq!(docs.status, 200);
    assert!(docs.text.contains("swagger-ui"), "{}", docs.text);
    let short = get("/docs").await;
    assert!(short.status == 200 || short.header("location") == Some("/docs/"), "{short:?}");
    assert!(get("/docs/swagger-initializer.js").await.text.contains("/openapi.json"));
    let schema = get("/schemas/flow.json").await;
    assert_eq!(schema.body["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema.body["properties"]["steps"].is_object(), "{}", schema.text);
    for (path, text) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        assert_eq!(get(path).await.text, text);
    }
    assert!(get("/metrics").await.text.contains("chatflow_requests_total "));
    let page = get("/").await;
    assert!(
        page.header("content-security-policy").is_some_and(|p| p.contains("default-src 'none'"))
    );
    for path in ["/docs/", "/openapi.json", "/v1/tasks", "/", "/nowhere"] {
        assert_eq!(get(path).await.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    app.finish().await;
}
