//! Landing: rows checked against their schemas, appended, or kept in quarantine with the reason.

use std::collections::BTreeMap;

use ports::{Envelope, Page, PageOf, QuarantinedRow};
use schema::{Row, Table};
use serde_json::{Value, json};

use crate::app::App;
use crate::jobs::{LandJob, LandingRow, open};
use crate::outcome::{HandleError, Outcome};

/// The column that tells when a row landed.
const LANDED_AT: &str = "landed_at";

/// Lands the rows of an envelope.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    let landed = match open::<LandJob>(envelope) {
        Ok(job) => rows(app, job.rows).await,
        Err(error) => Err(error.into()),
    };
    match landed {
        Ok(()) => Outcome::Done,
        Err(error) => error.into_outcome(attempt, &envelope.id),
    }
}

/// Lands the rows of many envelopes, each table's by one append. After an error some rows may have
/// landed: handle the envelopes one by one then. A row that lands twice shows once.
pub async fn handle_together(app: &App, envelopes: &[&Envelope]) -> Result<(), HandleError> {
    let mut all = Vec::new();
    for envelope in envelopes {
        all.extend(open::<LandJob>(envelope)?.rows);
    }
    rows(app, all).await
}

/// The schema of a table: one of the base tables, or a user-defined one.
pub async fn table(app: &App, id: &str) -> Result<Option<Table>, HandleError> {
    if let Some(table) = schema::base_table(id) {
        return Ok(Some(table.clone()));
    }
    Ok(app.store().table(id).await?.map(schema::with_meta))
}

/// Makes the base tables, and those users defined, where they are not there yet.
pub async fn prepare(app: &App) -> Result<(), HandleError> {
    for table in schema::base_tables() {
        app.warehouse().ensure(table).await?;
    }
    for table in app.store().tables().await? {
        app.warehouse().ensure(&schema::with_meta(table)).await?;
    }
    Ok(())
}

/// Lands rows of any tables: those that fit together, those that do not into quarantine.
async fn rows(app: &App, rows: Vec<LandingRow>) -> Result<(), HandleError> {
    let mut by_table: BTreeMap<String, Vec<LandingRow>> = BTreeMap::new();
    for row in rows {
        by_table.entry(row.table.clone()).or_default().push(row);
    }
    for (id, rows) in by_table {
        let table = table(app, &id).await?;
        let quarantined = match &table {
            Some(table) => append(app, table, rows).await?,
            None => rows
                .into_iter()
                .map(|row| quarantine(app, row, vec![format!("there is no table `{id}`")]))
                .collect(),
        };
        if !quarantined.is_empty() {
            tracing::warn!(table = id, rows = quarantined.len(), "rows do not fit their table");
            app.warehouse().quarantine(&quarantined).await?;
        }
    }
    Ok(())
}

/// Appends the rows that fit; gives back those that do not.
async fn append(
    app: &App,
    table: &Table,
    rows: Vec<LandingRow>,
) -> Result<Vec<QuarantinedRow>, HandleError> {
    let landed_at = app.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let mut refused = Vec::new();
    let mut sources: Vec<LandingRow> = Vec::new();
    let mut converted: Vec<Row> = Vec::new();
    for mut source in rows {
        let given = source.row.insert(LANDED_AT.into(), Value::String(landed_at.clone()));
        let row = schema::convert(table, &source.row);
        // Quarantine keeps the row as it came.
        match given {
            Some(given) => source.row.insert(LANDED_AT.into(), given),
            None => source.row.shift_remove(LANDED_AT),
        };
        match row {
            Ok(row) => {
                converted.push(row);
                sources.push(source);
            }
            Err(problems) => {
                let reasons = problems.iter().map(ToString::to_string).collect();
                refused.push(quarantine(app, source, reasons));
            }
        }
    }
    if !converted.is_empty() {
        let mut sources: Vec<Option<LandingRow>> = sources.into_iter().map(Some).collect();
        for bad in app.warehouse().append(table, &converted).await? {
            if let Some(source) = sources.get_mut(bad.index).and_then(Option::take) {
                refused.push(quarantine(app, source, vec![bad.reason]));
            }
        }
    }
    Ok(refused)
}

fn quarantine(app: &App, row: LandingRow, reasons: Vec<String>) -> QuarantinedRow {
    QuarantinedRow { id: row.id, table: row.table, row: row.row, reasons, at: app.now() }
}

/// How a replay of quarantined rows went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Replayed {
    /// Rows that fit now.
    pub landed: u64,
    /// Rows that still do not.
    pub kept: u64,
}

/// Tries every quarantined row of a table again.
pub async fn replay(app: &App, id: &str) -> Result<Replayed, HandleError> {
    let Some(table) = table(app, id).await? else {
        return Err(HandleError::NotFound(format!("table `{id}`")));
    };
    let mut replayed = Replayed::default();
    let mut page = Page { limit: 200, cursor: None };
    loop {
        let PageOf { items, next } = app.warehouse().quarantined(id, &page).await?;
        let ids: Vec<String> = items.iter().map(|row| row.id.clone()).collect();
        let rows = items
            .into_iter()
            .map(|row| LandingRow { id: row.id, table: row.table, row: row.row })
            .collect();
        let again = append(app, &table, rows).await?;
        let kept: Vec<&String> = again.iter().map(|row| &row.id).collect();
        let fit: Vec<String> = ids.iter().filter(|id| !kept.contains(id)).cloned().collect();
        replayed.landed += fit.len() as u64;
        replayed.kept += again.len() as u64;
        app.warehouse().release(&fit).await?;
        match next {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(replayed),
        }
    }
}

/// How full the warehouse is: rows landed and current, by table.
pub async fn counts(app: &App) -> Result<Value, HandleError> {
    let mut tables = schema::base_tables().to_vec();
    tables.extend(app.store().tables().await?.into_iter().map(schema::with_meta));
    let mut counted = Vec::new();
    for table in &tables {
        let rows = app.warehouse().count(table, false).await?;
        let current = app.warehouse().count(table, true).await?;
        counted.push(json!({ "table": table.id(), "rows": rows, "current": current }));
    }
    Ok(Value::Array(counted))
}
