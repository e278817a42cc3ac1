//! Names of collections and documents.

use sha2::{Digest, Sha256};

/// What has had its effect, with its row of history and what was left to publish.
pub(crate) const EVENTS: &str = "events";
pub(crate) const CONVERSATIONS: &str = "conversations";
pub(crate) const TASKS: &str = "tasks";
pub(crate) const MESSAGES: &str = "messages";
/// Answers to requests with an idempotency key.
pub(crate) const ANSWERS: &str = "answers";
/// Envelopes that the sweeper publishes unless they are marked.
pub(crate) const OUTBOX: &str = "outbox";
/// Envelopes with a due time.
pub(crate) const TIMERS: &str = "timers";
/// Texts that do not fit the document they belong to.
pub(crate) const PARTS: &str = "parts";
pub(crate) const FAILURES: &str = "failures";
pub(crate) const QUARANTINE: &str = "quarantine";
pub(crate) const DRAFTS: &str = "drafts";
pub(crate) const VERSIONS: &str = "flow_versions";
pub(crate) const LIVE: &str = "live_flows";
pub(crate) const CONNECTIONS: &str = "connections";
pub(crate) const KEYS: &str = "api_keys";
pub(crate) const QUEUES: &str = "queues";
pub(crate) const TABLES: &str = "tables";

/// Documents of a collection whose indexed times grow are spread over this many ranges of each
/// index: one range takes about 500 writes a second.
pub(crate) const SHARDS: i64 = 8;

/// Longest id that stands in a key as it is.
const READABLE_MAX: usize = 180;

/// The key of an id: the id behind four digits of its hash, so that ids that grow with time do
/// not all write to one place. Ids that no key may hold are hashed as a whole.
pub(crate) fn key(id: &str) -> String {
    let hash = engine::ids::hex(&Sha256::digest(id.as_bytes()));
    let (prefix, _) = hash.split_at(4);
    let readable = !id.is_empty()
        && id.len() <= READABLE_MAX
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if readable { format!("{prefix}-{id}") } else { format!("{prefix}-~{hash}") }
}

/// Whether a text could be a key, for cursors that come from outside.
pub(crate) fn is_key(text: &str) -> bool {
    let Some((prefix, rest)) = text.split_once('-') else { return false };
    prefix.len() == 4
        && prefix.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && !rest.is_empty()
        && rest.len() <= READABLE_MAX
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~'))
}

/// The range of the indexes that a document goes to.
pub(crate) fn shard(key: &str) -> i64 {
    let digit = key.chars().next().and_then(|c| c.to_digit(16)).unwrap_or_default();
    i64::from(digit) % SHARDS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_readable_and_spread() {
        let readable = key("task_0198f2ab34");
        assert!(readable.ends_with("-task_0198f2ab34"), "{readable}");
        let near = key("task_0198f2ab35");
        assert_ne!(readable.get(..4), near.get(..4), "neighbours lie apart");
        for hostile in ["", "a/b", "..", "請假", "\0", &"x".repeat(5_000), "~"] {
            assert!(key(hostile).contains("-~"), "{hostile:?} is hashed");
        }
    }

    proptest! {
        #[test]
        fn every_id_has_a_valid_key_of_its_own(one in ".{0,40}", other in ".{0,40}") {
            prop_assert!(is_key(&key(&one)));
            prop_assert!((0..SHARDS).contains(&shard(&key(&one))));
            prop_assert_eq!(one == other, key(&one) == key(&other));
        }
    }
}
