//! `chatflow serve`: the whole system in one process.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bootstrap::{Local, SystemClock, serve};
use gateway::Gateway;
use gateway::admission::Admission;
use ports::{Clock, Deliveries};
use runtime::app::{Terminal, TerminalLine};
use runtime::{App, Limits, keys};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::{delivery, demo, page};

/// The name of the administrator's key file in the data directory.
pub const KEY_FILE: &str = "admin.key";
/// Lines that wait for a slow terminal; more are not shown. The messages are stored anyway.
const TERMINAL_LINES: usize = 1_000;
/// How often the sweeper looks.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// How the server starts.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where everything is kept.
    pub data: PathBuf,
    /// The address to listen on; port 0 is any free one.
    pub listen: SocketAddr,
    /// Whether the demo is set up.
    pub demo: bool,
    /// Whether one JSON line says that the server is ready, instead of text for people.
    pub json: bool,
    /// Bounds of the runtime; the command line knows none of them.
    pub limits: Limits,
    /// Events that may wait to be handled before more are refused.
    pub backlog_max: u32,
}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The file with the administrator's key.
    pub key_file: PathBuf,
    /// The system.
    pub app: App,
    local: Local,
    stop: watch::Sender<bool>,
    http: tokio::task::JoinHandle<std::io::Result<()>>,
    delivery: tokio::task::JoinHandle<()>,
    sweeper: tokio::task::JoinHandle<()>,
}

/// Serves until SIGTERM or Ctrl-C, then drains: within ten seconds everything has ended.
pub async fn run(options: ServeOptions) -> anyhow::Result<()> {
    let terminal = if options.json { quiet() } else { to_terminal() };
    let server = Server::start(&options, terminal, Arc::new(SystemClock)).await?;
    let stop = serve::signal()?;
    announce(&options, &server)?;
    stop.await;
    if !options.json {
        eprintln!("stopping…");
    }
    server.stop().await
}

impl Server {
    /// Opens the data, sets up what is missing, and listens.
    pub async fn start(
        options: &ServeOptions,
        terminal: Terminal,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let local = Local::open(&options.data, clock, options.limits.clone(), terminal)?;
        let app = local.app.clone();
        runtime::administer::prepare(&app).await?;
        let key_file = options.data.join(KEY_FILE);
        administrator_key(&app, &key_file).await?;
        if options.demo {
            demo::install(&app).await.context("setting up the demo failed")?;
        }
        let listener = TcpListener::bind(options.listen).await.with_context(|| {
            format!("cannot listen on {}; choose another address with --listen", options.listen)
        })?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let deliveries = local.deliveries.clone();
        let admission = Arc::new(Admission::new(options.backlog_max));
        let gateway = Gateway::new(app.clone(), Some(deliveries.clone()), stopped.clone())
            .admitting(admission.clone());
        let router = gateway::router(gateway, page::router());
        let http = tokio::spawn(serve::http(listener, router, stopped.clone()));
        let delivery =
            tokio::spawn(delivery::run(app.clone(), deliveries, admission, stopped.clone()));
        let sweeper = tokio::spawn(sweep(app.clone(), stopped));
        Ok(Self { address, key_file, app, local, stop, http, delivery, sweeper })
    }

    /// The receiving end of the bus, to see what is left to do.
    pub fn deliveries(&self) -> &dyn Deliveries {
        &*self.local.deliveries
    }

    /// Stops accepting, ends what is under way, writes what is left.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        self.http.await??;
        self.delivery.await?;
        self.sweeper.await?;
        self.local.close().await;
        Ok(())
    }
}

async fn sweep(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(error) = timekeeper::sweep(&app).await {
            tracing::warn!(%error, "sweeping failed; it is repeated");
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Makes the administrator's key at the first start and keeps it in a file only its owner reads.
pub(crate) async fn administrator_key(app: &App, path: &Path) -> anyhow::Result<()> {
    if let Ok(text) = std::fs::read_to_string(path)
        && keys::authenticate(app, text.trim()).await?.is_some()
    {
        return Ok(());
    }
    // A lost or foreign file is replaced: who can write here can write the data file as well.
    let _ = std::fs::remove_file(path);
    let (_, text) = keys::create(app, "administrator", vec!["*".into()]).await?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("the key file {} cannot be written", path.display()))?;
    file.write_all(format!("{text}\n").as_bytes())?;
    file.sync_all()?;
    Ok(())
}

fn quiet() -> Terminal {
    Arc::new(|_| {})
}

/// Replies of the demo, one line each. A closed terminal is no reason to stop serving.
fn to_terminal() -> Terminal {
    // A thread of its own: a terminal that stands still blocks this thread and no other.
    let (lines, shown) = std::sync::mpsc::sync_channel::<TerminalLine>(TERMINAL_LINES);
    std::thread::spawn(move || {
        for line in shown {
            let text = line.text.replace('\n', "\n    ");
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "  ↩ {} → {}: {text}", line.connection, line.contact);
            let _ = out.flush();
        }
    });
    Arc::new(move |line: &TerminalLine| {
        let _ = lines.try_send(line.clone());
    })
}

fn announce(options: &ServeOptions, server: &Server) -> anyhow::Result<()> {
    let url = format!("http://{}", server.address);
    let mut out = std::io::stdout().lock();
    if options.json {
        let file = std::path::absolute(&server.key_file)?;
        writeln!(out, "{}", serde_json::json!({ "url": url, "api_key_file": file }))?;
        return Ok(out.flush()?);
    }
    let key = std::fs::read_to_string(&server.key_file)?;
    let key = key.trim();
    let file = server.key_file.display();
    writeln!(
        out,
        "Chatflow is ready. Ctrl-C stops it; the data stays in {}.",
        options.data.display()
    )?;
    writeln!(out, "\n  page   {url}/#key={key}\n  docs   {url}/docs\n  key    {file}")?;
    if options.demo {
        writeln!(out, "\nTry it from another terminal; replies appear here:\n")?;
        writeln!(
            out,
            "  # 1. ask for leave (請假)\n  curl -s {url}/webhooks/demo -H 'Content-Type: application/json' \\\n    \
             -d '{{\"id\": \"try-1\", \"contact\": {{\"id\": \"mei\", \"name\": \"Mei\", \"lang\": \"zh-TW\"}}, \"text\": \"請假\"}}'\n"
        )?;
        writeln!(
            out,
            "  # 2. answer\n  curl -s {url}/webhooks/demo -H 'Content-Type: application/json' \\\n    \
             -d '{{\"id\": \"try-2\", \"contact\": {{\"id\": \"mei\"}}, \"text\": \"明天\"}}'\n"
        )?;
        writeln!(
            out,
            "  # 3. look at the task\n  curl -s '{url}/v1/tasks?contact=mei' -H \"Authorization: Bearer $(cat {file})\"\n"
        )?;
    }
    Ok(out.flush()?)
}
