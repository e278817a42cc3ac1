//! Secrets: the contract, what is remembered, what Secret Manager gets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backend_gcp::{Config, SecretManager};
use backend_sqlite::{Options, Sqlite};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ports::{PortError, Secret, Secrets as _};
use ports_contract::Backend;
use serde_json::{Value, json};

use crate::gate::{Gate, Way};
use crate::place::{self, HandClock};

/// Secret Manager in a new project; the rest is a store in memory.
async fn make() -> Backend {
    let clock = Arc::new(HandClock::default());
    let sqlite = Arc::new(Sqlite::in_memory(Options::new(clock.clone())).unwrap());
    let secrets = SecretManager::connect(&place::new(), clock).await.unwrap();
    Backend {
        turns: sqlite.clone(),
        queries: sqlite.clone(),
        flows: sqlite.clone(),
        config: sqlite.clone(),
        failures: sqlite.clone(),
        bus: sqlite.clone(),
        deliveries: Some(sqlite.clone()),
        timers: sqlite.clone(),
        warehouse: sqlite,
        secrets: Arc::new(secrets),
        reopen: None,
        keep: None,
    }
}

mod contract {
    use super::make;

    ports_contract::contract_tests!(make, secrets);
}

async fn connect(config: &Config) -> (SecretManager, Arc<HandClock>) {
    let clock = Arc::new(HandClock::default());
    (SecretManager::connect(config, clock.clone()).await.unwrap(), clock)
}

fn exposed(secret: Option<&Secret>) -> Option<&str> {
    secret.map(Secret::expose)
}

/// Asks Secret Manager itself.
async fn ask(config: &Config, method: reqwest::Method, path: &str, body: &Value) -> Value {
    let endpoint = config.endpoints.secrets.as_deref().unwrap();
    let url = format!("{endpoint}/v1/projects/{}/{path}", config.project);
    let request = reqwest::Client::new().request(method.clone(), url);
    let request = request.header("content-type", "application/json");
    let request =
        if method == reqwest::Method::GET { request } else { request.body(body.to_string()) };
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn get(config: &Config, path: &str) -> Value {
    ask(config, reqwest::Method::GET, path, &Value::Null).await
}

#[tokio::test]
async fn a_secret_is_made_once_and_gets_versions() {
    let config = place::new();
    let (secrets, _) = connect(&config).await;
    for value in ["first", "", "\0third"] {
        secrets.put_secret("hook", &Secret::new(value)).await.unwrap();
    }
    let secret = get(&config, "secrets/chatflow-hook").await;
    assert_eq!(secret["labels"], json!({"app": "chatflow"}));
    assert!(secret["replication"]["automatic"].is_object(), "{secret}");
    let data = async |version: u32| {
        let path = format!("secrets/chatflow-hook/versions/{version}:access");
        let version = get(&config, &path).await;
        BASE64_STANDARD.decode(version["payload"]["data"].as_str().unwrap()).unwrap()
    };
    assert_eq!(data(1).await, b"first");
    assert_eq!(data(2).await, b"\0", "an empty payload would be refused");
    assert_eq!(data(3).await, b"\0\0third");
    let (fresh, _) = connect(&config).await;
    assert_eq!(exposed(fresh.secret("hook").await.unwrap().as_ref()), Some("\0third"));
}

#[tokio::test]
async fn what_was_read_is_remembered_for_a_minute() {
    let config = place::new();
    let (here, clock) = connect(&config).await;
    let (elsewhere, _) = connect(&config).await;
    let read = async || here.secret("hook").await.unwrap().map(|it| it.expose().to_owned());

    assert_eq!(read().await, None);
    elsewhere.put_secret("hook", &Secret::new("first")).await.unwrap();
    assert_eq!(read().await, None, "remembered for 5 s");
    clock.pass(5);
    assert_eq!(read().await.as_deref(), Some("first"));
    elsewhere.put_secret("hook", &Secret::new("second")).await.unwrap();
    clock.pass(59);
    assert_eq!(read().await.as_deref(), Some("first"), "remembered for 60 s");
    clock.pass(1);
    assert_eq!(read().await.as_deref(), Some("second"));
    here.put_secret("hook", &Secret::new("third")).await.unwrap();
    assert_eq!(read().await.as_deref(), Some("third"), "at once where it was set");
}

#[tokio::test]
async fn a_version_that_was_taken_back_is_none() {
    let config = place::new();
    let (secrets, clock) = connect(&config).await;
    secrets.put_secret("hook", &Secret::new("first")).await.unwrap();
    let path = "secrets/chatflow-hook/versions/1";
    ask(&config, reqwest::Method::POST, &format!("{path}:disable"), &json!({})).await;
    clock.pass(60);
    assert_eq!(secrets.secret("hook").await.unwrap(), None);
    ask(&config, reqwest::Method::POST, &format!("{path}:enable"), &json!({})).await;
    clock.pass(5);
    assert_eq!(exposed(secrets.secret("hook").await.unwrap().as_ref()), Some("first"));

    let no_version = json!({"replication": {"automatic": {}}});
    let path = "secrets?secretId=chatflow-empty";
    ask(&config, reqwest::Method::POST, path, &no_version).await;
    assert_eq!(secrets.secret("empty").await.unwrap(), None);
}

#[tokio::test]
async fn names_and_values_have_limits() {
    let config = place::new();
    let (secrets, _) = connect(&config).await;
    for name in ["", "a/b", "請假", "a.b", "a b", "..", &"x".repeat(247)] {
        assert_eq!(secrets.secret(name).await.unwrap(), None, "{name}");
        let refused = secrets.put_secret(name, &Secret::new("hunter2")).await.unwrap_err();
        assert!(matches!(refused, PortError::Invalid { .. }), "{refused:?}");
        assert!(!refused.to_string().contains("hunter2"));
    }
    let longest = "x".repeat(246);
    secrets.put_secret(&longest, &Secret::new("x".repeat(64 * 1024))).await.unwrap();
    let large = Secret::new("x".repeat(64 * 1024 + 1));
    let refused = secrets.put_secret("large", &large).await.unwrap_err();
    assert!(matches!(refused, PortError::TooLarge { limit: 65_536, .. }), "{refused:?}");
    assert_eq!(secrets.secret_names().await.unwrap(), [longest]);
    assert!(!format!("{secrets:?}").contains("xxx"));
}

#[tokio::test]
async fn names_of_others_are_not_ours() {
    let config = place::new();
    let (secrets, _) = connect(&config).await;
    let others = Config { secret_prefix: "other-chatflow-".into(), ..config.clone() };
    let (others, _) = connect(&others).await;
    let unnamed = Config { secret_prefix: String::new(), ..config.clone() };
    let (unnamed, _) = connect(&unnamed).await;
    let value = Secret::new("x");
    let mut names: Vec<String> = (0..300).map(|number| format!("name-{number:03}")).collect();
    for name in names.iter().rev() {
        secrets.put_secret(name, &value).await.unwrap();
    }
    others.put_secret("name", &value).await.unwrap();
    unnamed.put_secret("plain", &value).await.unwrap();
    assert_eq!(secrets.secret_names().await.unwrap(), names, "several pages, in order");
    assert_eq!(others.secret_names().await.unwrap(), ["name"]);
    names = unnamed.secret_names().await.unwrap();
    assert_eq!(names.len(), 302);
    assert!(names.is_sorted());
}

#[tokio::test]
async fn secret_manager_may_be_down() {
    let mut config = place::new();
    let gate = Gate::before(config.endpoints.secrets.as_deref().unwrap()).await;
    config.endpoints.secrets = Some(gate.endpoint());
    let (secrets, clock) = connect(&config).await;
    secrets.put_secret("hook", &Secret::new("first")).await.unwrap();
    for way in [Way::Closed, Way::Silent] {
        gate.set(way);
        let begun = Instant::now();
        assert_eq!(exposed(secrets.secret("hook").await.unwrap().as_ref()), Some("first"));
        let refused = secrets.secret("other").await;
        assert!(matches!(refused, Err(PortError::Unavailable { .. })), "{refused:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    assert!(secrets.examine().await[0].1.is_err());
    gate.set(Way::Open);
    clock.pass(60);
    assert_eq!(exposed(secrets.secret("hook").await.unwrap().as_ref()), Some("first"));
    let [(what, found)] = secrets.examine().await.try_into().unwrap();
    assert!(found.is_ok() && what.ends_with("/secrets/chatflow-…"), "{what}");
}
