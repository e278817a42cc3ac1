//! Many people talking at once, each waiting for the answer before the next message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::{Sink, System};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(180);
/// How long a message may take until it is accepted.
const ACCEPT_MAX: Duration = Duration::from_secs(60);
/// Between two tries of a message that was not accepted.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The number of replies to each contact.
#[derive(Clone, Default)]
pub struct Replies(Arc<Mutex<HashMap<String, watch::Sender<usize>>>>);

impl Replies {
    /// A sink that counts what comes.
    pub async fn sink(&self) -> anyhow::Result<Sink> {
        let counted = self.clone();
        Sink::start(move |reply| {
            let contact = reply["contact"]["id"].as_str().or(reply["contact"].as_str());
            if let Some(contact) = contact {
                counted.of(contact, |count| count.send_modify(|count| *count += 1));
            }
        })
        .await
    }

    fn of<T>(&self, contact: &str, then: impl FnOnce(&watch::Sender<usize>) -> T) -> T {
        let mut counts: MutexGuard<'_, _> = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        then(counts.entry(contact.to_owned()).or_default())
    }

    async fn wait_for(&self, contact: &str, count: usize) -> anyhow::Result<()> {
        let mut counted = self.of(contact, watch::Sender::subscribe);
        let enough = counted.wait_for(|there| *there >= count);
        timeout(ANSWER_MAX, enough)
            .await
            .with_context(|| format!("{contact} waits for reply {count} since {ANSWER_MAX:?}"))??;
        Ok(())
    }
}

/// Who talks, and how much.
#[derive(Debug, Clone)]
pub struct Talk {
    /// Part of the contacts' names, so that they are new.
    pub name: String,
    /// People.
    pub contacts: usize,
    /// Messages of each; the first starts a task, which answers each of them.
    pub messages: usize,
    /// People who wait for an answer at the same time.
    pub at_once: usize,
}

/// How it went.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Talked {
    /// Messages, each with its answer.
    pub turns: usize,
    /// From the first message to the last answer.
    pub seconds: f64,
    /// From before a message was sent until its answer came, in milliseconds, sorted.
    #[serde(skip)]
    pub millis: Vec<f64>,
}

impl Talked {
    /// Turns in a second.
    pub fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of turns is small")]
        let turns = self.turns as f64;
        turns / self.seconds.max(f64::EPSILON)
    }

    /// The nearest-rank percentile of the latencies, in milliseconds; 0 of none.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.millis.len() * percent).div_ceil(100);
        self.millis.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Has everybody talk, and waits for every answer.
///
/// # Errors
/// Where a message is not accepted, or an answer does not come.
pub async fn talk(system: &System, replies: &Replies, talk: &Talk) -> anyhow::Result<Talked> {
    let permits = Arc::new(Semaphore::new(talk.at_once));
    let url = format!("{}/webhooks/demo", system.url("gateway"));
    let began = Instant::now();
    let mut people = JoinSet::new();
    for number in 0..talk.contacts {
        let contact = format!("{}-{number}", talk.name);
        let (client, url, messages) = (system.client.clone(), url.clone(), talk.messages);
        let (permits, replies) = (Arc::clone(&permits), replies.clone());
        people.spawn(async move {
            let mut millis = Vec::with_capacity(messages);
            for turn in 1..=messages {
                let _permit = permits.acquire().await?;
                let sent = Instant::now();
                post(&client, &url, &message(&contact, turn)).await?;
                replies.wait_for(&contact, turn).await?;
                millis.push(sent.elapsed().as_secs_f64() * 1000.0);
            }
            anyhow::Ok(millis)
        });
    }
    let mut millis = Vec::new();
    while let Some(person) = people.join_next().await {
        millis.extend(person??);
    }
    millis.sort_by(f64::total_cmp);
    Ok(Talked { turns: millis.len(), seconds: began.elapsed().as_secs_f64(), millis })
}

/// What a contact says in a turn: the first asks for leave, the others do not answer the
/// question, which is asked again.
fn message(contact: &str, turn: usize) -> Value {
    let text = if turn == 1 { "leave".to_owned() } else { format!("nonsense {turn}") };
    json!({
        "id": format!("{contact}/{turn}"),
        "contact": { "id": contact, "lang": "en" },
        "text": text,
    })
}

/// Sends a message until it is accepted; its id makes it the same message.
async fn post(client: &reqwest::Client, url: &str, body: &Value) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let problem = match client.post(url).json(body).timeout(ACCEPT_MAX).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        anyhow::ensure!(began.elapsed() < ACCEPT_MAX, "a message is not accepted: {problem}");
        sleep(AGAIN_AFTER).await;
    }
}
