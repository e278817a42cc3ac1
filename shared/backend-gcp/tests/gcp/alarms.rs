//! Alarms: tasks as Cloud Tasks gets them, and the call when one is due.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Uri;
use backend_gcp::{Alarms, Config};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use ports::{PortError, Timers as _};
use ports_contract::Samples;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::gate::{Gate, Way};
use crate::place;

/// Alarms in a new project, with its queue.
async fn alarms(config: &Config) -> Alarms {
    let alarms = Alarms::connect(config).await.unwrap();
    alarms.provision().await.unwrap();
    alarms.provision().await.unwrap();
    alarms
}

/// The tasks of the queue that wait, whole.
async fn tasks(config: &Config) -> Vec<Value> {
    let endpoint = config.endpoints.tasks.as_deref().unwrap();
    let Config { project, region, queue, .. } = config;
    let queue = format!("{endpoint}/v2/projects/{project}/locations/{region}/queues/{queue}");
    let answer = reqwest::get(format!("{queue}/tasks?responseView=FULL")).await.unwrap();
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    body["tasks"].as_array().cloned().unwrap_or_default()
}

fn schedule(task: &Value) -> DateTime<Utc> {
    task["scheduleTime"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_task_says_whom_to_wake_and_when() {
    let config = place::new();
    let alarms = alarms(&config).await;
    let (now, due) = (place::now(), place::now() + TimeDelta::minutes(90));
    alarms.set("env-1/請假", due, now).await.unwrap();
    let [task] = &tasks(&config).await[..] else { panic!("there is one task") };
    assert_eq!(schedule(task), due);
    assert_eq!(task["dispatchDeadline"], "60s");
    let request = &task["httpRequest"];
    assert_eq!(request["url"], "http://127.0.0.1:9/alarms");
    // POST is what a task does where it does not say.
    assert!(matches!(request["httpMethod"].as_str(), None | Some("POST")));
    assert_eq!(request["headers"]["Content-Type"], "application/json");
    let body = BASE64_STANDARD.decode(request["body"].as_str().unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({"timer": "env-1/請假"}));
    let token = &request["oidcToken"];
    assert_eq!(token["serviceAccountEmail"], "timers@test.iam.gserviceaccount.com");
    assert_eq!(token["audience"], "http://127.0.0.1:9");
}

#[tokio::test]
async fn setting_twice_is_setting_once() {
    let config = place::new();
    let alarms = alarms(&config).await;
    let (now, due) = (place::now(), place::now() + TimeDelta::minutes(90));
    for later in 0..3 {
        alarms.set("env-1", due, now + TimeDelta::seconds(later)).await.unwrap();
    }
    assert_eq!(tasks(&config).await.len(), 1);
    alarms.set("env-2", due, now).await.unwrap();
    alarms.set("env-1", due + TimeDelta::seconds(1), now).await.unwrap();
    assert_eq!(tasks(&config).await.len(), 3, "another timer, and the same at another time");
}

#[tokio::test]
async fn a_timer_far_ahead_rings_early() {
    let config = place::new();
    let alarms = alarms(&config).await;
    let (now, due) = (place::now(), place::now() + TimeDelta::days(60));
    alarms.set("env-1", due, now).await.unwrap();
    alarms.set("env-1", due, now + TimeDelta::microseconds(1)).await.unwrap();
    let [task] = &tasks(&config).await[..] else { panic!("there is one task") };
    let rings = schedule(task);
    assert!(rings > now + TimeDelta::days(28) - TimeDelta::seconds(1), "{rings}");
    assert!(rings <= now + TimeDelta::days(29), "{rings}");
}

#[tokio::test]
async fn many_are_set_at_once() {
    let config = place::new();
    let alarms = alarms(&config).await;
    let make = Samples::new(60);
    let now = place::now();
    let mut timers: Vec<_> =
        (1..=200).map(|minute| make.timer(now + TimeDelta::minutes(minute))).collect();
    timers.push(make.envelope(ports::Topic::Events, "has no due time"));
    alarms.set_all(&timers, now).await;
    assert_eq!(tasks(&config).await.len(), 200);
}

#[tokio::test]
async fn cloud_tasks_may_be_down() {
    let mut config = place::new();
    alarms(&config).await;
    let gate = Gate::before(config.endpoints.tasks.as_deref().unwrap()).await;
    let direct = config.clone();
    config.endpoints.tasks = Some(gate.endpoint());
    let make = Samples::new(61);
    let now = place::now();
    let timers: Vec<_> =
        (1..=100).map(|minute| make.timer(now + TimeDelta::minutes(minute))).collect();
    let (alarms, store) =
        place::store(&config, std::sync::Arc::new(place::HandClock::default())).await;
    for way in [Way::Closed, Way::Silent] {
        gate.set(way);
        let begun = Instant::now();
        let refused = alarms.set("env-1", timers[0].due.unwrap(), now).await;
        assert!(matches!(refused, Err(PortError::Unavailable { .. })), "{refused:?}");
        alarms.set_all(&timers, now).await;
        assert!(begun.elapsed() < Duration::from_secs(11), "{:?}", begun.elapsed());
    }
    assert_eq!(tasks(&direct).await, Vec::<Value>::new());

    // A timer is published although nobody will ring: the sweep finds it.
    let traceless = std::sync::Arc::new(|| None);
    let bus = backend_gcp::PubSub::connect(&config, store.clone(), alarms.clone(), traceless);
    ports::Bus::publish(&bus.await.unwrap(), &timers[..1]).await.unwrap();
    assert_eq!(store.timer(&timers[0].id).await.unwrap().as_ref(), Some(&timers[0]));

    gate.set(Way::Open);
    alarms.set_all(&timers, now).await;
    assert_eq!(tasks(&direct).await.len(), 100);
}

#[tokio::test]
async fn doctor_sees_the_queue() {
    let mut config = place::new();
    let [(what, missing), (_, url)] =
        Alarms::connect(&config).await.unwrap().examine().await.try_into().unwrap();
    assert!(what.ends_with("/queues/chatflow-timers"), "{what}");
    assert!(missing.unwrap_err().contains("no such queue"));
    assert!(url.is_ok());
    let alarms = alarms(&config).await;
    assert!(alarms.examine().await.iter().all(|(_, result)| result.is_ok()));
    config.timekeeper_url = String::new();
    let nowhere = Alarms::connect(&config).await.unwrap().examine().await;
    assert!(nowhere[1].1.as_ref().unwrap_err().contains("https://"));
}

/// What the timekeeper was asked.
type Ring = (DateTime<Utc>, Uri, HeaderMap, String);

async fn ring(
    State(rings): State<mpsc::UnboundedSender<Ring>>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) {
    rings.send((place::now(), uri, headers, body)).unwrap();
}

#[tokio::test]
async fn an_alarm_rings_when_the_timer_is_due() {
    let mut config = place::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.timekeeper_url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut rings) = mpsc::unbounded_channel();
    let timekeeper = Router::new().fallback(ring).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, timekeeper).await });

    let alarms = alarms(&config).await;
    let now = place::now();
    let soon = now + TimeDelta::milliseconds(1_500);
    alarms.set("soon", soon, now).await.unwrap();
    alarms.set("late", now - TimeDelta::days(3), now).await.unwrap();
    let waiting = async { [rings.recv().await.unwrap(), rings.recv().await.unwrap()] };
    let [late, on_time] = tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    assert_eq!(late.3, r#"{"timer":"late"}"#, "what is late rings at once");
    assert_eq!(on_time.3, r#"{"timer":"soon"}"#);
    assert!(on_time.0 >= soon, "{} {soon}", on_time.0);
    for (_, uri, headers, _) in [late, on_time] {
        assert_eq!(uri.path(), "/alarms");
        assert_eq!(headers["content-type"], "application/json");
        let token = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let claims = verified(token).await;
        assert_eq!(claims["aud"], config.timekeeper_url);
        assert_eq!(claims["email"], "timers@test.iam.gserviceaccount.com");
    }
}

/// The claims of a token that is signed by a key of the issuer's.
async fn verified(token: &str) -> Value {
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    let answer = reqwest::get(place::jwks_url()).await.unwrap();
    let known: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let keys = known["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let part = |name: &str| decode(key[name].as_str().unwrap());
    ring::signature::RsaPublicKeyComponents { n: part("n"), e: part("e") }
        .verify(&ring::signature::RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decode(signature))
        .unwrap();
    serde_json::from_slice(&decode(claims)).unwrap()
}
