//! Warehouse tables that users define.

use schema::{Plan, Table};
use serde_json::Value;

use crate::app::App;
use crate::outcome::HandleError;

/// Reads a schema and tells what applying it would change.
pub async fn plan(app: &App, id: &str, document: &Value) -> Result<(Table, Plan), HandleError> {
    let table = Table::parse_user(document).map_err(|invalid| {
        let first = invalid.problems.first();
        let pointer = first.map(|problem| problem.pointer.clone()).unwrap_or_default();
        HandleError::unprocessable(pointer, invalid.to_string())
    })?;
    if table.id() != id {
        return Err(HandleError::unprocessable(
            "/tableReference/tableId",
            format!("this is table `{}`, not `{id}`", table.id()),
        ));
    }
    let old = app.store().table(id).await?;
    let plan = schema::plan(old.as_ref(), &table);
    Ok((table, plan))
}

/// Makes or changes a table.
pub async fn apply(app: &App, id: &str, document: &Value) -> Result<(Table, Plan), HandleError> {
    let (table, plan) = plan(app, id, document).await?;
    if !plan.is_allowed() {
        let why = serde_json::to_string(&plan.refused).unwrap_or_default();
        return Err(HandleError::Conflict(format!("the change would lose data: {why}")));
    }
    app.warehouse().ensure(&schema::with_meta(table.clone())).await?;
    app.store().put_table(&table).await?;
    Ok((table, plan))
}
