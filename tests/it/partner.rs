//! Somebody else's server, on loopback, that answers as a test says.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use it::TestApp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::talk::put;

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// How the server answers.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    Status(u16),
    Json(u16, Value),
    Redirect(String),
    /// So many bytes of text.
    Bytes(usize),
    /// Never.
    Nothing,
}

impl Says {
    async fn respond(self) -> Response {
        match self {
            Self::Status(status) => code(status).into_response(),
            Self::Json(status, body) => (code(status), axum::Json(body)).into_response(),
            Self::Redirect(to) => {
                (StatusCode::FOUND, [(http::header::LOCATION, to)]).into_response()
            }
            Self::Bytes(count) => "x".repeat(count).into_response(),
            Self::Nothing => std::future::pending().await,
        }
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a status")
}

/// The server; it listens as long as the test runs.
pub(crate) struct Partner {
    /// Its `host:port`.
    pub(crate) host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Partner {
    /// Answers each request as `script` says; it gets the request and how many came before.
    pub(crate) async fn answering(
        script: impl Fn(&Asked, usize) -> Says + Clone + Send + Sync + 'static,
    ) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let all = asked.clone();
        let take = move |request: Request| async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 2 << 20).await.unwrap_or_default();
            let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let (method, headers) = (parts.method, parts.headers);
            let got = Asked { method, target, headers, body: body.to_vec() };
            let says = {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(got.clone());
                script(&got, all.len() - 1)
            };
            says.respond().await
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let host = listener.local_addr().expect("it is bound").to_string();
        tokio::spawn(async { axum::serve(listener, Router::new().fallback(take)).await });
        Self { host, asked }
    }

    /// Answers the first requests with these, one each, and every later one with the last.
    pub(crate) async fn saying(script: &[Says]) -> Self {
        let script = script.to_vec();
        let last = script.len().saturating_sub(1);
        Self::answering(move |_, before| script[before.min(last)].clone()).await
    }

    /// What came, oldest first.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens the connection `erp`, unsigned from here, whose replies come to this server.
    pub(crate) async fn connect(&self, app: &TestApp, more: Value) {
        let url = format!("http://{}/replies", self.host);
        let mut connection = json!({
            "id": "erp", "unsigned_from_loopback": true, "allowed_hosts": [self.host],
            "reply": { "to": "url", "url": url },
        });
        let fields = connection.as_object_mut().expect("an object");
        fields.extend(more.as_object().cloned().unwrap_or_default());
        let answer = put(app, "/v1/connections/erp", connection).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}
