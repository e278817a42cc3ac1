//! Servers that start, and servers that rest.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::Bench;
use super::files::{Content, Made, copied};
use crate::server::{Kind, Server};

/// Starts that are measured.
const STARTS: usize = 9;
/// How long a server may come to rest before its processor time is looked at, and how long that
/// is looked at then.
const REST: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_secs(10);

/// Cold starts.
#[derive(Debug, Serialize)]
pub struct Cold {
    /// Tasks in the file.
    pub tasks: usize,
    /// From before the process began until the first reply: the median.
    pub first_reply_median_millis: f64,
    /// The longest.
    pub first_reply_max_millis: f64,
}

/// A server that rests.
#[derive(Debug, Serialize)]
pub struct Rest {
    /// Timers that wait in it.
    pub timers: usize,
    /// Processor time it took in ten seconds.
    pub cpu_millis_per_10_seconds: f64,
    /// Memory that was resident.
    pub resident_bytes: u64,
}

/// Measures starts.
///
/// # Errors
/// Where a server does not start or answer.
pub(super) async fn starts(
    bench: &Bench<'_>,
    content: &Content,
    made: &mut Vec<Made>,
) -> anyhow::Result<Cold> {
    let place = bench.file(content, made).await?;
    let copy = copied(&bench.args.files, &place)?;
    let server = Server::start(Kind::Chatflow, copy.path(), bench.sink).await?;
    server.prepare(bench.client, bench.sink).await?;
    server.stop().await?;
    let mut millis = Vec::new();
    for start in 0..STARTS {
        eprintln!("start {} of {STARTS} with {} tasks…", start + 1, content.tasks);
        let server = Server::start(Kind::Chatflow, copy.path(), bench.sink).await?;
        let contact = format!("scale-start-{start}");
        let mut expected = bench.sink.replies.expect(&contact);
        let message = json!({ "id": contact, "contact": { "id": contact }, "text": "start" });
        bench.client.post(&server.webhook(), &message).await?;
        expected.turn(1).await?;
        millis.push(server.began.elapsed().as_secs_f64() * 1_000.0);
        server.settle(bench.client).await?;
        server.stop().await?;
    }
    millis.sort_by(f64::total_cmp);
    Ok(Cold {
        tasks: content.tasks,
        first_reply_median_millis: millis.get(STARTS / 2).copied().unwrap_or_default(),
        first_reply_max_millis: millis.last().copied().unwrap_or_default(),
    })
}

/// Measures a server that has nothing to do but wait.
///
/// # Errors
/// Where it has ended.
pub(super) async fn at_rest(
    bench: &Bench<'_>,
    server: &Server,
    timers: usize,
) -> anyhow::Result<Rest> {
    eprintln!("rest with {timers} timers…");
    server.settle(bench.client).await?;
    tokio::time::sleep(REST).await;
    let before = server.usage()?;
    tokio::time::sleep(LOOK).await;
    let after = server.usage()?;
    Ok(Rest {
        timers,
        cpu_millis_per_10_seconds: after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1_000.0,
        resident_bytes: after.resident_bytes,
    })
}
