//! Keys, secrets, connections, queues: who may do what, and what is never shown.

use std::os::unix::fs::PermissionsExt;

use http::Method;
use it::{Answer, TestApp};
use serde_json::{Value, json};

use crate::talk::{GREET, each, id, put, refused, refused_at};

async fn as_key(
    app: &TestApp,
    key: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    app.request(method, path, &headers, body.map(|body| body.to_string().into_bytes())).await
}

async fn make_key(app: &TestApp, permissions: Value) -> Value {
    let body = json!({ "name": "a key", "permissions": permissions });
    let made = app.post("/v1/keys", body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body
}

#[tokio::test]
async fn the_administrators_key_is_for_its_owner_alone() {
    let app = TestApp::empty().await;
    let file = app.server().key_file.clone();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (first, text) = (app.key.clone(), std::fs::read_to_string(&file).unwrap());
    assert_eq!(text, format!("{first}\n"));
    assert!(first.starts_with("cf_"), "{first}");

    // It stays the same after a restart, and a lost one is replaced.
    let data = app.stop().await;
    let again = TestApp::on(data, false, std::sync::Arc::new(bootstrap::SystemClock)).await;
    assert_eq!(again.key, first);
    let data = again.stop().await;
    std::fs::remove_file(data.path().join("admin.key")).unwrap();
    let third = TestApp::on(data, false, std::sync::Arc::new(bootstrap::SystemClock)).await;
    assert_ne!(third.key, first);
    assert_eq!(third.get("/v1/keys").await["items"].as_array().map(Vec::len), Some(2));
    third.finish().await;
}

#[tokio::test]
async fn a_key_does_what_it_may_until_it_is_revoked() {
    let app = TestApp::empty().await;
    app.publish(GREET).await;
    let key = make_key(&app, json!(["tasks.*", "messages.read"])).await;
    let text = key["key"].as_str().unwrap().to_owned();
    let start = json!({ "flow": "greet", "contact": { "id": "ann" } });
    let by_it = async |method, path: &str, body| as_key(&app, &text, method, path, body).await;
    let started = by_it(Method::POST, "/v1/tasks", Some(start)).await;
    assert_eq!(started.status, 201, "{}", started.text);
    let path = format!("/v1/tasks/{}/messages", id(&started.body));
    assert_eq!(by_it(Method::GET, &path, None).await.status, 200);
    let lacking = by_it(Method::POST, &path, Some(json!({ "text": "Ann" }))).await;
    assert_eq!(
        refused(&lacking, 403)["detail"],
        "this API key lacks the permission `messages.write`"
    );
    refused(&by_it(Method::GET, "/v1/flows", None).await, 403);

    // Its name stands in the history; its text stands nowhere.
    let path = format!("/v1/tasks/{}/cancel", id(&started.body));
    assert_eq!(
        by_it(Method::POST, &path, Some(json!({}))).await.body["error"],
        "cancelled by a key"
    );
    let listed = app.get("/v1/keys").await;
    assert_eq!(each(&listed, "/name"), ["administrator", "a key"]);
    assert!(!listed.to_string().contains(&text) && !listed.to_string().contains("hash"));

    let path = format!("/v1/keys/{}/revoke", id(&key));
    refused(&by_it(Method::POST, &path, None).await, 403);
    let revoked = app.post(&path, json!({})).await;
    assert!(revoked.body["revoked_at"].is_string(), "{}", revoked.text);
    let refusal = by_it(Method::GET, "/v1/tasks", None).await;
    refused(&refusal, 401);
    assert_eq!(refusal.header("www-authenticate"), Some("Bearer"));
    assert_eq!(app.post(&path, json!({})).await.body, revoked.body, "the first time counts");
    refused(&app.post("/v1/keys/nobody/revoke", json!({})).await, 404);
    app.finish().await;
}

#[tokio::test]
async fn only_a_whole_true_key_opens_anything() {
    let app = TestApp::empty().await;
    let key = &app.key;
    let cut = key.get(..key.len() - 1).unwrap();
    for authorization in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        key.clone(),
        format!("Basic {key}"),
        format!("Bearer {cut}"),
        format!("Bearer {key}0"),
        format!("Bearer {}", key.to_uppercase()),
        "Bearer cf_".to_owned(),
        "Bearer cf__".to_owned(),
        format!("Bearer cf_{}", "x".repeat(500)),
        "Bearer ключ".to_owned(),
    ] {
        let headers = [("authorization", authorization.as_str())];
        let answer = app.request(Method::GET, "/v1/tasks", &headers, None).await;
        assert_eq!(answer.status, 401, "{authorization}: {}", answer.text);
        refused(&answer, 401);
    }
    // The scheme is the same in every case, as RFC 9110 has it.
    let headers = [("authorization", format!("bearer {key}"))];
    let headers = [(headers[0].0, headers[0].1.as_str())];
    assert_eq!(app.request(Method::GET, "/v1/tasks", &headers, None).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn nobody_grants_more_than_they_have() {
    let app = TestApp::empty().await;
    let clerk = make_key(&app, json!(["keys.write", "tasks.read", "flows.*"])).await;
    let clerk = clerk["key"].as_str().unwrap();
    let ask = async |permissions: Value| {
        let body = json!({ "name": "another", "permissions": permissions });
        as_key(&app, clerk, Method::POST, "/v1/keys", Some(body)).await
    };
    for granted in [json!(["tasks.read"]), json!(["flows.*", "keys.write"]), json!(["flows.read"])]
    {
        assert_eq!(ask(granted).await.status, 201);
    }
    for beyond in ["*", "tasks.*", "tasks.write", "keys.*", "secrets.read"] {
        let detail = format!("your own key lacks `{beyond}`");
        assert_eq!(refused(&ask(json!(["tasks.read", beyond])).await, 403)["detail"], detail);
    }
    for odd in ["", "tasks", "tasks.", ".read", "*.*", "*.read", "Tasks.read", "tasks.read.all"] {
        refused_at(&ask(json!(["tasks.read", odd])).await, 422, "/permissions/1", "write `*`");
    }
    refused_at(&ask(json!([])).await, 422, "/permissions", "1 to 50");
    refused_at(&ask(json!([7])).await, 422, "/permissions/0", "expected a string");
    let nameless = json!({ "name": " ", "permissions": ["tasks.read"] });
    refused_at(&app.post("/v1/keys", nameless).await, 422, "/name", "1 to 100");
    app.finish().await;
}

#[tokio::test]
async fn a_secret_is_never_shown_again() {
    let app = TestApp::empty().await;
    let value = "s3cr3t-of-the-shop";
    let set = put(&app, "/v1/secrets/shop", json!({ "value": value })).await;
    assert_eq!((set.status, set.text.as_str()), (204, ""));
    let connection = json!({ "id": "shop", "secret": "shop" });
    assert_eq!(put(&app, "/v1/connections/shop", connection).await.status, 200);
    assert_eq!(app.get("/v1/secrets").await["items"], json!(["shop"]));
    for path in ["/v1/connections", "/v1/connections/shop", "/v1/keys", "/v1/failures", "/metrics"]
    {
        let shown = app.api(Method::GET, path, None).await;
        assert!(shown.status == 200 && !shown.text.contains(value), "{path}: {}", shown.text);
    }
    refused(&app.api(Method::GET, "/v1/secrets/shop", None).await, 405);
    refused_at(&put(&app, "/v1/secrets/shop", json!({ "value": "" })).await, 422, "/value", "1 to");
    let long = json!({ "value": "x".repeat(16 * 1024 + 1) });
    refused_at(&put(&app, "/v1/secrets/shop", long).await, 422, "/value", "16384");
    refused_at(&put(&app, "/v1/secrets/A", json!({ "value": "x" })).await, 422, "/name", "lower");
    // Not even the complaint about a wrong request repeats the value.
    let wrong = put(&app, "/v1/secrets/shop", json!({ "value": [value] })).await;
    refused(&wrong, 422);
    assert!(!wrong.text.contains(value), "{}", wrong.text);
    app.finish().await;
}

#[tokio::test]
async fn connections_are_checked_and_guarded() {
    let app = TestApp::empty().await;
    let with = async |more: Value| {
        let mut body = json!({ "id": "shop", "unsigned_from_loopback": true });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        put(&app, "/v1/connections/shop", body).await
    };
    refused_at(&with(json!({ "id": "shop2" })).await, 422, "/id", "the address says `shop`");
    let open = with(json!({ "unsigned_from_loopback": false })).await;
    refused_at(&open, 422, "/secret", "name the secret");
    refused_at(
        &with(json!({ "reply": { "to": "moon" } })).await,
        422,
        "/reply/to",
        "unknown variant",
    );
    let ftp = with(json!({ "reply": { "to": "url", "url": "ftp://x" } })).await;
    refused_at(&ftp, 422, "/reply/url", "https://");
    let mapping = with(json!({ "mapping": { "text": "body.text |" } })).await;
    refused_at(&mapping, 422, "/mapping/text", "");
    refused_at(&with(json!({ "mapping": { "txt": "a" } })).await, 422, "/mapping/txt", "unknown");
    refused_at(&with(json!({ "allowed_hosts": ["http://x"] })).await, 422, "/allowed_hosts", "");
    refused(&with(json!({ "channel": "api" })).await, 409);
    let api =
        put(&app, "/v1/connections/api", json!({ "id": "api", "unsigned_from_loopback": true }));
    refused(&api.await, 409);

    let made = with(json!({ "name": "Shop" })).await;
    assert_eq!((made.status, made.header("etag")), (200, Some("\"1\"")));
    let shown = app.api(Method::GET, "/v1/connections/shop", None).await;
    assert_eq!((shown.header("etag"), &shown.body), (Some("\"1\""), &made.body));
    let bearer = format!("Bearer {}", app.key);
    let conditional = async |tag: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("if-match", tag),
        ];
        let body = json!({ "id": "shop", "unsigned_from_loopback": true }).to_string();
        app.request(Method::PUT, "/v1/connections/shop", &headers, Some(body.into())).await
    };
    assert_eq!(conditional("\"1\"").await.status, 200);
    refused(&conditional("\"1\"").await, 412);
    refused(&app.api(Method::GET, "/v1/connections/none", None).await, 404);
    assert_eq!(each(&app.get("/v1/connections").await, "/id"), ["api", "shop"]);
    app.finish().await;
}

#[tokio::test]
async fn tables_are_planned_before_they_change() {
    let app = TestApp::empty().await;
    let table = |fields: Value| json!({ "tableReference": { "tableId": "orders" }, "schema": { "fields": fields } });
    let number = json!({ "name": "number", "type": "STRING", "mode": "REQUIRED" });
    let amount = json!({ "name": "amount", "type": "INTEGER" });
    let first = table(json!([number]));
    let plan = app.post("/v1/tables/orders/plan", first.clone()).await;
    assert_eq!((plan.status, &plan.body["allowed"]), (200, &json!(true)), "{}", plan.text);
    assert_eq!(plan.body["plan"]["changes"][0]["change"], "create");
    refused(&app.api(Method::GET, "/v1/tables/orders", None).await, 404);
    assert_eq!(put(&app, "/v1/tables/orders", first.clone()).await.status, 200);
    let more = table(json!([number, amount]));
    let wider = put(&app, "/v1/tables/orders", more.clone()).await;
    assert_eq!(wider.body["plan"]["changes"][0]["change"], "add_column", "{}", wider.text);
    assert_eq!(app.get("/v1/tables/orders").await["schema"]["fields"][1]["name"], "amount");
    let plan = app.post("/v1/tables/orders/plan", first.clone()).await;
    assert_eq!(plan.body["allowed"], false, "{}", plan.text);
    let narrower = put(&app, "/v1/tables/orders", first).await;
    let detail = refused(&narrower, 409)["detail"].as_str().unwrap();
    assert!(detail.contains("amount"), "{detail}");
    let odd = table(json!([{ "name": "number", "type": "COLOUR" }]));
    refused_at(&put(&app, "/v1/tables/orders", odd).await, 422, "/schema/fields/0/type", "COLOUR");
    refused_at(
        &put(&app, "/v1/tables/sales", more).await,
        422,
        "/tableReference/tableId",
        "orders",
    );
    // The system's own tables stay as they are.
    let own = app.get("/v1/tables/messages").await;
    assert_eq!(put(&app, "/v1/tables/messages", own).await.status, 422);
    assert_eq!(app.get("/v1/tables/orders/rows").await["items"], json!([]));
    refused(&app.api(Method::GET, "/v1/tables/nothing/rows", None).await, 404);
    app.finish().await;
}
