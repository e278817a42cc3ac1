//! What a queue calls: keeps every request, and answers what it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// One request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A server that ends when this is dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    status: Arc<AtomicU16>,
    calls: UnboundedReceiver<Call>,
    _server: JoinSet<()>,
}

type Shared = (UnboundedSender<Call>, Arc<AtomicU16>);

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, calls) = unbounded_channel();
        let status = Arc::new(AtomicU16::new(200));
        let shared: Shared = (sender, Arc::clone(&status));
        let router = Router::new().fallback(keep).with_state(shared);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, status, calls, _server: server }
    }

    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub(crate) async fn next(&mut self) -> Call {
        timeout(Duration::from_secs(10), self.calls.recv()).await.expect("no call").unwrap()
    }

    /// What came so far and was not looked at.
    pub(crate) fn has_more(&mut self) -> bool {
        !self.calls.is_empty()
    }
}

async fn keep(
    State((sender, status)): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    sender.send(Call { method, path: uri.to_string(), headers, body }).unwrap();
    StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap()
}
