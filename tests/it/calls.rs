//! `call` steps: what goes out, what comes back, and what is never reached.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use it::TestApp;
use runtime::Limits;
use serde_json::{Value, json};

use crate::partner::{Partner, Says};
use crate::talk::{each, id, items, put, said, start, task};

/// A flow that calls `url` and tells what came of it; `more` goes into the step.
fn calling(url: &str, more: &str) -> String {
    format!(
        r#"
flow: buy
name: Buy
vars: {{number: {{type: integer, default: 7}}}}
start: call
steps:
  call:
    type: call
    connection: erp
    request:
      method: POST
      url: "{url}"
      query: {{who: "{{{{ contact.id }}}} & co"}}
      headers: {{X-Flow: "{{{{ task.id }}}}"}}
      json: {{number: "{{{{ number }}}}", who: "{{{{ contact.id }}}}"}}
      {more}
    timeout: 1s
    retry: {{times: 2, backoff: 1ms..4ms}}
    into: answer
    next: told
    on_error: sorry
  told: {{type: say, text: "{{{{ answer.status }}}} {{{{ answer.body.order }}}}", next: done}}
  sorry: {{type: say, text: "no: {{{{ answer.error }}}}", next: sorry_end}}
  sorry_end: {{type: end, outcome: sorry}}
  done: {{type: end, outcome: bought}}
"#
    )
}

/// A server with a connection that may reach the partner, and the flow that calls it.
async fn shop(partner: &Partner, more: &str) -> TestApp {
    let app = TestApp::empty().await;
    partner.connect(&app, json!({ "reply": { "to": "none" } })).await;
    app.publish(&calling(&format!("http://{}/orders", partner.host), more)).await;
    app
}

/// The one thing that the task of a new contact says, and how it ends.
async fn outcome(app: &TestApp) -> (String, Value) {
    let begun = start(app, "buy", "ann", json!({})).await;
    let told = said(app, id(&begun)).await;
    assert_eq!(told.len(), 1, "{told:?}");
    (told.concat(), task(app, id(&begun)).await)
}

#[tokio::test]
async fn an_answer_comes_back_into_the_variable() {
    let answer = Says::Json(201, json!({ "order": "A-1" }));
    let partner = Partner::saying(&[answer]).await;
    let app = shop(&partner, "").await;
    let (told, task) = outcome(&app).await;
    assert_eq!((told.as_str(), &task["outcome"]), ("201 A-1", &json!("bought")));
    let answer = &task["vars"]["answer"];
    assert_eq!((&answer["status"], &answer["body"]), (&json!(201), &json!({ "order": "A-1" })));
    assert_eq!(answer["headers"]["content-type"], "application/json");
    let [asked] = <[_; 1]>::try_from(partner.asked()).unwrap();
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.target, "/orders?who=ann+%26+co");
    assert_eq!(asked.header("content-type"), "application/json");
    assert_eq!(asked.header("x-flow"), id(&task));
    assert_eq!(asked.json(), json!({ "number": 7, "who": "ann" }));
    app.finish().await;
}

#[tokio::test]
async fn trouble_is_tried_again_with_the_same_key() {
    let script = [Says::Status(503), Says::Nothing, Says::Json(200, json!({ "order": 5 }))];
    let partner = Partner::saying(&script).await;
    let app = shop(&partner, "").await;
    let (told, _) = outcome(&app).await;
    assert_eq!(told, "200 5");
    let keys: BTreeSet<String> = partner.asked().iter().map(key).collect();
    assert_eq!((partner.asked().len(), keys.len()), (3, 1));
    assert!(keys.iter().all(|key| key.starts_with("call_")), "{keys:?}");
    // Another call has another key.
    start(&app, "buy", "bob", json!({})).await;
    let keys: BTreeSet<String> = partner.asked().iter().map(key).collect();
    assert_eq!((partner.asked().len(), keys.len()), (4, 2));
    app.finish().await;
}

fn key(asked: &crate::partner::Asked) -> String {
    asked.header("idempotency-key").to_owned()
}

#[tokio::test]
async fn an_answer_is_an_answer_whatever_its_status() {
    let partner = Partner::saying(&[Says::Json(404, json!({ "order": "none" }))]).await;
    let app = shop(&partner, "").await;
    assert_eq!(outcome(&app).await.0, "404 none");
    assert_eq!(partner.asked().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn after_the_last_attempt_the_last_answer_counts() {
    let partner = Partner::saying(&[Says::Json(503, json!({ "order": "later" }))]).await;
    let app = shop(&partner, "").await;
    assert_eq!(outcome(&app).await.0, "503 later");
    assert_eq!(partner.asked().len(), 3);
    app.finish().await;
}

#[tokio::test]
async fn no_answer_leads_where_on_error_says() {
    let partner = Partner::saying(&[Says::Nothing]).await;
    let app = shop(&partner, "").await;
    let flow = calling(&format!("http://{}/", partner.host), "").replace("times: 2", "times: 0");
    app.publish(&flow).await;
    let (told, ended) = outcome(&app).await;
    assert!(told.starts_with("no: no complete answer in time"), "{told}");
    assert_eq!(ended["outcome"], "sorry");
    assert_eq!(partner.asked().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn without_on_error_the_task_fails_and_can_be_retried() {
    let partner =
        Partner::saying(&[Says::Bytes(5_000), Says::Json(200, json!({ "order": 1 }))]).await;
    let limits = Limits { call_response_bytes_max: 1_000, ..Limits::default() };
    let app = TestApp::with_limits(limits).await;
    partner.connect(&app, json!({ "reply": { "to": "none" } })).await;
    let flow = calling(&format!("http://{}/", partner.host), "");
    app.publish(&flow.replace("    on_error: sorry\n", "").replace("sorry", "other")).await;
    let begun = start(&app, "buy", "ann", json!({})).await;
    let failed = task(&app, id(&begun)).await;
    assert_eq!((&failed["status"], &failed["step"]), (&json!("failed"), &json!("call")));
    insta::assert_snapshot!(
        failed["error"].as_str().unwrap(),
        @"the call failed: the body of the answer exceeds 1000 bytes; ask the server for less or raise the limit"
    );
    let kept = app.get("/v1/failures?state=open").await;
    assert_eq!(each(&kept, "/task"), [id(&begun)]);
    let retry = format!("/v1/failures/{}/retry", id(&items(&kept)[0]));
    assert_eq!(app.post(&retry, json!({})).await.status, 200);
    app.settle().await;
    assert_eq!(task(&app, id(&begun)).await["outcome"], "bought");
    let keys: BTreeSet<String> = partner.asked().iter().map(key).collect();
    assert_eq!(keys.len(), 2, "a retry by a person is another call");
    app.finish().await;
}

#[tokio::test]
async fn too_large_an_answer_is_refused_and_not_tried_again() {
    let partner = Partner::saying(&[Says::Bytes(300 * 1024)]).await;
    let app = shop(&partner, "").await;
    let (told, _) = outcome(&app).await;
    assert!(told.starts_with("no: the body of the answer exceeds 262144 bytes"), "{told}");
    assert_eq!(partner.asked().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_cancelled_task_calls_nobody_any_more() {
    let partner = Partner::saying(&[Says::Nothing]).await;
    let app = shop(&partner, "").await;
    let body = json!({ "flow": "buy", "contact": { "id": "ann" } });
    let begun = app.post("/v1/tasks", body).await.body;
    app.until("the first attempt is made", async || partner.asked().len() == 1).await;
    let cancelled = app.post(&format!("/v1/tasks/{}/cancel", id(&begun)), json!({})).await;
    assert_eq!(cancelled.body["status"], "cancelled", "{}", cancelled.text);
    app.settle().await;
    assert_eq!(partner.asked().len(), 1, "the two attempts that were left are not made");
    assert_eq!(task(&app, id(&begun)).await["status"], "cancelled");
    app.finish().await;
}

#[tokio::test]
async fn no_redirect_leads_inside() {
    let inside = Partner::saying(&[Says::Json(200, json!({ "order": "secret" }))]).await;
    let targets = [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fd00:ec2::254]/".to_owned(),
        "http://metadata.google.internal/".to_owned(),
        format!("http://{}/", inside.host),
        format!("http://localhost:{}/", inside.host.rsplit(':').next().unwrap()),
        "file:///etc/passwd".to_owned(),
    ];
    for target in targets {
        let partner = Partner::saying(&[Says::Redirect(target.clone())]).await;
        let app = shop(&partner, "").await;
        let (told, ended) = outcome(&app).await;
        assert!(told.starts_with("no: refused: "), "{target}: {told}");
        assert_eq!(ended["outcome"], "sorry");
        assert_eq!(partner.asked().len(), 1, "{target}");
        app.finish().await;
    }
    assert_eq!(inside.asked().len(), 0);
}

#[tokio::test]
async fn nothing_internal_is_reached_without_a_connection_that_names_it() {
    let partner = Partner::saying(&[Says::Status(200)]).await;
    let app = TestApp::empty().await;
    partner.connect(&app, json!({ "allowed_hosts": [], "reply": { "to": "none" } })).await;
    let ports = partner.host.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "0.0.0.0"] {
        app.publish(&calling(&format!("http://{host}:{ports}/"), "")).await;
        let (told, _) = outcome(&app).await;
        assert!(told.starts_with("no: refused: "), "{host}: {told}");
    }
    for url in ["https://user:pw@example.com/", "ftp://example.com/"] {
        app.publish(&calling(url, "")).await;
        assert!(outcome(&app).await.0.starts_with("no: "), "{url}");
    }
    assert_eq!(partner.asked().len(), 0);
    app.finish().await;
}

/// What is logged, for a test to read.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Logs {
    /// Everything that is logged by this process from now on, down to the last detail.
    fn keep() -> Self {
        let logs = Self::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(move || writer.clone());
        subscriber.try_init().expect("the first test of this process that keeps logs");
        logs
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[tokio::test]
async fn a_secret_goes_out_and_stays_nowhere() {
    const TOKEN: &str = "t0ken-of-the-erp-system";
    let logs = Logs::keep();
    let partner =
        Partner::saying(&[Says::Status(500), Says::Json(200, json!({ "order": 1 }))]).await;
    let app = TestApp::empty().await;
    partner.connect(&app, json!({ "reply": { "to": "none" } })).await;
    assert_eq!(put(&app, "/v1/secrets/erp-token", json!({ "value": TOKEN })).await.status, 204);
    let url = format!("http://{}/", partner.host);
    app.publish(&calling(&url, "auth: {secret: erp-token}")).await;
    let (told, ended) = outcome(&app).await;
    assert_eq!(told, "200 1");
    let bearer = format!("Bearer {TOKEN}");
    assert!(partner.asked().iter().all(|asked| asked.header("authorization") == bearer));
    assert_eq!(partner.asked().len(), 2);

    let mut paths = vec![
        format!("/v1/tasks/{}", id(&ended)),
        format!("/v1/tasks/{}/history", id(&ended)),
        "/v1/secrets".into(),
        "/v1/messages".into(),
        "/v1/failures".into(),
        "/v1/flows/buy".into(),
        "/v1/connections".into(),
    ];
    paths.extend(["tasks", "messages", "history"].map(|t| format!("/v1/tables/{t}/rows")));
    for path in paths {
        let shown = app.get(&path).await.to_string();
        assert!(!shown.contains(TOKEN), "{path}");
    }
    let history = app.get(&format!("/v1/tasks/{}/history", id(&ended))).await.to_string();
    assert!(history.contains("erp-token"), "the name is kept: {history}");
    app.finish().await;
    let logged = logs.text();
    assert!(logged.contains("will try again"), "nothing was logged");
    assert!(!logged.contains(TOKEN), "the secret was logged");
}

#[tokio::test]
async fn a_secret_that_is_not_set_is_named() {
    let partner = Partner::saying(&[Says::Json(200, json!({ "order": 2 }))]).await;
    let app = shop(&partner, "").await;
    assert_eq!(put(&app, "/v1/secrets/erp-token", json!({ "value": "x" })).await.status, 204);
    app.publish(&calling(
        &format!("http://{}/", partner.host),
        "auth: {secret: erp-token, header: X-Key}",
    ))
    .await;
    assert_eq!(outcome(&app).await.0, "200 2");
    assert_eq!(partner.asked()[0].header("x-key"), "x");
    assert_eq!(partner.asked()[0].header("authorization"), "");
    // A flow that names a secret nobody set cannot be published at all.
    let source = calling(&format!("http://{}/", partner.host), "auth: {secret: erp-tokn}");
    let check = app.post("/v1/flows/buy/check", json!({ "source": source })).await;
    let found = check.body["problems"][0].to_string();
    assert!(found.contains("erp-tokn") && found.contains("did you mean"), "{}", check.text);
    app.finish().await;
}
