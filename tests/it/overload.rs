//! More comes than can be handled: it is refused at once and says when to come again, what was
//! accepted is handled, and one connection leaves room for the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use it::{Answer, TestApp};
use runtime::Limits;
use serde_json::json;

use crate::partner::{Partner, Says};
use crate::replies::ECHO;
use crate::talk::{each, items};

const BACKLOG_MAX: u32 = 20;

/// A partner that hangs until it is told to answer, and a server with little room.
async fn hanging() -> (Partner, Arc<AtomicBool>, TestApp) {
    let answers = Arc::new(AtomicBool::new(false));
    let answering = answers.clone();
    let partner = Partner::answering(move |_, _| {
        if answering.load(Ordering::Relaxed) { Says::Status(200) } else { Says::Nothing }
    });
    let partner = partner.await;
    let limits = Limits {
        send_attempts_max: 1_000,
        send_backoff_first: Duration::from_millis(1),
        send_backoff_max: Duration::from_millis(20),
        send_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let app = TestApp::with_backlog_max(BACKLOG_MAX, limits).await;
    app.publish(ECHO).await;
    partner.connect(&app, json!({ "default_flow": "echo" })).await;
    (partner, answers, app)
}

async fn hear(app: &TestApp, connection: &str, contact: &str) -> Answer {
    let body = json!({ "id": contact, "contact": { "id": contact }, "text": "hi" });
    app.webhook(connection, body).await
}

fn refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let after = answer.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(after.is_some_and(|seconds| (1..=30).contains(&seconds)), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_connection_whose_replies_hang_is_refused_and_the_others_are_not() {
    let (partner, answers, app) = hanging().await;
    let mut accepted = 0;
    let last = loop {
        let answer = hear(&app, "erp", &format!("c{accepted}")).await;
        if answer.status != 200 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 1_000, "it is never refused");
        // What was accepted becomes a reply, which hangs.
        app.until("the reply hangs", async || partner.asked().len() >= accepted).await;
    };
    refused(&last, 429);
    assert!(last.text.contains("on this connection"), "{}", last.text);
    // Half of four times the backlog, give or take what was under way.
    assert!((35..=45).contains(&accepted), "{accepted}");
    // The API is under the same bounds, by the connection that it names.
    let start = |connection: &str| json!({ "flow": "echo", "contact": { "id": "api" }, "connection": connection });
    refused(&app.post("/v1/tasks", start("erp")).await, 429);
    assert_eq!(app.post("/v1/tasks", start("api")).await.status, 201);
    let connection =
        json!({ "id": "quiet", "unsigned_from_loopback": true, "default_flow": "echo" });
    let made = app.api(http::Method::PUT, "/v1/connections/quiet", Some(connection)).await;
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(hear(&app, "quiet", "ann").await.status, 200);
    app.until("the quiet one is answered", async || {
        let all = app.get("/v1/messages?connection=quiet&direction=out").await;
        each(&all, "/state") == ["sent"]
    })
    .await;

    // The address answers: everything accepted is answered, and more is accepted.
    answers.store(true, Ordering::Relaxed);
    app.settle().await;
    assert_eq!(hear(&app, "erp", "late").await.status, 200);
    app.settle().await;
    let all = app.get("/v1/messages?connection=erp&direction=out&limit=1000").await;
    assert_eq!(items(&all).len(), accepted + 1);
    assert!(each(&all, "/state").iter().all(|state| *state == "sent"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_refused_in_part_and_what_was_accepted_is_handled() {
    let (_partner, answers, app) = hanging().await;
    answers.store(true, Ordering::Relaxed);
    let (mut accepted, mut turned_away, mut wave) = (0, 0, 0);
    while turned_away == 0 {
        assert!(wave < 100, "it is never refused");
        let people = (0..100).map(|person| format!("w{wave}-{person}"));
        let answers = join_all(people.map(|person| {
            let app = &app;
            async move { hear(app, "erp", &person).await }
        }));
        for answer in answers.await {
            match answer.status {
                200 => accepted += 1,
                status => {
                    refused(&answer, if status == 429 { 429 } else { 503 });
                    turned_away += 1;
                }
            }
        }
        wave += 1;
    }
    app.settle().await;
    let heard = app.get("/v1/messages?connection=erp&direction=in&limit=1000").await;
    let told = app.get("/v1/messages?connection=erp&direction=out&limit=1000").await;
    assert_eq!((items(&heard).len(), items(&told).len()), (accepted, accepted));
    let metrics = app.request(http::Method::GET, "/metrics", &[], None).await.text;
    let counted = format!("chatflow_requests_shed_total {turned_away}\n");
    assert!(metrics.contains(&counted), "{metrics}");
    app.finish().await;
}
