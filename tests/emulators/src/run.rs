//! Starts everything that a command needs around it, runs the command, and stops everything.
//!
//! Rust tests and benchmarks start what they need themselves with [`start`]; the parts end when
//! [`Running`] is dropped, or with the process.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{interval, timeout};

use crate::official::{Emulator, Say};
use crate::process::{self, Folder, Watchdog};
use crate::tokens::Issuer;
use crate::{pubsub, secrets, tasks};

/// How long a command may take to end after a signal.
const END_SECONDS_MAX: u64 = 10;
/// How often the emulators are looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Part {
    /// Google's Firestore emulator.
    Firestore,
    /// Our own Pub/Sub server with push.
    Pubsub,
    /// The BigQuery emulator, with the Storage Write API.
    Bigquery,
    /// Our own Cloud Tasks.
    Tasks,
    /// Our own Secret Manager.
    Secrets,
}

/// What to start, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The parts. The issuer of tokens is always there.
    pub parts: BTreeSet<Part>,
    /// Google's Pub/Sub emulator as well.
    pub official_pubsub: bool,
    /// How Cloud Tasks behaves.
    pub tasks: tasks::Options,
    /// Where progress is told; [`quietly`] by default.
    pub say: Say,
}

impl Options {
    /// These parts; no part is every part.
    pub fn of(parts: &[Part]) -> Self {
        let parts = if parts.is_empty() { Part::value_variants() } else { parts };
        Self {
            parts: parts.iter().copied().collect(),
            official_pubsub: false,
            tasks: tasks::Options::default(),
            say: quietly,
        }
    }
}

/// Tells nobody.
pub fn quietly(_: &str) {}

/// Tells people, on standard error.
pub fn aloud(text: &str) {
    eprintln!("emulators: {text}");
}

/// Everything that was started. It ends when this is dropped, or with the process.
pub struct Running {
    /// Signs the tokens of pushes and of tasks.
    pub issuer: Issuer,
    /// Google's Firestore emulator.
    pub firestore: Option<Emulator>,
    /// Our Pub/Sub server.
    pub pubsub: Option<pubsub::Server>,
    /// Google's Pub/Sub emulator.
    pub official_pubsub: Option<Emulator>,
    /// The BigQuery emulator.
    pub bigquery: Option<Emulator>,
    /// Cloud Tasks.
    pub tasks: Option<tasks::Server>,
    /// Secret Manager.
    pub secrets: Option<secrets::Server>,
    /// The logs; last, so that it is removed when nobody writes any more.
    _folder: Folder,
}

/// Starts the parts, all at once, and waits until each answers.
///
/// # Errors
/// [`crate::installed::Missing`] inside where something must be installed first. What was started
/// until then is stopped.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let folder = Folder::new()?;
    let at = folder.path();
    let Options { parts, official_pubsub, tasks: of_tasks, say } = options;
    let has = |part| parts.contains(&part);
    let issuer = Issuer::start().await?;
    let (firestore, official_pubsub, bigquery) = tokio::try_join!(
        optional(has(Part::Firestore), Emulator::firestore(at, say)),
        optional(official_pubsub, Emulator::pubsub(say)),
        optional(has(Part::Bigquery), Emulator::bigquery(at, say)),
    )?;
    let of_pubsub = pubsub::Options { issuer: Some(issuer.clone()), ..pubsub::Options::default() };
    Ok(Running {
        pubsub: optional(has(Part::Pubsub), pubsub::Server::start(of_pubsub)).await?,
        tasks: has(Part::Tasks)
            .then(|| tasks::Server::start(of_tasks, issuer.clone()))
            .transpose()?,
        secrets: has(Part::Secrets).then(secrets::Server::start).transpose()?,
        issuer,
        firestore,
        official_pubsub,
        bigquery,
        _folder: folder,
    })
}

async fn optional<T>(
    is_wanted: bool,
    start: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    if is_wanted { start.await.map(Some) } else { Ok(None) }
}

impl Running {
    /// The variables that `bootstrap::config` and our tests read, with their values.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut found = vec![("CHATFLOW_JWKS_URL", self.issuer.jwks_url().to_string())];
        if let Some(emulator) = &self.firestore {
            found.push(("CHATFLOW_FIRESTORE_ENDPOINT", format!("http://{}", emulator.address)));
        }
        if let Some(server) = &self.pubsub {
            found.push(("CHATFLOW_PUBSUB_ENDPOINT", format!("http://{}", server.grpc)));
            found.push(("EMULATORS_PUBSUB_ADMIN", format!("http://{}", server.rest)));
        }
        if let Some(emulator) = &self.official_pubsub {
            found.push(("EMULATORS_OFFICIAL_PUBSUB", emulator.address.to_string()));
        }
        if let Some(emulator) = &self.bigquery {
            found.push(("CHATFLOW_BIGQUERY_ENDPOINT", format!("http://{}", emulator.address)));
            if let Some(storage) = emulator.storage {
                found.push(("CHATFLOW_BIGQUERY_STORAGE_ENDPOINT", format!("http://{storage}")));
            }
        }
        if let Some(server) = &self.tasks {
            found.push(("CHATFLOW_TASKS_ENDPOINT", server.url()));
            found.push(("EMULATORS_TASKS_CONTROL", server.control_url()));
        }
        if let Some(server) = &self.secrets {
            found.push(("CHATFLOW_SECRETS_ENDPOINT", server.url()));
        }
        found
    }

    /// The emulators that ended by themselves.
    fn ended(&mut self) -> Vec<String> {
        [&mut self.firestore, &mut self.official_pubsub, &mut self.bigquery]
            .into_iter()
            .flatten()
            .filter_map(|emulator| {
                let is_running = emulator.is_running();
                (!is_running).then(|| emulator.name().to_owned())
            })
            .collect()
    }

    /// Waits until an emulator ends by itself, and answers which.
    async fn first_end(&mut self) -> String {
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            if let Some(name) = self.ended().into_iter().next() {
                return name;
            }
        }
    }
}

/// The signals that ask this process to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next of them.
    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        }
    }
}

/// The exit code of a process that a signal ended, as shells have it.
fn code_of(signal: SignalKind) -> u8 {
    u8::try_from(128 + signal.as_raw_value()).unwrap_or(u8::MAX)
}

/// Runs a command with everything around it, and answers its exit code.
pub async fn run(options: Options, command: &[String]) -> anyhow::Result<u8> {
    let mut signals = Signals::listen()?;
    let mut running = tokio::select! {
        running = start(options) => running?,
        signal = signals.next() => return Ok(code_of(signal)),
    };
    let Some((program, arguments)) = command.split_first() else {
        anyhow::bail!("no command: emulators run -- COMMAND");
    };
    // On a terminal the command stays in our process group, so that it can read and Ctrl-C
    // reaches it. Elsewhere it leads its own, so that all of its children can be stopped.
    let is_group = !std::io::stdin().is_terminal();
    let watchdog = Watchdog::start(is_group)?;
    let mut started = Command::from(watchdog.command(program, arguments));
    started.envs(running.variables()).kill_on_drop(true);
    if is_group {
        started.process_group(0);
    }
    let mut child = started.spawn().context("/bin/sh is needed")?;
    let pid = child.id().context("the command is gone")?;
    let code = attend(&mut child, pid, is_group, &mut signals, &mut running).await;
    if is_group {
        drop(watchdog); // kills what the command left behind
    } else {
        watchdog.release();
    }
    code
}

/// Waits for the command's end, and passes signals on to it.
async fn attend(
    child: &mut Child,
    pid: u32,
    is_group: bool,
    signals: &mut Signals,
    running: &mut Running,
) -> anyhow::Result<u8> {
    // Goes on: the command's own words say best what it cannot do without it.
    let ended = async {
        aloud(&format!("{} ended by itself: what follows will fail", running.first_end().await));
        std::future::pending().await
    };
    let signal = tokio::select! {
        status = child.wait() => return Ok(code(status?)),
        code = ended => return code,
        signal = signals.next() => signal,
    };
    let is_interrupt = signal == SignalKind::interrupt();
    // A terminal has sent its Ctrl-C to the command as well.
    if is_group || !is_interrupt {
        process::signal(if is_interrupt { "INT" } else { "TERM" }, pid, is_group);
    }
    tokio::select! {
        status = timeout(Duration::from_secs(END_SECONDS_MAX), child.wait()) => match status {
            Ok(status) => return Ok(code(status?)),
            Err(_) => aloud(&format!("the command does not end in {END_SECONDS_MAX} s: killed")),
        },
        _ = signals.next() => aloud("the command is killed"),
    }
    child.kill().await?;
    Ok(code_of(signal))
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Starts everything and stays until a signal comes. `ready` gets what was started.
pub async fn up(options: Options, ready: impl FnOnce(&Running)) -> anyhow::Result<u8> {
    let mut signals = Signals::listen()?;
    let mut running = tokio::select! {
        running = start(options) => running?,
        signal = signals.next() => return Ok(code_of(signal)),
    };
    ready(&running);
    tokio::select! {
        // To stop what was started is the way to end it, so it is no failure.
        _ = signals.next() => Ok(0),
        name = running.first_end() => anyhow::bail!("{name} ended by itself"),
    }
}
