//! The order in which rows landed, which BigQuery itself does not keep: a hidden column, and the
//! cursors of pages through it.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ports::{Clock, Page, PortResult};
use schema::Table;

use crate::error::invalid;

/// The hidden column: when a row was handed to BigQuery, as text that sorts. It costs 32 bytes a
/// row in storage, and every page of rows reads it whole, as BigQuery has no index; lists of rows
/// are for people who look, not for programs that poll.
pub(super) const COLUMN: &str = "_chatflow_order";

/// What the column says about itself in BigQuery.
pub(super) const DESCRIPTION: &str = "Order in which rows landed; filled by Chatflow";

/// Names that start like this are ours, whatever the case.
const OUR_PREFIX: &str = "_chatflow_";

/// Characters of a place in the order: 14 of the time in microseconds, 8 of the process, 8 of the
/// counter, all hexadecimal.
const PLACE_CHARS: usize = 30;

/// Longest place of a row that somebody else landed: see [`place_sql`].
const FOREIGN_PLACE_CHARS_MAX: usize = 128;

/// Refuses columns that would be taken for ours.
pub(super) fn check_names(table: &Table) -> PortResult<()> {
    let ours = |name: &str| {
        name.get(..OUR_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(OUR_PREFIX))
    };
    match table.fields().iter().find(|field| ours(&field.name)) {
        None => Ok(()),
        Some(field) => Err(invalid(format!(
            "column {} of table {} has a name that Chatflow keeps for itself; rename it",
            field.name,
            table.id()
        ))),
    }
}

/// The place of a row of `a` in SQL. A row that somebody else landed, or that landed before the
/// column came, has none: it sorts before all others, by what every row has.
pub(super) fn place_sql() -> String {
    format!(
        "IFNULL(a.`{COLUMN}`, CONCAT('-', LPAD(CAST(UNIX_MICROS(a.`landed_at`) AS STRING), 16, \
         '0'), '-', SUBSTR(a.`event_id`, 1, 64), '-', CAST(a.`sequence` AS STRING)))"
    )
}

/// Hands out places.
pub(super) struct Order {
    clock: Arc<dyn Clock>,
    /// Tells this process from others that land at the same microsecond.
    process: u32,
    /// The last place: microseconds and counter.
    last: Mutex<(u64, u32)>,
}

impl Order {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        // The keys of a `RandomState` come from the operating system.
        let random = RandomState::new().hash_one(());
        let process = u32::try_from(random >> 32).unwrap_or_default();
        Self { clock, process, last: Mutex::new((0, 0)) }
    }

    /// A place after every one that this process has handed out, whatever the clock does.
    pub(super) fn next(&self) -> String {
        let now = u64::try_from(self.clock.now().timestamp_micros()).unwrap_or_default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = match last.1.checked_add(1) {
            _ if now > last.0 => (now, 0),
            Some(counter) => (last.0, counter),
            None => (last.0 + 1, 0),
        };
        format!("{:014x}{:08x}{:08x}", last.0, self.process, last.1)
    }
}

/// The list that a cursor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Rows,
    CurrentRows,
}

impl List {
    fn letter(self) -> char {
        match self {
            Self::Rows => 'i',
            Self::CurrentRows => 'j',
        }
    }

    /// The cursor of the page that begins after a place.
    pub(super) fn cursor(self, place: &str) -> String {
        format!("{}{}", self.letter(), URL_SAFE_NO_PAD.encode(place))
    }

    /// The place after which a page begins; every place is greater than the empty one.
    pub(super) fn start(self, page: &Page) -> PortResult<String> {
        let Some(cursor) = &page.cursor else {
            return Ok(String::new());
        };
        self.read(cursor).ok_or_else(|| {
            invalid("the cursor is not one of this list; leave it out to begin with the first page")
        })
    }

    fn read(self, cursor: &str) -> Option<String> {
        let place = URL_SAFE_NO_PAD.decode(cursor.strip_prefix(self.letter())?).ok()?;
        String::from_utf8(place).ok().filter(|place| is_place(place))
    }
}

fn is_place(text: &str) -> bool {
    let ours = text.len() == PLACE_CHARS
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    ours || (text.starts_with('-') && text.chars().count() <= FOREIGN_PLACE_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use chrono::{DateTime, Utc};

    use super::*;

    /// A clock that shows these times, the last one again and again.
    struct Steps(Mutex<Vec<i64>>);

    #[async_trait]
    impl Clock for Steps {
        fn now(&self) -> DateTime<Utc> {
            let mut steps = self.0.lock().unwrap();
            let micros = if steps.len() > 1 { steps.remove(0) } else { steps[0] };
            DateTime::from_timestamp_micros(micros).unwrap()
        }

        async fn sleep_until(&self, _: DateTime<Utc>) {}
    }

    fn page(cursor: &str) -> Page {
        Page { limit: 1, cursor: Some(cursor.to_owned()) }
    }

    #[test]
    fn places_grow_whatever_the_clock_does() {
        let times = vec![5, 5, 7, 3, -1, 7, 8, i64::MAX / 200, 9];
        let order = Order::new(Arc::new(Steps(Mutex::new(times))));
        let places: Vec<String> = (0..20).map(|_| order.next()).collect();
        assert!(places.is_sorted_by(|one, next| one < next), "{places:?}");
        assert!(places.iter().all(|place| place.len() == PLACE_CHARS && is_place(place)));
    }

    #[test]
    fn a_full_counter_moves_on() {
        let order = Order::new(Arc::new(Steps(Mutex::new(vec![5]))));
        *order.last.lock().unwrap() = (5, u32::MAX - 1);
        let places = [order.next(), order.next(), order.next()];
        assert!(places.is_sorted_by(|one, next| one < next), "{places:?}");
    }

    #[test]
    fn a_cursor_reads_back_in_its_list_only() {
        let order = Order::new(Arc::new(Steps(Mutex::new(vec![5]))));
        for place in [order.next(), "-0000000000000005-evt_請假-1".to_owned()] {
            let cursor = List::Rows.cursor(&place);
            assert_eq!(List::Rows.start(&page(&cursor)).unwrap(), place);
            assert!(List::CurrentRows.start(&page(&cursor)).is_err());
        }
        for place in ["", "0", "'; DROP TABLE leaves; --"] {
            assert!(List::Rows.start(&page(&List::Rows.cursor(place))).is_err(), "{place}");
        }
        assert_eq!(List::Rows.start(&Page { limit: 1, cursor: None }).unwrap(), "");
    }

    #[test]
    fn limits_are_checked() {
        let limit_of = |limit| Page { limit, cursor: None }.checked_limit().is_ok();
        assert_eq!([0, 1, 1000, 1001].map(limit_of), [false, true, true, false]);
    }

    proptest::proptest! {
        #[test]
        fn no_cursor_panics(cursor in "\\PC{0,40}|i[0-9a-zA-Z_-]{36,44}") {
            if let Ok(place) = List::Rows.start(&page(&cursor)) {
                proptest::prop_assert_eq!(List::Rows.cursor(&place), cursor);
            }
        }
    }
}
