//! The floor: the least that does the work of `scripts/bench local` durably. It takes a message
//! by webhook, stores it with its reply in one transaction that waiting messages share, answers
//! 200 once that is on the disk, and posts the reply. It knows no flows, tasks, history, retries
//! or warehouse: what the local server takes more is what those cost.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::routing::post;
use clap::Parser;
use load::client::Client;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// Most messages of one transaction, and most that wait: as the local server has them.
const GROUP_MAX: usize = 256;
const WAITING_MAX: usize = 1_024;
/// Settings of the file, as the local server has them.
const PRAGMAS: [(&str, &str); 5] = [
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    ("cache_size", "-16384"),
    ("temp_store", "MEMORY"),
    ("wal_autocheckpoint", "8000"),
];
const TABLES: &str = "CREATE TABLE IF NOT EXISTS messages \
                      (id TEXT PRIMARY KEY, contact TEXT NOT NULL, text TEXT NOT NULL) STRICT; \
                      CREATE TABLE IF NOT EXISTS replies \
                      (id TEXT PRIMARY KEY, contact TEXT NOT NULL, text TEXT NOT NULL) STRICT;";

/// The least that does the work of the benchmark durably.
#[derive(Parser)]
struct Args {
    /// Where the file is kept.
    #[arg(long)]
    data: PathBuf,
    /// The address to listen on; port 0 is any free port.
    #[arg(long)]
    listen: SocketAddr,
    /// Where replies are posted.
    #[arg(long)]
    replies_to: String,
}

#[derive(Clone, Deserialize)]
struct Contact {
    id: String,
}

#[derive(Clone, Deserialize)]
struct Message {
    id: String,
    contact: Contact,
    text: String,
}

impl Message {
    /// The number of the turn, which the message ends with; the first one has none.
    fn reply(&self) -> &str {
        self.text.rsplit_once(' ').map_or("1", |(_, turn)| turn)
    }
}

/// A message, and who is told once it is on the disk: whether it is new.
type Request = (Message, oneshot::Sender<bool>);

#[derive(Clone)]
struct Floor {
    requests: mpsc::Sender<Request>,
    client: Client,
    replies_to: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let conn = open(&args.data)?;
    let (requests, waiting) = mpsc::channel(WAITING_MAX);
    let writer = std::thread::spawn(move || write(conn, waiting));
    let listener = TcpListener::bind(args.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let floor = Floor { requests, client: Client::default(), replies_to: args.replies_to };
    let router = axum::Router::new().route("/webhooks/load", post(take)).with_state(floor);
    let mut terminated = signal(SignalKind::terminate())?;
    println!("{}", json!({ "url": url }));
    std::io::stdout().flush()?;
    let stopped = async move {
        terminated.recv().await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await?;
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?
}

async fn take(State(floor): State<Floor>, Json(message): Json<Message>) -> StatusCode {
    let (stored, is_stored) = oneshot::channel();
    if floor.requests.send((message.clone(), stored)).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match is_stored.await {
        Ok(true) => {
            tokio::spawn(reply(floor, message));
            StatusCode::OK
        }
        Ok(false) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn reply(floor: Floor, message: Message) {
    let body = json!({ "contact": message.contact.id, "text": message.reply() });
    if let Err(error) = floor.client.post(&floor.replies_to, &body).await {
        eprintln!("a reply did not arrive: {error:#}");
    }
}

fn open(data: &Path) -> anyhow::Result<Connection> {
    let path = data.join("floor.db");
    let conn = Connection::open(&path).with_context(|| format!("{}", path.display()))?;
    for (name, value) in PRAGMAS {
        conn.pragma_update(None, name, value)?;
    }
    conn.execute_batch(TABLES)?;
    Ok(conn)
}

/// Stores what waits at the same time in one transaction, until nobody can ask any more.
fn write(conn: Connection, mut waiting: mpsc::Receiver<Request>) -> anyhow::Result<()> {
    while let Some(first) = waiting.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut fresh = Vec::with_capacity(group.len());
        for (message, _) in &group {
            let Message { id, contact, text } = message;
            let sql = "INSERT INTO messages VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";
            let is_new = conn.prepare_cached(sql)?.execute((id, &contact.id, text))? > 0;
            if is_new {
                let sql = "INSERT INTO replies VALUES (?1, ?2, ?3)";
                conn.prepare_cached(sql)?.execute((id, &contact.id, message.reply()))?;
            }
            fresh.push(is_new);
        }
        conn.prepare_cached("COMMIT")?.execute([])?;
        for ((_, stored), is_new) in group.into_iter().zip(fresh) {
            // Nobody may be there any more to hear it.
            let _ = stored.send(is_new);
        }
    }
    conn.close().map_err(|(_, error)| error)?;
    Ok(())
}
