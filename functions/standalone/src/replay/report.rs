//! What became of a replay: counted at the server, held against the input.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::ReplayArgs;
use super::dialogues::UserMessage;
use super::play::{Played, STALLED};
use crate::client::Client;

/// Between two looks at what is still on its way; each look reads every message.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Problems that are listed; more are counted.
const PROBLEMS_LISTED: usize = 20;

/// The report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    run: String,
    user_messages: usize,
    users: usize,
    sent: u64,
    accepted: usize,
    seconds: f64,
    messages_per_second: u64,
    routed: BTreeMap<String, u64>,
    tasks: usize,
    switches: u64,
    replies: u64,
    reply_states: BTreeMap<String, u64>,
    reply_p50_micros: i64,
    reply_p99_micros: i64,
    landed_rows: BTreeMap<String, u64>,
    failures: u64,
    pub(super) problems: Vec<String>,
}

/// Current rows of every table.
async fn landed(client: &Client) -> anyhow::Result<BTreeMap<String, u64>> {
    let tables = client.get("/v1/tables").await?;
    let rows = tables["items"].as_array().into_iter().flatten();
    Ok(rows
        .filter_map(|row| Some((row["table"].as_str()?.to_owned(), row["current"].as_u64()?)))
        .collect())
}

/// What is gathered while paging through the server's messages.
#[derive(Default)]
struct Seen {
    /// By conversation: the ids of the run's messages, in the server's order.
    order: HashMap<String, Vec<String>>,
    received: HashMap<String, DateTime<Utc>>,
    counted: HashMap<String, u64>,
    routed: BTreeMap<String, u64>,
    tasks: HashSet<String>,
    last_task: HashMap<String, String>,
    switches: u64,
    reply_states: BTreeMap<String, u64>,
    answered: HashSet<String>,
    /// From acceptance to the first reply, in microseconds.
    latencies: Vec<i64>,
    messages: u64,
    /// Messages that are still on their way.
    unfinished: u64,
    problems: Vec<String>,
}

/// What the server had before the replay.
pub(super) struct Before {
    /// Current rows of every table.
    landed: BTreeMap<String, u64>,
    /// Messages of the run: there are some where its name was used before.
    messages: u64,
}

/// Looks at the server before the replay.
pub(super) async fn before(
    client: &Client,
    args: &ReplayArgs,
    run: &str,
) -> anyhow::Result<Before> {
    let landed = landed(client).await?;
    // A name made for this run is new: nothing can be there.
    let messages = if args.run.is_some() { gather(client, args, run).await?.messages } else { 0 };
    Ok(Before { landed, messages })
}

async fn gather(client: &Client, args: &ReplayArgs, run: &str) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let prefix = format!("{run}/");
    let mut cursor: Option<String> = None;
    loop {
        let mut path =
            format!("/v1/messages?connection={}&order=oldest&limit=1000", args.connection);
        if let Some(cursor) = &cursor {
            let encoded: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
            path.push_str(&format!("&cursor={encoded}"));
        }
        let page = client.get(&path).await?;
        for message in page["items"].as_array().into_iter().flatten() {
            seen.message(message, &prefix);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(seen),
        }
    }
}

/// What there is once no message is on its way and each has landed, or nothing moves any more.
///
/// A local server says what waits in its queues; in the cloud only the messages themselves tell.
async fn finished(
    client: &Client,
    args: &ReplayArgs,
    run: &str,
    messages: &[UserMessage],
    before: &Before,
) -> anyhow::Result<(Seen, BTreeMap<String, u64>)> {
    let mut last = (u64::MAX, u64::MAX);
    let mut progress = Instant::now();
    loop {
        let seen = gather(client, args, run).await?;
        let mut landed_rows = landed(client).await?;
        for (table, rows) in &mut landed_rows {
            *rows = rows.saturating_sub(before.landed.get(table).copied().unwrap_or_default());
        }
        let missing = messages.len().saturating_sub(seen.counted.len()) as u64;
        let stored = seen.messages.saturating_sub(before.messages);
        let waiting = missing + seen.unfinished;
        let to_land = stored.saturating_sub(messages_in(&landed_rows));
        if waiting + to_land == 0 || progress.elapsed() > STALLED {
            return Ok((seen, landed_rows));
        }
        if (waiting, to_land) != last {
            (last, progress) = ((waiting, to_land), Instant::now());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn messages_in(landed: &BTreeMap<String, u64>) -> u64 {
    landed.get("messages").copied().unwrap_or_default()
}

pub(super) async fn make(
    client: &Client,
    args: &ReplayArgs,
    run: &str,
    messages: &[UserMessage],
    played: Played,
    before: &Before,
) -> anyhow::Result<Report> {
    let (mut seen, landed_rows) = finished(client, args, run, messages, before).await?;
    seen.compare(messages);
    let messages_landed = messages_in(&landed_rows);
    let stored = seen.messages.saturating_sub(before.messages);
    if messages_landed < stored {
        seen.problems.push(format!(
            "{stored} messages are stored, but only {messages_landed} landed in the warehouse",
        ));
    }
    let failures = client.get("/v1/failures?state=open&limit=200").await?;
    let failures = failures["items"].as_array().map_or(0, Vec::len) as u64;
    Ok(seen.report(run, messages, played, landed_rows, failures))
}

impl Seen {
    fn message(&mut self, message: &Value, prefix: &str) {
        let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
        match message["direction"].as_str() {
            Some("in") => {
                let Some(id) =
                    message["external_id"].as_str().and_then(|id| id.strip_prefix(prefix))
                else {
                    return;
                };
                self.messages += 1;
                self.unfinished += u64::from(is_on_its_way(message));
                self.inbound(message, id, text("conversation"), text("id"));
            }
            _ => {
                let Some(question) = message["in_reply_to"].as_str() else { return };
                let Some(received) = self.received.get(question).copied() else { return };
                self.messages += 1;
                self.unfinished += u64::from(is_on_its_way(message));
                *self.reply_states.entry(text("state")).or_default() += 1;
                let sent = reached(message, "sent");
                // The first reply is the one a person waits for.
                if let Some(sent) = sent
                    && self.answered.insert(question.to_owned())
                {
                    let micros = sent.signed_duration_since(received).num_microseconds();
                    self.latencies.push(micros.unwrap_or_default());
                }
            }
        }
    }

    fn inbound(&mut self, message: &Value, id: &str, conversation: String, message_id: String) {
        *self.counted.entry(id.to_owned()).or_default() += 1;
        self.order.entry(conversation.clone()).or_default().push(id.to_owned());
        if let Some(at) = reached(message, "received") {
            self.received.insert(message_id, at);
        }
        let rule = message["rule"].as_str().unwrap_or("none").to_owned();
        *self.routed.entry(rule).or_default() += 1;
        let state = message["state"].as_str().unwrap_or_default();
        let explained = message["error"].as_str().is_some_and(|error| !error.is_empty());
        if matches!(state, "unrouted" | "failed") && !explained {
            self.problems.push(format!("message {id} is {state} without a reason"));
        }
        if let Some(task) = message["task"].as_str() {
            self.tasks.insert(task.to_owned());
            let before = self.last_task.insert(conversation, task.to_owned());
            self.switches += u64::from(before.is_some_and(|before| before != task));
        }
    }

    /// Every user message exactly once, and in order within its conversation.
    fn compare(&mut self, messages: &[UserMessage]) {
        let mut by_user: HashMap<&str, Vec<&str>> = HashMap::new();
        for message in messages {
            by_user.entry(&message.user).or_default().push(&message.id);
            match self.counted.get(&message.id).copied().unwrap_or_default() {
                1 => {}
                0 => self.problems.push(format!("message {} is missing", message.id)),
                times => {
                    self.problems.push(format!("message {} is there {times} times", message.id));
                }
            }
        }
        let expected: HashMap<&str, &Vec<&str>> =
            by_user.values().filter_map(|ids| ids.first().map(|first| (*first, ids))).collect();
        for (conversation, ids) in &self.order {
            let first = ids.first().map(String::as_str).unwrap_or_default();
            if expected.get(first).is_none_or(|expected| *expected != ids) {
                self.problems.push(format!("the messages of {conversation} are out of order"));
            }
        }
    }

    fn report(
        mut self,
        run: &str,
        messages: &[UserMessage],
        played: Played,
        landed_rows: BTreeMap<String, u64>,
        failures: u64,
    ) -> Report {
        self.latencies.sort_unstable();
        let more = self.problems.len().saturating_sub(PROBLEMS_LISTED);
        self.problems.truncate(PROBLEMS_LISTED);
        if more > 0 {
            self.problems.push(format!("and {more} more"));
        }
        let users: HashSet<&str> = messages.iter().map(|message| message.user.as_str()).collect();
        Report {
            run: run.to_owned(),
            user_messages: messages.len(),
            users: users.len(),
            sent: played.accepted,
            accepted: self.counted.len(),
            seconds: played.took.as_secs_f64(),
            messages_per_second: played.per_second(),
            routed: self.routed,
            tasks: self.tasks.len(),
            switches: self.switches,
            replies: self.reply_states.values().sum(),
            reply_states: self.reply_states,
            reply_p50_micros: percentile(&self.latencies, 50),
            reply_p99_micros: percentile(&self.latencies, 99),
            landed_rows,
            failures,
            problems: self.problems,
        }
    }
}

/// Whether something is still to be done with a message.
fn is_on_its_way(message: &Value) -> bool {
    matches!(message["state"].as_str(), Some("received" | "queued" | "sending"))
}

fn reached(message: &Value, state: &str) -> Option<DateTime<Utc>> {
    let states = message["states"].as_array()?;
    let found = states.iter().find(|reached| reached["state"] == state)?;
    found["at"].as_str()?.parse().ok()
}

/// The nearest-rank percentile of sorted values; 0 of none.
fn percentile(sorted: &[i64], percent: usize) -> i64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

impl Report {
    /// For people.
    pub(super) fn print(&self) {
        println!("run {}: {} user messages of {} users", self.run, self.user_messages, self.users);
        println!(
            "  accepted   {} in {:.1} s ({} per second)",
            self.accepted, self.seconds, self.messages_per_second
        );
        println!("  routed     {}", list(&self.routed));
        println!("  tasks      {} ({} switches)", self.tasks, self.switches);
        println!("  replies    {} ({})", self.replies, list(&self.reply_states));
        let (p50, p99) = (self.reply_p50_micros / 1_000, self.reply_p99_micros / 1_000);
        println!("  to reply   p50 {p50} ms, p99 {p99} ms");
        println!("  landed     {}", list(&self.landed_rows));
        println!("  failures   {}", self.failures);
        if self.problems.is_empty() {
            println!("  checked    every message once, in order, none unrouted without a reason");
        }
        for problem in &self.problems {
            println!("  PROBLEM    {problem}");
        }
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    parts.join(", ")
}
