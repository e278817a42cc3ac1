//! The pages, and the tables and indexes on them.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{Aspect, Look};
use crate::error::{Fault, Outcome};
use crate::migrate;

/// Most lines that SQLite is asked for.
const LINES_MAX: u32 = 100;

/// SQLite's own check: pages, indexes, constraints, and the indexes of search.
pub(super) fn pages(look: &mut Look<'_>) -> Outcome<u64> {
    let mut statement = look.conn.prepare(&format!("PRAGMA integrity_check({LINES_MAX})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(0)?;
        if said != "ok" {
            look.found(Aspect::File, "pages", said.replace('\n', " "));
        }
    }
    let pages: i64 = look.conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
    Ok(pages.unsigned_abs())
}

/// Names that SQLite gives itself, and the warehouse's, which users define.
const OURS: &str = "SELECT name, COALESCE(sql, '') FROM sqlite_master \
                    WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                    AND tbl_name NOT LIKE 'warehouse\\_%' ESCAPE '\\'";

fn made(conn: &Connection) -> Outcome<BTreeMap<String, String>> {
    let mut statement = conn.prepare(OURS)?;
    let made = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(made.collect::<Result<_, _>>()?)
}

/// The tables and indexes are those that the migrations make.
pub(super) fn tables(look: &mut Look<'_>) -> Outcome<u64> {
    let version = look.report.version;
    let empty = migrate::empty(version).map_err(|error| Fault(ports::PortError::backend(error)))?;
    let (expected, mut found) = (made(&empty)?, made(look.conn)?);
    let count = found.len() as u64;
    for (name, sql) in expected {
        let problem = match found.remove(&name) {
            None => "is not there",
            // The tables of FTS5 itself are its own affair.
            Some(other) if other != sql && !name.contains("_words_") => "is made otherwise",
            Some(_) => continue,
        };
        look.found(Aspect::Schema, name, format!("{problem} than version {version} makes it"));
    }
    for name in found.into_keys() {
        look.found(Aspect::Schema, name, "does not belong here");
    }
    Ok(count)
}
