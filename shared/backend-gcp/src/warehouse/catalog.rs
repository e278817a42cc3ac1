//! Tables in BigQuery: made, changed and looked at, and what this process knows of them.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use google_cloud_bigquery_v2::client::{DatasetService, TableService};
use google_cloud_bigquery_v2::model;
use google_cloud_gax::error::Error;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use lru::LruCache;
use ports::{PortError, PortResult};
use schema::{Change, Plan, Table};

use super::order::{self, Order};
use super::query::{Jobs, Statement};
use super::resource;
use crate::error::{from_google, invalid, is_not_found, unavailable};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a change is tried when somebody else changes the table at the same time.
const CHANGE_TRIES: usize = 3;
/// Tables that are remembered.
const TABLES_MAX: NonZeroUsize = NonZeroUsize::new(1_000).expect("more than none");

/// The tables of one dataset.
pub(super) struct Catalog {
    pub(super) datasets: DatasetService,
    pub(super) tables: TableService,
    pub(super) jobs: Jobs,
    pub(super) order: Arc<Order>,
    pub(super) project: String,
    pub(super) dataset: String,
    /// An emulator answers.
    pub(super) stands_in: bool,
    known: Mutex<LruCache<String, Table>>,
    /// One change at a time in this process; changes are rare.
    changing: tokio::sync::Mutex<()>,
}

impl Catalog {
    pub(super) fn new(
        (datasets, tables, jobs): (DatasetService, TableService, Jobs),
        order: Arc<Order>,
        config: &crate::Config,
    ) -> Self {
        Self {
            datasets,
            tables,
            jobs,
            order,
            project: config.project.clone(),
            dataset: config.dataset.clone(),
            stands_in: config.endpoints.bigquery.is_some(),
            known: Mutex::new(LruCache::new(TABLES_MAX)),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    /// `project.dataset.table`
    pub(super) fn path(&self, id: &str) -> String {
        format!("{}.{}.{id}", self.project, self.dataset)
    }

    /// A table or view; none when there is none.
    pub(super) async fn get(&self, id: &str) -> PortResult<Option<model::Table>> {
        let got = self
            .tables
            .get_table()
            .set_project_id(&self.project)
            .set_dataset_id(&self.dataset)
            .set_table_id(id)
            .with_attempt_timeout(REQUEST_TIMEOUT)
            .send()
            .await;
        match got {
            Ok(table) => Ok(Some(table)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(from_google(error)),
        }
    }

    /// Forgets that the table is there.
    pub(super) fn forget(&self, id: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).pop(id);
    }

    fn knows(&self, table: &Table) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(table.id()).is_some_and(|known| known == table)
    }

    /// Makes the table and its view as `table` (meta columns included) says. True when something
    /// changed; a table that this process has ensured before costs no request.
    pub(super) async fn ensure(&self, table: &Table) -> PortResult<bool> {
        order::check_names(table)?;
        if self.knows(table) {
            return Ok(false);
        }
        let _one = self.changing.lock().await;
        if self.knows(table) {
            return Ok(false);
        }
        let changed = self.ensure_table(table).await?;
        self.ensure_view(table).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(table.id().to_owned(), table.clone());
        Ok(changed)
    }

    /// Another process may do the same at the same time: then what is there is looked at again.
    async fn ensure_table(&self, table: &Table) -> PortResult<bool> {
        let mut last = unavailable();
        for _ in 0..CHANGE_TRIES {
            let raw = self.get(table.id()).await?;
            let old = raw.as_ref().map(|raw| resource::read(raw, table, self.stands_in));
            let old = old.transpose()?;
            let plan = schema::plan(old.as_ref(), table);
            if !plan.is_allowed() {
                return Err(refusal(table, &plan));
            }
            let done = match &raw {
                None => self.create(table).await,
                Some(raw) if plan.is_empty() && !resource::lacks_order(raw) => return Ok(false),
                Some(raw) => self.change(raw, &plan, table).await,
            };
            last = match done {
                Ok(()) => return Ok(true),
                Err(Fault::Google(error)) if raced(&error) => rejected(table, &error),
                Err(Fault::Google(error)) => return Err(from_google(error)),
                Err(Fault::Port(error)) => return Err(error),
            };
        }
        Err(last)
    }

    async fn create(&self, table: &Table) -> Result<(), Fault> {
        let wanted = resource::to_create(table, &self.project, &self.dataset)?;
        // The emulator answers 500 where the dataset is missing, and nobody else makes it there.
        if self.stands_in {
            self.create_dataset().await?;
        }
        let made = self
            .tables
            .insert_table()
            .set_project_id(&self.project)
            .set_dataset_id(&self.dataset)
            .set_table(wanted)
            .with_idempotency(true)
            .with_attempt_timeout(REQUEST_TIMEOUT)
            .send()
            .await;
        match made {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Err(Fault::Port(self.no_dataset())),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn no_dataset(&self) -> PortError {
        PortError::NotFound {
            what: format!(
                "BigQuery dataset {} in project {}; apply the Terraform module that makes it, or \
                 set the name of one that exists",
                self.dataset, self.project
            ),
        }
    }

    async fn create_dataset(&self) -> Result<(), Fault> {
        let reference = model::DatasetReference::new()
            .set_project_id(&self.project)
            .set_dataset_id(&self.dataset);
        let made = self
            .datasets
            .insert_dataset()
            .set_project_id(&self.project)
            .set_dataset(model::Dataset::new().set_dataset_reference(reference))
            .with_idempotency(true)
            .with_attempt_timeout(REQUEST_TIMEOUT)
            .send()
            .await;
        match made {
            Ok(_) => Ok(()),
            Err(error) if error.http_status_code() == Some(409) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn change(&self, raw: &model::Table, plan: &Plan, table: &Table) -> Result<(), Fault> {
        // A column that the plan adds has its default in a change of its own: see `merged`.
        let late_defaults =
            plan.changes.iter().any(|change| matches!(change, Change::SetDefault { .. }));
        let steps: &[bool] = if late_defaults { &[false, true] } else { &[false] };
        for defaults in steps {
            let fields = resource::merged(resource::fields(raw), table.fields(), *defaults)?;
            let fields = resource::with_order(fields)?;
            self.replace(raw, plan, table, fields).await?;
        }
        Ok(())
    }

    async fn replace(
        &self,
        raw: &model::Table,
        plan: &Plan,
        table: &Table,
        fields: Vec<model::TableFieldSchema>,
    ) -> Result<(), Fault> {
        let schema = raw.schema.clone().unwrap_or_default().set_fields(fields);
        let description = table.description.clone().unwrap_or_default();
        let clustering = plan.changes.iter().find_map(|change| match change {
            Change::SetClustering { columns } => Some(columns.clone()),
            _ => None,
        });
        // A patch cannot take something away: without clustering the whole resource is written.
        if clustering.as_ref().is_some_and(Vec::is_empty) {
            let mut whole = raw.clone().set_schema(schema).set_description(description);
            whole.clustering = None;
            let update = self.tables.update_table();
            let update = update.set_project_id(&self.project).set_dataset_id(&self.dataset);
            let update = update.set_table_id(table.id()).set_table(whole);
            update.with_attempt_timeout(REQUEST_TIMEOUT).send().await?;
            return Ok(());
        }
        let mut part = model::Table::new().set_schema(schema).set_description(description);
        if let Some(columns) = clustering {
            part = part.set_clustering(model::Clustering::new().set_fields(columns));
        }
        let patch = self.tables.patch_table();
        let patch = patch.set_project_id(&self.project).set_dataset_id(&self.dataset);
        let patch = patch.set_table_id(table.id()).set_table(part);
        patch.with_idempotency(true).with_attempt_timeout(REQUEST_TIMEOUT).send().await?;
        Ok(())
    }

    /// A view keeps the columns it was made with, so that it is made anew when they differ. One
    /// that Terraform made with the same columns is left alone.
    async fn ensure_view(&self, table: &Table) -> PortResult<()> {
        let view = format!("{}_current", table.id());
        let wanted: BTreeSet<&str> =
            table.fields().iter().map(|field| field.name.as_str()).collect();
        let raw = self.get(&view).await?;
        let there = raw.as_ref().map(|raw| {
            resource::fields(raw).iter().map(|field| field.name.as_str()).collect::<BTreeSet<_>>()
        });
        if there == Some(wanted) {
            return Ok(());
        }
        let sql = schema::bigquery::current_view(table, &self.path(&view), &self.path(table.id()));
        let statement =
            Statement { table: table.id(), sql, parameters: Vec::new(), id: self.order.next() };
        self.jobs.run(statement).await?;
        Ok(())
    }
}

/// An error before it is judged.
enum Fault {
    Google(Error),
    Port(PortError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Google(error)
    }
}

impl From<PortError> for Fault {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

fn refusal(table: &Table, plan: &Plan) -> PortError {
    let reasons: Vec<String> = plan
        .refused
        .iter()
        .map(|refusal| format!("{} {}: {}", refusal.column, refusal.reason, refusal.fix))
        .collect();
    invalid(format!("table {} cannot be changed: {}", table.id(), reasons.join("; ")))
}

/// Whether the table may have changed under our hands: it exists already, its etag is another, or
/// the columns that were sent lack one that came meanwhile.
fn raced(error: &Error) -> bool {
    matches!(error.http_status_code(), Some(400 | 409 | 412))
}

/// What is left of that when it stays so.
fn rejected(table: &Table, error: &Error) -> PortError {
    match error.status() {
        Some(status) if error.http_status_code() == Some(400) => {
            invalid(format!("BigQuery refuses table {}: {}", table.id(), status.message))
        }
        _ => PortError::Conflict { what: format!("table {} in BigQuery", table.id()) },
    }
}
