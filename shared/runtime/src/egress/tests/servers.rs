//! Servers on loopback: a well-behaved one, and one that sends any bytes and then stops.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};

/// A server that counts the requests it gets. Ends with the test's runtime.
pub(super) struct Server {
    pub(super) port: u16,
    hits: Arc<AtomicUsize>,
}

impl Server {
    pub(super) async fn start(routes: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        let hits = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&hits);
        let routes = routes.layer(axum::middleware::map_request(move |request: Request| {
            counter.fetch_add(1, Ordering::SeqCst);
            std::future::ready(request)
        }));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { port, hits }
    }

    /// Answers every request with `hello`.
    pub(super) async fn hello() -> Self {
        Self::start(Router::new().fallback(any(|| async { "hello" }))).await
    }

    /// Answers every request with a redirect.
    pub(super) async fn redirecting(status: u16, location: String) -> Self {
        let answer = move || std::future::ready(redirect(status, &location));
        Self::start(Router::new().fallback(any(answer))).await
    }

    /// `127.0.0.1:PORT`, as in URLs and lists of allowed hosts.
    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.host())
    }

    /// How many requests arrived.
    pub(super) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
}

pub(super) fn redirect(status: u16, location: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let location = HeaderValue::from_str(location).expect("a header value");
    (status, [(header::LOCATION, location)]).into_response()
}

/// Tells the request back: its line, its headers, a blank line, its body.
pub(super) async fn echo(uri: Uri, request: Request) -> String {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1024).await.expect("a short body");
    let mut headers = String::new();
    for (name, value) in &parts.headers {
        let value = value.to_str().expect("a text value");
        writeln!(headers, "{name}: {value}").expect("strings take everything");
    }
    let body = std::str::from_utf8(&body).expect("a text body");
    format!(
        "{} {uri}
{headers}
{body}",
        parts.method
    )
}

/// What a raw server does after its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Close,
    StayOpen,
}

/// A server that reads the head of each request, then sends `bytes`. Returns `127.0.0.1:PORT`.
pub(super) async fn raw(bytes: impl Into<Vec<u8>>, then: Then) -> String {
    let bytes = bytes.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let host = listener.local_addr().expect("a bound address").to_string();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            // The client may hang up before it has read everything.
            let _ = stream.write_all(&bytes).await;
            if then == Then::StayOpen {
                open.push(stream);
            }
        }
    });
    host
}

/// A port that nobody listens on, as `127.0.0.1:PORT`, taken as long as the socket lives.
pub(super) fn closed() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let host = socket.local_addr().expect("a bound address").to_string();
    (socket, host)
}
