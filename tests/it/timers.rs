//! Timers on a clock that the test moves: waits, reminders, timeouts, expiry, schedules.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use it::TestApp;
use serde_json::{Value, json};
use test_support::VirtualClock;

use crate::partner::{Partner, Says};
use crate::talk::{each, id, items, said, start, task, tell};

/// A server whose time is the test's.
struct Timed {
    app: TestApp,
    clock: Arc<VirtualClock>,
}

impl Timed {
    async fn new(flows: &[&str]) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let app = TestApp::start(false, clock.clone()).await;
        for flow in flows {
            app.publish(flow).await;
        }
        Self { app, clock }
    }

    /// Lets time pass; waits until everything that came due is done.
    async fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
        self.app.settle().await;
    }

    async fn to(&self, time: &str) {
        self.clock.set(time.parse().expect("a time"));
        self.app.settle().await;
    }

    /// The kinds of the timers that are set, earliest first.
    async fn set(&self) -> Vec<String> {
        let ids = self.app.timers().await.into_iter();
        ids.map(|id| id.split('/').nth(2).unwrap_or_default().to_owned()).collect()
    }

    async fn status(&self, of: &Value) -> (String, String) {
        let task = task(&self.app, id(of)).await;
        let text = |field: &str| task[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("outcome"))
    }
}

fn pair(status: &str, outcome: &str) -> (String, String) {
    (status.to_owned(), outcome.to_owned())
}

const SECOND: TimeDelta = TimeDelta::seconds(1);

#[tokio::test]
async fn a_wait_ends_at_its_time_and_not_before() {
    let flow = r#"
flow: rest
zone: Asia/Taipei
vars: {day: {type: date, default: "2026-12-01"}}
start: pause
steps:
  pause: {type: wait, for: "{{ 2 }}h", next: told}
  told: {type: say, text: rested, next: until}
  until: {type: wait, until: "{{ day }}", next: woke}
  woke: {type: say, text: "it is {{ today() }}", next: done}
  done: {type: end}
"#;
    let timed = Timed::new(&[flow]).await;
    let begun = start(&timed.app, "rest", "ann", json!({})).await;
    assert_eq!(timed.set().await, ["due"]);
    timed.pass(TimeDelta::hours(2) - SECOND).await;
    assert_eq!(said(&timed.app, id(&begun)).await, [""; 0]);
    timed.pass(SECOND * 2).await;
    assert_eq!(said(&timed.app, id(&begun)).await, ["rested"]);
    // A date begins at midnight in the flow's zone.
    timed.to("2026-11-30T15:59:59Z").await;
    assert_eq!(timed.status(&begun).await.0, "waiting");
    timed.to("2026-11-30T16:00:00Z").await;
    assert_eq!(said(&timed.app, id(&begun)).await, ["rested", "it is 2026-12-01"]);
    assert_eq!(timed.status(&begun).await, pair("completed", "completed"));
    assert_eq!(timed.set().await, [""; 0]);
    timed.app.finish().await;
}

const NAG: &str = r#"
flow: nag
vars: {name: {type: string}}
timeout: {after: 7d, outcome: forgotten}
start: ask_name
steps:
  ask_name:
    type: ask
    text: Name?
    into: name
    remind: {after: 1h, text: "Name, please", times: 3}
    timeout: {after: 6h, next: gone}
    next: bye
  bye: {type: wait, for: 5d, next: done}
  gone: {type: end, outcome: gone}
  done: {type: end, outcome: named}
"#;

#[tokio::test]
async fn reminders_come_as_often_as_the_step_says_and_then_it_times_out() {
    let timed = Timed::new(&[NAG]).await;
    let begun = start(&timed.app, "nag", "ann", json!({})).await;
    assert_eq!(timed.set().await, ["remind", "timeout", "expiry"]);
    for count in 1..=3 {
        timed.pass(TimeDelta::hours(1) + SECOND).await;
        assert_eq!(said(&timed.app, id(&begun)).await.len(), 1 + count);
    }
    assert_eq!(timed.set().await, ["timeout", "expiry"]);
    timed.pass(TimeDelta::hours(2)).await;
    assert_eq!(said(&timed.app, id(&begun)).await.len(), 4, "no fourth reminder");
    timed.pass(TimeDelta::hours(1)).await;
    assert_eq!(timed.status(&begun).await, pair("completed", "gone"));
    assert_eq!(timed.set().await, [""; 0]);
    timed.app.finish().await;
}

#[tokio::test]
async fn what_a_task_does_not_wait_for_any_more_is_withdrawn() {
    let timed = Timed::new(&[NAG]).await;
    for reminders in 0..=3 {
        let begun = start(&timed.app, "nag", &format!("u{reminders}"), json!({})).await;
        for _ in 0..reminders {
            timed.pass(TimeDelta::hours(1) + SECOND).await;
        }
        tell(&timed.app, id(&begun), "Ann").await;
        assert_eq!(timed.set().await, ["due", "expiry"], "after {reminders} reminders");
        let cancel = format!("/v1/tasks/{}/cancel", id(&begun));
        assert_eq!(timed.app.post(&cancel, json!({})).await.status, 200);
        assert_eq!(timed.set().await, [""; 0], "after {reminders} reminders");
        assert_eq!(said(&timed.app, id(&begun)).await.len(), 1 + reminders);
    }
    timed.app.finish().await;
}

#[tokio::test]
async fn a_task_that_takes_too_long_expires() {
    let timed = Timed::new(&[NAG]).await;
    let begun = start(&timed.app, "nag", "ann", json!({})).await;
    timed.pass(TimeDelta::hours(5)).await;
    tell(&timed.app, id(&begun), "Ann").await;
    timed.pass(TimeDelta::days(2)).await;
    assert_eq!(timed.status(&begun).await.0, "waiting");
    timed.pass(TimeDelta::days(5)).await;
    // The wait of five days had ended by then; another one does not end in time.
    assert_eq!(timed.status(&begun).await, pair("completed", "named"));
    let source = NAG.replace("for: 5d", "for: 8d");
    timed.app.publish(&source).await;
    let begun = start(&timed.app, "nag", "bob", json!({})).await;
    tell(&timed.app, id(&begun), "Bob").await;
    timed.pass(TimeDelta::days(7) - SECOND).await;
    assert_eq!(timed.status(&begun).await.0, "waiting");
    timed.pass(SECOND * 2).await;
    assert_eq!(timed.status(&begun).await, pair("expired", "forgotten"));
    assert_eq!(timed.set().await, [""; 0]);
    timed.app.finish().await;
}

#[tokio::test]
async fn a_move_to_another_version_brings_its_own_expiry() {
    let timed = Timed::new(&[NAG]).await;
    let begun = start(&timed.app, "nag", "ann", json!({})).await;
    let source = NAG.replace("after: 7d", "after: 20d").replace("for: 5d", "for: 15d");
    timed.app.publish(&source).await;
    let migrate = format!("/v1/tasks/{}/migrate", id(&begun));
    let moved = timed.app.post(&migrate, json!({ "version": 2 })).await;
    assert_eq!(moved.body["version"], 2, "{}", moved.text);
    tell(&timed.app, id(&begun), "Ann").await;
    assert_eq!(timed.set().await, ["due", "expiry"]);
    timed.pass(TimeDelta::days(14)).await;
    assert_eq!(timed.status(&begun).await.0, "waiting", "the old version's clock is withdrawn");
    timed.pass(TimeDelta::days(2)).await;
    assert_eq!(timed.status(&begun).await, pair("completed", "named"));
    timed.app.finish().await;
}

#[tokio::test]
async fn a_retried_task_gets_its_whole_time_again() {
    let flow = r#"
flow: twice
vars: {name: {type: string}}
timeout: {after: 10h, outcome: late}
start: look
steps:
  look:
    type: call
    connection: erp
    request: {url: "http://HOST/"}
    retry: {times: 0}
    next: ask_name
  ask_name: {type: ask, text: "Name?", into: name, next: done}
  done: {type: end}
"#;
    let elsewhere = Says::Redirect("http://127.0.0.1:1/".into());
    let partner = Partner::saying(&[elsewhere.clone(), elsewhere, Says::Status(200)]).await;
    let mut timed = Timed::new(&[]).await;
    timed.app.expect_failures();
    partner.connect(&timed.app, json!({ "reply": { "to": "none" } })).await;
    timed.app.publish(&flow.replace("HOST", &partner.host)).await;
    let begun = start(&timed.app, "twice", "ann", json!({})).await;
    for _ in 0..2 {
        assert_eq!(timed.status(&begun).await.0, "failed");
        timed.pass(TimeDelta::hours(6)).await;
        let retry = format!("/v1/tasks/{}/retry", id(&begun));
        assert_eq!(timed.app.post(&retry, json!({})).await.status, 200);
        timed.app.settle().await;
    }
    assert_eq!(timed.set().await, ["expiry"], "those of the attempts before are withdrawn");
    timed.pass(TimeDelta::hours(10) - SECOND).await;
    assert_eq!(timed.status(&begun).await.0, "waiting");
    timed.pass(SECOND * 2).await;
    assert_eq!(timed.status(&begun).await, pair("expired", "late"));
    timed.app.finish().await;
}

const DAILY: &str = r#"
flow: daily
triggers: [{on: schedule, cron: "0 9 * * *", zone: Asia/Taipei, contact: boss}]
start: tell
steps:
  tell: {type: say, text: "uno", next: done}
  done: {type: end}
"#;

/// The times at which tasks of the schedule began, oldest first.
async fn begun(timed: &Timed) -> Vec<DateTime<Utc>> {
    let tasks = timed.app.get("/v1/tasks?flow=daily&sort=created_asc&limit=200").await;
    items(&tasks).iter().map(|task| task["created_at"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn a_schedule_starts_one_task_each_time() {
    let timed = Timed::new(&[DAILY]).await;
    assert_eq!(timed.app.timers().await, ["schedule/daily/1/0/1795395600"]);
    timed.to("2026-11-23T00:59:59Z").await;
    assert_eq!(begun(&timed).await.len(), 0);
    for day in 23..=26 {
        timed.to(&format!("2026-11-{day}T01:00:00Z")).await;
        timed.to(&format!("2026-11-{day}T01:00:30Z")).await;
        assert_eq!(begun(&timed).await.len(), day - 22);
        assert_eq!(timed.app.timers().await.len(), 1, "the next one is set");
    }
    let tasks = timed.app.get("/v1/tasks?flow=daily").await;
    assert_eq!(each(&tasks, "/contact/id"), ["boss"; 4]);
    assert_eq!(each(&tasks, "/connection"), ["api"; 4]);
    timed.app.finish().await;
}

#[tokio::test]
async fn a_new_version_or_a_rollback_does_not_fire_twice() {
    let timed = Timed::new(&[DAILY]).await;
    timed.app.publish(&DAILY.replace("uno", "dos")).await;
    timed.to("2026-11-23T01:00:00Z").await;
    assert_eq!(begun(&timed).await.len(), 1);
    let back = timed.app.post("/v1/flows/daily/rollback", json!({ "version": 1 })).await;
    assert_eq!(back.status, 201, "{}", back.text);
    timed.to("2026-11-24T01:00:00Z").await;
    assert_eq!(begun(&timed).await.len(), 2);
    // Published again in the very second, it does not start a second task for it.
    timed.clock.set("2026-11-25T00:59:59.5Z".parse().unwrap());
    timed.app.publish(DAILY).await;
    timed.to("2026-11-25T01:00:00Z").await;
    assert_eq!(begun(&timed).await.len(), 3);
    let messages = timed.app.get("/v1/messages?contact=boss").await;
    assert_eq!(each(&messages, "/content/text"), ["dos", "uno", "uno"]);
    // Without its schedule the flow starts no more.
    let line = DAILY.lines().find(|line| line.starts_with("triggers")).unwrap();
    timed.app.publish(&DAILY.replace(line, "")).await;
    timed.to("2026-11-28T01:00:00Z").await;
    assert_eq!(begun(&timed).await.len(), 3);
    assert_eq!(timed.app.timers().await, [""; 0]);
    timed.app.finish().await;
}

#[tokio::test]
async fn times_that_were_missed_are_made_up_for_once() {
    let timed = Timed::new(&[DAILY]).await;
    let Timed { app, clock } = timed;
    let data = app.stop().await;
    clock.set("2026-11-29T12:00:00Z".parse().unwrap());
    let app = TestApp::on(data, false, clock.clone()).await;
    app.settle().await;
    let timed = Timed { app, clock };
    assert_eq!(begun(&timed).await.len(), 1);
    timed.to("2026-11-30T01:00:00Z").await;
    assert_eq!(begun(&timed).await.len(), 2);
    timed.app.finish().await;
}

#[tokio::test]
async fn timers_outlive_the_server() {
    let timed = Timed::new(&[NAG]).await;
    let begun = start(&timed.app, "nag", "ann", json!({})).await;
    let Timed { app, clock } = timed;
    let data = app.stop().await;
    clock.advance(TimeDelta::hours(1) + SECOND);
    let app = TestApp::on(data, false, clock.clone()).await;
    app.settle().await;
    assert_eq!(said(&app, id(&begun)).await, ["Name?", "Name, please"]);
    let timed = Timed { app, clock };
    timed.pass(TimeDelta::hours(1) + SECOND).await;
    assert_eq!(said(&timed.app, id(&begun)).await.len(), 3);
    timed.app.finish().await;
}

fn times(list: &Value, pointer: &str) -> Vec<DateTime<Utc>> {
    each(list, pointer).into_iter().map(|time| time.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_clock_that_goes_backwards_turns_nothing_around() {
    let timed = Timed::new(&[NAG, DAILY]).await;
    let begun_at = start(&timed.app, "nag", "ann", json!({})).await;
    timed.to("2026-11-23T01:00:10Z").await;
    assert_eq!(begun(&timed).await.len(), 1);
    // Back to the day before: what was done is not done again, what was set stays set.
    timed.to("2026-11-22T09:30:00Z").await;
    let again = start(&timed.app, "nag", "bob", json!({})).await;
    let other = start(&timed.app, "nag", "ann", json!({})).await;
    tell(&timed.app, id(&again), "Bob").await;
    assert_eq!(timed.status(&begun_at).await, pair("completed", "gone"));
    let history = timed.app.get(&format!("/v1/tasks/{}/history", id(&begun_at))).await;
    assert!(times(&history, "/at").is_sorted(), "{history}");
    timed.to("2026-11-23T01:00:20Z").await;
    assert_eq!(begun(&timed).await.len(), 1, "that time has been");
    // The conversation that had seen a later time keeps its order.
    let all = timed.app.get("/v1/messages?contact=ann&order=oldest").await;
    assert!(times(&all, "/created_at").is_sorted(), "{all}");
    timed.to("2026-11-24T01:00:00Z").await;
    assert_eq!(begun(&timed).await.len(), 2);
    assert_eq!(timed.status(&other).await, pair("completed", "gone"));
    let ends = format!("/v1/tasks/{}/cancel", id(&again));
    assert_eq!(timed.app.post(&ends, json!({})).await.status, 200);
    timed.app.finish().await;
}
