//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::client::{Client, ServerArgs};
use crate::commands::backup::{self, BackupArgs, RestoreArgs, VerifyArgs};
use crate::commands::export::{self, ExportArgs};
use crate::commands::failures::{self, FailureCommand};
use crate::commands::flows::{self, FlowCommand};
use crate::commands::keys::{self, KeyCommand};
use crate::commands::messages::{self, MessageCommand};
use crate::commands::tasks::{self, TaskCommand};
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
    /// Check, test, push, pull, list, show, publish, roll back and compare flows.
    #[command(subcommand)]
    Flow(FlowCommand),
    /// Start, list, show, follow, answer, cancel and retry tasks.
    #[command(subcommand)]
    Task(TaskCommand),
    /// Search messages.
    #[command(subcommand)]
    Message(MessageCommand),
    /// List, retry and discard what went wrong for good.
    #[command(subcommand)]
    Failure(FailureCommand),
    /// Write tasks or messages to a file.
    ///
    /// Example: chatflow export messages --format csv --after 2026-01-01T00:00:00Z -o messages.csv
    Export(ExportArgs),
    /// Create, list and revoke API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Copy the data file of a local server, which may be running, into one new file.
    ///
    /// The copy is one state of everything: whatever the server had accepted when it began is in
    /// it. It holds secrets, and only its owner can read it. It is made from the file and not
    /// over HTTP, for it is more than any API key may see: run it on the server's machine, as the
    /// owner of its data. `admin.key` is not in it: of keys the file knows the hashes. A copy that
    /// is broken off leaves a hidden file `.NAME….partial`, which can be deleted.
    /// Example: chatflow backup chatflow-2026-01-05.db
    Backup(BackupArgs),
    /// Make a data directory of a backup, for `chatflow serve`.
    ///
    /// Writes over nothing: the directory must hold no data file. API keys go on working; where
    /// `admin.key` is missing the server makes one more. What was on its way when the backup was
    /// made goes on when it is served: replies that were sent since go out once more, with the
    /// same ids, by which receivers can drop them. Serve one of the two, not both.
    /// Example: `chatflow restore chatflow-2026-01-05.db --data restored`
    Restore(RestoreArgs),
    /// Check everything that is stored, and say what is wrong.
    ///
    /// Reads the data file of a local server, which may be running, or a backup; changes nothing.
    /// Exits with 1 where something is wrong, with 2 where it could not be looked at. While it
    /// reads, the log of a running server (`chatflow.db-wal`) grows.
    /// Example: chatflow verify --data data
    Verify(VerifyArgs),
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
    /// Print what makes a shell complete these commands.
    ///
    /// Example: `chatflow completions bash >~/.local/share/bash-completion/completions/chatflow`
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages of every command into a folder.
    ///
    /// Example: chatflow manual ~/.local/share/man/man1
    Manual {
        /// The folder; made where it is not there.
        folder: PathBuf,
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
    /// Events that may wait to be handled; more are answered 503, or 429 where one connection has
    /// more than its share, with `Retry-After`.
    #[arg(long, env = "CHATFLOW_BACKLOG_MAX", default_value_t = gateway::BACKLOG_MAX,
          value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    backlog_max: u32,
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

/// The reference of every command: Markdown, made of the help texts.
pub fn reference() -> String {
    let mut text = String::from(
        "# The commands of `chatflow`\n\nWritten by `chatflow` itself and held by a test. Exit \
         codes: 0 done, 1 the answer is no (problems found, checks failed, texts differ), 2 it \
         could not be done.\n",
    );
    describe(Cli::command(), "", &mut text);
    text
}

/// Columns of the help texts in the reference.
const REFERENCE_WIDTH: usize = 100;

fn describe(command: clap::Command, before: &str, text: &mut String) {
    let name = format!("{before} {}", command.get_name()).trim().to_owned();
    // Without what the variables hold where this is written.
    let command = command.mut_args(|argument| argument.hide_env_values(true));
    let mut command = command.bin_name(&name).term_width(REFERENCE_WIDTH);
    let help = command.render_long_help().to_string();
    text.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", help.trim_end()));
    let inner: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    for command in inner.into_iter().filter(|command| command.get_name() != "help") {
        describe(command, &name, text);
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
            let ServeArgs { data, listen, demo, json, backlog_max } = args;
            let limits = runtime::Limits::default();
            server::run(ServeOptions { data, listen, demo, json, limits, backlog_max }).await?;
        }
        Command::Replay(args) => return replay::run(&args).await,
        Command::Flow(command) => return flows::run(command).await,
        Command::Task(command) => tasks::run(command).await?,
        Command::Message(command) => messages::run(command).await?,
        Command::Failure(command) => failures::run(command).await?,
        Command::Export(args) => export::run(&args).await?,
        Command::Key(command) => keys::run(command).await?,
        Command::Backup(args) => backup::back_up(&args)?,
        Command::Restore(args) => backup::restore(&args)?,
        Command::Verify(args) => return backup::verify(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "chatflow", &mut std::io::stdout());
        }
        Command::Manual { folder } => {
            std::fs::create_dir_all(&folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder))
                .with_context(|| format!("{} cannot be written", folder.display()))?;
            println!("the manual is in {}; read it by `man chatflow`", folder.display());
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
