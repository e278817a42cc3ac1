//! `Warehouse`: tables and `_current` views as BigQuery has them, in the same file.

use async_trait::async_trait;
use ports::{Page, PageOf, PortError, PortResult, QuarantinedRow, RefusedRow, Warehouse};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, ToSql};
use schema::sqlite::{SqliteValue, apply, cell_to_sqlite, quote, sqlite_to_json};
use schema::{Field, Row, Table, with_meta};
use serde_json::{Map, Value};

use crate::cursor::{self, List, Place};
use crate::error::{Fault, Outcome, from_text, invalid, natural, to_text};
use crate::open::Sqlite;
use crate::quarantine;
use crate::writer::Group;

/// Most bytes of values of one page.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The name of a table in the file.
pub(crate) fn sql_name(table: &Table) -> String {
    format!("warehouse_{}", table.id())
}

/// The name of its current view.
pub(crate) fn view_name(table: &Table) -> String {
    format!("warehouse_{}_current", table.id())
}

/// The schema that the table was made with.
fn landed(conn: &Connection, id: &str) -> Outcome<Option<Table>> {
    let text: Option<String> = conn
        .prepare_cached("SELECT document FROM landed_tables WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    text.map(|text| from_text("table schema", &text)).transpose()
}

fn must_exist(conn: &Connection, table: &Table) -> Outcome<()> {
    let sql = "SELECT 1 FROM landed_tables WHERE id = ?1";
    if conn.prepare_cached(sql)?.exists([table.id()])? {
        return Ok(());
    }
    Err(PortError::NotFound { what: format!("table {} in the warehouse", table.id()) }.into())
}

/// The name by which the row's own key can be read: a column of that name hides it.
fn row_key(table: &Table) -> Outcome<&'static str> {
    let taken =
        |name: &&str| table.fields().iter().any(|field| field.name.eq_ignore_ascii_case(name));
    ["_rowid_", "rowid", "oid"].into_iter().find(|name| !taken(name)).ok_or_else(|| {
        invalid(format!(
            "table {} has columns _rowid_, rowid and oid; rename one of them",
            table.id()
        ))
    })
}

fn ensure(group: &mut Group<'_>, table: &Table) -> Outcome<()> {
    row_key(table)?;
    let old = landed(group.conn, table.id())?;
    let plan = schema::plan(old.as_ref(), table);
    if !plan.is_allowed() {
        let reasons: Vec<String> = plan
            .refused
            .iter()
            .map(|refusal| format!("{} {}: {}", refusal.column, refusal.reason, refusal.fix))
            .collect();
        let reasons = reasons.join("; ");
        return Err(invalid(format!("table {} cannot be changed: {reasons}", table.id())));
    }
    if old.is_some() && plan.is_empty() {
        return Ok(());
    }
    let statements = apply(&plan, old.as_ref(), table, &view_name(table), &sql_name(table));
    group.changes_tables = true;
    group.conn.execute_batch(&statements)?;
    let sql = "INSERT INTO landed_tables (id, document) VALUES (?1, ?2) \
               ON CONFLICT (id) DO UPDATE SET document = excluded.document";
    let text = to_text("the table schema", table)?;
    group.conn.prepare_cached(sql)?.execute((table.id(), text))?;
    Ok(())
}

struct Bound(SqliteValue);

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match &self.0 {
            SqliteValue::Null => ValueRef::Null,
            SqliteValue::Integer(number) => ValueRef::Integer(*number),
            SqliteValue::Real(number) => ValueRef::Real(*number),
            SqliteValue::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// The columns of a table, named in SQL.
fn columns(table: &Table) -> String {
    table.fields().iter().map(|field| quote(&field.name)).collect::<Vec<_>>().join(", ")
}

/// Appends what fits; a row that is refused leaves nothing behind.
fn append(
    group: &Group<'_>,
    table: &Table,
    rows: &[Result<Vec<Bound>, String>],
) -> Outcome<Vec<RefusedRow>> {
    must_exist(group.conn, table)?;
    let marks = vec!["?"; table.fields().len()].join(", ");
    let sql =
        format!("INSERT INTO {} ({}) VALUES ({marks})", quote(&sql_name(table)), columns(table));
    let mut statement =
        group.conn.prepare_cached(&sql).map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::Unknown) => invalid(format!(
                "table {} has other columns than its rows; ensure the table first",
                table.id()
            )),
            _ => Fault::from(error),
        })?;
    let mut refused = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let reason = match row {
            Err(reason) => Some(reason.clone()),
            Ok(values) => match statement.execute(rusqlite::params_from_iter(values)) {
                Ok(_) => None,
                Err(error) if is_refusal(&error) => Some(error.to_string()),
                Err(error) => return Err(error.into()),
            },
        };
        refused.extend(reason.map(|reason| RefusedRow { index, reason }));
    }
    Ok(refused)
}

/// Whether an error is about the row and not about the file.
fn is_refusal(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
    matches!(error.sqlite_error_code(), Some(ConstraintViolation | TypeMismatch | TooBig))
}

/// The values of a row in the order of the table's columns, or why it does not fit.
fn bind(table: &Table, row: &Row) -> Result<Vec<Bound>, String> {
    let cells = row.cells.iter().zip(table.fields());
    if row.cells.len() == table.fields().len()
        && cells.clone().all(|((name, _), field)| *name == field.name)
    {
        // As `schema::convert` leaves them: no column has to be looked for.
        return Ok(cells.map(|((_, cell), _)| Bound(cell_to_sqlite(cell))).collect());
    }
    let stranger = row.cells.iter().find(|(name, _)| table.field(name).is_none());
    if let Some((name, _)) = stranger {
        return Err(format!("the table has no column {name}"));
    }
    let value = |field: &Field| match row.get(&field.name) {
        Some(cell) => Ok(Bound(cell_to_sqlite(cell))),
        None => Err(format!("column {} is missing", field.name)),
    };
    table.fields().iter().map(value).collect()
}

/// The condition that no newer version of the row `a` landed; of equal ones the first counts.
fn newest(table: &Table, key: &str) -> String {
    let same: Vec<String> = table
        .version_key()
        .into_iter()
        .map(|column| format!("b.{0} IS a.{0}", quote(column)))
        .collect();
    format!(
        "NOT EXISTS (SELECT 1 FROM {} AS b WHERE {} AND (b.sequence > a.sequence \
         OR (b.sequence = a.sequence AND b.{key} < a.{key})))",
        quote(&sql_name(table)),
        same.join(" AND ")
    )
}

fn rows(
    conn: &Connection,
    table: &Table,
    current: bool,
    page: &Page,
) -> Outcome<PageOf<Map<String, Value>>> {
    let limit = page.checked_limit()?;
    let list = if current { List::CurrentRows } else { List::Rows };
    let start = cursor::start(page, list)?.map_or(i64::MIN, |place| place.key);
    must_exist(conn, table)?;
    let key = row_key(table)?;
    let newest = if current { format!(" AND {}", newest(table, key)) } else { String::new() };
    let sql = format!(
        "SELECT a.{key}, {} FROM {} AS a WHERE a.{key} > ?1{newest} ORDER BY a.{key} LIMIT ?2",
        columns(table),
        quote(&sql_name(table)),
    );
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([start, one_more])?;
    let mut items = Vec::new();
    let (mut last, mut bytes) = (None, 0_usize);
    while let Some(row) = rows.next()? {
        if items.len() == limit || bytes > PAGE_BYTES_MAX {
            return Ok(PageOf { items, next: last });
        }
        let mut item = Map::new();
        for (index, field) in table.fields().iter().enumerate() {
            let value = match row.get_ref(index + 1)? {
                ValueRef::Null | ValueRef::Blob(_) => SqliteValue::Null,
                ValueRef::Integer(number) => SqliteValue::Integer(number),
                ValueRef::Real(number) => SqliteValue::Real(number),
                ValueRef::Text(text) => {
                    bytes = bytes.saturating_add(text.len());
                    SqliteValue::Text(String::from_utf8_lossy(text).into_owned())
                }
            };
            item.insert(field.name.clone(), sqlite_to_json(field, &value));
        }
        items.push(item);
        last = Some(Place { value: 0, key: row.get(0)? }.cursor(list));
    }
    Ok(PageOf { items, next: None })
}

fn count(conn: &Connection, table: &Table, current: bool) -> Outcome<u64> {
    must_exist(conn, table)?;
    let name = quote(&sql_name(table));
    let sql = if current {
        let key: Vec<String> = table.version_key().into_iter().map(quote).collect();
        format!("SELECT COUNT(*) FROM (SELECT DISTINCT {} FROM {name})", key.join(", "))
    } else {
        format!("SELECT COUNT(*) FROM {name}")
    };
    let rows = conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
    natural("number of rows", rows)
}

#[async_trait]
impl Warehouse for Sqlite {
    async fn ensure(&self, table: &Table) -> PortResult<()> {
        let table = with_meta(table.clone());
        self.inner.writer.write(move |group| ensure(group, &table)).await
    }

    async fn append(&self, table: &Table, rows: &[Row]) -> PortResult<Vec<RefusedRow>> {
        let table = with_meta(table.clone());
        let rows: Vec<_> = rows.iter().map(|row| bind(&table, row)).collect();
        self.inner.writer.write(move |group| append(group, &table, &rows)).await
    }

    async fn rows(
        &self,
        table: &Table,
        current: bool,
        page: &Page,
    ) -> PortResult<PageOf<Map<String, Value>>> {
        let (table, page) = (with_meta(table.clone()), page.clone());
        self.inner.readers.read(move |conn| rows(conn, &table, current, &page)).await
    }

    async fn count(&self, table: &Table, current: bool) -> PortResult<u64> {
        let table = with_meta(table.clone());
        self.inner.readers.read(move |conn| count(conn, &table, current)).await
    }

    async fn quarantine(&self, rows: &[QuarantinedRow]) -> PortResult<()> {
        let rows = quarantine::prepare(rows)?;
        self.inner.writer.write(move |group| quarantine::write(group, &rows)).await
    }

    async fn quarantined(&self, table: &str, page: &Page) -> PortResult<PageOf<QuarantinedRow>> {
        let (table, page) = (table.to_owned(), page.clone());
        self.inner.readers.read(move |conn| quarantine::list(conn, table, &page)).await
    }

    async fn release(&self, ids: &[String]) -> PortResult<()> {
        let ids = ids.to_vec();
        self.inner.writer.write(move |group| quarantine::release(group, &ids)).await
    }
}
