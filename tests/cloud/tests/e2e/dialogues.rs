//! Recorded dialogues: through the cloud shape and through the local server, with the same rows at
//! the end.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

use cloud::{Options, System, programs};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::setting::{Server, no_errors, settle, with_sink};

/// Dialogues that are played: emulators are slow.
const DIALOGUES: usize = 60;

/// The messages of users, in time order; none where the recordings are not there.
pub(crate) fn recorded(dialogues: usize) -> Option<Vec<Value>> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/dialogues/sample.messages.jsonl.zst");
    let Ok(packed) = std::fs::read(&file) else {
        #[expect(clippy::disallowed_methods, reason = "CI says that it is CI")]
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!ci, "{} is not there, and CI must play it", file.display());
        eprintln!("skipped: {} is not there (it lies beside developers' clones)", file.display());
        return None;
    };
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(&*packed).unwrap().read_to_string(&mut text).unwrap();
    let mut seen: Vec<String> = Vec::new();
    let messages = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let played = messages.filter(|message| {
        let dialogue = message["dialogue_id"].as_str().unwrap().to_owned();
        if !seen.contains(&dialogue) && seen.len() < dialogues {
            seen.push(dialogue.clone());
        }
        message["speaker"] == "user" && seen.contains(&dialogue)
    });
    Some(played.collect())
}

/// Plays all users at once, each one's messages in order.
pub(crate) async fn play(server: &Server, messages: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut by_user: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut bodies: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for message in messages {
        let user = message["user_id"].as_str().unwrap().to_owned();
        let text = message["text"].as_str().unwrap().to_owned();
        let (dialogue, turn) = (&message["dialogue_id"], &message["turn"]);
        let body = json!({
            "id": format!("{}/{turn}", dialogue.as_str().unwrap()),
            "contact": { "id": user, "lang": message["lang"] },
            "text": text,
        });
        bodies.entry(user.clone()).or_default().push(body);
        by_user.entry(user).or_default().push(text);
    }
    join_all(bodies.into_values().map(async |bodies| {
        for body in bodies {
            server.post("/webhooks/demo", &body).await;
        }
    }))
    .await;
    by_user
}

/// What the users said stands in the store: each message once, in order, and dealt with.
pub(crate) async fn each_once_in_order(server: &Server, said: &BTreeMap<String, Vec<String>>) {
    for (user, texts) in said {
        let messages = server.all(&format!("/v1/messages?contact={user}&direction=in")).await;
        let stored: Vec<&str> =
            messages.iter().map(|message| message["content"]["text"].as_str().unwrap()).collect();
        let expected: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(stored, expected, "{user}");
        for message in &messages {
            let state = message["state"].as_str().unwrap();
            assert!(["processed", "routed", "unrouted"].contains(&state), "{message}");
        }
    }
}

/// BigQuery does not keep the order of keys in JSON.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<String, Value> =
                fields.into_iter().map(|(name, value)| (name, canonical(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        other => other,
    }
}

/// The newest rows of a table without times and the ids made of them, sorted.
async fn rows(server: &Server, table: &str, columns: &[&str]) -> Vec<String> {
    let rows = server.all(&format!("/v1/tables/{table}/rows?current=true")).await;
    let mut kept: Vec<String> = rows
        .iter()
        .map(|row| {
            let kept = columns.iter().map(|name| ((*name).to_owned(), row[*name].clone()));
            canonical(Value::Object(kept.collect())).to_string()
        })
        .collect();
    kept.sort();
    kept
}

/// The local server, with the demo.
pub(crate) struct Local {
    pub(crate) server: Server,
    pub(crate) process: tokio::process::Child,
    pub(crate) data: tempfile::TempDir,
}

impl Local {
    pub(crate) async fn start() -> Self {
        use tokio::io::AsyncBufReadExt as _;
        let data = tempfile::tempdir().unwrap();
        let mut process = tokio::process::Command::new(programs::path("chatflow").unwrap())
            .args(["serve", "--demo", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            // The runner's variables are about Google Cloud, which this server has none of.
            .env_clear()
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = tokio::io::BufReader::new(process.stdout.take().unwrap()).lines();
        let ready: Value =
            serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        let key = std::fs::read_to_string(ready["api_key_file"].as_str().unwrap()).unwrap();
        let server = Server {
            url: ready["url"].as_str().unwrap().to_owned(),
            key: key.trim().to_owned(),
            client: cloud::client(),
        };
        Self { server, process, data }
    }

    pub(crate) async fn settle(&self) {
        loop {
            let overview = self.server.get("/v1/reports/overview").await;
            let left: u64 = overview["backlog"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|topic| topic["topic"] != "timers")
                .filter_map(|topic| topic["count"].as_u64())
                .sum();
            if left == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

async fn in_the_cloud() -> (System, Server) {
    let (system, sink, server) = with_sink(Options::default()).await;
    // The sink must outlive the system; replies are counted by their states.
    Box::leak(Box::new(sink));
    (system, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dialogues_land_the_same_rows_as_on_one_machine() {
    let Some(messages) = recorded(DIALOGUES) else { return };
    let (system, cloud) = in_the_cloud().await;
    let said = play(&cloud, &messages).await;
    settle(&system).await;
    each_once_in_order(&cloud, &said).await;

    let mut local = Local::start().await;
    play(&local.server, &messages).await;
    local.settle().await;
    each_once_in_order(&local.server, &said).await;
    for (table, columns) in [
        (
            "messages",
            &[
                "event_id",
                "contact_id",
                "direction",
                "state",
                "sender",
                "text",
                "rule",
                "sequence",
                "error",
                "connection",
                "conversation_id",
                "external_id",
            ][..],
        ),
        (
            "tasks",
            &[
                "flow",
                "version",
                "status",
                "step",
                "waiting_for",
                "label",
                "contact_id",
                "conversation_id",
                "outcome",
                "vars",
                "sequence",
                "event_id",
            ],
        ),
        (
            "history",
            &["sequence", "event_kind", "status_before", "status_after", "steps", "vars_changed"],
        ),
    ] {
        let (there, here) =
            (rows(&cloud, table, columns).await, rows(&local.server, table, columns).await);
        assert!(!here.is_empty());
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|row| !those.contains(row)).take(2).cloned().collect()
        };
        let differ = [only(&there, &here), only(&here, &there)];
        assert!(there == here, "{table}: {} {} {differ:#?}", there.len(), here.len());
    }
    no_errors(&system);
    local.process.kill().await.unwrap();
}
