//! Pages over a bounded number of rows.
//!
//! A list walks an index from where the page before ended, and looks at each row whether it
//! fits. Where few rows fit, the page ends before it is full, with a cursor to go on from: a
//! question may take long to answer completely, but never one page of it.

use ports::PageOf;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde::de::DeserializeOwned;

use crate::cursor::{List, Place};
use crate::error::{Outcome, from_text};

/// Most that is looked at for one page; a row is 1, a text that must be read is more.
const COST_MAX: u64 = 50_000;
/// The same for a page that has found nothing yet: an empty page helps nobody.
const COST_EMPTY_MAX: u64 = 500_000;
/// Most bytes of documents of one page, so that many large ones do not fill the memory.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Conditions and their values; the text depends on which there are, not on the values.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// What the index is walked by.
    pub(crate) walk: Vec<String>,
    /// What each row of the walk is looked at for.
    pub(crate) fits: Vec<String>,
    pub(crate) values: Vec<Value>,
}

impl Terms {
    /// The parameter that stands for `value`.
    pub(crate) fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// The condition of the walk.
    pub(crate) fn walk(&self) -> String {
        if self.walk.is_empty() { "TRUE".to_owned() } else { self.walk.join(" AND ") }
    }

    /// Whether a row fits, as a column. An absent value fits nothing.
    pub(crate) fn fits(&self) -> String {
        if self.fits.is_empty() {
            "TRUE".to_owned()
        } else {
            format!("({}) IS TRUE", self.fits.join(" AND "))
        }
    }
}

/// Columns that a filter compares, and the values.
pub(crate) type Equals = Vec<(&'static str, String)>;

/// An index and the columns that it needs values for.
pub(crate) type Index = (&'static str, &'static [&'static str]);

/// The first index that the filter has all columns of. Its columns are walked by, the others
/// looked at.
pub(crate) fn choose(indexes: &[Index], equals: Equals, terms: &mut Terms) -> Option<&'static str> {
    let has = |column: &&str| equals.iter().any(|(have, _)| have == column);
    let chosen = indexes.iter().find(|(_, columns)| columns.iter().all(has));
    for (column, value) in equals {
        let parameter = terms.value(value);
        let condition = format!("{column} = {parameter}");
        if chosen.is_some_and(|(_, columns)| columns.contains(&column)) {
            terms.walk.push(condition);
        } else {
            terms.fits.push(condition);
        }
    }
    chosen.map(|(name, _)| *name)
}

/// Rows that fit, and where to go on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) places: Vec<Place>,
    pub(crate) next: Option<Place>,
}

/// Whether a row fits, and what it cost to find out.
pub(crate) struct Verdict {
    pub(crate) fits: bool,
    pub(crate) cost: u64,
}

/// Every row fits that the statement says fits.
#[expect(clippy::unnecessary_wraps, reason = "it stands where a judge may fail")]
pub(crate) fn any(_: i64) -> Outcome<Verdict> {
    Ok(Verdict { fits: true, cost: 0 })
}

/// Walks the rows of `sql`, which gives the value sorted by, the key, and whether the row fits.
pub(crate) fn walk(
    conn: &Connection,
    sql: &str,
    values: &[Value],
    limit: usize,
    mut judge: impl FnMut(i64) -> Outcome<Verdict>,
) -> Outcome<Found> {
    let mut statement = conn.prepare_cached(&format!("{sql} LIMIT {COST_EMPTY_MAX}"))?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Found::default();
    let mut last = None;
    let mut cost = 0;
    while let Some(row) = rows.next()? {
        let place = Place { value: row.get(0)?, key: row.get(1)? };
        cost += 1;
        if row.get(2)? {
            let verdict = judge(place.key)?;
            cost += verdict.cost;
            if verdict.fits {
                if found.places.len() == limit {
                    found.next = last;
                    return Ok(found);
                }
                found.places.push(place);
            }
        }
        last = Some(place);
        if cost >= COST_EMPTY_MAX || (cost >= COST_MAX && !found.places.is_empty()) {
            found.next = last;
            return Ok(found);
        }
    }
    Ok(found)
}

/// Reads the documents that `sql` selects by key.
pub(crate) fn page<T: DeserializeOwned>(
    conn: &Connection,
    what: &str,
    sql: &str,
    found: Found,
    list: List,
) -> Outcome<PageOf<T>> {
    let mut items = Vec::with_capacity(found.places.len());
    let mut next = found.next;
    let mut statement = conn.prepare_cached(sql)?;
    let mut bytes = 0_usize;
    let last = found.places.last().copied();
    for place in found.places {
        let mut rows = statement.query([place.key])?;
        if let Some(row) = rows.next()? {
            let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            bytes = bytes.saturating_add(text.len());
            items.push(from_text(what, text)?);
        }
        if bytes > PAGE_BYTES_MAX && last != Some(place) {
            next = Some(place);
            break;
        }
    }
    Ok(PageOf { items, next: next.map(|place| place.cursor(list)) })
}
