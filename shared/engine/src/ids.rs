//! Ids: `UUIDv7` with a readable prefix, derived from the event that made them.
//!
//! An event handled twice gives the same ids both times, so that a repeated delivery writes the
//! same documents and sends with the same retry key.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// What the id begins with.
            pub const PREFIX: &'static str = $prefix;

            /// The id that `event`, accepted at `at`, gives to the thing called `part` in it.
            pub fn derive(at: DateTime<Utc>, event: &EventId, part: &str) -> Self {
                Self(format!("{}{}", $prefix, derived_uuid(at, &[&event.0, part])))
            }

            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

id!(
    /// One run of a flow.
    TaskId, "task_"
);
id!(
    /// One message, in either direction.
    MessageId, "msg_"
);
id!(
    /// One HTTP call of a task.
    CallId, "call_"
);
id!(
    /// One row on its way to the warehouse.
    RowId, "row_"
);

/// An event: what makes handling it twice have one effect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub String);

impl EventId {
    /// The id of what `source` calls `key`: the same pair gives the same id.
    pub fn of(source: &str, key: &str) -> Self {
        Self(format!("evt_{}", hex16(&[source, key])))
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A conversation: one person's thread with us on one connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(pub String);

impl ConversationId {
    /// The id of the thread that `connection` knows by `key`; no look-up is needed to know it.
    pub fn of(connection: &str, key: &str) -> Self {
        Self(format!("conv_{}", hex16(&[connection, key])))
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parts are hashed with their lengths, so that ("ab", "c") and ("a", "bc") differ.
fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

fn hex16(parts: &[&str]) -> String {
    hex(digest(parts).get(..16).unwrap_or_default())
}

/// Bytes as lower-case hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(hex_digit).collect()
}

fn hex_digit(half: u8) -> Option<char> {
    char::from_digit(u32::from(half), 16)
}

fn derived_uuid(at: DateTime<Utc>, parts: &[&str]) -> uuid::fmt::Simple {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    let mut random = [0u8; 10];
    for (to, from) in random.iter_mut().zip(digest(parts)) {
        *to = from;
    }
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().simple()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_event_gives_the_same_ids() {
        let at = DateTime::UNIX_EPOCH;
        let event = EventId::of("demo", "evt-1");
        let id = TaskId::derive(at, &event, "start");
        assert_eq!(id, TaskId::derive(at, &event, "start"));
        assert_ne!(id, TaskId::derive(at, &event, "child/0"));
        assert!(id.0.starts_with("task_") && id.0.len() == 37);
        assert_ne!(EventId::of("ab", "c"), EventId::of("a", "bc"));
        assert_eq!(ConversationId::of("demo", "u-42"), ConversationId::of("demo", "u-42"));
    }

    #[test]
    fn ids_sort_by_time() {
        let event = EventId::of("x", "y");
        let early = TaskId::derive(DateTime::UNIX_EPOCH, &event, "z");
        let late = TaskId::derive("2026-11-22T00:00:00Z".parse().unwrap(), &event, "a");
        assert!(early < late);
    }
}
