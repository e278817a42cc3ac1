//! Starting, preparing and stopping what is measured: the local server, and the floor.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, header};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::client::Client;
use crate::process::Usage;
use crate::sink::Sink;

/// How long what was accepted may take until nothing of it is left to do.
const SETTLE_MAX: Duration = Duration::from_secs(120);
/// How often that is looked at: each look costs the server a little.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a server may take to end.
const STOP_MAX: Duration = Duration::from_secs(15);

/// Asks four things and thanks: each of five messages has one reply, the number of its turn.
pub(crate) const FLOW: &str = r#"
flow: load
name: Load
triggers: [{on: keyword, any: [start]}]
vars: {a: {type: string}, b: {type: string}, c: {type: string}, d: {type: string}}
start: first
steps:
  first: {type: ask, text: "1", into: a, next: second}
  second: {type: ask, text: "2", into: b, next: third}
  third: {type: ask, text: "3", into: c, next: fourth}
  fourth: {type: ask, text: "4", into: d, next: thanks}
  thanks: {type: say, text: "5", next: done}
  done: {type: end}
"#;

/// The connection that everybody talks on, where nothing else is said.
const CONNECTION: &str = "load";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The least that does the work.
    Floor,
    /// The local server.
    Chatflow,
}

impl Kind {
    /// How it is called in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Chatflow => "chatflow",
        }
    }

    /// Its program, which cargo puts beside this one.
    ///
    /// # Errors
    /// Where it was not built.
    pub fn program(self) -> anyhow::Result<PathBuf> {
        let path = std::env::current_exe()?.with_file_name(self.name());
        anyhow::ensure!(path.is_file(), "{} is not built; run `scripts/bench`", path.display());
        Ok(path)
    }
}

/// A running server. It is killed when dropped.
pub struct Server {
    kind: Kind,
    url: String,
    bearer: Option<String>,
    /// Before its process was started.
    pub began: Instant,
    child: Child,
    // Kept open, so that a late line does not end it.
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts it on a directory, and waits until it says where it listens.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn start(kind: Kind, data: &Path, sink: &Sink) -> anyhow::Result<Self> {
        let mut command = Command::new(kind.program()?);
        match kind {
            Kind::Floor => command.args(["--replies-to", &sink.url()]),
            Kind::Chatflow => command.args(["serve", "--demo", "--json"]),
        };
        command.args(["--listen", "127.0.0.1:0", "--data"]).arg(data);
        for name in ["DATA", "LISTEN", "SERVER", "API_KEY_FILE", "LOG", "BACKEND", "BACKLOG_MAX"] {
            command.env_remove(format!("CHATFLOW_{name}"));
        }
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("its output")?);
        let mut line = String::new();
        output.read_line(&mut line).await?;
        let told: Value = serde_json::from_str(&line)
            .with_context(|| format!("{} said {line:?}", kind.name()))?;
        let url = told["url"].as_str().context("where it listens")?.to_owned();
        let key = told["api_key_file"].as_str().map(std::fs::read_to_string).transpose()?;
        let bearer = key.map(|key| format!("Bearer {}", key.trim()));
        Ok(Self { kind, url, bearer, began, child, _output: output })
    }

    /// Opens the webhook, and publishes the flow behind it; the floor has nothing to prepare.
    ///
    /// # Errors
    /// Where the server refuses something.
    pub async fn prepare(&self, client: &Client, sink: &Sink) -> anyhow::Result<()> {
        if self.kind == Kind::Floor {
            return Ok(());
        }
        self.publish(client, "load", FLOW).await?;
        self.connect(client, sink, CONNECTION).await
    }

    /// Opens a further webhook, whose replies go to the sink.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub async fn connect(&self, client: &Client, sink: &Sink, id: &str) -> anyhow::Result<()> {
        let connection = json!({
            "id": id, "unsigned_from_loopback": true, "allowed_hosts": [sink.host()],
            "reply": { "to": "url", "url": sink.url() },
        });
        let body = ("application/json", connection.to_string());
        self.api(client, Method::PUT, &format!("/v1/connections/{id}"), Some(body)).await?;
        Ok(())
    }

    /// Publishes a flow.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub async fn publish(&self, client: &Client, id: &str, source: &str) -> anyhow::Result<()> {
        let path = format!("/v1/flows/{id}");
        let body = ("application/yaml", source.to_owned());
        self.api(client, Method::PUT, &path, Some(body)).await?;
        self.api(client, Method::POST, &format!("{path}/publish"), None).await?;
        Ok(())
    }

    /// A request of the API that must succeed; `body` with its type.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub async fn api(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
    ) -> anyhow::Result<Bytes> {
        let (kind, body) = body.unwrap_or(("application/json", String::new()));
        let headers = [(header::AUTHORIZATION, self.bearer()?), (header::CONTENT_TYPE, kind)];
        client.send(method, &self.at(path), &headers, Bytes::from(body)).await
    }

    /// Its address with a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// What its administrator says: `Bearer …`.
    ///
    /// # Errors
    /// Where it has none.
    pub fn bearer(&self) -> anyhow::Result<&str> {
        self.bearer.as_deref().context("the floor has no API")
    }

    /// Where messages go.
    pub fn webhook(&self) -> String {
        self.webhook_of(CONNECTION)
    }

    /// Where messages of a connection go.
    pub fn webhook_of(&self, connection: &str) -> String {
        self.at(&format!("/webhooks/{connection}"))
    }

    /// Waits until nothing is left to do: the rows of the last turns have landed.
    ///
    /// # Errors
    /// Where that takes longer than two minutes.
    pub async fn settle(&self, client: &Client) -> anyhow::Result<()> {
        if self.kind == Kind::Floor {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let metrics = client.get(&format!("{}/metrics", self.url)).await?;
            if backlog(&String::from_utf8_lossy(&metrics)) == 0 {
                return Ok(());
            }
            anyhow::ensure!(began.elapsed() < SETTLE_MAX, "the backlog never empties");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What it used so far.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(&self.child.id().context("it has ended")?.to_string())
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// Where it does not, or with an error.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("it has ended")?.to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await.context("`kill` is needed")?;
        let ended = tokio::time::timeout(STOP_MAX, self.child.wait()).await;
        let status = ended.with_context(|| format!("{} does not end", self.kind.name()))??;
        anyhow::ensure!(status.success(), "{} ended with {status}", self.kind.name());
        Ok(())
    }
}

/// Envelopes that wait, timers aside, which may wait for days.
fn backlog(metrics: &str) -> u64 {
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("chatflow_backlog{") && !line.contains("\"timers\""));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_no_backlog() {
        let metrics = "chatflow_requests_total 7\nchatflow_backlog{topic=\"landing\"} 3\n\
                       chatflow_backlog{topic=\"timers\"} 9\nchatflow_backlog{topic=\"events\"} 1\n";
        assert_eq!(backlog(metrics), 4);
    }
}
