//! Cursors: where a page ended, opaque to whoever carries them.

use gcloud_sdk::google::firestore::v1::Document;
use ports::{Page, PortResult};

use super::keys::is_key;
use super::value::{Read, key_of};
use crate::error::invalid;

/// The list that a cursor belongs to, so that one of another list is refused and not misread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    TasksCreatedDesc,
    TasksCreatedAsc,
    TasksUpdatedDesc,
    TasksUpdatedAsc,
    MessagesNewest,
    MessagesOldest,
    Conversations,
    Failures,
    Quarantine,
}

impl List {
    fn letter(self) -> char {
        match self {
            Self::TasksCreatedDesc => 'a',
            Self::TasksCreatedAsc => 'b',
            Self::TasksUpdatedDesc => 'c',
            Self::TasksUpdatedAsc => 'd',
            Self::MessagesNewest => 'e',
            Self::MessagesOldest => 'f',
            Self::Conversations => 'g',
            Self::Failures => 'h',
            Self::Quarantine => 'k',
        }
    }
}

/// The place of a document in its list: the time sorted by in microseconds, and its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) micros: i64,
    pub(crate) key: String,
}

impl Place {
    /// The place of a document that is sorted by the time in `field`.
    pub(crate) fn of(document: &Document, field: &str) -> Self {
        let micros = document.micros(field).unwrap_or_default();
        Self { micros, key: key_of(document).to_owned() }
    }

    /// The place as a cursor.
    pub(crate) fn cursor(&self, list: List) -> String {
        format!("{}{:016x}{}", list.letter(), self.micros, self.key)
    }
}

/// Where the page before ended.
pub(crate) fn start(page: &Page, list: List) -> PortResult<Option<Place>> {
    let Some(cursor) = &page.cursor else { return Ok(None) };
    let place = read(cursor, list).ok_or_else(|| {
        invalid("the cursor is not one of this list; leave it out to begin with the first page")
    })?;
    Ok(Some(place))
}

fn read(cursor: &str, list: List) -> Option<Place> {
    let rest = cursor.strip_prefix(list.letter())?;
    let (digits, key) = rest.split_at_checked(16)?;
    let ours = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) && is_key(key);
    if !ours {
        return None;
    }
    // Negative numbers are written as their two's complement.
    let micros = u64::from_str_radix(digits, 16).ok()?.cast_signed();
    // What Firestore takes as a time: the years 1 to 9999.
    (-62_135_596_800_000_000..253_402_300_800_000_000)
        .contains(&micros)
        .then(|| Place { micros, key: key.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firestore::keys::key;

    proptest::proptest! {
        #[test]
        fn a_cursor_reads_back(id in ".{0,30}", micros in 0_i64..2_000_000_000_000_000) {
            let place = Place { micros, key: key(&id) };
            let cursor = place.cursor(List::Failures);
            let page = |list| start(&Page { limit: 1, cursor: Some(cursor.clone()) }, list);
            proptest::prop_assert_eq!(page(List::Failures).unwrap(), Some(place));
            proptest::prop_assert!(page(List::Quarantine).is_err());
        }

        #[test]
        fn no_cursor_panics(cursor in "\\PC{0,40}|h[0-9a-f]{16}[0-9a-f]{4}-[a-z~]{0,9}") {
            let page = Page { limit: 1, cursor: Some(cursor.clone()) };
            if let Ok(Some(place)) = start(&page, List::Failures) {
                proptest::prop_assert_eq!(place.cursor(List::Failures), cursor);
            }
        }
    }
}
