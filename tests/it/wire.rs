//! The server on the wire: requests byte by byte, and streams of events.

use std::time::Duration;

use it::{Answer, TestApp};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for bytes that must come.
const PATIENCE: Duration = Duration::from_secs(30);

async fn connect(app: &TestApp, head: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(app.server().address).await.expect("the server listens");
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).await.expect("the head goes out");
    stream.write_all(body).await.expect("the body goes out");
    stream
}

/// Sends bytes as they are and reads until the server closes. Speak HTTP/1.0, or say
/// `Connection: close`.
pub(crate) async fn exchange(app: &TestApp, head: &str, body: &[u8]) -> Answer {
    let mut stream = connect(app, head, body).await;
    let mut got = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut got)).await;
    read.expect("the server answers in time").expect("the answer can be read");
    let text = String::from_utf8_lossy(&got).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_str(), ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    Answer {
        status: status.and_then(|status| status.parse().ok()).unwrap_or_default(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: serde_json::from_str(body).unwrap_or_default(),
        text: body.to_owned(),
    }
}

/// One event of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// An open stream of Server-Sent Events.
pub(crate) struct Events {
    stream: TcpStream,
    buffer: String,
}

impl Events {
    /// Opens a stream; the server has begun to watch when this returns.
    pub(crate) async fn open(app: &TestApp, path: &str, last: Option<&str>) -> Self {
        let last = last.map(|id| format!("\r\nLast-Event-ID: {id}")).unwrap_or_default();
        let head = format!("GET {path} HTTP/1.0\r\nAuthorization: Bearer {}{last}", app.key);
        let mut events = Self { stream: connect(app, &head, b"").await, buffer: String::new() };
        let head = events.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        assert!(head.contains("text/event-stream"), "{head}");
        events
    }

    async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some((text, rest)) = self.buffer.split_once(end) {
                let (text, rest) = (text.to_owned(), rest.to_owned());
                self.buffer = rest;
                return text;
            }
            let mut bytes = [0; 16 * 1024];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut bytes)).await;
            let read = read.expect("the stream goes on").expect("the stream can be read");
            assert!(read > 0, "the stream ended after: {}", self.buffer);
            let bytes = bytes.get(..read).unwrap_or_default();
            self.buffer.push_str(&String::from_utf8_lossy(bytes));
        }
    }

    /// The next event; keep-alives are passed over.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            let text = self.until("\n\n").await;
            let mut event = Event { id: String::new(), name: String::new(), data: Value::Null };
            for line in text.lines() {
                match line.split_once(':').map(|(field, value)| (field, value.trim_start())) {
                    Some(("id", id)) => id.clone_into(&mut event.id),
                    Some(("event", name)) => name.clone_into(&mut event.name),
                    Some(("data", data)) => {
                        event.data = serde_json::from_str(data).expect("the data is JSON");
                    }
                    _ => {}
                }
            }
            if !event.name.is_empty() {
                return event;
            }
        }
    }

    /// The events up to and with the first that `is_last`.
    pub(crate) async fn through(&mut self, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await;
            let last = is_last(&event);
            events.push(event);
            if last {
                return events;
            }
        }
    }
}
