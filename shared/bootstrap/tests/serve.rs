//! Serving over real sockets: both versions of HTTP on one port, bounds, draining.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use bootstrap::serve;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

struct Served {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
    /// Tells that a slow request has begun.
    begun: Arc<Notify>,
    /// Lets slow requests end.
    go_on: Arc<Notify>,
}

impl Served {
    async fn start(drain: Duration) -> Self {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begin, wait) = (begun.clone(), go_on.clone());
        let slow = move || {
            let (begin, wait) = (begin.clone(), wait.clone());
            async move {
                begin.notify_one();
                wait.notified().await;
                "at last"
            }
        };
        let peer = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string();
        let router = Router::new().route("/slow", get(slow)).route("/peer", get(peer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve::http_draining(listener, router, stopped, drain));
        Self { address, stop, server, begun, go_on }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).header("host", "localhost").body(Body::empty()).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn by_http1(stream: TcpStream, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
    let (mut send, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    send.send_request(request).await
}

async fn by_http2(stream: TcpStream, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
    let io = TokioIo::new(stream);
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
    tokio::spawn(connection);
    send.send_request(request).await
}

#[tokio::test]
async fn one_port_speaks_both_versions_and_knows_its_peer() {
    let served = Served::start(Duration::from_secs(5)).await;
    let stream = served.connect().await;
    let peer = stream.local_addr().unwrap().to_string();
    let response = by_http1(stream, request("/peer")).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_11);
    assert_eq!(text(response).await, peer);
    let stream = served.connect().await;
    let peer = stream.local_addr().unwrap().to_string();
    let response = by_http2(stream, request("http://localhost/peer")).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(text(response).await, peer);
}

#[tokio::test]
async fn open_requests_end_before_the_server_does() {
    for second_version in [false, true] {
        let served = Served::start(Duration::from_secs(30)).await;
        let stream = served.connect().await;
        let slow = tokio::spawn(async move {
            if second_version {
                by_http2(stream, request("http://localhost/slow")).await
            } else {
                by_http1(stream, request("/slow")).await
            }
        });
        served.begun.notified().await;
        // A connection that is open and idle must not hold up the end.
        let _idle = served.connect().await;
        served.stop.send_replace(true);
        let refused = async {
            while TcpStream::connect(served.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
        assert!(!served.server.is_finished());
        served.go_on.notify_one();
        assert_eq!(text(slow.await.unwrap().unwrap()).await, "at last");
        let ended = tokio::time::timeout(Duration::from_secs(10), served.server).await;
        ended.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off() {
    let served = Served::start(Duration::from_millis(100)).await;
    let stream = served.connect().await;
    let slow = tokio::spawn(by_http1(stream, request("/slow")));
    served.begun.notified().await;
    served.stop.send_replace(true);
    let ended = tokio::time::timeout(Duration::from_secs(10), served.server).await;
    ended.unwrap().unwrap().unwrap();
    slow.abort();
}

#[tokio::test]
async fn heads_are_bounded() {
    let served = Served::start(Duration::from_secs(5)).await;
    let many = "x-many: y\r\n".repeat(200);
    let large = format!("x-large: {}\r\n", "y".repeat(100_000));
    for fields in [many, large] {
        let mut stream = served.connect().await;
        let head = format!("GET /peer HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n");
        // The server may hang up while the rest of the head is under way.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}
