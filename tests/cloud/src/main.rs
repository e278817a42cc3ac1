//! `scripts/run --gcp-emulators` and `scripts/bench gcp`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use cloud::bench::{self, BenchArgs};
use cloud::{Options, Sink, System};
use emulators::run;

/// The whole cloud shape on this machine: every function as a process, over stand-ins of Google's.
#[derive(Debug, Parser)]
#[command(name = "cloud", max_term_width = 100)]
enum Cli {
    /// Starts everything with the demo, and stays until Ctrl-C; nothing is kept.
    Up {
        /// Where the gateway listens.
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
    /// Measures what the functions cost and how fast they are.
    Bench(BenchArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse() {
        Cli::Up { port } => up(port).await,
        Cli::Bench(args) => bench::run(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn up(port: u16) -> anyhow::Result<()> {
    let sink = Sink::start(|reply| {
        let contact = reply["contact"].as_str().unwrap_or_default();
        let text = reply["text"].as_str().unwrap_or_default().replace('\n', "\n    ");
        // A closed terminal is no reason to stop.
        let _ = writeln!(std::io::stdout(), "  ↩ demo → {contact}: {text}");
    })
    .await?;
    let options = Options {
        around: run::Options { say: run::aloud, ..run::Options::of(&[]) },
        replies_to: Some(sink.url()),
        gateway_port: Some(port),
        ..Options::default()
    };
    let system = System::start(options).await?;
    let url = system.url("gateway");
    let key = &system.api_key;
    println!(
        "Chatflow is ready: seven functions, woken by pushes, over servers that stand in for \
         Google's.\nCtrl-C stops everything; nothing is kept.\n\n  \
         API    {url}/v1\n  docs   {url}/docs\n  key    {key}\n\n\
         Try it from another terminal; replies appear here:\n\n  \
         # 1. ask for leave (請假)\n  curl -s {url}/webhooks/demo -H 'Content-Type: \
         application/json' \\\n    -d '{{\"id\": \"try-1\", \"contact\": {{\"id\": \"mei\", \
         \"name\": \"Mei\", \"lang\": \"zh-TW\"}}, \"text\": \"請假\"}}'\n\n  \
         # 2. answer\n  curl -s {url}/webhooks/demo -H 'Content-Type: application/json' \\\n    \
         -d '{{\"id\": \"try-2\", \"contact\": {{\"id\": \"mei\"}}, \"text\": \"明天\"}}'\n\n  \
         # 3. look at the task\n  curl -s '{url}/v1/tasks?contact=mei' -H 'Authorization: \
         Bearer {key}'\n"
    );
    tokio::signal::ctrl_c().await?;
    eprintln!("stopping…");
    Ok(())
}
