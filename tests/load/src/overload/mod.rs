//! `scripts/bench overload`: what the server can do is measured first, by people who wait for their
//! replies; then messages come at multiples of that, whatever becomes of those before.

mod flood;
pub mod report;

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use crate::client::Client;
use crate::machine::Machine;
use crate::server::{Kind, Server};
use crate::sink::Sink;
use crate::talk::{Latencies, TURNS, Talk, talk};

use flood::{Flood, Flooded};

/// Connections that share the load.
const CONNECTIONS: u32 = 8;
/// People who talk at once while the capacity is measured.
const USERS: u32 = 256;
/// How often it is looked whether a turn takes as long as before, after the load.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// Turns in a row that must be as fast as before.
const PROBES: u32 = 5;
/// How long the server may take until it is given up.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// Messages of the quiet connection in a second.
const QUIET_PER_SECOND: f64 = 5.0;

/// What the local server does when more comes than it can handle.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Multiples of the capacity that are offered, one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [0.5, 1.0, 2.0, 5.0])]
    pub levels: Vec<f64>,
    /// How long each is offered.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=600))]
    pub seconds: u64,
    /// Turns by which the capacity is measured.
    #[arg(long, default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(2_000..=1_000_000))]
    pub turns: u32,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// `debug` or `release`: of this program, and so of the one beside it.
    pub build: &'static str,
    /// Where.
    pub machine: Machine,
    /// Turns in a second, of people who wait for their replies.
    pub capacity_per_second: f64,
    /// A turn while nothing else is done, p99.
    pub quiet_turn_p99_millis: f64,
    /// What came of each multiple.
    pub levels: Vec<Level>,
    /// A quiet connection beside a noisy one.
    pub beside: Beside,
}

/// A multiple of the capacity.
#[derive(Debug, Serialize)]
pub struct Level {
    /// Which.
    pub times: f64,
    /// Messages that were sent, in a second.
    pub offered_per_second: f64,
    /// Messages that were accepted, in a second.
    pub accepted_per_second: f64,
    /// Messages whose reply came while messages came, in a second.
    pub goodput_per_second: f64,
    /// Messages that were refused, in a second.
    pub refused_per_second: f64,
    /// From a message that is refused to the answer that says so.
    pub refused_p99_millis: f64,
    /// Answers that were neither 2xx, 429 nor 503, and requests without an answer.
    pub broken: u32,
    /// Refusals that did not say when to come again.
    pub without_retry_after: u32,
    /// From a message that is accepted to the answer that says so.
    pub acknowledged_p99_millis: f64,
    /// From a message that is accepted to its reply.
    pub turn_p99_millis: f64,
    /// Messages that were accepted and not replied to when everything was done. None may be.
    pub lost: u32,
    /// The most memory that was resident until then.
    pub resident_bytes_peak: u64,
    /// Cores that the generator and the sink kept busy.
    pub generator_cores: f64,
    /// From the last message until turns took as long as before.
    pub recovered_after_seconds: f64,
}

/// A quiet connection beside a noisy one.
#[derive(Debug, Serialize)]
pub struct Beside {
    /// Multiple of the capacity that the noisy one offers.
    pub times: f64,
    /// Part of its messages that was accepted.
    pub noisy_accepted: f64,
    /// Messages of the quiet one.
    pub quiet_messages: u32,
    /// Those accepted at once.
    pub quiet_accepted: u32,
    /// From a message of the quiet one to its reply.
    pub quiet_turn_p50_millis: f64,
    /// The same.
    pub quiet_turn_p99_millis: f64,
}

/// Measures.
///
/// # Errors
/// Where the server does not start, or loses a reply.
pub async fn measure(args: &Args) -> anyhow::Result<Measured> {
    let (sink, client) = (Sink::start().await?, Client::default());
    let scratch = tempfile::tempdir()?;
    let machine = Machine::of(scratch.path())?;
    let data = tempfile::tempdir()?;
    let server = Server::start(Kind::Chatflow, data.path(), &sink).await?;
    server.prepare(&client, &sink).await?;
    for connection in (0..CONNECTIONS).map(name).chain([QUIET.to_owned()]) {
        server.connect(&client, &sink, &connection).await?;
    }
    let bench = Bench { sink: &sink, client: &client, server: &server, args };
    let capacity_per_second = bench.capacity().await?;
    eprintln!("capacity: {capacity_per_second:.0} turns a second");
    let quiet_turn_p99_millis = bench.quiet_turn().await?;
    let mut levels = Vec::new();
    for &times in &args.levels {
        eprintln!("{times} times the capacity…");
        levels.push(bench.level(times, capacity_per_second, quiet_turn_p99_millis).await?);
    }
    eprintln!("a quiet connection beside a noisy one…");
    let most = args.levels.iter().copied().fold(1.0, f64::max);
    let beside = bench.beside(most, capacity_per_second).await?;
    server.stop().await?;
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    Ok(Measured { build, machine, capacity_per_second, quiet_turn_p99_millis, levels, beside })
}

const QUIET: &str = "load-quiet";

fn name(number: u32) -> String {
    format!("load-{number}")
}

struct Bench<'a> {
    sink: &'a Sink,
    client: &'a Client,
    server: &'a Server,
    args: &'a Args,
}

impl Bench<'_> {
    async fn capacity(&self) -> anyhow::Result<f64> {
        let talk_of = |name: &str, conversations| Talk {
            name: name.to_owned(),
            webhook: self.server.webhook(),
            users: USERS,
            conversations,
            per_second: None,
        };
        talk(self.client, &self.sink.replies, &talk_of("warm", USERS)).await?;
        self.server.settle(self.client).await?;
        let full = talk_of("full", self.args.turns / TURNS);
        let talked = talk(self.client, &self.sink.replies, &full).await?;
        self.server.settle(self.client).await?;
        Ok(talked.per_second())
    }

    /// One turn of somebody new, in milliseconds.
    async fn turn(&self, contact: &str) -> anyhow::Result<f64> {
        let mut expected = self.sink.replies.expect(contact);
        let since = Instant::now();
        let message = flood::message(contact, 1);
        self.client.post(&self.server.webhook(), &message).await?;
        expected.turn(1).await?;
        Ok(since.elapsed().as_secs_f64() * 1_000.0)
    }

    async fn quiet_turn(&self) -> anyhow::Result<f64> {
        let mut latencies = Latencies::default();
        for number in 0..100 {
            let since = Instant::now();
            self.turn(&format!("alone-{number}")).await?;
            latencies.add(since);
            tokio::time::sleep(PROBE_EVERY / 5).await;
        }
        Ok(latencies.sorted().percentile(99))
    }

    fn webhook(&self, connection: &str) -> anyhow::Result<Url> {
        Ok(self.server.webhook_of(connection).parse()?)
    }

    async fn level(&self, times: f64, capacity: f64, quiet: f64) -> anyhow::Result<Level> {
        let flood = Flood {
            name: format!("level-{times}"),
            webhooks: (0..CONNECTIONS).map(|n| self.webhook(&name(n))).collect::<Result<_, _>>()?,
            per_second: times * capacity,
            seconds: Duration::from_secs(self.args.seconds),
        };
        let own = crate::process::Usage::of("self")?.cpu;
        let running = flood.start(&self.sink.replies);
        let flooded = running.offered().await?;
        let own = crate::process::Usage::of("self")?.cpu.saturating_sub(own).as_secs_f64();
        let recovered_after_seconds = self.recovery(&format!("after-{times}"), quiet).await?;
        self.server.settle(self.client).await?;
        let flooded: Flooded = flooded.settled().await;
        let seconds = flooded.seconds;
        Ok(Level {
            times,
            offered_per_second: f64::from(flooded.offered) / seconds,
            accepted_per_second: f64::from(flooded.accepted) / seconds,
            goodput_per_second: f64::from(flooded.in_time) / seconds,
            refused_per_second: f64::from(flooded.refused.count()) / seconds,
            refused_p99_millis: flooded.refused.percentile(99),
            broken: flooded.broken,
            without_retry_after: flooded.without_retry_after,
            acknowledged_p99_millis: flooded.acknowledged.percentile(99),
            turn_p99_millis: flooded.turn.percentile(99),
            lost: flooded.accepted - flooded.turn.count(),
            resident_bytes_peak: self.server.usage()?.resident_bytes_peak,
            generator_cores: own / seconds,
            recovered_after_seconds,
        })
    }

    /// Seconds until turns take no longer than twice what they took before, or 20 ms.
    async fn recovery(&self, name: &str, quiet: f64) -> anyhow::Result<f64> {
        let (ended, normal) = (Instant::now(), (2.0 * quiet).max(20.0));
        let (mut number, mut fast, mut since) = (0_u32, 0, 0.0);
        while fast < PROBES {
            anyhow::ensure!(ended.elapsed() < RECOVERY_MAX, "it does not recover");
            let begun = ended.elapsed().as_secs_f64();
            number += 1;
            // Refused is not recovered.
            let normally = self.turn(&format!("{name}-{number}")).await;
            if normally.is_ok_and(|millis| millis <= normal) {
                since = if fast == 0 { begun } else { since };
                fast += 1;
            } else {
                fast = 0;
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
        Ok(since)
    }

    async fn beside(&self, times: f64, capacity: f64) -> anyhow::Result<Beside> {
        let seconds = Duration::from_secs(self.args.seconds);
        let flood = |name: &str, webhook: Url, per_second| Flood {
            name: name.to_owned(),
            webhooks: vec![webhook],
            per_second,
            seconds,
        };
        let noisy = flood("noisy", self.webhook(&name(0))?, times * capacity);
        let quiet = flood("quiet", self.webhook(QUIET)?, QUIET_PER_SECOND);
        let noisy = noisy.start(&self.sink.replies);
        let quiet = quiet.start(&self.sink.replies);
        let (noisy, quiet) = (noisy.offered().await?, quiet.offered().await?);
        self.server.settle(self.client).await?;
        let (noisy, quiet) = (noisy.settled().await, quiet.settled().await);
        Ok(Beside {
            times,
            noisy_accepted: f64::from(noisy.accepted) / f64::from(noisy.offered.max(1)),
            quiet_messages: quiet.offered,
            quiet_accepted: quiet.accepted,
            quiet_turn_p50_millis: quiet.turn.percentile(50),
            quiet_turn_p99_millis: quiet.turn.percentile(99),
        })
    }
}
