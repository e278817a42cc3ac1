//! `scripts/run --gcp-emulators`: the whole cloud shape on this machine, until Ctrl-C.

use std::io::Write as _;
use std::process::ExitCode;

use cloud::{Options, Sink, System};
use emulators::run;

/// Where the gateway listens where no other port is given.
const PORT: u16 = 8080;

#[tokio::main]
async fn main() -> ExitCode {
    match up().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The port of the gateway: `--port N`.
fn port() -> anyhow::Result<u16> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => Ok(PORT),
        (Some("--port"), Some(port)) => {
            port.parse().map_err(|_| anyhow::anyhow!("`{port}` is no port; use 1 to 65535"))
        }
        _ => anyhow::bail!("usage: scripts/run --gcp-emulators [--port 8080]"),
    }
}

async fn up() -> anyhow::Result<()> {
    let port = port()?;
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
