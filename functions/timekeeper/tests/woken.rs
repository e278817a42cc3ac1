//! Alarms and sweeps over HTTP, on the local backend.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use bootstrap::{Local, SystemClock};
use chrono::TimeDelta;
use ports::{Envelope, Page, Topic};
use runtime::Limits;
use serde_json::json;
use tower::ServiceExt;

struct Tested {
    local: Local,
    router: Router,
    _data: tempfile::TempDir,
}

impl Tested {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let local = Local::open(data.path(), clock, Limits::default(), Arc::new(|_| {})).unwrap();
        let router = timekeeper::router(local.app.clone());
        Self { local, router, _data: data }
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> StatusCode {
        let request = Request::post(path).body(body.into()).unwrap();
        self.router.clone().oneshot(request).await.unwrap().status()
    }

    /// Sets a task's timer, due so many seconds from now.
    async fn set(&self, id: &str, seconds: i64) {
        let body = json!({
            "timer": "task", "task": "task_1", "name": "due", "entered": 1,
            "thread": {
                "id": "conv_1", "connection": "demo", "key": "mei", "contact": { "id": "mei" },
            },
        });
        let timer = Envelope {
            id: id.into(),
            topic: Topic::Timers,
            key: "conv_1".into(),
            due: Some(self.local.app.now() + TimeDelta::seconds(seconds)),
            body: body.to_string(),
        };
        self.local.app.bus().publish(&[timer]).await.unwrap();
    }

    /// The envelopes for the controller, by id.
    async fn published(&self) -> Vec<String> {
        let found = self.local.deliveries.after(0, 100).await.unwrap();
        let events = found.into_iter().filter(|one| one.envelope.topic == Topic::Events);
        events.map(|one| one.envelope.id).collect()
    }

    async fn failures(&self) -> Vec<String> {
        let page = Page { limit: 100, cursor: None };
        let found = self.local.app.store().failures(None, None, &page).await.unwrap();
        found.items.into_iter().map(|failure| failure.reason).collect()
    }
}

#[tokio::test]
async fn an_alarm_rings_for_a_timer_that_is_due() {
    let tested = Tested::new();
    tested.set("due", -1).await;
    tested.set("early", 3_600).await;
    for timer in ["due", "early", "withdrawn", "due"] {
        let body = json!({ "timer": timer }).to_string();
        assert_eq!(tested.post("/alarms", body).await, StatusCode::NO_CONTENT, "{timer}");
    }
    // A clock that is a little ahead: the queue rings once more.
    tested.set("nearly", 5).await;
    let body = json!({ "timer": "nearly" }).to_string();
    assert_eq!(tested.post("/alarms", body).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(tested.published().await, [engine::EventId::of("timer", "due").0]);
    assert!(tested.local.app.timers().timer("due").await.unwrap().is_none());
    assert!(tested.local.app.timers().timer("early").await.unwrap().is_some());
    assert!(tested.failures().await.is_empty());
}

#[tokio::test]
async fn a_sweep_answers_and_may_run_twice_at_once() {
    let tested = Tested::new();
    tested.set("lost", -60).await;
    let (first, second) = tokio::join!(tested.post("/sweep", ""), tested.post("/sweep", "{}"));
    assert_eq!((first, second), (StatusCode::NO_CONTENT, StatusCode::NO_CONTENT));
    assert_eq!(tested.published().await, [engine::EventId::of("timer", "lost").0]);
    assert!(tested.local.app.timers().timer("lost").await.unwrap().is_none());
}

#[tokio::test]
async fn alarms_that_are_none_are_kept_and_acknowledged() {
    let tested = Tested::new();
    for body in ["", "{}", "{\"timer\": 5}"] {
        assert_eq!(tested.post("/alarms", body).await, StatusCode::NO_CONTENT, "{body}");
    }
    assert_eq!(tested.post("/alarms", "x".repeat(20_000)).await, StatusCode::NO_CONTENT);
    let failures = tested.failures().await;
    assert!(failures.iter().any(|reason| reason.contains("an alarm is JSON")), "{failures:?}");
    assert!(failures.iter().any(|reason| reason.contains("at most")), "{failures:?}");
}
