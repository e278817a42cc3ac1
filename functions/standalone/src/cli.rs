//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::client::{Client, ServerArgs};
use crate::flows;
use crate::replay::{self, ReplayArgs};
use crate::server::{self, ServeOptions};

/// Many people, many automated tasks, at once: chat flows as durable tasks.
#[derive(Debug, Parser)]
#[command(name = "chatflow", version, max_term_width = 100)]
struct Cli {
    /// What is logged to standard error: `warn`, `info`, `runtime=debug,warn`, …
    #[arg(long, env = "CHATFLOW_LOG", default_value = "warn", global = true)]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system in one process.
    ///
    /// Example: chatflow serve --demo
    Serve(ServeArgs),
    /// Play the users of recorded dialogues against a server, and check what became of it.
    ///
    /// Example: `chatflow replay sample.messages.jsonl.zst --speed 60`
    Replay(ReplayArgs),
    /// Check, push, publish and list flows.
    #[command(subcommand)]
    Flow(FlowCommand),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Where everything is kept; made where it is not there.
    #[arg(long, env = "CHATFLOW_DATA", default_value = "data")]
    data: PathBuf,
    /// The address to listen on; port 0 is any free port.
    #[arg(long, env = "CHATFLOW_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Set up the demo: three flows and a connection for programs on this machine.
    #[arg(long)]
    demo: bool,
    /// Print one JSON line once ready: `{"url": …, "api_key_file": …}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum FlowCommand {
    /// Check a file on its own; exits with 1 where it could not be published.
    ///
    /// Example: chatflow flow check leave-request.yaml
    Check {
        /// The flow's YAML or JSON.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a file's flow as a draft.
    ///
    /// Example: chatflow flow push leave-request.yaml
    Push {
        /// The flow's YAML or JSON.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Check a draft, run its tests, and make it live.
    ///
    /// Example: chatflow flow publish leave-request
    Publish {
        /// The flow's id.
        flow: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the flows of a server.
    ///
    /// Example: chatflow flow list
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Exit codes: 0 done, 1 the answer is no (problems found, checks failed), 2 it could not be done.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime cannot start: {error}");
            return ExitCode::from(2);
        }
    };
    let ended = runtime.block_on(run(cli));
    // A name server that does not answer must not hold up the exit.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<bool> {
    bootstrap::telemetry::start(&cli.log)?;
    match cli.command {
        Command::Serve(args) => {
            let ServeArgs { data, listen, demo, json } = args;
            let limits = runtime::Limits::default();
            server::run(ServeOptions { data, listen, demo, json, limits }).await?;
        }
        Command::Replay(args) => return replay::run(&args).await,
        Command::Flow(FlowCommand::Check { file, json }) => return flows::check_file(&file, json),
        Command::Flow(FlowCommand::Push { file, json, server }) => {
            flows::push(&Client::new(&server)?, &file, json).await?;
        }
        Command::Flow(FlowCommand::Publish { flow, json, server }) => {
            flows::publish(&Client::new(&server)?, &flow, json).await?;
        }
        Command::Flow(FlowCommand::List { json, server }) => {
            flows::list(&Client::new(&server)?, json).await?;
        }
    }
    Ok(true)
}
