//! Server-Sent Events: so many people watch one task, then the list of all tasks, and each must see
//! what happens.

use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Bench;
use crate::server::Server;
use crate::talk::Latencies;

/// Updates that are watched.
const UPDATES: usize = 10;
/// How long an update may take until it is given up.
const SEEN_MAX: Duration = Duration::from_secs(60);
/// Between two updates: what the first one sets going is over.
const APART: Duration = Duration::from_millis(500);

/// Sights that wait to be counted.
const SIGHTS_MAX: usize = 10_000;

/// What watchers saw.
#[derive(Debug, Serialize)]
pub struct Watched {
    /// What they watched.
    pub what: &'static str,
    /// How many they were.
    pub watchers: usize,
    /// Updates, each seen by all of them.
    pub updates: usize,
    /// From the request that made the update until a watcher saw it.
    pub p50_millis: f64,
    /// The same.
    pub p99_millis: f64,
    /// The same, of the last watcher of the slowest update.
    pub max_millis: f64,
}

/// Measures.
///
/// # Errors
/// Where a stream cannot be opened, or an update is not seen within a minute.
pub(super) async fn measure(bench: &Bench<'_>, server: &Server) -> anyhow::Result<Vec<Watched>> {
    let path = "/v1/tasks?waiting_for=reply&limit=1";
    let found = server.api(bench.client, Method::GET, path, None).await?;
    let found: Value = serde_json::from_slice(&found)?;
    let task = &found["items"][0];
    let id = task["id"].as_str().context("a task that waits for a reply")?;
    let mut sequence = task["sequence"].as_u64().context("its transitions")?;
    let streams =
        [("one task", format!("/v1/tasks/{id}/stream")), ("all tasks", "/v1/stream".to_owned())];
    let mut watched = Vec::new();
    for (what, path) in streams {
        eprintln!("{} watchers of {what}…", bench.args.watchers);
        watched.push(watch(bench, server, (id, &mut sequence), what, &path).await?);
    }
    Ok(watched)
}

async fn watch(
    bench: &Bench<'_>,
    server: &Server,
    (task, sequence): (&str, &mut u64),
    what: &'static str,
    path: &str,
) -> anyhow::Result<Watched> {
    let (sight, mut sights) = mpsc::channel(SIGHTS_MAX);
    let watchers = usize::try_from(bench.args.watchers)?;
    let mut streams = JoinSet::new();
    for _ in 0..watchers {
        let body = bench.client.open(&server.at(path), server.bearer()?).await?;
        let seen = Seen { task: task.to_owned(), sequence: *sequence, sight: sight.clone() };
        streams.spawn(seen.read(body));
    }
    tokio::time::sleep(APART).await;
    let mut latencies = Latencies::default();
    for _ in 0..UPDATES {
        *sequence += 1;
        // The sink takes any number.
        let body = ("application/json", json!({ "text": sequence.to_string() }).to_string());
        let since = Instant::now();
        let path = format!("/v1/tasks/{task}/reply");
        server.api(bench.client, Method::POST, &path, Some(body)).await?;
        for _ in 0..watchers {
            let seen = tokio::time::timeout(SEEN_MAX, sights.recv()).await;
            let seen = seen.context("an update is not seen")?.context("the streams ended")?;
            anyhow::ensure!(seen == *sequence, "update {sequence} is not seen, but {seen}");
            latencies.add(since);
        }
        tokio::time::sleep(APART).await;
    }
    streams.shutdown().await;
    let latencies = latencies.sorted();
    Ok(Watched {
        what,
        watchers,
        updates: UPDATES,
        p50_millis: latencies.percentile(50),
        p99_millis: latencies.percentile(99),
        max_millis: latencies.percentile(100),
    })
}

/// A watcher: tells each new transition of its task once.
struct Seen {
    task: String,
    sequence: u64,
    sight: mpsc::Sender<u64>,
}

impl Seen {
    async fn read(mut self, mut body: Incoming) {
        let mut rest = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = rest.drain(..end + 2).collect();
                let event = String::from_utf8_lossy(&event);
                let new = sequence(&event).filter(|new| *new > self.sequence);
                if let Some(new) = new.filter(|_| event.contains(&self.task)) {
                    self.sequence = new;
                    if self.sight.send(new).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// The sequence number that an event tells of a task.
fn sequence(event: &str) -> Option<u64> {
    let (_, rest) = event.split_once("\"sequence\":")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_sequence_is_read() {
        let event = "event: task\ndata: {\"id\":\"task_1\",\"sequence\":12,\"x\":3}\n\n";
        assert_eq!(sequence(event), Some(12));
        assert_eq!(sequence("event: message\ndata: {}\n\n"), None);
    }
}
