//! What stands around a flow while it is checked: a snapshot of everything it may name.

use std::collections::BTreeMap;

use flow::check::{Lookup, RowProblem, Shape, Surroundings};
use indexmap::IndexMap;
use schema::Table;

use crate::app::App;
use crate::outcome::HandleError;

/// A snapshot, so that checking needs no I/O.
pub(super) struct Snapshot {
    flows: Vec<String>,
    queues: Vec<String>,
    connections: Vec<String>,
    secrets: Vec<String>,
    tables: BTreeMap<String, Table>,
}

impl Snapshot {
    /// Reads the names of everything. `itself` counts as published: a flow may start itself.
    pub(super) async fn take(app: &App, itself: &str) -> Result<Self, HandleError> {
        let mut flows: Vec<String> =
            app.store().live().await?.into_iter().map(|(flow, _)| flow).collect();
        flows.push(itself.to_owned());
        let tables = app.store().tables().await?;
        Ok(Self {
            flows,
            queues: app.store().queues().await?.into_iter().map(|queue| queue.id).collect(),
            connections: app.store().connections().await?.into_iter().map(|c| c.id).collect(),
            secrets: app.secrets().secret_names().await?,
            tables: tables.into_iter().map(|table| (table.id().to_owned(), table)).collect(),
        })
    }
}

fn look(names: &[String], name: &str) -> Lookup {
    if names.iter().any(|known| known == name) {
        Lookup::Found
    } else {
        Lookup::Missing(names.to_vec())
    }
}

impl Surroundings for Snapshot {
    fn flow(&self, id: &str) -> Lookup {
        look(&self.flows, id)
    }

    fn queue(&self, id: &str) -> Lookup {
        look(&self.queues, id)
    }

    fn connection(&self, id: &str) -> Lookup {
        look(&self.connections, id)
    }

    fn secret(&self, name: &str) -> Lookup {
        look(&self.secrets, name)
    }

    fn table(&self, id: &str) -> Lookup {
        if self.tables.contains_key(id) {
            return Lookup::Found;
        }
        Lookup::Missing(self.tables.keys().cloned().collect())
    }

    fn row_problems(&self, table: &str, row: &IndexMap<String, Shape>) -> Vec<RowProblem> {
        let Some(table) = self.tables.get(table) else { return Vec::new() };
        let row = row
            .iter()
            .map(|(column, shape)| {
                let shape = match shape {
                    Shape::Literal(value) => schema::Shape::Literal(value.clone()),
                    Shape::Typed(kind) => schema::Shape::Typed(kind.name()),
                    Shape::Text => schema::Shape::Text,
                };
                (column.clone(), shape)
            })
            .collect();
        schema::check_row_template(table, &row)
            .into_iter()
            .map(|problem| RowProblem {
                column: problem.column,
                message: problem.message,
                fix: Some(problem.fix).filter(|fix| !fix.is_empty()),
            })
            .collect()
    }
}
