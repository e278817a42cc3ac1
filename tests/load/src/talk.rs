//! The conversations: each turn is a message by webhook and its reply at the sink, and nobody
//! says anything before the last reply is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Client;
use crate::sink::Replies;

/// Messages of a conversation.
pub const TURNS: u32 = 5;

/// What is said.
#[derive(Clone)]
pub struct Talk {
    /// Part of the contacts' names, so that they are new.
    pub name: String,
    /// The webhook.
    pub webhook: String,
    /// People who talk at the same time.
    pub users: u32,
    /// Conversations of all of them together; each has a new contact.
    pub conversations: u32,
    /// Messages per second; as fast as replies come where there is none.
    pub per_second: Option<f64>,
}

/// How it went.
pub struct Talked {
    /// Messages, each with its reply.
    pub turns: u32,
    /// From the first message to the last reply.
    pub seconds: f64,
    /// From before a message was sent (or was to be sent, where there is a pace) until its reply.
    pub turn: Latencies,
    /// The same until the webhook's 2xx.
    pub acknowledged: Latencies,
}

impl Talked {
    /// Turns in a second.
    pub fn per_second(&self) -> f64 {
        f64::from(self.turns) / self.seconds.max(f64::EPSILON)
    }
}

/// Milliseconds, sorted.
#[derive(Default)]
pub struct Latencies(Vec<f64>);

impl Latencies {
    /// The nearest-rank percentile; 0 of none.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Adds the time since `since`.
    pub fn add(&mut self, since: Instant) {
        self.0.push(since.elapsed().as_secs_f64() * 1_000.0);
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Sorts what was added.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_by(f64::total_cmp);
        self
    }
}

/// Turns begin at fixed times, whatever the server does: its latencies count from those.
struct Pace {
    began: Instant,
    every: Option<Duration>,
    next: AtomicU32,
}

impl Pace {
    async fn turn(&self) -> Instant {
        let Some(every) = self.every else { return Instant::now() };
        let due = self.began + every * self.next.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep_until(due).await;
        due
    }
}

/// Has everybody talk, and waits for every reply.
///
/// # Errors
/// Where a message is not accepted, or a reply does not come.
pub async fn talk(client: &Client, replies: &Replies, talk: &Talk) -> anyhow::Result<Talked> {
    let began = Instant::now();
    let every = talk.per_second.map(|rate| Duration::from_secs_f64(1.0 / rate.max(1.0)));
    let pace = Arc::new(Pace { began, every, next: AtomicU32::new(0) });
    let conversations = Arc::new(AtomicU32::new(0));
    let mut people = JoinSet::new();
    for _ in 0..talk.users {
        let (client, replies, talk) = (client.clone(), replies.clone(), talk.clone());
        let (pace, conversations) = (Arc::clone(&pace), Arc::clone(&conversations));
        people.spawn(async move {
            let (mut turn, mut acknowledged) = <(Latencies, Latencies)>::default();
            loop {
                let number = conversations.fetch_add(1, Ordering::Relaxed);
                if number >= talk.conversations {
                    return anyhow::Ok((turn, acknowledged));
                }
                let contact = format!("{}-{number}", talk.name);
                let latencies = (&mut turn, &mut acknowledged);
                converse(&client, &replies, &talk.webhook, &contact, &pace, latencies).await?;
            }
        });
    }
    let (mut turn, mut acknowledged) = <(Latencies, Latencies)>::default();
    while let Some(person) = people.join_next().await {
        let (turns, acknowledgements) = person??;
        turn.merge(turns);
        acknowledged.merge(acknowledgements);
    }
    Ok(Talked {
        turns: talk.conversations * TURNS,
        seconds: began.elapsed().as_secs_f64(),
        turn: turn.sorted(),
        acknowledged: acknowledged.sorted(),
    })
}

async fn converse(
    client: &Client,
    replies: &Replies,
    webhook: &str,
    contact: &str,
    pace: &Pace,
    (turns, acknowledged): (&mut Latencies, &mut Latencies),
) -> anyhow::Result<()> {
    let mut expected = replies.expect(contact);
    for turn in 1..=TURNS {
        let text = if turn == 1 { "start".to_owned() } else { format!("answer {turn}") };
        let message = json!({
            "id": format!("{contact}/{turn}"),
            "contact": { "id": contact, "lang": "en" },
            "text": text,
        });
        let since = pace.turn().await;
        client.post(webhook, &message).await?;
        acknowledged.add(since);
        expected.turn(turn).await?;
        turns.add(since);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let latencies = Latencies((1..=200).rev().map(f64::from).collect()).sorted();
        let found = [0, 50, 95, 99, 100].map(|percent| latencies.percentile(percent));
        assert!(
            found.iter().zip([1.0, 100.0, 190.0, 198.0, 200.0]).all(|(a, b)| (a - b).abs() < 1e-9)
        );
        assert!(Latencies::default().percentile(99).abs() < f64::EPSILON);
    }
}
