//! Reading tables: rows in the order they landed, and how many there are.

use ports::{Page, PageOf, PortError, PortResult};
use schema::Table;
use serde_json::{Map, Value};

use super::order::{self, List, place_sql};
use super::query::{Jobs, Statement};
use super::values;

/// Most bytes of values of one page.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What the place of a row is called in results.
const PLACE: &str = "_chatflow_place";

/// Where a table is: `project.dataset.table`.
pub(super) struct Source<'a> {
    pub(super) jobs: &'a Jobs,
    pub(super) path: String,
    /// For the ids of requests.
    pub(super) order: &'a order::Order,
}

/// A name or path in backticks. Names hold letters, digits and underscores, and the project and
/// the dataset are the operator's.
fn quote(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// `a.`-qualified columns, separated by commas.
fn columns<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let columns: Vec<String> = names.into_iter().map(|name| format!("a.{}", quote(name))).collect();
    columns.join(", ")
}

impl Source<'_> {
    fn statement<'a>(
        &self,
        table: &'a Table,
        sql: String,
        parameters: Vec<(&'a str, String)>,
    ) -> Statement<'a> {
        Statement { table: table.id(), sql, parameters, id: self.order.next() }
    }

    /// A page of rows, or of those that are current: the greatest sequence of each key, and of
    /// equal ones the first that landed.
    ///
    /// A row that was appended twice because an answer got lost has the same place twice; where
    /// such a pair lies across two pages, the second is left out.
    pub(super) async fn rows(
        &self,
        table: &Table,
        current: bool,
        page: &Page,
    ) -> PortResult<PageOf<Map<String, Value>>> {
        let limit = page.checked_limit()?;
        let list = if current { List::CurrentRows } else { List::Rows };
        let after = list.start(page)?;
        let names = || table.fields().iter().map(|field| field.name.as_str());
        let (place, newest) = (place_sql(), if current { newest(table) } else { String::new() });
        let sql = format!(
            "SELECT * FROM (SELECT {place} AS `{PLACE}`, {} FROM {} AS a{newest}) \
             WHERE `{PLACE}` > @after ORDER BY `{PLACE}` LIMIT {}",
            columns(names()),
            quote(&self.path),
            limit + 1,
        );
        let statement = self.statement(table, sql, vec![("after", after)]);
        let mut answer = self.jobs.run(statement).await?;
        let mut found = PageOf { items: Vec::new(), next: None };
        let mut bytes = 0_usize;
        loop {
            for row in std::mem::take(&mut answer.rows) {
                if found.items.len() == limit || bytes > PAGE_BYTES_MAX {
                    return Ok(found);
                }
                let (place, item) = read(table, values::cells(row), &mut bytes)?;
                found.next = Some(list.cursor(&place));
                found.items.push(item);
            }
            match self.jobs.more(&answer, table.id()).await? {
                Some(more) => answer = more,
                None => return Ok(PageOf { next: None, ..found }),
            }
        }
    }

    /// How many rows, or how many keys.
    pub(super) async fn count(&self, table: &Table, current: bool) -> PortResult<u64> {
        let path = quote(&self.path);
        let sql = if current {
            let key = columns(table.version_key());
            format!("SELECT COUNT(*) AS n FROM (SELECT DISTINCT {key} FROM {path} AS a)")
        } else {
            format!("SELECT COUNT(*) AS n FROM {path}")
        };
        let answer = self.jobs.run(self.statement(table, sql, Vec::new())).await?;
        let cells = answer.rows.into_iter().next().map(values::cells).unwrap_or_default();
        let count = cells.first().and_then(Value::as_str).and_then(|text| text.parse().ok());
        count.ok_or_else(|| PortError::backend("BigQuery gave no number of rows"))
    }
}

/// The condition that of a key the newest row stays.
fn newest(table: &Table) -> String {
    format!(
        " WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY {} \
         ORDER BY a.`sequence` DESC, {}) = 1",
        columns(table.version_key()),
        place_sql(),
    )
}

/// The place of a row and its values.
fn read(
    table: &Table,
    cells: Vec<Value>,
    bytes: &mut usize,
) -> PortResult<(String, Map<String, Value>)> {
    let mut cells = cells.into_iter();
    let Some(Value::String(place)) = cells.next() else {
        return Err(PortError::backend(format!("table {} has rows without a place", table.id())));
    };
    let mut item = Map::new();
    for field in table.fields() {
        let cell = cells.next().unwrap_or_default();
        *bytes = bytes.saturating_add(values::weight(&cell));
        item.insert(field.name.clone(), values::value(field, cell)?);
    }
    Ok((place, item))
}
