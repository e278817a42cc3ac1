//! Requests to servers on this machine, as cheap as they can be: the generator shares the cores
//! with what it measures.

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Keeps connections open and uses them again.
#[derive(Clone)]
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
}

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            http: hyper_util::client::legacy::Client::builder(TokioExecutor::new())
                .build(connector),
        }
    }
}

impl Client {
    /// Sends a body, and reads the answer to its end.
    ///
    /// # Errors
    /// Where there is no answer, or one that is no success: its status and body.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(header::HeaderName, &str)],
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        let answer = self.ask(method, url, headers, body).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        anyhow::ensure!(
            status.is_success(),
            "{url} answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }

    /// Opens a stream of Server-Sent Events, which is read part by part.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn open(&self, url: &str, bearer: &str) -> anyhow::Result<Incoming> {
        let headers = [(header::AUTHORIZATION, bearer)];
        let answer = self.ask(Method::GET, url, &headers, Bytes::new()).await?;
        anyhow::ensure!(answer.status().is_success(), "{url} answered {}", answer.status());
        Ok(answer.into_body())
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(header::HeaderName, &str)],
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let answer = self.http.request(request.body(Full::new(body))?).await;
        answer.with_context(|| format!("{url} does not answer"))
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn post(&self, url: &str, body: &Value) -> anyhow::Result<Bytes> {
        let json = [(header::CONTENT_TYPE, "application/json")];
        self.send(Method::POST, url, &json, Bytes::from(body.to_string())).await
    }

    /// Reads.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn get(&self, url: &str) -> anyhow::Result<Bytes> {
        self.send(Method::GET, url, &[], Bytes::new()).await
    }
}
