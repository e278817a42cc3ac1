//! Timers: a million that wait, some that come due one after the other, and many at once. Each is
//! one of a task of its own, set by the API; its task then sends a reply to the sink.

use std::time::Duration;

use anyhow::Context as _;
use bootstrap::SystemClock;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use http::Method;
use ports::Clock as _;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Bench;
use super::files::{Content, Made};
use super::rest::{Rest, at_rest};
use crate::server::{Kind, Server};

/// Timers that come due one after the other, and the time between two.
const SINGLE: u32 = 100;
const APART: Duration = Duration::from_millis(100);
/// How long it may take to set them.
const SETTING: TimeDelta = TimeDelta::seconds(10);
/// Requests that set timers at the same time.
const REQUESTS: usize = 64;
/// Time for each timer of many to be set: slow machines set a few hundred in a second.
const SET_EACH: TimeDelta = TimeDelta::milliseconds(4);

const NAP: &str = r#"
flow: nap
name: Nap
vars: {until: {type: datetime}}
start: sleep
steps:
  sleep: {type: wait, until: "{{ until }}", next: told}
  told: {type: say, text: "1", next: done}
  done: {type: end}
"#;

/// Timers that came due.
#[derive(Debug, Serialize)]
pub struct Timers {
    /// Timers that waited meanwhile.
    pub waiting: usize,
    /// Those that came due one after the other.
    pub single: u32,
    /// From due to the reply at the sink.
    pub single_p50_millis: f64,
    /// The longest of them.
    pub single_max_millis: f64,
    /// Those that were due at once.
    pub at_once: u32,
    /// From due until the last of their tasks had moved on.
    pub at_once_fired_seconds: f64,
    /// From due until the last reply was at the sink.
    pub at_once_replied_seconds: f64,
}

/// Measures.
///
/// # Errors
/// Where a timer does not fire within a minute.
pub(super) async fn measure(
    bench: &Bench<'_>,
    content: &Content,
    made: &mut Vec<Made>,
) -> anyhow::Result<((Rest, Rest), Timers)> {
    let empty = tempfile::tempdir()?;
    let server = Server::start(Kind::Chatflow, empty.path(), bench.sink).await?;
    server.prepare(bench.client, bench.sink).await?;
    let nothing = at_rest(bench, &server, 0).await?;
    server.stop().await?;
    let on = bench.server(content, made).await?;
    let waiting = at_rest(bench, &on.server, content.tasks).await?;
    let fired = fire(bench, &on.server, content.tasks).await?;
    on.stop().await?;
    Ok(((nothing, waiting), fired))
}

async fn fire(bench: &Bench<'_>, server: &Server, waiting: usize) -> anyhow::Result<Timers> {
    server.publish(bench.client, "nap", NAP).await?;
    eprintln!("{SINGLE} timers, one after the other…");
    let first = SystemClock.now() + SETTING;
    let apart = TimeDelta::from_std(APART)?;
    let dues = (0..SINGLE).map(|number| first + apart * i32::try_from(number).unwrap_or(i32::MAX));
    let late = lateness(bench, server, "single", dues.collect()).await?;
    server.settle(bench.client).await?;
    let at_once = bench.args.at_once;
    eprintln!("{at_once} timers at once…");
    let due = SystemClock.now() + SETTING + SET_EACH * i32::try_from(at_once)?;
    let many = vec![due; usize::try_from(at_once)?];
    let late_at_once = lateness(bench, server, "at-once", many).await?;
    server.settle(bench.client).await?;
    let fired = last_change(bench, server).await? - due;
    Ok(Timers {
        waiting,
        single: SINGLE,
        single_p50_millis: late.get(late.len() / 2).copied().unwrap_or_default(),
        single_max_millis: late.last().copied().unwrap_or_default(),
        at_once,
        at_once_fired_seconds: fired.as_seconds_f64(),
        at_once_replied_seconds: late_at_once.last().copied().unwrap_or_default() / 1_000.0,
    })
}

/// When the last of these tasks moved on.
async fn last_change(bench: &Bench<'_>, server: &Server) -> anyhow::Result<DateTime<Utc>> {
    let path = "/v1/tasks?flow=nap&status=completed&sort=updated_desc&limit=1";
    let found = server.api(bench.client, Method::GET, path, None).await?;
    let found: Value = serde_json::from_slice(&found)?;
    let at = found["items"][0]["updated_at"].as_str().context("a task that has ended")?;
    Ok(at.parse()?)
}

/// Sets timers and waits for all their replies; how late each was, in milliseconds, sorted.
async fn lateness(
    bench: &Bench<'_>,
    server: &Server,
    name: &str,
    dues: Vec<DateTime<Utc>>,
) -> anyhow::Result<Vec<f64>> {
    let earliest = dues.iter().min().copied().unwrap_or_default();
    let set = dues.into_iter().enumerate().map(async |(number, due)| {
        let contact = format!("{name}-{number}");
        let expected = bench.sink.replies.expect(&contact);
        let body = json!({
            "flow": "nap", "connection": "load", "contact": { "id": contact },
            "vars": { "until": due.to_rfc3339_opts(SecondsFormat::Micros, true) },
        });
        let body = ("application/json", body.to_string());
        server.api(bench.client, Method::POST, "/v1/tasks", Some(body)).await?;
        anyhow::Ok((expected, due))
    });
    let set: Vec<_> = futures::stream::iter(set).buffer_unordered(REQUESTS).try_collect().await?;
    let spare = earliest - SystemClock.now();
    anyhow::ensure!(spare > TimeDelta::zero(), "setting the timers took too long; set fewer");
    tokio::time::sleep(spare.to_std()?).await;
    let mut waiting = JoinSet::new();
    for (mut expected, due) in set {
        waiting.spawn(async move {
            expected.turn(1).await?;
            let late = SystemClock.now() - due;
            anyhow::Ok(late.as_seconds_f64() * 1_000.0)
        });
    }
    let mut late = Vec::new();
    while let Some(one) = waiting.join_next().await {
        late.push(one??);
    }
    anyhow::ensure!(late.iter().all(|late| *late >= 0.0), "a timer fired before it was due");
    late.sort_by(f64::total_cmp);
    Ok(late)
}
