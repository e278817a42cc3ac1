//! Keys that sort by creation: microseconds and a counter within one of them, in one integer.
//!
//! As the key of a table is also at the end of all its indexes, an index on (contact) is one on
//! (contact, creation), and pages need no further column.

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::error::{Outcome, invalid};

const COUNTER_BITS: u32 = 10;
/// Keys of one microsecond.
pub(crate) const COUNTERS: i64 = 1 << COUNTER_BITS;
/// About the year 2255; later times all sort as this one, in the order they are written.
const MICROS_MAX: i64 = (1 << (63 - COUNTER_BITS)) - 2;

/// A time as it is stored.
pub(crate) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

/// The first key of that time.
pub(crate) fn first_key(at: DateTime<Utc>) -> i64 {
    micros(at).clamp(-MICROS_MAX, MICROS_MAX) << COUNTER_BITS
}

/// Tables whose key is made here.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ordered {
    Tasks,
    Messages,
}

impl Ordered {
    fn within(self) -> &'static str {
        match self {
            Self::Tasks => "SELECT MAX(seq) FROM tasks WHERE seq >= ?1 AND seq < ?2",
            Self::Messages => "SELECT MAX(seq) FROM messages WHERE seq >= ?1 AND seq < ?2",
        }
    }

    fn last(self) -> &'static str {
        match self {
            Self::Tasks => "SELECT MAX(seq) FROM tasks",
            Self::Messages => "SELECT MAX(seq) FROM messages",
        }
    }
}

/// The next free key for something made at `at`.
pub(crate) fn next_key(conn: &Connection, table: Ordered, at: DateTime<Utc>) -> Outcome<i64> {
    let first = first_key(at);
    let end = first + COUNTERS;
    let taken: Option<i64> =
        conn.prepare_cached(table.within())?.query_row([first, end], |row| row.get(0))?;
    match taken {
        None => Ok(first),
        Some(key) if key + 1 < end => Ok(key + 1),
        // More than a thousand in one microsecond happen with a clock that stands still.
        Some(_) => {
            let last: Option<i64> =
                conn.prepare_cached(table.last())?.query_row([], |row| row.get(0))?;
            last.unwrap_or(end)
                .checked_add(1)
                .ok_or_else(|| invalid("no key is left in this file; start a new one"))
        }
    }
}
