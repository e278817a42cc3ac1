//! What `chatflow doctor` asks of BigQuery; nothing is changed.

use ports::{PortError, PortResult};
use schema::{Table, with_meta};

use super::{BigQuery, resource};
use crate::error::{from_google, is_not_found};

impl BigQuery {
    /// Looks at the dataset, the base tables and the Storage Write API: what was looked at, and
    /// why it is not as it should be with what to do.
    pub async fn examine(&self) -> Vec<(String, Result<(), String>)> {
        let catalog = &self.inner.catalog;
        let mut found = Vec::new();
        let dataset = self.dataset().await.map_err(|error| error.to_string());
        let reachable = dataset.is_ok();
        let name = format!("{}.{}", catalog.project, catalog.dataset);
        found.push((format!("BigQuery dataset {name}"), dataset));
        if !reachable {
            return found;
        }
        for table in schema::base_tables() {
            found.push((format!("BigQuery table {}", table.id()), self.table(table).await));
        }
        if let Some(table) = schema::base_tables().first() {
            let looked = self.inner.writes.look(table.id()).await;
            let looked = looked.map_err(|error| error.to_string());
            found.push(("BigQuery Storage Write API".to_owned(), looked));
        }
        found
    }

    async fn dataset(&self) -> PortResult<()> {
        let catalog = &self.inner.catalog;
        let got = catalog.datasets.get_dataset();
        let got = got.set_project_id(&catalog.project).set_dataset_id(&catalog.dataset);
        match got.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Err(catalog.no_dataset()),
            Err(error) => Err(from_google(error)),
        }
    }

    /// Whether a table has every column that rows need, of the right type.
    async fn table(&self, table: &Table) -> Result<(), String> {
        let fix = "apply the Terraform module, or run `chatflow setup`, which makes it so";
        let catalog = &self.inner.catalog;
        let raw = catalog.get(table.id()).await.map_err(|error: PortError| error.to_string())?;
        let raw = raw.ok_or_else(|| format!("there is no such table; {fix}"))?;
        let table = with_meta(table.clone());
        let old = resource::read(&raw, &table, catalog.stands_in);
        let old = old.map_err(|error| error.to_string())?;
        let lacking = table.fields().iter().filter(|field| {
            let same = |old: &schema::Field| old.field_type == field.field_type;
            !old.field(&field.name).is_some_and(same)
        });
        let mut lacking: Vec<&str> = lacking.map(|field| field.name.as_str()).collect();
        if resource::lacks_order(&raw) {
            lacking.push(super::order::COLUMN);
        }
        if lacking.is_empty() {
            return Ok(());
        }
        Err(format!("columns are missing or of another type: {}; {fix}", lacking.join(", ")))
    }
}
