//! Recorded dialogues: one JSON object per message, in time order.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Longest line of a recording, in bytes.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, Deserialize)]
struct Line {
    dialogue_id: String,
    turn: u32,
    speaker: String,
    user_id: String,
    text: String,
    lang: String,
    #[serde(default)]
    domains: Vec<String>,
    ts: DateTime<Utc>,
}

/// One message of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserMessage {
    /// `dialogue/turn`: unique in the recording.
    pub(super) id: String,
    pub(super) user: String,
    pub(super) text: String,
    pub(super) lang: String,
    /// The event type that goes with the message where the conversation's domain changes.
    pub(super) event: Option<String>,
    pub(super) at: DateTime<Utc>,
}

/// The users' messages, in time order.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<UserMessage>> {
    let file = File::open(path).context("the file cannot be opened")?;
    let source: Box<dyn Read> = if path.extension().is_some_and(|ending| ending == "zst") {
        let unpacked = ruzstd::decoding::StreamingDecoder::new(BufReader::new(file));
        Box::new(unpacked.map_err(|error| anyhow::anyhow!("the file is not zstd: {error}"))?)
    } else {
        Box::new(file)
    };
    let mut reader = BufReader::new(source);
    let mut messages = Vec::new();
    let mut domains: HashMap<String, (String, String)> = HashMap::new();
    let mut text = String::new();
    for number in 1.. {
        text.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut text);
        let read = read.with_context(|| format!("line {number} cannot be read"))? as u64;
        if read == 0 {
            break;
        }
        ensure!(read < LINE_BYTES_MAX, "line {number} is longer than {LINE_BYTES_MAX} bytes");
        let line: Line = serde_json::from_str(&text)
            .with_context(|| format!("line {number} is not a message of a dialogue"))?;
        if line.speaker == "user" {
            messages.push(message(line, &mut domains));
        }
    }
    Ok(messages)
}

/// A user's message; it carries the event of its domain where the domain, or the dialogue, is
/// another than the user's last one.
fn message(line: Line, domains: &mut HashMap<String, (String, String)>) -> UserMessage {
    let domain = line.domains.first().map(|domain| domain.to_lowercase());
    let event = domain.and_then(|domain| {
        let now = (line.dialogue_id.clone(), domain.clone());
        let before = domains.insert(line.user_id.clone(), now.clone());
        (before.as_ref() != Some(&now)).then(|| format!("demo.domain.{domain}"))
    });
    UserMessage {
        id: format!("{}/{}", line.dialogue_id, line.turn),
        user: line.user_id,
        text: line.text,
        lang: line.lang,
        event,
        at: line.ts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_domain_is_an_event() {
        let line = |dialogue: &str, turn, domain: &str| Line {
            dialogue_id: dialogue.into(),
            turn,
            speaker: "user".into(),
            user_id: "u".into(),
            text: "x".into(),
            lang: "en".into(),
            domains: vec![domain.into()],
            ts: DateTime::UNIX_EPOCH,
        };
        let mut domains = HashMap::new();
        let mut event =
            |d: &str, turn, domain: &str| message(line(d, turn, domain), &mut domains).event;
        assert_eq!(event("a", 0, "Hotels").as_deref(), Some("demo.domain.hotels"));
        assert_eq!(event("a", 2, "Hotels"), None);
        assert_eq!(event("a", 4, "taxi").as_deref(), Some("demo.domain.taxi"));
        assert_eq!(event("b", 0, "taxi").as_deref(), Some("demo.domain.taxi"));
    }
}
