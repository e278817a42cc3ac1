//! SQLite text for a table shaped like BigQuery's, and values for its columns.
//!
//! | BigQuery | SQLite |
//! |---|---|
//! | STRING, NUMERIC, DATE, DATETIME, TIME, TIMESTAMP, BYTES (base64) | TEXT, sorts as in time |
//! | INT64, BOOL (0, 1) | INTEGER |
//! | FLOAT64 | REAL |
//! | JSON, RECORD, REPEATED | TEXT holding JSON |
//!
//! Tables are STRICT, so that a value of a wrong type is an error and not a surprise later. Every
//! function works on [`with_meta`] of the table it is given, and names are quoted here.

use serde_json::{Number, Value};

use crate::cell::Cell;
use crate::meta::{SEQUENCE, with_meta};
use crate::plan::{Change, Plan};
use crate::table::{Field, FieldType, Mode, Table};

/// The rank of a row among the versions of its thing. BigQuery keeps names with this prefix for
/// itself, so that no column is called like this.
const RANK: &str = "_TABLE_rank";

/// A value bound to a column.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are SQLite's storage classes")]
pub enum SqliteValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

/// The statement that makes the table, if it is not there.
pub fn create_table(table: &Table, sql_name: &str) -> String {
    let table = with_meta(table.clone());
    let columns: Vec<String> = table.fields().iter().map(column).collect();
    let name = quote(sql_name);
    format!("CREATE TABLE IF NOT EXISTS {name} (\n  {}\n) STRICT;\n", columns.join(",\n  "))
}

/// The statement that makes the index on [`Table::version_key`] and sequence, if it is not there:
/// the current view and lookups by key read it instead of sorting the table.
pub fn create_index(table: &Table, sql_name: &str) -> String {
    let mut columns: Vec<String> =
        table.version_key().into_iter().filter(|name| *name != SEQUENCE).map(quote).collect();
    columns.push(format!("{} DESC", quote(SEQUENCE)));
    // Tables and indexes share their names; no table id has a space.
    let index = quote(&format!("{sql_name} version"));
    let columns = columns.join(", ");
    format!("CREATE INDEX IF NOT EXISTS {index} ON {} ({columns});\n", quote(sql_name))
}

/// The statement that adds a column. [`crate::plan()`] allows NULLABLE and REPEATED ones; SQLite
/// refuses a REQUIRED one, as it has no value for the rows there are.
pub fn add_column(field: &Field, sql_name: &str) -> String {
    format!("ALTER TABLE {} ADD COLUMN {};\n", quote(sql_name), column(field))
}

/// The statements that make the current view anew: of the rows with equal [`Table::version_key`]
/// the one with the greatest sequence; of several such, any one.
pub fn current_view(table: &Table, view_name: &str, sql_name: &str) -> String {
    let table = with_meta(table.clone());
    let (columns, view, name) = (column_names(&table), quote(view_name), quote(sql_name));
    let key = table.version_key().into_iter().map(quote).collect::<Vec<_>>().join(", ");
    let (sequence, rank) = (quote(SEQUENCE), quote(RANK));
    format!(
        "DROP VIEW IF EXISTS {view};\n\
         CREATE VIEW {view} AS\n\
         SELECT {columns}\n\
         FROM (\n  \
           SELECT *, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {sequence} DESC) AS {rank}\n  \
           FROM {name}\n\
         )\n\
         WHERE {rank} = 1;\n"
    )
}

/// The statements that apply a plan that [`Plan::is_allowed`]: run them in one transaction.
/// Descriptions, defaults and clustering leave no trace in SQLite.
///
/// Relaxing a column copies the table, as SQLite cannot take a NOT NULL away.
pub fn apply(
    plan: &Plan,
    old: Option<&Table>,
    new: &Table,
    view_name: &str,
    sql_name: &str,
) -> String {
    let view = current_view(new, view_name, sql_name);
    let Some(old) = old else {
        let (table, index) = (create_table(new, sql_name), create_index(new, sql_name));
        return format!("{table}{index}{view}");
    };
    // Fields of a RECORD are inside its JSON text; only top-level columns are SQLite's.
    let relaxes =
        |change: &Change| matches!(change, Change::Relax { column } if !column.contains('.'));
    if plan.changes.iter().any(relaxes) {
        return format!("{}{view}", rebuild(old, new, view_name, sql_name));
    }
    let added: String = plan
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::AddColumn { column, field } if !column.contains('.') => {
                Some(add_column(field, sql_name))
            }
            _ => None,
        })
        .collect();
    if added.is_empty() { added } else { format!("{added}{view}") }
}

/// Copies the rows into a table of the new shape under the old name.
fn rebuild(old: &Table, new: &Table, view_name: &str, sql_name: &str) -> String {
    let columns = column_names(&with_meta(old.clone()));
    // No other table is called like this: no table id has a space.
    let temporary = format!("{sql_name} rebuilt");
    let (view, name, copy) = (quote(view_name), quote(sql_name), quote(&temporary));
    // The view goes first: SQLite does not rename a table while a view names a missing one.
    format!(
        "DROP VIEW IF EXISTS {view};\n{}\
         INSERT INTO {copy} ({columns}) SELECT {columns} FROM {name};\n\
         DROP TABLE {name};\n\
         ALTER TABLE {copy} RENAME TO {name};\n{}",
        create_table(new, &temporary),
        create_index(new, sql_name),
    )
}

/// The value to bind for a cell.
pub fn cell_to_sqlite(cell: &Cell) -> SqliteValue {
    match cell {
        Cell::Null => SqliteValue::Null,
        Cell::Int64(number) => SqliteValue::Integer(*number),
        Cell::Bool(truth) => SqliteValue::Integer(i64::from(*truth)),
        Cell::Float64(number) => SqliteValue::Real(*number),
        Cell::Json(_) | Cell::Array(_) | Cell::Record(_) => {
            SqliteValue::Text(cell.to_json().to_string())
        }
        written => match written.text() {
            Some(text) => SqliteValue::Text(text.into_owned()),
            None => SqliteValue::Null,
        },
    }
}

/// The JSON of a value read back from a column, as [`crate::Row::to_json`] gives it.
pub fn sqlite_to_json(field: &Field, value: &SqliteValue) -> Value {
    let holds_json = field.mode == Mode::Repeated
        || matches!(field.field_type, FieldType::Json | FieldType::Record);
    match value {
        SqliteValue::Null => Value::Null,
        SqliteValue::Integer(number) if field.field_type == FieldType::Bool => {
            Value::Bool(*number != 0)
        }
        SqliteValue::Integer(number) => Value::from(*number),
        SqliteValue::Real(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        // A text somebody else damaged is shown as it is, not hidden.
        SqliteValue::Text(text) if holds_json => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
        }
        SqliteValue::Text(text) => Value::String(text.clone()),
    }
}

/// An identifier in quotes.
pub fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn column(field: &Field) -> String {
    let name = quote(&field.name);
    match field.mode {
        Mode::Repeated => format!("{name} TEXT NOT NULL DEFAULT '[]'"),
        Mode::Required => format!("{name} {} NOT NULL", column_type(field.field_type)),
        Mode::Nullable => format!("{name} {}", column_type(field.field_type)),
    }
}

fn column_type(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Int64 | FieldType::Bool => "INTEGER",
        FieldType::Float64 => "REAL",
        FieldType::String
        | FieldType::Numeric
        | FieldType::Date
        | FieldType::DateTime
        | FieldType::Time
        | FieldType::Timestamp
        | FieldType::Json
        | FieldType::Record
        | FieldType::Bytes => "TEXT",
    }
}

fn column_names(table: &Table) -> String {
    table.fields().iter().map(|field| quote(&field.name)).collect::<Vec<_>>().join(", ")
}
