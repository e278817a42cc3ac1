//! The harness of the integration tests: a whole server on a data directory of its own.
//!
//! [`TestApp`] is the real server in this process: the same routers, the same delivery loop, a
//! real socket. Dropping one with work left over, or with failures nobody looked at, fails the
//! test.

#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gateway::BACKLOG_MAX;
use http::Method;
use ports::{Clock, Delivery, FailureState, Page, Topic};
use runtime::Limits;
use runtime::app::TerminalLine;
use runtime::egress::{Egress, EgressConfig, HostAllowList, OutgoingRequest};
use serde_json::{Value, json};
use standalone::server::{ServeOptions, Server};

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct TestApp {
    server: Option<Server>,
    /// Its address: `http://127.0.0.1:PORT`.
    pub url: String,
    /// The administrator's key.
    pub key: String,
    data: Option<tempfile::TempDir>,
    lines: Arc<Mutex<Vec<TerminalLine>>>,
    egress: Egress,
    failures_expected: bool,
}

/// An answer of the server.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// The body as JSON; null where it is none.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl TestApp {
    /// A server with the demo, on the system's clock.
    pub async fn demo() -> Self {
        Self::start(true, Arc::new(bootstrap::SystemClock)).await
    }

    /// A server with nothing set up, on the system's clock.
    pub async fn empty() -> Self {
        Self::start(false, Arc::new(bootstrap::SystemClock)).await
    }

    /// A server on a clock of the test's own.
    pub async fn start(demo: bool, clock: Arc<dyn Clock>) -> Self {
        let data = tempfile::tempdir().expect("a directory for the test");
        Self::on(data, demo, clock).await
    }

    /// A server with other bounds than usual.
    pub async fn with_limits(limits: Limits) -> Self {
        let data = tempfile::tempdir().expect("a directory for the test");
        Self::open(data, false, Arc::new(bootstrap::SystemClock), limits, BACKLOG_MAX).await
    }

    /// A server that refuses more when so many events wait.
    pub async fn with_backlog_max(backlog_max: u32, limits: Limits) -> Self {
        let data = tempfile::tempdir().expect("a directory for the test");
        Self::open(data, false, Arc::new(bootstrap::SystemClock), limits, backlog_max).await
    }

    /// A server on a data directory that is there already.
    pub async fn on(data: tempfile::TempDir, demo: bool, clock: Arc<dyn Clock>) -> Self {
        Self::open(data, demo, clock, Limits::default(), BACKLOG_MAX).await
    }

    async fn open(
        data: tempfile::TempDir,
        demo: bool,
        clock: Arc<dyn Clock>,
        limits: Limits,
        backlog_max: u32,
    ) -> Self {
        let lines: Arc<Mutex<Vec<TerminalLine>>> = Arc::default();
        let sink = lines.clone();
        let options = ServeOptions {
            data: data.path().to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            demo,
            json: true,
            limits,
            backlog_max,
        };
        let terminal = Arc::new(move |line: &TerminalLine| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
        });
        let server = Server::start(&options, terminal, clock).await.expect("the server starts");
        let key = std::fs::read_to_string(&server.key_file).expect("the key file is there");
        Self {
            url: format!("http://{}", server.address),
            key: key.trim().to_owned(),
            server: Some(server),
            data: Some(data),
            lines,
            egress: Egress::new(&EgressConfig::default()).expect("a client"),
            failures_expected: false,
        }
    }

    /// The running server.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("the server runs")
    }

    /// What the terminal showed, oldest first.
    pub fn terminal(&self) -> Vec<TerminalLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the terminal showed to one contact.
    pub fn said_to(&self, contact: &str) -> Vec<String> {
        let lines = self.terminal().into_iter();
        lines.filter(|line| line.contact == contact).map(|line| line.text).collect()
    }

    /// Any request.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        let answer = self
            .egress
            .send(OutgoingRequest {
                method,
                url: format!("{}{path}", self.url),
                headers: headers.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
                sensitive_headers: Vec::new(),
                body: body.map(Bytes::from),
                timeout: PATIENCE,
                response_bytes_max: 16 * 1024 * 1024,
                allow_internal: HostAllowList::parse(["127.0.0.1"]).expect("an address"),
                follow_redirects: 0,
            })
            .await
            .expect("the server answers");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        Answer {
            status: answer.status,
            headers: answer.headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }

    /// A request of the API with the administrator's key.
    pub async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.request(method, path, &headers, body.map(|body| body.to_string().into_bytes())).await
    }

    /// A GET that must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.api(Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text);
        answer.body
    }

    /// A POST of the API.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.api(Method::POST, path, Some(body)).await
    }

    /// A POST to a webhook, unsigned.
    pub async fn webhook(&self, connection: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json")];
        let path = format!("/webhooks/{connection}");
        self.request(Method::POST, &path, &headers, Some(body.to_string().into_bytes())).await
    }

    /// A contact of the demo says something; waits until everything it set going is done.
    pub async fn say(&self, contact: &str, text: &str) {
        let body = json!({ "contact": { "id": contact }, "text": text });
        let answer = self.webhook("demo", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.settle().await;
    }

    /// Writes a draft and publishes it.
    pub async fn publish(&self, source: &str) {
        let parsed = flow::parse(source).unwrap_or_else(|problems| panic!("{problems:?}"));
        let path = format!("/v1/flows/{}", parsed.flow.id);
        let bearer = format!("Bearer {}", self.key);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/yaml")];
        let put = self.request(Method::PUT, &path, &headers, Some(source.into())).await;
        assert!(put.status < 300, "{}", put.text);
        let published = self.post(&format!("{path}/publish"), json!({})).await;
        assert_eq!(published.status, 201, "{}", published.text);
    }

    /// The only task of a contact.
    pub async fn task_of(&self, contact: &str) -> Value {
        let found = self.get(&format!("/v1/tasks?contact={contact}")).await;
        let items = found["items"].as_array().cloned().unwrap_or_default();
        assert_eq!(items.len(), 1, "{found}");
        items.into_iter().next().unwrap_or_default()
    }

    /// Waits until nothing is left to do but timers that are not due.
    pub async fn settle(&self) {
        self.until("everything is done", async || self.left_over().await == 0).await;
    }

    /// Waits until something holds; fails the test where it never does.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "never happened: {what}");
    }

    async fn left_over(&self) -> u64 {
        // Timers first: one that fires in between has published its event by then.
        let due = self.timers_due().await.len() as u64;
        let backlog = self.server().deliveries().backlog().await.expect("the backlog");
        let open = backlog.into_iter().filter(|(topic, _)| *topic != Topic::Timers);
        due + open.map(|(_, count)| count).sum::<u64>()
    }

    async fn timers_due(&self) -> Vec<Delivery> {
        let server = self.server();
        server.deliveries().due(server.app.now(), 1_000).await.expect("the timers")
    }

    /// The ids of all timers that are set, the earliest first.
    pub async fn timers(&self) -> Vec<String> {
        let end = chrono::DateTime::<chrono::Utc>::MAX_UTC;
        let set = self.server().deliveries().due(end, 1_000).await.expect("the timers");
        set.into_iter().map(|delivery| delivery.envelope.id).collect()
    }

    /// The test makes failures on purpose; they do not fail it.
    pub fn expect_failures(&mut self) {
        self.failures_expected = true;
    }

    /// Stops the server and gives back its data directory.
    pub async fn stop(mut self) -> tempfile::TempDir {
        let server = self.server.take().expect("the server runs");
        server.stop().await.expect("the server stops");
        self.data.take().expect("the data is there")
    }

    /// Ends the test: nothing may be left to do, no failure may be open, and everything stored
    /// must be as `chatflow verify` wants it.
    pub async fn finish(self) {
        self.settle().await;
        if !self.failures_expected {
            let store = self.server().app.store();
            let page = Page { limit: 10, cursor: None };
            let open = store.failures(Some(FailureState::Open), None, &page).await;
            let open = open.expect("the failures").items;
            assert!(open.is_empty(), "failures nobody expected: {open:?}");
        }
        let data = self.stop().await;
        let file = bootstrap::local::data_file(data.path());
        let report = bootstrap::local::verify(&file, &|_, _| {}).expect("it can be checked");
        assert!(report.findings.is_empty(), "what is stored is wrong: {:#?}", report.findings);
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let unfinished = self.server.is_some() && !std::thread::panicking();
        assert!(
            !unfinished,
            "call `finish().await` at the end of the test: it looks for left-over work"
        );
    }
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder beside the checkout, or nothing where it is absent; under `CI=true` that is an error.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = root().join("../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    #[expect(clippy::disallowed_methods, reason = "the switch of CI, for tests only")]
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "shared/{path} is absent, which is an error under CI=true");
    eprintln!("SKIPPED: shared/{path} is absent; this test needs it");
    None
}
