//! Posting JSON with next to no work of one's own: sockets that are kept, one write, one read.
//! Where a server refuses ten thousand requests a second, the client that makes them takes more
//! of the same cores than the server does, and what is measured is the client.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// Header fields of an answer, and the most bytes it may have.
const HEADERS_MAX: usize = 32;
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Connections to one server, and requests on them.
#[derive(Clone, Default)]
pub struct Plain {
    idle: Arc<Mutex<Vec<TcpStream>>>,
}

/// What an answer's head says.
struct Head {
    status: u16,
    /// Where the body begins, and how long it is.
    body: usize,
    bytes: usize,
    has_retry_after: bool,
    closes: bool,
}

impl Plain {
    /// Posts JSON: the status, and whether the answer says when to come again.
    ///
    /// # Errors
    /// Where there is no answer, or none that can be read.
    pub async fn post(&self, url: &Url, body: &str) -> io::Result<(StatusCode, bool)> {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port().unwrap_or(80));
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            url.path(),
            body.len(),
        );
        // The server closes those that were idle for long, perhaps just now. The last one to be
        // used is the last to be closed, and a message that comes twice is taken once.
        let kept = self.idle().pop();
        if let Some(socket) = kept
            && let Ok(answer) = self.ask(socket, &request).await
        {
            return Ok(answer);
        }
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        self.ask(socket, &request).await
    }

    async fn ask(&self, mut socket: TcpStream, request: &str) -> io::Result<(StatusCode, bool)> {
        socket.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(1024);
        let head = loop {
            if socket.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if answer.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("the answer is too large"));
            }
            match head(&answer)? {
                Some(head) if answer.len() >= head.body.saturating_add(head.bytes) => break head,
                _ => {}
            }
        };
        if !head.closes {
            self.idle().push(socket);
        }
        let status = StatusCode::from_u16(head.status).map_err(io::Error::other)?;
        Ok((status, head.has_retry_after))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The head of an answer; none where it has not come whole.
fn head(answer: &[u8]) -> io::Result<Option<Head>> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(body) = parsed.parse(answer).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let field = |name: &str| {
        let found = parsed.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| String::from_utf8_lossy(field.value))
    };
    let bytes = field("content-length").and_then(|bytes| bytes.parse().ok());
    Ok(Some(Head {
        status: parsed.code.unwrap_or_default(),
        body,
        bytes: bytes.ok_or_else(|| io::Error::other("the answer does not say how long it is"))?,
        has_retry_after: field("retry-after").is_some(),
        closes: field("connection").is_some_and(|said| said.eq_ignore_ascii_case("close")),
    }))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::response::IntoResponse as _;
    use axum::routing::post;

    use super::*;

    #[tokio::test]
    async fn answers_are_read_to_their_end_on_the_same_socket() {
        let answer = |headers: HeaderMap, body: String| async move {
            assert_eq!(headers.get("content-type").unwrap(), "application/json");
            match body.as_str() {
                "1" => "x".repeat(5_000).into_response(),
                "2" => {
                    (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "no").into_response()
                }
                _ => ([("connection", "close")], "bye").into_response(),
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/talk", listener.local_addr().unwrap()).parse().unwrap();
        let server = axum::serve(listener, Router::new().route("/talk", post(answer)));
        let server = tokio::spawn(async move { server.await });
        let plain = Plain::default();
        assert_eq!(plain.post(&url, "1").await.unwrap(), (StatusCode::OK, false));
        let port = plain.idle()[0].local_addr().unwrap();
        assert_eq!(plain.post(&url, "2").await.unwrap(), (StatusCode::TOO_MANY_REQUESTS, true));
        assert_eq!(plain.idle()[0].local_addr().unwrap(), port);
        assert_eq!(plain.post(&url, "3").await.unwrap(), (StatusCode::OK, false));
        assert!(plain.idle().is_empty(), "the server closes it");
        // One that was closed meanwhile is replaced.
        plain.post(&url, "1").await.unwrap();
        let mut closed = plain.idle().pop().unwrap();
        closed.shutdown().await.unwrap();
        plain.idle().push(closed);
        assert_eq!(plain.post(&url, "2").await.unwrap().0, StatusCode::TOO_MANY_REQUESTS);
        server.abort();
    }
}
