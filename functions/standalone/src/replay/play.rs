//! Sending the messages: each user's in order, all users at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use http::Method;
use indicatif::ProgressBar;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ReplayArgs;
use super::dialogues::UserMessage;
use crate::client::Client;

/// Attempts per message while the server is busy or does not answer.
const ATTEMPTS_MAX: u32 = 30;
/// How long the server may take to finish without any progress.
pub(super) const STALLED: Duration = Duration::from_secs(120);

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Played {
    pub(super) accepted: u64,
    pub(super) took: Duration,
}

impl Played {
    pub(super) fn per_second(&self) -> u64 {
        let millis = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX).max(1);
        self.accepted.saturating_mul(1_000) / millis
    }
}

pub(super) async fn play(
    client: &Client,
    args: &ReplayArgs,
    run: &str,
    messages: &[UserMessage],
    bar: &ProgressBar,
) -> anyhow::Result<Played> {
    let permits = Arc::new(Semaphore::new(usize::from(args.concurrency)));
    let accepted = Arc::new(AtomicU64::new(0));
    let mut users: HashMap<&str, mpsc::Sender<(String, serde_json::Value)>> = HashMap::new();
    let mut workers = JoinSet::new();
    let begun = Instant::now();
    let first = messages.first().map(|message| message.at);
    for message in messages {
        if let (Some(speed), Some(first)) = (args.speed, first) {
            let recorded = message.at.signed_duration_since(first).to_std().unwrap_or_default();
            tokio::time::sleep_until(begun + recorded.div_f64(speed)).await;
        }
        let path = format!("/webhooks/{}", args.connection);
        let body = json!({
            "id": format!("{run}/{}", message.id),
            "contact": { "id": message.user, "lang": message.lang },
            "text": message.text, "event": message.event,
        });
        let sender = users.entry(message.user.as_str()).or_insert_with(|| {
            let (sender, mut queue) = mpsc::channel::<(String, serde_json::Value)>(64);
            let (client, permits) = (client.clone(), permits.clone());
            let (accepted, bar) = (accepted.clone(), bar.clone());
            workers.spawn(async move {
                while let Some((path, body)) = queue.recv().await {
                    let _permit = permits.acquire().await?;
                    post(&client, &path, &body).await?;
                    accepted.fetch_add(1, Ordering::Relaxed);
                    bar.inc(1);
                }
                anyhow::Ok(())
            });
            sender
        });
        if sender.send((path, body)).await.is_err() {
            break;
        }
    }
    users.clear();
    while let Some(ended) = workers.join_next().await {
        ended.context("a sender stopped")??;
    }
    Ok(Played { accepted: accepted.load(Ordering::Relaxed), took: begun.elapsed() })
}

/// Posts one message until it is accepted. Repeating is safe: the id makes it the same message.
async fn post(client: &Client, path: &str, body: &serde_json::Value) -> anyhow::Result<()> {
    let bytes = serde_json::to_vec(body)?;
    for attempt in 0..ATTEMPTS_MAX {
        let usual = Duration::from_millis(50 << attempt.min(6));
        let sent = client.send(Method::POST, path, Some(("application/json", bytes.clone()))).await;
        let wait = match sent {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) if matches!(answer.status, 429 | 500..=599) => {
                answer.retry_after.unwrap_or(usual)
            }
            Ok(answer) => bail!("{path} answered {}: {}", answer.status, answer.body),
            Err(_) => usual,
        };
        tokio::time::sleep(wait.min(Duration::from_secs(5))).await;
    }
    bail!("the server did not accept a message in {ATTEMPTS_MAX} attempts")
}

/// Waits until a local server's queues hold nothing but timers; one in the cloud has none to show.
pub(super) async fn settle(client: &Client) -> anyhow::Result<()> {
    let mut before = u64::MAX;
    let mut progress = Instant::now();
    loop {
        let overview = client.get("/v1/reports/overview").await?;
        let topics = overview["backlog"].as_array();
        let left: u64 = topics
            .into_iter()
            .flatten()
            .filter(|topic| topic["topic"] != "timers")
            .filter_map(|topic| topic["count"].as_u64())
            .sum();
        if left == 0 {
            return Ok(());
        }
        // What is handled leaves work to others, so the number may rise; that it changes is enough.
        if left != before {
            (before, progress) = (left, Instant::now());
        }
        if progress.elapsed() > STALLED {
            bail!("the server has {left} envelopes left and makes no progress; see its log");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
