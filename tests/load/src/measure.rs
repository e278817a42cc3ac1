//! The order of what is measured: for each number of people first the floor, then the local
//! server, each as a fresh process on an empty directory.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use crate::client::Client;
use crate::machine::Machine;
use crate::process::Usage;
use crate::server::{Kind, Server};
use crate::sink::Sink;
use crate::talk::{TURNS, Talk, Talked, talk};

/// Conversations before anything is measured, of each of the people.
const WARM: u32 = 2;
/// Most conversations of one of the people: where there are few of them, the turns are fewer.
const CONVERSATIONS_MAX: u32 = 400;
/// How long a server may come to rest before its idle memory is looked at.
const REST: Duration = Duration::from_secs(2);

/// How fast the local server is, beside the least that does the same work.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// People who talk at the same time, each measured on its own.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256],
          value_parser = clap::value_parser!(u32).range(1..=900))]
    pub users: Vec<u32>,
    /// Turns of all of them together, for each number of people.
    #[arg(long, default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(5..=10_000_000))]
    pub turns: u32,
    /// Starts of each server.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub starts: u32,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// `debug` or `release`: of this program, and so of those beside it.
    pub build: &'static str,
    /// Where.
    pub machine: Machine,
    /// Both servers at each number of people.
    pub points: Vec<Point>,
    /// Both servers at half of the turns per second that they reached with the most people.
    pub halves: Vec<Half>,
    /// Both servers at rest.
    pub starts: Vec<Start>,
}

/// A server with so many people.
#[derive(Debug, Serialize)]
pub struct Point {
    /// Which.
    pub server: Kind,
    /// People who talked at the same time.
    pub users: u32,
    /// Turns that were measured.
    pub turns: u32,
    /// From the first message to the last reply.
    pub turns_per_second: f64,
    /// From the message to its reply.
    pub p50_millis: f64,
    /// The same.
    pub p95_millis: f64,
    /// The same.
    pub p99_millis: f64,
    /// Processor time of the server for a thousand turns, what it did after the last reply (rows
    /// of the warehouse) included.
    pub cpu_millis_per_1000_turns: f64,
    /// Processor time of the generator and the sink for a thousand turns.
    pub generator_cpu_millis_per_1000_turns: f64,
    /// Cores that the generator and the sink kept busy.
    pub generator_cores: f64,
    /// From the last reply until nothing was left to do.
    pub settled_after_seconds: f64,
    /// The most memory that was resident.
    pub resident_bytes_peak: u64,
    /// Bytes in the directory after the end, for each turn there ever was.
    pub stored_bytes_per_turn: f64,
    /// Bytes written to the disk, for each measured turn.
    pub written_bytes_per_turn: f64,
}

/// A server at half of what it can.
#[derive(Debug, Serialize)]
pub struct Half {
    /// Which.
    pub server: Kind,
    /// Turns that were begun in a second.
    pub turns_per_second: f64,
    /// From when a message was to be sent until the webhook's 2xx.
    pub acknowledged_p50_millis: f64,
    /// The same.
    pub acknowledged_p99_millis: f64,
    /// From when a message was to be sent until its reply.
    pub p50_millis: f64,
    /// The same.
    pub p99_millis: f64,
}

/// A server at rest.
#[derive(Debug, Serialize)]
pub struct Start {
    /// Which.
    pub server: Kind,
    /// Of its program.
    pub program_bytes: u64,
    /// From before its process began until the first reply, on a prepared directory: the median.
    pub first_reply_median_millis: f64,
    /// The longest.
    pub first_reply_max_millis: f64,
    /// Memory that is resident while it has nothing to do, after that reply.
    pub resident_bytes_idle: u64,
}

/// Measures.
///
/// # Errors
/// Where a server does not start, or loses a reply.
pub async fn measure(args: &Args) -> anyhow::Result<Measured> {
    let (sink, client) = (Sink::start().await?, Client::default());
    let scratch = tempfile::tempdir().context("a directory of temporary files")?;
    let machine = Machine::of(scratch.path())?;
    let most = args.users.iter().copied().max().unwrap_or_default();
    let (mut points, mut halves, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for &users in &args.users {
        for server in [Kind::Floor, Kind::Chatflow] {
            eprintln!("{}: {users} at once…", server.name());
            let bench = Bench { sink: &sink, client: &client, server, users };
            let (point, half) = bench.point(args.turns, users == most).await?;
            points.push(point);
            halves.extend(half);
        }
    }
    for server in [Kind::Floor, Kind::Chatflow] {
        eprintln!("{}: {} starts…", server.name(), args.starts);
        starts.push(Bench { sink: &sink, client: &client, server, users: 1 }.starts(args).await?);
    }
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    Ok(Measured { build, machine, points, halves, starts })
}

struct Bench<'a> {
    sink: &'a Sink,
    client: &'a Client,
    server: Kind,
    users: u32,
}

impl Bench<'_> {
    async fn talk(
        &self,
        server: &Server,
        name: &str,
        conversations: u32,
        per_second: Option<f64>,
    ) -> anyhow::Result<Talked> {
        let name = format!("{}-{}-{name}", self.server.name(), self.users);
        let (webhook, users) = (server.webhook(), self.users);
        let talked = Talk { name, webhook, users, conversations, per_second };
        talk(self.client, &self.sink.replies, &talked).await
    }

    async fn point(&self, turns: u32, is_half: bool) -> anyhow::Result<(Point, Option<Half>)> {
        let data = tempfile::tempdir()?;
        let server = Server::start(self.server, data.path(), self.sink).await?;
        server.prepare(self.client, self.sink).await?;
        let warm = WARM * self.users;
        self.talk(&server, "warm", warm, None).await?;
        server.settle(self.client).await?;
        let (before, own_before) = (server.usage()?, Usage::of("self")?);
        let conversations = (turns / TURNS).min(self.users * CONVERSATIONS_MAX).max(self.users);
        let talked = self.talk(&server, "full", conversations, None).await?;
        let own = Usage::of("self")?.cpu.saturating_sub(own_before.cpu).as_secs_f64();
        let replied = tokio::time::Instant::now();
        server.settle(self.client).await?;
        let settled_after_seconds = replied.elapsed().as_secs_f64();
        let after = server.usage()?;
        let mut half = None;
        if is_half {
            half = Some(self.half(&server, &talked, conversations).await?);
        }
        server.settle(self.client).await?;
        server.stop().await?;
        let halved = if is_half { conversations } else { 0 };
        let ever = f64::from((warm + conversations + halved) * TURNS);
        let measured = f64::from(talked.turns);
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        let point = Point {
            server: self.server,
            users: self.users,
            turns: talked.turns,
            turns_per_second: talked.per_second(),
            p50_millis: talked.turn.percentile(50),
            p95_millis: talked.turn.percentile(95),
            p99_millis: talked.turn.percentile(99),
            cpu_millis_per_1000_turns: cpu * 1e6 / measured,
            generator_cpu_millis_per_1000_turns: own * 1e6 / measured,
            generator_cores: own / talked.seconds,
            settled_after_seconds,
            resident_bytes_peak: after.resident_bytes_peak,
            stored_bytes_per_turn: real(stored(data.path())?) / ever,
            written_bytes_per_turn: real(after.written_bytes - before.written_bytes) / measured,
        };
        Ok((point, half))
    }

    async fn half(
        &self,
        server: &Server,
        full: &Talked,
        conversations: u32,
    ) -> anyhow::Result<Half> {
        eprintln!("{}: half of {:.0} turns a second…", self.server.name(), full.per_second());
        let pace = Some(full.per_second() / 2.0);
        let talked = self.talk(server, "half", conversations, pace).await?;
        Ok(Half {
            server: self.server,
            turns_per_second: talked.per_second(),
            acknowledged_p50_millis: talked.acknowledged.percentile(50),
            acknowledged_p99_millis: talked.acknowledged.percentile(99),
            p50_millis: talked.turn.percentile(50),
            p99_millis: talked.turn.percentile(99),
        })
    }

    async fn starts(&self, args: &Args) -> anyhow::Result<Start> {
        let data = tempfile::tempdir()?;
        let server = Server::start(self.server, data.path(), self.sink).await?;
        server.prepare(self.client, self.sink).await?;
        server.stop().await?;
        let (mut millis, mut resident_bytes_idle) = (Vec::new(), 0);
        for start in 0..args.starts {
            let server = Server::start(self.server, data.path(), self.sink).await?;
            let contact = format!("{}-start-{start}", self.server.name());
            let mut expected = self.sink.replies.expect(&contact);
            let message = serde_json::json!({
                "id": contact, "contact": { "id": contact }, "text": "start",
            });
            self.client.post(&server.webhook(), &message).await?;
            expected.turn(1).await?;
            millis.push(server.began.elapsed().as_secs_f64() * 1_000.0);
            tokio::time::sleep(REST).await;
            resident_bytes_idle = server.usage()?.resident_bytes.max(resident_bytes_idle);
            server.stop().await?;
        }
        millis.sort_by(f64::total_cmp);
        Ok(Start {
            server: self.server,
            program_bytes: self.server.program()?.metadata()?.len(),
            first_reply_median_millis: millis.get(millis.len() / 2).copied().unwrap_or_default(),
            first_reply_max_millis: millis.last().copied().unwrap_or_default(),
            resident_bytes_idle,
        })
    }
}

/// Bytes of the files in a directory.
fn stored(data: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in data.read_dir()? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files")]
fn real(bytes: u64) -> f64 {
    bytes as f64
}
