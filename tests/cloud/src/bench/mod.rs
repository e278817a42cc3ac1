//! `scripts/bench gcp`: what the functions cost and how fast they are, over emulators.
//!
//! The emulators take most of the machine, so turns per second and latencies are theirs more than
//! ours; calls, documents and bytes per turn, sizes, memory and starts are ours.

mod bill;
mod report;
mod starts;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;
use tokio::process::Command;

use crate::load::{self, Replies, Talk, Talked};
use crate::{Options, System, programs};
use emulators::run;

/// How long what is on its way may take to arrive.
const SETTLE_MAX: Duration = Duration::from_secs(300);
/// People who talk where the latency of a turn is measured: no queue should form.
const FEW: usize = 2;

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct BenchArgs {
    /// People who talk at once.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    contacts: u32,
    /// Messages of each.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=4))]
    messages: u32,
    /// Starts of each function.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    starts: u32,
    /// A recording that is replayed as well and checked, as by `chatflow replay`.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Measured {
    build: &'static str,
    cores: usize,
    functions: Vec<starts::Function>,
    few_at_once: Speed,
    all_at_once: Speed,
    bills: Vec<bill::Bill>,
    replay: Option<Value>,
}

/// How fast turns went.
#[derive(Debug, Serialize)]
struct Speed {
    contacts: usize,
    turns: usize,
    turns_per_second: f64,
    p50_millis: f64,
    p99_millis: f64,
}

impl Speed {
    fn of(contacts: usize, talked: &Talked) -> Self {
        Self {
            contacts,
            turns: talked.turns,
            turns_per_second: talked.per_second(),
            p50_millis: talked.percentile(50),
            p99_millis: talked.percentile(99),
        }
    }
}

/// Measures, and prints.
///
/// # Errors
/// Where the system does not start, loses an answer, or a replay finds a problem.
pub async fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let replies = Replies::default();
    let sink = replies.sink().await?;
    let options = Options {
        around: run::Options { say: run::aloud, ..run::Options::of(&[]) },
        replies_to: Some(sink.url()),
        // As Cloud Scheduler does.
        sweep_every: Duration::from_secs(60),
        ..Options::default()
    };
    let mut system = System::start(options).await?;
    run::aloud(&format!("starting each function {} times…", args.starts));
    let mut functions = starts::measure(&system, args.starts).await?;
    let contacts = usize::try_from(args.contacts)?;
    let messages = usize::try_from(args.messages)?;
    let speed = async |name: &str, contacts: usize, at_once: usize| {
        run::aloud(&format!("{contacts} people say {messages} messages each, {at_once} at once…"));
        let talk = Talk { name: name.to_owned(), contacts, messages, at_once };
        let talked = load::talk(&system, &replies, &talk).await?;
        settle(&system).await?;
        anyhow::Ok(Speed::of(at_once, &talked))
    };
    // What is read once is read before anything is measured.
    speed("warm", FEW, FEW).await?;
    let few_at_once = speed("few", contacts.min(100), FEW).await?;
    let all_at_once = speed("all", contacts, contacts).await?;
    for function in &mut functions {
        function.resident_after_load_bytes = system.resident_bytes(function.name);
    }
    let replay = match &args.replay {
        Some(file) => Some(replay(&system, file).await?),
        None => None,
    };
    run::aloud("counting calls at proxies…");
    let bills = bill::measure(&mut system, &replies, messages).await?;
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let measured = Measured { build, cores, functions, few_at_once, all_at_once, bills, replay };
    if args.json {
        println!("{}", serde_json::to_string(&measured)?);
    } else {
        measured.print();
    }
    Ok(())
}

async fn settle(system: &System) -> anyhow::Result<()> {
    let pubsub = system.around.pubsub.as_ref().context("Pub/Sub is needed")?;
    pubsub.idle(SETTLE_MAX).await.map_err(|problem| anyhow::anyhow!("{problem}"))
}

/// Plays a recording by `chatflow replay`, which checks that every message is there once, in order.
async fn replay(system: &System, file: &Path) -> anyhow::Result<Value> {
    run::aloud(&format!("replaying {}…", file.display()));
    let mut command = Command::new(programs::path("chatflow")?);
    command.arg("replay").arg(file).args(["--json", "--server", &system.url("gateway")]);
    command.arg("--key-file").arg(system.key_file()).kill_on_drop(true);
    let done = command.output().await.context("`chatflow replay` does not start")?;
    let (out, error) =
        (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    anyhow::ensure!(done.status.success(), "the replay found problems: {out}{error}");
    serde_json::from_str(&out).with_context(|| format!("`chatflow replay` printed {out}"))
}
