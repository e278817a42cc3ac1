//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
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
    /// Set a Google Cloud project up: base tables, the API's connection, an administrator's key.
    ///
    /// Terraform makes the rest. The project is named by `CHATFLOW_…` variables (see the README).
    /// Example: `CHATFLOW_BACKEND=gcp CHATFLOW_PROJECT=acme … chatflow setup`
    Setup(SetupArgs),
    /// Copy a local server's flows, tasks, history and settings to Google Cloud.
    ///
    /// Stop the local server first; its data stays as it is, in a file of this program's version.
    /// What an interrupted run has copied stays, and the next run goes on. Rows of the warehouse
    /// are not copied. Afterwards counts and hashes of both sides are compared.
    /// Example: `CHATFLOW_BACKEND=gcp CHATFLOW_PROJECT=acme … chatflow migrate --from data`
    Migrate {
        /// The data directory of the local server.
        #[arg(long)]
        from: PathBuf,
        /// Where to.
        #[arg(long, value_parser = ["gcp"], default_value = "gcp")]
        to: String,
        /// Print the comparison as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look whether everything is there that the system needs, and say what is missing.
    ///
    /// Looks at a Google Cloud project with `CHATFLOW_BACKEND=gcp`, else at a local server; changes
    /// nothing; exits with 1 where something is missing. Example: chatflow doctor
    Doctor {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, Args)]
struct SetupArgs {
    /// The demo as well: three flows, their tables and queues, and a connection.
    #[arg(long)]
    demo: bool,
    /// Where replies of the demo are sent to, by POST.
    #[arg(long, requires = "demo")]
    replies_to: Option<url::Url>,
    /// Where the administrator's key is kept; made where it is not there.
    #[arg(long, env = "CHATFLOW_API_KEY_FILE", default_value = "data/admin.key")]
    key_file: PathBuf,
    /// Print one JSON line: `{"api_key_file": …}`.
    #[arg(long)]
    json: bool,
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
    /// Write a flow's draft to a file, or to standard output.
    ///
    /// With `push` this moves flows between servers.
    /// Example: chatflow flow pull leave-request --output leave-request.yaml
    Pull {
        /// The flow's id.
        flow: String,
        /// The file; it must not be there yet.
        #[arg(long, short)]
        output: Option<PathBuf>,
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
    let config = bootstrap::Config::from_process(bootstrap::Role::Standalone)?;
    match cli.command {
        Command::Setup(args) => return setup(&config, args).await,
        Command::Migrate { from, to: _, json } => return migrate(&config, &from, json).await,
        Command::Doctor { json, server } => return doctor(&config, json, &server).await,
        Command::Serve(args) => {
            anyhow::ensure!(
                config.gcp.is_none(),
                "`chatflow serve` keeps everything in one file and knows nothing of \
                 CHATFLOW_BACKEND=gcp; unset it here, or deploy the functions"
            );
            let ServeArgs { data, listen, demo, json } = args;
            let limits = runtime::Limits::default();
            server::run(ServeOptions { data, listen, demo, json, limits }).await?;
        }
        Command::Replay(args) => return replay::run(&args).await,
        Command::Flow(FlowCommand::Check { file, json }) => return flows::check_file(&file, json),
        Command::Flow(FlowCommand::Push { file, json, server }) => {
            flows::push(&Client::new(&server)?, &file, json).await?;
        }
        Command::Flow(FlowCommand::Pull { flow, output, server }) => {
            flows::pull(&Client::new(&server)?, &flow, output.as_deref()).await?;
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

/// This program was built without Google's clients, which take minutes to build.
#[cfg(not(feature = "gcp"))]
const WITHOUT_GOOGLE: &str = "this `chatflow` was built without Google Cloud; build it with \
     `cargo build --release -p standalone --features gcp`";

#[cfg_attr(
    not(feature = "gcp"),
    expect(clippy::unused_async, unused_variables, reason = "only Google Cloud is set up")
)]
async fn setup(config: &bootstrap::Config, args: SetupArgs) -> anyhow::Result<bool> {
    let SetupArgs { demo, replies_to, key_file, json } = args;
    #[cfg(feature = "gcp")]
    {
        let setup = crate::cloud::Setup { demo, replies_to, key_file };
        crate::cloud::setup(config, &setup, json).await.map(|()| true)
    }
    #[cfg(not(feature = "gcp"))]
    anyhow::bail!(WITHOUT_GOOGLE)
}

#[cfg_attr(
    not(feature = "gcp"),
    expect(clippy::unused_async, unused_variables, reason = "there is nowhere else to move to")
)]
async fn migrate(config: &bootstrap::Config, from: &Path, json: bool) -> anyhow::Result<bool> {
    #[cfg(feature = "gcp")]
    return crate::cloud::migrate(config, from, json).await;
    #[cfg(not(feature = "gcp"))]
    anyhow::bail!(WITHOUT_GOOGLE)
}

async fn doctor(
    config: &bootstrap::Config,
    json: bool,
    server: &ServerArgs,
) -> anyhow::Result<bool> {
    if config.gcp.is_none() {
        return crate::doctor::local(&Client::new(server)?, json).await;
    }
    #[cfg(feature = "gcp")]
    return crate::cloud::doctor(config, json).await;
    #[cfg(not(feature = "gcp"))]
    anyhow::bail!(WITHOUT_GOOGLE)
}
