//! A server that replies are sent to.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Most replies kept; the oldest go first.
const KEPT: usize = 200_000;

type Seen = Box<dyn Fn(&Value) + Send + Sync>;

struct Shared {
    replies: Mutex<VecDeque<Value>>,
    seen: Seen,
}

/// The server. It ends when dropped.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Sink {
    /// Listens on a free port of loopback; `seen` is told of every reply.
    pub async fn start(seen: impl Fn(&Value) + Send + Sync + 'static) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a free port")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { replies: Mutex::default(), seen: Box::new(seen) });
        let take = async |State(shared): State<Arc<Shared>>, body: Bytes| {
            if let Ok(reply) = serde_json::from_slice(&body) {
                (shared.seen)(&reply);
                let mut replies = lock(&shared.replies);
                if replies.len() >= KEPT {
                    replies.pop_front();
                }
                replies.push_back(reply);
            }
        };
        let router = Router::new().route("/", post(take)).with_state(shared.clone());
        let serving = tokio::spawn(async move {
            // It ends with the task; there is nobody to tell of an error.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, serving })
    }

    /// `http://127.0.0.1:PORT/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// `127.0.0.1:PORT`, to be allowed by name.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// All replies so far, in the order they came.
    pub fn replies(&self) -> Vec<Value> {
        lock(&self.shared.replies).iter().cloned().collect()
    }

    /// Waits for so many replies to a contact; their texts in order.
    ///
    /// # Errors
    /// Where they do not come in `longest`: what came instead.
    pub async fn texts_to(
        &self,
        contact: &str,
        count: usize,
        longest: Duration,
    ) -> anyhow::Result<Vec<String>> {
        let began = tokio::time::Instant::now();
        loop {
            let texts: Vec<String> = self
                .replies()
                .iter()
                .filter(|reply| {
                    reply["contact"]["id"].as_str().or(reply["contact"].as_str()) == Some(contact)
                })
                .map(|reply| reply["text"].as_str().unwrap_or_default().to_owned())
                .collect();
            if texts.len() >= count {
                return Ok(texts);
            }
            anyhow::ensure!(
                began.elapsed() < longest,
                "{} of {count} replies to {contact} came: {texts:?}",
                texts.len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
