//! The emulators that are processes: Google's own for Firestore and Pub/Sub, and `bqemulator`.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::installed;
use crate::process::Guarded;

/// How long an emulator may take until it answers.
const READY_SECONDS_MAX: u64 = 120;
/// How long installing the BigQuery emulator may take.
const INSTALL_SECONDS_MAX: u64 = 900;
/// Between two looks at something that is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often a start is tried: a free port may be taken before the emulator takes it.
const STARTS_MAX: u32 = 2;
/// How much of a failed emulator's output is shown.
const LINES_SHOWN: usize = 20;

const REQUIREMENTS: &str = include_str!("../bigquery/requirements.txt");
const LAUNCHER: &str = include_str!("../bigquery/launch.py");

/// What is told to people while they wait.
pub type Say = fn(&str);

/// An emulator that answers; it ends when this is dropped, or this process.
#[derive(Debug)]
pub struct Emulator {
    /// Where it answers: gRPC and HTTP of Firestore and Pub/Sub, REST of BigQuery.
    pub address: SocketAddr,
    /// The Storage Write API of BigQuery, gRPC.
    pub storage: Option<SocketAddr>,
    process: Guarded,
}

impl Emulator {
    /// Starts Google's Firestore emulator and waits until it answers. `directory` gets its log.
    ///
    /// # Errors
    /// [`installed::Missing`] inside where it or Java is not installed.
    pub async fn firestore(directory: &Path, say: Say) -> anyhow::Result<Self> {
        let (java, jar) = (installed::java()?, installed::firestore_jar().await?);
        let log = directory.join("firestore.log");
        let command = |port: u16| {
            let mut command = Command::new(&java);
            command.args(["-Duser.language=en", "-Xmx1g", "-cp"]).arg(&jar);
            command.arg("com.google.cloud.datastore.emulator.firestore.CloudFirestore");
            command.args(["start", "--host", "127.0.0.1", "--port", &port.to_string()]);
            command
        };
        start("the Firestore emulator", command, Some(&log), "/", say).await
    }

    /// Starts Google's Pub/Sub emulator and waits until it answers. What it writes is discarded:
    /// a push subscription whose endpoint is dead makes it write gigabytes.
    ///
    /// # Errors
    /// [`installed::Missing`] inside where it or Java is not installed.
    pub async fn pubsub(say: Say) -> anyhow::Result<Self> {
        let (java, jar) = (installed::java()?, installed::pubsub_jar().await?);
        let command = |port: u16| {
            let mut command = Command::new(&java);
            command.args(["-Duser.language=en", "-Xmx1g", "-jar"]).arg(&jar);
            command.args(["--host=127.0.0.1", &format!("--port={port}")]);
            command
        };
        start("Google's Pub/Sub emulator", command, None, "/", say).await
    }

    /// Starts the BigQuery emulator and waits until it answers. The first time it is installed,
    /// which takes the network and a minute.
    ///
    /// # Errors
    /// [`installed::Missing`] inside where Python is not installed.
    pub async fn bigquery(directory: &Path, say: Say) -> anyhow::Result<Self> {
        let python = bigquery_environment(directory, say).await?;
        let launcher = directory.join("launch.py");
        std::fs::write(&launcher, LAUNCHER).context("cannot write the launcher")?;
        let log = directory.join("bigquery.log");
        let grpc = free_port()?;
        let command = |port: u16| {
            let mut command = Command::new(&python);
            command.env("TMPDIR", directory).arg(&launcher).arg("start");
            command.args(["--rest-host", "127.0.0.1", "--rest-port", &port.to_string()]);
            command.args(["--grpc-host", "127.0.0.1", "--grpc-port", &grpc.to_string()]);
            command.args(["--ephemeral", "--project", "chatflow", "--log-level", "warning"]);
            command
        };
        let mut emulator =
            start("the BigQuery emulator", command, Some(&log), "/readyz", say).await?;
        let storage = SocketAddr::from((Ipv4Addr::LOCALHOST, grpc));
        TcpStream::connect(storage).await.with_context(|| {
            format!("the BigQuery emulator's Storage Write API does not answer at {storage}")
        })?;
        emulator.storage = Some(storage);
        Ok(emulator)
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }
}

/// A port of 127.0.0.1 that nobody has now.
fn free_port() -> anyhow::Result<u16> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(socket.local_addr()?.port())
}

async fn start(
    name: &str,
    command: impl Fn(u16) -> Command,
    log: Option<&Path>,
    ready_path: &str,
    say: Say,
) -> anyhow::Result<Emulator> {
    say(&format!("starting {name}…"));
    let began = Instant::now();
    for left in (0..STARTS_MAX).rev() {
        let port = free_port()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let command = command(port);
        let mut process = Guarded::spawn(name, &command, log)?;
        let until = began + Duration::from_secs(READY_SECONDS_MAX);
        while process.is_running() && Instant::now() < until {
            if answers(address, ready_path).await {
                say(&format!("{name} is ready in {:.1} s", began.elapsed().as_secs_f32()));
                return Ok(Emulator { address, storage: None, process });
            }
            sleep(LOOK_EVERY).await;
        }
        if process.is_running() {
            let lines = process.last_lines(LINES_SHOWN);
            bail!("{name} does not answer after {READY_SECONDS_MAX} s. Its last lines:\n{lines}");
        }
        if left == 0 {
            let lines = process.last_lines(LINES_SHOWN);
            bail!("{name} does not start. The command:\n{command:?}\nIts last lines:\n{lines}");
        }
    }
    bail!("{name} was not started")
}

/// Whether `GET path` is answered with 200.
async fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.ok()?;
        Some(status.ends_with(b" 200"))
    };
    timeout(Duration::from_secs(5), ask).await.ok().flatten().unwrap_or(false)
}

/// The Python of the BigQuery emulator's environment, made where it is absent or of other
/// requirements.
async fn bigquery_environment(directory: &Path, say: Say) -> anyhow::Result<PathBuf> {
    let cache = installed::bigquery_cache()?;
    let python = cache.join("bin/python");
    let stamp = cache.join("requirements.txt");
    let is_current = || std::fs::read_to_string(&stamp).is_ok_and(|text| text == REQUIREMENTS);
    if is_current() {
        return Ok(python);
    }
    let parent = cache.parent().context("the cache has no folder")?;
    std::fs::create_dir_all(parent).with_context(|| format!("{}", parent.display()))?;
    // Two that start at the same time install once. The lock ends with the file or the process.
    let lock = File::create(parent.join("bigquery-emulator.lock"))?;
    let until = Instant::now() + Duration::from_secs(INSTALL_SECONDS_MAX);
    while let Err(error) = lock.try_lock() {
        if Instant::now() > until || !matches!(error, TryLockError::WouldBlock) {
            return Err(error).context("another installation of the BigQuery emulator");
        }
        sleep(LOOK_EVERY).await;
    }
    if !is_current() {
        say("installing the BigQuery emulator (once; it takes a minute)…");
        let made = installed::python()?;
        let log = directory.join("install.log");
        let mut venv = Command::new(made);
        venv.args(["-m", "venv", "--clear"]).arg(&cache);
        run("python3 -m venv (apt-get install python3-venv)", &venv, &log).await?;
        let wanted = directory.join("requirements.txt");
        std::fs::write(&wanted, REQUIREMENTS)?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r"]);
        pip.arg(&wanted);
        run("pip install", &pip, &log).await?;
        std::fs::write(&stamp, REQUIREMENTS)?;
    }
    drop(lock);
    Ok(python)
}

/// Runs a command to its end; it must say that all went well.
async fn run(name: &str, command: &Command, log: &Path) -> anyhow::Result<()> {
    // The guard's shell ends by a signal, so the command's own end is told in its log.
    let mut told = Command::new("/bin/sh");
    told.args(["-c", r#""$@" && echo finished"#, "run"]);
    told.arg(command.get_program()).args(command.get_args());
    let mut process = Guarded::spawn(name, &told, Some(log))?;
    let until = Instant::now() + Duration::from_secs(INSTALL_SECONDS_MAX);
    while process.is_running() {
        if Instant::now() > until {
            bail!("{name} takes longer than {INSTALL_SECONDS_MAX} s");
        }
        sleep(LOOK_EVERY).await;
    }
    if !process.last_lines(2).lines().any(|line| line == "finished") {
        bail!("{name} failed:\n{}", process.last_lines(LINES_SHOWN));
    }
    Ok(())
}
