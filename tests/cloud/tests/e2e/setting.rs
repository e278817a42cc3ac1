//! What the tests say to a system, and ask of it.

use std::time::Duration;

use cloud::{Options, Sink, System};
use serde_json::{Value, json};

/// How long anything may take before a test gives it up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A server of the API: where it is, and the key.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) client: reqwest::Client,
}

impl Server {
    pub(crate) fn of(system: &System) -> Self {
        Self {
            url: system.url("gateway"),
            key: system.api_key.clone(),
            client: system.client.clone(),
        }
    }

    /// A GET that must succeed.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.url);
        let answer = self.client.get(&url).bearer_auth(&self.key).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Every item of a list.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let sign = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{sign}limit=200{cursor}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// A message of a contact of the demo; repeated until it is accepted, as senders do.
    pub(crate) async fn say(&self, id: &str, contact: &str, text: &str) {
        let body = json!({ "id": id, "contact": { "id": contact, "lang": "en" }, "text": text });
        self.post("/webhooks/demo", &body).await;
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) {
        let url = format!("{}{path}", self.url);
        let began = tokio::time::Instant::now();
        loop {
            let sent = self.client.post(&url).json(body).timeout(Duration::from_secs(20)).send();
            match sent.await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) if answer.status().is_client_error() && answer.status() != 429 => {
                    let status = answer.status();
                    panic!("{path}: {status} {}", answer.text().await.unwrap_or_default());
                }
                _ => {}
            }
            assert!(began.elapsed() < PATIENCE, "{path} is not accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A system with the demo, whose replies go to a sink.
pub(crate) async fn with_sink(options: Options) -> (System, Sink, Server) {
    let sink = Sink::start(|_| {}).await.unwrap();
    let options = Options { replies_to: Some(sink.url()), ..options };
    let system = System::start(options).await.unwrap();
    let server = Server::of(&system);
    (system, sink, server)
}

/// Waits until no message is on its way.
pub(crate) async fn settle(system: &System) {
    if let Err(error) = system.around.pubsub.as_ref().unwrap().idle(PATIENCE).await {
        for (function, _) in cloud::system::FUNCTIONS {
            eprintln!("{function} said last:\n{}", system.last_lines(function, 8));
        }
        panic!("{error}");
    }
}

/// Fails with the errors in the functions' logs, where there are any.
pub(crate) fn no_errors(system: &System) {
    let errors: Vec<String> = system
        .logs()
        .into_iter()
        .flat_map(|(path, text)| {
            let lines = text.lines().filter(|line| line.contains("\"severity\":\"ERROR\""));
            lines.map(|line| format!("{}: {line}", path.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}
