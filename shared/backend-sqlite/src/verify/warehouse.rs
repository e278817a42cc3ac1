//! The warehouse: tables and views as their schemas make them, and everything stored has landed or
//! is on its way there.

use ports::QuarantinedRow;
use rusqlite::{Connection, OptionalExtension as _};
use schema::sqlite::{create_table, current_view, quote};
use schema::{Table, base_tables, with_meta};
use serde_json::{Map, Value};

use super::{Aspect, Look};
use crate::error::Outcome;
use crate::warehouse::{sql_name, view_name};

/// Rows on their way, by table, id and sequence number: in a temporary table, as there may be
/// more than memory should hold.
pub(super) const PENDING: &str = "CREATE TEMP TABLE pending (\
     landing TEXT NOT NULL, id TEXT NOT NULL, sequence INTEGER NOT NULL, \
     PRIMARY KEY (landing, id, sequence)) WITHOUT ROWID";

/// What must have landed of a base table.
struct Base {
    /// The table, its key, and the stored rows: `id`, `sequence`.
    id: &'static str,
    key: &'static str,
    stored: &'static str,
    /// Whether a landed row of that id (`w.KEY`) and `w.sequence` has something stored behind it.
    known: &'static str,
}

const BASES: [Base; 3] = [
    Base {
        id: "tasks",
        key: "task_id",
        stored: "SELECT id, sequence FROM main.tasks",
        known: "SELECT 1 FROM main.tasks AS s WHERE s.id = w.task_id AND s.sequence >= w.sequence",
    },
    Base {
        id: "messages",
        key: "message_id",
        stored: "SELECT id, revision AS sequence FROM main.messages",
        known: "SELECT 1 FROM main.messages AS s \
                WHERE s.id = w.message_id AND s.revision >= w.sequence",
    },
    Base {
        id: "history",
        key: "task_id",
        stored: "SELECT task AS id, sequence FROM main.history",
        known: "SELECT 1 FROM main.history AS s \
                WHERE s.task = w.task_id AND s.sequence = w.sequence",
    },
];

/// Notes rows that are on their way.
pub(super) fn pend(conn: &Connection, rows: &[(String, Map<String, Value>)]) -> Outcome<()> {
    rows.iter().try_for_each(|(table, row)| pend_row(conn, table, row))
}

/// Notes a row that did not fit.
pub(super) fn pend_quarantined(conn: &Connection, kept: &QuarantinedRow) -> Outcome<()> {
    pend_row(conn, &kept.table, &kept.row)
}

fn pend_row(conn: &Connection, table: &str, row: &Map<String, Value>) -> Outcome<()> {
    let base = BASES.iter().find(|base| base.id == table);
    let Some((id, sequence)) =
        base.and_then(|base| Some((row.get(base.key)?.as_str()?, row.get("sequence")?.as_i64()?)))
    else {
        // Rows that users define stand for nothing that is stored elsewhere.
        return Ok(());
    };
    let sql = "INSERT OR IGNORE INTO temp.pending (landing, id, sequence) VALUES (?1, ?2, ?3)";
    conn.prepare_cached(sql)?.execute((table, id, sequence))?;
    Ok(())
}

/// Tables, views, and what has not landed.
pub(super) fn landed_rows(look: &mut Look<'_>) -> Outcome<u64> {
    let mut count = 0;
    let mut tables: Vec<Table> = Vec::new();
    let mut statement = look.conn.prepare("SELECT id, document FROM landed_tables")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let place = format!("warehouse table {}", row.get::<_, String>(0)?);
        let document = look.document::<Table>("table schema", &place, row, 1)?;
        tables.extend(document.map(with_meta));
    }
    for table in &tables {
        if shape(look, table)? {
            count += current(look, table)?;
        }
    }
    for base in base_tables() {
        if !tables.iter().any(|table| table.id() == base.id()) {
            let place = format!("warehouse table {}", base.id());
            look.found(Aspect::Warehouse, place, "it is not there");
        }
    }
    for base in &BASES {
        if tables.iter().any(|table| table.id() == base.id) {
            landed(look, base)?;
        }
    }
    Ok(count)
}

/// The table and its view are as the schema makes them; false where they cannot be asked.
fn shape(look: &mut Look<'_>, table: &Table) -> Outcome<bool> {
    let name = sql_name(table);
    let place = format!("warehouse table {}", table.id());
    let (expected, found) = (columns(&fresh(table)?, &name)?, columns(look.conn, &name)?);
    if found.is_empty() {
        look.found(Aspect::Warehouse, place, "it has a schema and is not there");
        return Ok(false);
    }
    // A column that was added later stands last, wherever the schema names it.
    if expected.iter().any(|column| !found.contains(column)) || found.len() != expected.len() {
        look.found(Aspect::Warehouse, place, "its columns are not those of its schema");
        return Ok(false);
    }
    let view = view_name(table);
    let made = "SELECT sql FROM sqlite_master WHERE type = 'view' AND name = ?1";
    let found: Option<String> =
        look.conn.prepare_cached(made)?.query_row([&view], |row| row.get(0)).optional()?;
    let expected = current_view(table, &view, &name);
    if found.is_none_or(|sql| !expected.contains(&sql)) {
        let place = format!("warehouse view {}_current", table.id());
        look.found(Aspect::Warehouse, place, "it is not the view that its schema makes");
        return Ok(false);
    }
    Ok(true)
}

/// The table alone, in memory.
fn fresh(table: &Table) -> Outcome<Connection> {
    let conn = Connection::open_in_memory()?;
    conn.execute_batch(&create_table(table, &sql_name(table)))?;
    Ok(conn)
}

fn columns(conn: &Connection, name: &str) -> Outcome<Vec<(String, String, bool)>> {
    let mut statement =
        conn.prepare("SELECT name, type, \"notnull\" FROM pragma_table_info(?1)")?;
    let columns = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(columns.collect::<Result<_, _>>()?)
}

/// The view shows each key once; gives the number of rows behind it.
fn current(look: &mut Look<'_>, table: &Table) -> Outcome<u64> {
    let (name, view) = (quote(&sql_name(table)), quote(&view_name(table)));
    let key = table.version_key().into_iter().map(quote).collect::<Vec<_>>().join(", ");
    let number =
        |sql: String| -> Outcome<i64> { Ok(look.conn.query_row(&sql, [], |row| row.get(0))?) };
    let shown = number(format!("SELECT COUNT(*) FROM {view}"))?;
    let keys = number(format!("SELECT COUNT(*) FROM (SELECT DISTINCT {key} FROM {name})"))?;
    let rows = number(format!("SELECT COUNT(*) FROM {name}"))?;
    if shown != keys {
        let place = format!("warehouse view {}_current", table.id());
        look.found(Aspect::Warehouse, place, format!("it shows {shown} rows of {keys} keys"));
    }
    Ok(rows.unsigned_abs())
}

/// What is stored has landed, waits to land, or is in quarantine; what has landed is stored.
fn landed(look: &mut Look<'_>, base: &Base) -> Outcome<()> {
    let Base { id, key, stored, known } = base;
    let sql = format!(
        "SELECT '{id} ' || s.id || ' at ' || s.sequence, \
                'it has not landed, and is neither on its way nor in quarantine' \
         FROM ({stored}) AS s \
         WHERE NOT EXISTS (SELECT 1 FROM warehouse_{id} AS w \
                           WHERE w.{key} = s.id AND w.sequence = s.sequence) \
           AND NOT EXISTS (SELECT 1 FROM temp.pending AS p WHERE p.landing = '{id}' \
                           AND p.id = s.id AND p.sequence = s.sequence)"
    );
    look.strays(Aspect::Landing, &sql)?;
    let sql = format!(
        "SELECT 'landed {id} ' || w.{key} || ' at ' || w.sequence, 'nothing is stored behind it' \
         FROM warehouse_{id} AS w WHERE NOT EXISTS ({known})"
    );
    look.strays(Aspect::Landing, &sql)?;
    Ok(())
}
