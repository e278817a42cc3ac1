//! People who write to a server that is a process, and know what it accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use standalone::client::Client;

use crate::partner::Partner;
use crate::replies::ECHO;

const JSON: &str = "application/json";
/// How long what must happen may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The wait of somebody who was refused: less than they are asked for, so that tests are quick.
const AGAIN: Duration = Duration::from_millis(50);

/// The status of an answer, 0 where there is none; and whether it says when to come again.
pub(crate) async fn send(client: &Client, method: Method, path: &str, body: &Value) -> (u16, bool) {
    let body = Some((JSON, body.to_string().into_bytes()));
    let answer = client.send(method, path, body).await;
    answer.map_or((0, false), |answer| (answer.status, answer.retry_after.is_some()))
}

/// Sets the echo flow and its connection up at a server; replies go to the partner.
pub(crate) async fn set_up(client: &Client, partner: &Partner) {
    let body = Some(("application/yaml", ECHO.as_bytes().to_vec()));
    client.expect(Method::PUT, "/v1/flows/echo", body).await.unwrap();
    client.expect(Method::POST, "/v1/flows/echo/publish", None).await.unwrap();
    let connection = json!({
        "id": "erp", "unsigned_from_loopback": true, "allowed_hosts": [partner.host],
        "reply": { "to": "url", "url": format!("http://{}/", partner.host) },
        "default_flow": "echo",
    });
    assert_eq!(send(client, Method::PUT, "/v1/connections/erp", &connection).await.0, 200);
}

/// Waits until the server has nothing left to do but timers.
pub(crate) async fn settle(client: &Client) {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let overview = client.get("/v1/reports/overview").await.unwrap();
            let topics = overview["backlog"].as_array().unwrap().iter();
            let left: u64 = topics
                .filter(|topic| topic["topic"] != "timers")
                .map(|topic| topic["count"].as_u64().unwrap())
                .sum();
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "the backlog never empties");
}

/// All messages of the connection, oldest first.
pub(crate) async fn messages(client: &Client) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/messages?connection=erp&order=oldest&limit=1000{cursor}");
        let page = client.get(&path).await.unwrap();
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// What each contact said and was told, in order.
pub(crate) fn talks(all: &[Value]) -> BTreeMap<&str, (Vec<String>, Vec<String>)> {
    let text = |message: &Value| message["content"]["text"].as_str().unwrap().to_owned();
    let mut talks: BTreeMap<&str, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for message in all {
        let (heard, answered) = talks.entry(message["contact"].as_str().unwrap()).or_default();
        if message["direction"] == "in" {
            assert_eq!(message["state"], "processed", "{message}");
            heard.push(text(message));
        } else {
            assert_eq!(message["state"], "sent", "{message}");
            answered.push(text(message));
        }
    }
    talks
}

/// They were heard so often, once each and in order, and answered once each and in order.
pub(crate) fn assert_talk(talk: &(Vec<String>, Vec<String>), count: usize) {
    let (heard, answered) = talk;
    assert_eq!(*heard, (0..count).map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert_eq!(*answered, (0..count).map(|n| format!("{n}: m{n}")).collect::<Vec<_>>());
}

/// Every reply reached the partner, under its one id; tells how often one came again.
pub(crate) fn assert_arrived(partner: &Partner, all: &[Value]) -> usize {
    let sent: BTreeSet<&str> = all
        .iter()
        .filter(|message| message["direction"] == "out")
        .map(|message| message["id"].as_str().unwrap())
        .collect();
    let asked = partner.asked();
    let came: BTreeSet<&str> = asked.iter().map(|asked| asked.header("webhook-id")).collect();
    assert_eq!(sent, came);
    asked.len() - came.len()
}

/// Nothing was given up, and every message has landed: there are so many.
pub(crate) async fn assert_kept(client: &Client, count: usize) {
    let failures = client.get("/v1/failures").await.unwrap();
    assert_eq!(failures["items"], json!([]));
    let landed = client.get("/v1/tables").await.unwrap();
    let tables = landed["items"].as_array().unwrap();
    let current = tables.iter().find(|table| table["table"] == "messages").unwrap();
    assert_eq!(current["current"], count, "every message landed");
}

/// The people. Each knows how many of their messages were accepted.
pub(crate) struct Crowd {
    accepted: Vec<Mutex<usize>>,
    total: AtomicUsize,
    refused: AtomicUsize,
}

impl Crowd {
    pub(crate) fn new(people: usize) -> Arc<Self> {
        let accepted = (0..people).map(|_| Mutex::new(0)).collect();
        let (total, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { accepted, total, refused })
    }

    /// Messages of all of them that were accepted.
    pub(crate) fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// How often somebody was asked to come again later.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn accepted(&self, person: usize) -> usize {
        *self.accepted[person].lock().unwrap()
    }

    /// One person writes until the server is gone. What was not accepted is written again next
    /// time, for nobody knows whether it arrived.
    pub(crate) async fn write(self: Arc<Self>, person: usize, client: Client) {
        while self.write_once(person, &client).await == 200 {}
    }

    /// One message; the status of the answer, 0 where nobody said that it was accepted.
    pub(crate) async fn write_once(&self, person: usize, client: &Client) -> u16 {
        let number = self.accepted(person);
        let body = json!({
            "id": format!("c{person}/{number}"), "contact": { "id": format!("c{person}") },
            "text": format!("m{number}"),
        });
        let (status, later) = send(client, Method::POST, "/webhooks/erp", &body).await;
        match status {
            200 => {
                *self.accepted[person].lock().unwrap() += 1;
                self.total.fetch_add(1, Ordering::Relaxed);
            }
            429 | 503 => {
                assert!(later, "{status} says when to come again");
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            _ => assert_eq!(status, 0, "the server said something else"),
        }
        status
    }

    /// One person writes until so many more of their messages were accepted, however often they
    /// are refused or get no answer.
    pub(crate) async fn insist(self: Arc<Self>, person: usize, client: Client, more: usize) {
        let enough = self.accepted(person) + more;
        let insisting = async {
            while self.accepted(person) < enough {
                if self.write_once(person, &client).await != 200 {
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        let accepted = tokio::time::timeout(2 * PATIENCE, insisting).await;
        assert!(accepted.is_ok(), "c{person} is never accepted");
    }

    /// Everybody writes until so many more messages of each were accepted.
    pub(crate) async fn all_insist(self: &Arc<Self>, client: &Client, more: usize) {
        let people = 0..self.accepted.len();
        let insisting =
            people.map(|person| tokio::spawn(self.clone().insist(person, client.clone(), more)));
        for person in futures::future::join_all(insisting).await {
            person.unwrap();
        }
    }

    /// Everybody was heard once, in order, and answered once, in order.
    pub(crate) fn assert_heard_and_answered(&self, all: &[Value]) {
        let talks = talks(all);
        assert_eq!(talks.len(), self.accepted.len());
        for person in 0..self.accepted.len() {
            assert_talk(&talks[format!("c{person}").as_str()], self.accepted(person));
        }
    }

    /// As far as they were heard they were heard once, in order, and answered once, in order;
    /// tells how much of what was accepted is there.
    pub(crate) fn assert_beginning(&self, all: &[Value]) -> usize {
        let talks = talks(all);
        for (contact, talk) in &talks {
            let person: usize = contact.trim_start_matches('c').parse().unwrap();
            // One more may have been stored without its answer.
            assert!(talk.0.len() <= self.accepted(person) + 1, "{contact}: {talk:?}");
            assert_talk(talk, talk.0.len());
        }
        talks.values().map(|(heard, _)| heard.len()).sum()
    }
}
