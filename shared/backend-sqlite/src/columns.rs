//! Rows as columns with their values: one list for making a row and for changing it.
//!
//! An update names only what differs. SQLite renews the entry of every index whose column an
//! UPDATE names, whether or not its value is another, and a task has fifteen indexes of which an
//! ordinary step concerns four.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

use crate::error::Outcome;

/// A column and its value.
pub(crate) type Column<'a> = (&'static str, ValueRef<'a>);

/// The values of columns, to be bound in their order.
pub(crate) fn values<'a>(columns: &'a [Column<'a>]) -> impl Iterator<Item = ToSqlOutput<'a>> {
    columns.iter().map(|(_, value)| ToSqlOutput::Borrowed(*value))
}

fn names(columns: &[Column<'_>]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Makes a row; false where one with its id is there.
pub(crate) fn insert(conn: &Connection, table: &str, columns: &[Column<'_>]) -> Outcome<bool> {
    let marks = vec!["?"; columns.len()].join(", ");
    let names = names(columns);
    let sql = format!("INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING");
    let written = conn.prepare_cached(&sql)?.execute(params_from_iter(values(columns)))?;
    Ok(written > 0)
}

/// What a row has in columns, and which of them are to change.
pub(crate) struct Stored<'a> {
    /// Its key.
    pub(crate) seq: i64,
    /// The columns whose values differ, with the new ones.
    changed: Vec<Column<'a>>,
}

impl<'a> Stored<'a> {
    /// Compares a row, that was read as `seq` and `columns` in their order, with new values.
    fn compared(row: &Row<'_>, columns: &[Column<'a>]) -> rusqlite::Result<Self> {
        let mut changed = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            if row.get_ref(index + 1)? != column.1 {
                changed.push(*column);
            }
        }
        Ok(Self { seq: row.get(0)?, changed })
    }

    /// Whether a column is to change.
    pub(crate) fn changes(&self, name: &str) -> bool {
        self.changed.iter().any(|(changed, _)| *changed == name)
    }

    /// Writes what differs, and the document.
    pub(crate) fn update(&self, conn: &Connection, table: &str, document: &str) -> Outcome<()> {
        let mut columns = self.changed.clone();
        columns.push(("document", document.into()));
        let settings: Vec<String> = columns.iter().map(|(name, _)| format!("{name} = ?")).collect();
        columns.push(("seq", ValueRef::Integer(self.seq)));
        let sql = format!("UPDATE {table} SET {} WHERE seq = ?", settings.join(", "));
        conn.prepare_cached(&sql)?.execute(params_from_iter(values(&columns)))?;
        Ok(())
    }
}

/// The row whose `id` is the first of `columns` and whose version stands in `version`; none where
/// there is no such row. `look` sees the row as it was, read as `seq` and `columns`.
pub(crate) fn find<'a, T>(
    conn: &Connection,
    table: &str,
    columns: &[Column<'a>],
    (version, expected): (&str, i64),
    look: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Outcome<Option<(Stored<'a>, T)>> {
    let names = names(columns);
    let sql = format!("SELECT seq, {names} FROM {table} WHERE id = ? AND {version} = ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let id = columns.first().map_or(ValueRef::Null, |(_, id)| *id);
    let mut rows = statement.query((ToSqlOutput::Borrowed(id), expected))?;
    Ok(match rows.next()? {
        None => None,
        Some(row) => Some((Stored::compared(row, columns)?, look(row)?)),
    })
}
