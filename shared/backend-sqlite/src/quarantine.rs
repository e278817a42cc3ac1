//! Rows that do not fit their table, kept until somebody replays them.

use ports::{Page, PageOf, QuarantinedRow};
use rusqlite::Connection;

use crate::cursor::{self, List};
use crate::error::{Outcome, to_text};
use crate::order::micros;
use crate::queries::scan::{self, Index, Terms};
use crate::writer::Group;

const INDEXES: &[Index] = &[("quarantine_landing", &["landing"])];

/// A row ready to be written.
pub(crate) struct Prepared {
    id: String,
    table: String,
    at: i64,
    document: String,
}

/// Serialises the rows.
pub(crate) fn prepare(rows: &[QuarantinedRow]) -> Outcome<Vec<Prepared>> {
    let prepare = |row: &QuarantinedRow| {
        Ok(Prepared {
            id: row.id.clone(),
            table: row.table.clone(),
            at: micros(row.at),
            document: to_text("the row", row)?,
        })
    };
    rows.iter().map(prepare).collect()
}

/// Keeps the rows; one of the same id is replaced.
pub(crate) fn write(group: &Group<'_>, rows: &[Prepared]) -> Outcome<()> {
    let sql = "INSERT INTO quarantine (id, landing, at, document) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (id) DO UPDATE SET landing = excluded.landing, at = excluded.at, \
               document = excluded.document";
    let mut statement = group.conn.prepare_cached(sql)?;
    for row in rows {
        statement.execute((&row.id, &row.table, row.at, &row.document))?;
    }
    Ok(())
}

/// One page of a table's rows, oldest first.
pub(crate) fn list(
    conn: &Connection,
    table: String,
    page: &Page,
) -> Outcome<PageOf<QuarantinedRow>> {
    let limit = page.checked_limit()?;
    let start = cursor::start(page, List::Quarantine)?;
    let mut terms = Terms::default();
    scan::choose(INDEXES, vec![("landing", table)], &mut terms);
    if let Some(start) = start {
        let (value, key) = (terms.value(start.value), terms.value(start.key));
        terms.walk.push(format!("(at, seq) > ({value}, {key})"));
    }
    let sql = format!(
        "SELECT at, seq, 1 FROM quarantine INDEXED BY quarantine_landing WHERE {} \
         ORDER BY at, seq",
        terms.walk()
    );
    let found = scan::walk(conn, &sql, &terms.values, limit, scan::any)?;
    let document = "SELECT document FROM quarantine WHERE seq = ?1";
    scan::page(conn, "quarantined row", document, found, List::Quarantine)
}

/// Removes rows that have landed.
pub(crate) fn release(group: &Group<'_>, ids: &[String]) -> Outcome<()> {
    let mut statement = group.conn.prepare_cached("DELETE FROM quarantine WHERE id = ?1")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}
