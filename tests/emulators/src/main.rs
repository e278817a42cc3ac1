//! `emulators run -- COMMAND`: runs a command with Google Cloud's stand-ins around it.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use emulators::installed::Missing;
use emulators::run::{self, Options, Part, Running};

/// Exit code where something must be installed first; clap's own for a wrong command line.
const NOT_INSTALLED: u8 = 2;

/// Runs a command with Google Cloud's stand-ins around it, all on free ports of 127.0.0.1.
#[derive(Debug, Parser)]
#[command(name = "emulators")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts everything, runs a command with the endpoints in its environment, and stops
    /// everything. The exit code is the command's.
    Run {
        #[command(flatten)]
        parts: Parts,
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Starts everything, prints the endpoints as `export` lines, and stays until Ctrl-C.
    Up {
        #[command(flatten)]
        parts: Parts,
        /// Prints the endpoints as one JSON object instead.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Parts {
    /// Only these parts, with commas between; all without it.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Google's own Pub/Sub emulator as well, at `EMULATORS_OFFICIAL_PUBSUB`.
    #[arg(long)]
    official_pubsub: bool,
}

impl From<Parts> for Options {
    fn from(parts: Parts) -> Self {
        Self { official_pubsub: parts.official_pubsub, say: run::aloud, ..Options::of(&parts.only) }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Run { parts, command } => run::run(parts.into(), &command).await,
        Command::Up { parts, json } => {
            run::up(parts.into(), |running| print_variables(running, json)).await
        }
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            run::aloud(&format!("{error:#}"));
            let is_missing = error.downcast_ref::<Missing>().is_some();
            if is_missing { ExitCode::from(NOT_INSTALLED) } else { ExitCode::FAILURE }
        }
    }
}

fn print_variables(running: &Running, json: bool) {
    let variables = running.variables();
    let text = if json {
        let map: serde_json::Map<_, _> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        serde_json::Value::Object(map).to_string()
    } else {
        let lines: Vec<String> =
            variables.iter().map(|(name, value)| format!("export {name}={value}")).collect();
        lines.join("\n")
    };
    let mut out = std::io::stdout().lock();
    // Where nobody reads there is nobody to tell.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
