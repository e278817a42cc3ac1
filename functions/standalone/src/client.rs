//! A client of the API, for the commands that talk to a server.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Method;
use runtime::egress::{Egress, EgressConfig, EgressError, HostAllowList, OutgoingRequest};
use serde_json::Value;
use url::Url;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Which server, and with which key.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// The server's address.
    #[arg(long, env = "CHATFLOW_SERVER", default_value = "http://127.0.0.1:8080")]
    pub server: Url,
    /// The file with the API key.
    #[arg(long, env = "CHATFLOW_API_KEY_FILE", default_value = "data/admin.key")]
    pub key_file: PathBuf,
}

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    egress: Egress,
    server: Url,
    allowed: HostAllowList,
    key: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null where it is no JSON.
    pub body: Value,
    /// How long to wait before trying again, where the server says so.
    pub retry_after: Option<Duration>,
}

impl Client {
    /// A client with the key of the file; requests that need none work without it.
    pub fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        let host = args.server.host_str().context("--server needs a host name")?;
        let port = args.server.port_or_known_default().context("--server needs a port")?;
        // The address is the user's own word: it may well be this machine.
        let allowed = HostAllowList::parse([format!("{host}:{port}")])?;
        let key = std::fs::read_to_string(&args.key_file).ok().map(|key| key.trim().to_owned());
        Ok(Self {
            egress: Egress::new(&EgressConfig {
                pool_idle_per_host_max: 128,
                response_bytes_max: ANSWER_BYTES_MAX,
                ..EgressConfig::default()
            })?,
            server: args.server.clone(),
            allowed,
            key,
        })
    }

    /// The server's address.
    pub fn server(&self) -> &Url {
        &self.server
    }

    /// One request; any answer is an answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Answer, EgressError> {
        let url = format!("{}{path}", self.server.as_str().trim_end_matches('/'));
        let mut headers = Vec::new();
        if let Some(key) = &self.key {
            headers.push(("authorization".to_owned(), format!("Bearer {key}")));
        }
        if let Some((kind, _)) = &body {
            headers.push(("content-type".to_owned(), (*kind).to_owned()));
        }
        let answer = self
            .egress
            .send(OutgoingRequest {
                method,
                url,
                headers,
                sensitive_headers: Vec::new(),
                body: body.map(|(_, bytes)| Bytes::from(bytes)),
                timeout: TIMEOUT,
                response_bytes_max: ANSWER_BYTES_MAX,
                allow_internal: self.allowed.clone(),
                follow_redirects: 0,
            })
            .await?;
        let after =
            answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
        Ok(Answer {
            status: answer.status,
            body: serde_json::from_slice(&answer.body).unwrap_or_default(),
            retry_after: after.and_then(|(_, v)| v.parse().ok()).map(Duration::from_secs),
        })
    }

    /// One request that must succeed; an error says what the server said and what to do.
    pub async fn expect(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> anyhow::Result<Value> {
        let answer = self.send(method, path, body).await.with_context(|| {
            format!("{} does not answer; is the server running there?", self.server)
        })?;
        match answer.status {
            200..=299 => Ok(answer.body),
            401 => bail!("the server does not know the API key; name its file with --key-file"),
            status => bail!("the server answered {status}: {}", explain(&answer.body)),
        }
    }

    /// A GET that must succeed.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.expect(Method::GET, path, None).await
    }
}

/// The text of a problem document, its fields one per line.
fn explain(problem: &Value) -> String {
    let mut text = problem["detail"].as_str().unwrap_or("no detail given").to_owned();
    for error in problem["errors"].as_array().into_iter().flatten() {
        let pointer = error["pointer"].as_str().unwrap_or_default();
        let message = error["message"].as_str().unwrap_or_default();
        text.push_str(&format!("\n  {pointer}: {message}"));
    }
    text
}
