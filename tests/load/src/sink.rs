//! The server that replies are sent to. It keeps nothing but how far each conversation is.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a reply may take.
const REPLY_MAX: Duration = Duration::from_secs(60);

/// What is read of a reply: its text is the number of the turn.
#[derive(Deserialize)]
struct Reply {
    contact: String,
    text: String,
}

/// The last turn that was answered, by contact.
#[derive(Clone, Default)]
pub struct Replies(Arc<Mutex<HashMap<String, watch::Sender<u32>>>>);

impl Replies {
    /// Expects replies to a contact, until what is given back is dropped.
    pub fn expect(&self, contact: &str) -> Expected {
        let answered = watch::Sender::new(0);
        let turns = answered.subscribe();
        self.contacts().insert(contact.to_owned(), answered);
        Expected { replies: self.clone(), contact: contact.to_owned(), turns }
    }

    fn came(&self, reply: &Reply) -> StatusCode {
        // A reply may come twice, and late; the turn only moves forward.
        let Ok(turn) = reply.text.parse::<u32>() else { return StatusCode::BAD_REQUEST };
        if let Some(answered) = self.contacts().get(&reply.contact) {
            answered.send_if_modified(|last| {
                let forward = turn > *last;
                *last = turn.max(*last);
                forward
            });
        }
        StatusCode::OK
    }

    fn contacts(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<u32>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replies to one contact.
pub struct Expected {
    replies: Replies,
    contact: String,
    turns: watch::Receiver<u32>,
}

impl Expected {
    /// Waits for the reply of a turn.
    ///
    /// # Errors
    /// Where it does not come within a minute.
    pub async fn turn(&mut self, turn: u32) -> anyhow::Result<()> {
        let came = self.turns.wait_for(|last| *last >= turn);
        tokio::time::timeout(REPLY_MAX, came).await.with_context(|| {
            format!("{} got no reply {turn} within {REPLY_MAX:?}", self.contact)
        })??;
        Ok(())
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.replies.contacts().remove(&self.contact);
    }
}

/// The server. It ends when dropped.
pub struct Sink {
    address: SocketAddr,
    /// What came.
    pub replies: Replies,
    serving: JoinHandle<()>,
}

impl Sink {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a free port")?;
        let address = listener.local_addr()?;
        let replies = Replies::default();
        let take =
            async |State(replies): State<Replies>, body: Bytes| match serde_json::from_slice(&body)
            {
                Ok(reply) => replies.came(&reply),
                Err(_) => StatusCode::BAD_REQUEST,
            };
        let router = Router::new().route("/", post(take)).with_state(replies.clone());
        let serving = tokio::spawn(async move {
            // It ends with the task; there is nobody to tell of an error.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, replies, serving })
    }

    /// `http://127.0.0.1:PORT/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// `127.0.0.1:PORT`, to be allowed by name.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
