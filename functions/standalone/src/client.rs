//! A client of the API, for the commands that talk to a server.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Method;
use runtime::egress::{
    Egress, EgressConfig, EgressError, HostAllowList, OutgoingRequest, Response,
};
use serde_json::Value;
use url::Url;

use crate::events::Events;
use crate::profile::{self, Profile};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where a server is that nobody names, and the file with its key.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
const DEFAULT_KEY_FILE: &str = "data/admin.key";

/// Which server, and with which key.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServerArgs {
    /// The server's address [default: that of the profile, else <http://127.0.0.1:8080>].
    #[arg(long, env = "CHATFLOW_SERVER")]
    pub server: Option<Url>,
    /// The file with the API key [default: that of the profile, else data/admin.key].
    #[arg(long, env = "CHATFLOW_API_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// A server of the file `~/.config/chatflow/profiles.toml`, by its name there.
    #[arg(long, env = "CHATFLOW_PROFILE")]
    pub profile: Option<String>,
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

/// The error of an answer that may be another one soon.
#[derive(Debug)]
pub(crate) struct Busy {
    told: String,
    pub(crate) retry_after: Option<Duration>,
}

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.told)
    }
}

impl std::error::Error for Busy {}

impl Answer {
    fn of(answer: &Response) -> Self {
        let after =
            answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
        Self {
            status: answer.status,
            body: serde_json::from_slice(&answer.body).unwrap_or_default(),
            retry_after: after.and_then(|(_, v)| v.parse().ok()).map(Duration::from_secs),
        }
    }

    /// Whether the same request may find another answer soon.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.status, 429 | 502 | 503 | 504)
    }

    /// The body of a success; an error says what the server said and what to do.
    pub fn checked(self) -> anyhow::Result<Value> {
        match self.status {
            200..=299 => Ok(self.body),
            401 => bail!("the server does not know the API key; name its file with --key-file"),
            status => {
                let told = format!("the server answered {status}: {}", explain(&self.body));
                if self.may_pass() {
                    return Err(Busy { told, retry_after: self.retry_after }.into());
                }
                bail!(told)
            }
        }
    }
}

impl Client {
    /// A client with the key of the file; requests that need none work without it.
    pub fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        let profile = match &args.profile {
            Some(name) => profile::named(name)?,
            None => Profile::default(),
        };
        let server = args.server.clone().or(profile.server);
        let server = match server {
            Some(server) => server,
            None => Url::parse(DEFAULT_SERVER)?,
        };
        let key_file = args.key_file.clone().or(profile.key_file);
        let key_file = key_file.unwrap_or_else(|| PathBuf::from(DEFAULT_KEY_FILE));
        let host = server.host_str().context("--server needs a host name")?;
        let port = server.port_or_known_default().context("--server needs a port")?;
        // The address is the user's own word: it may well be this machine.
        let allowed = HostAllowList::parse([format!("{host}:{port}")])?;
        let key = std::fs::read_to_string(key_file).ok().map(|key| key.trim().to_owned());
        Ok(Self {
            egress: Egress::new(&EgressConfig {
                pool_idle_per_host_max: 128,
                response_bytes_max: ANSWER_BYTES_MAX,
                ..EgressConfig::default()
            })?,
            server,
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
        Ok(Answer::of(&self.egress.send(self.request(method, path, body)).await?))
    }

    /// Opens a stream of Server-Sent Events, behind the event `last` where there is one; an answer
    /// that is no success comes whole.
    pub async fn stream(
        &self,
        path: &str,
        last: Option<&str>,
    ) -> Result<Result<Events, Answer>, EgressError> {
        let mut request = self.request(Method::GET, path, None);
        if let Some(last) = last {
            request.headers.push(("last-event-id".to_owned(), last.to_owned()));
        }
        let open = self.egress.open(request).await?;
        match open.status {
            200..=299 => Ok(Ok(Events::new(open))),
            _ => Ok(Err(Answer::of(&open.whole(TIMEOUT).await?))),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> OutgoingRequest {
        let mut headers = Vec::new();
        if let Some(key) = &self.key {
            headers.push(("authorization".to_owned(), format!("Bearer {key}")));
        }
        if let Some((kind, _)) = &body {
            headers.push(("content-type".to_owned(), (*kind).to_owned()));
        }
        OutgoingRequest {
            method,
            url: format!("{}{path}", self.server.as_str().trim_end_matches('/')),
            headers,
            sensitive_headers: Vec::new(),
            body: body.map(|(_, bytes)| Bytes::from(bytes)),
            timeout: TIMEOUT,
            response_bytes_max: ANSWER_BYTES_MAX,
            allow_internal: self.allowed.clone(),
            follow_redirects: 0,
        }
    }

    /// One request that must succeed; an error says what the server said and what to do.
    pub async fn expect(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> anyhow::Result<Value> {
        let answer = self.send(method, path, body).await.map_err(|error| self.silent(error))?;
        answer.checked()
    }

    /// The error of a server that gives no answer.
    pub(crate) fn silent(&self, error: EgressError) -> anyhow::Error {
        let told = format!("{} does not answer; is the server running there?", self.server);
        anyhow::Error::new(error).context(told)
    }

    /// A POST of JSON that must succeed.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = Some(("application/json", serde_json::to_vec(body)?));
        self.expect(Method::POST, path, body).await
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
