//! Cursors: where a page ended, opaque to whoever carries them.

use ports::Page;

use crate::error::{Outcome, invalid};

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
    Rows,
    CurrentRows,
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
            Self::Rows => 'i',
            Self::CurrentRows => 'j',
            Self::Quarantine => 'k',
        }
    }
}

/// The place of an item in its list: the value sorted by, and the row's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) value: i64,
    pub(crate) key: i64,
}

impl Place {
    /// The place as a cursor.
    pub(crate) fn cursor(self, list: List) -> String {
        format!("{}{:016x}{:016x}", list.letter(), self.value, self.key)
    }
}

/// Where the page before ended.
pub(crate) fn start(page: &Page, list: List) -> Outcome<Option<Place>> {
    let Some(cursor) = &page.cursor else {
        return Ok(None);
    };
    let place = read(cursor, list).ok_or_else(|| {
        invalid("the cursor is not one of this list; leave it out to begin with the first page")
    })?;
    Ok(Some(place))
}

fn read(cursor: &str, list: List) -> Option<Place> {
    let digits = cursor.strip_prefix(list.letter())?;
    let ours =
        digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let (value, key) = digits.split_at_checked(16).filter(|_| ours)?;
    // Negative numbers are written as their two's complement.
    let number = |text| u64::from_str_radix(text, 16).ok().map(u64::cast_signed);
    Some(Place { value: number(value)?, key: number(key)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(cursor: &str) -> Page {
        Page { limit: 1, cursor: Some(cursor.to_owned()) }
    }

    #[test]
    fn a_cursor_reads_back() {
        for place in [
            Place { value: 0, key: 1 },
            Place { value: -1, key: i64::MIN },
            Place { value: i64::MAX, key: 42 },
        ] {
            let cursor = place.cursor(List::Failures);
            assert_eq!(start(&page(&cursor), List::Failures).unwrap(), Some(place));
            assert!(start(&page(&cursor), List::Rows).is_err());
        }
    }

    #[test]
    fn limits_are_checked() {
        let limit_of = |limit| limit_ok(&Page { limit, cursor: None });
        assert_eq!([0, 1, 1000, 1001].map(limit_of), [false, true, true, false]);
    }

    fn limit_ok(page: &Page) -> bool {
        page.checked_limit().is_ok()
    }

    proptest::proptest! {
        #[test]
        fn no_cursor_panics(cursor in "\\PC{0,40}|h[0-9a-f]{30,34}|h[+\\-][0-9a-f]{31}") {
            if let Ok(Some(place)) = start(&page(&cursor), List::Failures) {
                proptest::prop_assert_eq!(place.cursor(List::Failures), cursor);
            }
        }
    }
}
