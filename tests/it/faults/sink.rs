//! An address for replies that misbehaves: it hangs, answers 500, resets the connection before or
//! after it read the request, goes away in the middle of its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use it::TestApp;
use runtime::Limits;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::dice;
use crate::bench::Dice;
use crate::replies::ECHO;
use crate::talk::{each, id, items, put};

/// What the address does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Answers,
    Says500,
    Hangs,
    ResetsAtOnce,
    ResetsAfterReading,
    ClosesInItsAnswer,
}

const TROUBLE: [Does; 5] = [
    Does::Says500,
    Does::Hangs,
    Does::ResetsAtOnce,
    Does::ResetsAfterReading,
    Does::ClosesInItsAnswer,
];

/// What came: the `webhook-id` of each request that was read, and what was done with it.
type Came = Arc<Mutex<Vec<(String, Does)>>>;

struct Sink {
    host: String,
    came: Came,
    does: Arc<Mutex<Box<dyn FnMut() -> Does + Send>>>,
    recovered: watch::Sender<bool>,
}

impl Sink {
    async fn new(does: impl FnMut() -> Does + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let came = Came::default();
        let does: Arc<Mutex<Box<dyn FnMut() -> Does + Send>>> =
            Arc::new(Mutex::new(Box::new(does)));
        let (all, decide) = (came.clone(), does.clone());
        let (recovered, recovers) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let what = decide.lock().unwrap_or_else(PoisonError::into_inner)();
                tokio::spawn(meet(stream, what, all.clone(), recovers.clone()));
            }
        });
        Self { host, came, does, recovered }
    }

    /// It answers from now on; connections that hang are closed.
    fn recovers(&self) {
        *self.does.lock().unwrap() = Box::new(|| Does::Answers);
        self.recovered.send_replace(true);
    }

    fn came(&self) -> Vec<(String, Does)> {
        self.came.lock().unwrap().clone()
    }

    async fn connect(&self, app: &TestApp) {
        let connection = json!({
            "id": "erp", "unsigned_from_loopback": true, "allowed_hosts": [self.host],
            "reply": { "to": "url", "url": format!("http://{}/", self.host) },
            "default_flow": "echo",
        });
        assert_eq!(put(app, "/v1/connections/erp", connection).await.status, 200);
    }
}

/// One connection, for one request.
async fn meet(mut stream: TcpStream, does: Does, came: Came, mut recovers: watch::Receiver<bool>) {
    if does == Does::ResetsAtOnce {
        let _ = stream.set_zero_linger();
        return;
    }
    let Some(webhook_id) = read(&mut stream).await else { return };
    came.lock().unwrap().push((webhook_id, does));
    match does {
        Does::Answers => {
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Does::Says500 => {
            let answer = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Does::ClosesInItsAnswer => {
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\nhalf of";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        Does::Hangs => {
            // Until the other side goes, or this one comes back.
            let mut more = [0; 16];
            tokio::select! {
                _ = stream.read(&mut more) => {}
                _ = recovers.wait_for(|recovered| *recovered) => {}
            }
        }
        Does::ResetsAtOnce | Does::ResetsAfterReading => {
            let _ = stream.set_zero_linger();
        }
    }
}

/// Reads a request to its end; its `webhook-id`.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut got = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&got).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                let line = head.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim_start_matches(':').trim().to_owned())
            };
            if body.len() >= header("content-length")?.parse().ok()? {
                return header("webhook-id");
            }
        }
        let mut more = [0; 4_096];
        let count = stream.read(&mut more).await.ok().filter(|count| *count > 0)?;
        got.extend_from_slice(more.get(..count)?);
    }
}

async fn echoing(sink: &Sink, attempts: u32) -> TestApp {
    echoing_within(sink, attempts, Duration::from_millis(200)).await
}

async fn echoing_within(sink: &Sink, attempts: u32, send_timeout: Duration) -> TestApp {
    let limits = Limits {
        send_attempts_max: attempts,
        send_backoff_first: Duration::from_millis(1),
        send_backoff_max: Duration::from_millis(20),
        send_timeout,
        ..Limits::default()
    };
    let app = TestApp::with_limits(limits).await;
    app.publish(ECHO).await;
    sink.connect(&app).await;
    app
}

async fn hear(app: &TestApp, contact: &str, number: usize) {
    let body = json!({
        "id": format!("{contact}/{number}"), "contact": { "id": contact },
        "text": format!("m{number}"),
    });
    assert_eq!(app.webhook("erp", body).await.status, 200);
}

async fn replies(app: &TestApp) -> Value {
    app.get("/v1/messages?connection=erp&direction=out&order=oldest&limit=1000").await
}

#[tokio::test]
async fn whatever_the_address_does_every_reply_arrives_once_it_recovers() {
    const PEOPLE: usize = 6;
    const MESSAGES: usize = 5;
    let mut dice: Dice = dice();
    let sink = Sink::new(move || match dice.below(10) {
        0..3 => Does::Answers,
        other => TROUBLE[other % TROUBLE.len()],
    });
    let sink = sink.await;
    let app = echoing(&sink, 1_000).await;
    let speak = async |person: usize| {
        for number in 0..MESSAGES {
            hear(&app, &format!("c{person}"), number).await;
        }
    };
    futures::future::join_all((0..PEOPLE).map(speak)).await;
    // Every kind of trouble has been met; then it recovers, and nobody does anything.
    app.until("all trouble", async || {
        let met: BTreeSet<_> = sink.came().iter().map(|(_, does)| format!("{does:?}")).collect();
        met.len() == TROUBLE.len()
    })
    .await;
    sink.recovers();
    app.settle().await;

    let all = replies(&app).await;
    let ids: BTreeSet<&str> = items(&all).iter().map(id).collect();
    assert_eq!(ids.len(), PEOPLE * MESSAGES);
    assert!(each(&all, "/state").iter().all(|state| *state == "sent"), "{all}");
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut before: BTreeMap<String, Vec<Does>> = BTreeMap::new();
    for (webhook_id, does) in sink.came() {
        assert!(!taken.contains_key(&webhook_id), "{webhook_id} came again after its 200");
        if does == Does::Answers {
            *taken.entry(webhook_id).or_default() += 1;
        } else {
            before.entry(webhook_id).or_default().push(does);
        }
    }
    let came: BTreeSet<&str> = taken.keys().map(String::as_str).collect();
    assert_eq!(came, ids, "each was taken, and no other");
    assert!(!before.is_empty(), "some came more than once");
    app.finish().await;
}

#[tokio::test]
async fn a_reply_that_may_have_arrived_is_unknown_and_any_other_failed() {
    for (does, state) in [
        (Does::Says500, "failed"),
        (Does::Hangs, "unknown"),
        (Does::ResetsAtOnce, "unknown"),
        (Does::ResetsAfterReading, "unknown"),
        (Does::ClosesInItsAnswer, "unknown"),
    ] {
        let sink = Sink::new(move || does).await;
        let app = echoing(&sink, 3).await;
        hear(&app, "ann", 0).await;
        app.settle().await;
        let all = replies(&app).await;
        assert_eq!(each(&all, "/state"), [state], "{does:?}");
        let kept = app.get("/v1/failures?state=open").await;
        assert_eq!(each(&kept, "/kind"), ["reply"], "{does:?}");

        // It recovers, somebody retries, and it arrives: under the same id where it may be there.
        sink.recovers();
        let retry = format!("/v1/failures/{}/retry", id(&items(&kept)[0]));
        assert_eq!(app.post(&retry, json!({})).await.status, 200);
        app.settle().await;
        let again = replies(&app).await;
        assert_eq!(each(&again, "/state").last(), Some(&"sent"), "{does:?}");
        let taken: Vec<String> =
            sink.came().into_iter().filter(|came| came.1 == Does::Answers).map(|it| it.0).collect();
        assert_eq!(taken.len(), 1, "{does:?}");
        assert_eq!(taken[0] == id(&items(&all)[0]), state == "unknown", "{does:?}");
        app.finish().await;
    }
}

#[tokio::test]
async fn an_address_that_hangs_holds_up_nobody_else() {
    let (sink, other) = (Sink::new(|| Does::Hangs).await, Sink::new(|| Does::Answers).await);
    // For longer than the test waits: nobody gets a place because somebody else's time is up.
    let app = echoing_within(&sink, 1_000, Duration::from_secs(110)).await;
    let connection = json!({
        "id": "other", "unsigned_from_loopback": true, "allowed_hosts": [other.host],
        "reply": { "to": "url", "url": format!("http://{}/", other.host) },
        "default_flow": "echo",
    });
    assert_eq!(put(&app, "/v1/connections/other", connection).await.status, 200);
    // More replies hang than are sent at the same time.
    let speak = async |person: usize| hear(&app, &format!("c{person}"), 0).await;
    for chunk in 0..14 {
        futures::future::join_all((0..50).map(|person| speak(chunk * 50 + person))).await;
    }
    for person in 0..20 {
        let contact = json!({ "id": format!("o{person}") });
        let body = json!({ "id": person.to_string(), "contact": contact, "text": "m0" });
        assert_eq!(app.webhook("other", body).await.status, 200);
    }
    app.until("the other's replies", async || other.came().len() == 20).await;
    let open = sink.came().into_iter().filter(|came| came.1 == Does::Answers).count();
    assert_eq!(open, 0, "the first address hangs still");
    sink.recovers();
    app.finish().await;
    let taken: BTreeSet<String> =
        sink.came().into_iter().filter(|came| came.1 == Does::Answers).map(|it| it.0).collect();
    assert_eq!(taken.len(), 700);
}
