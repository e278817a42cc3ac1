//! One connection to the default stream of a table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_bigquery::client::Write;
use google_cloud_bigquery::error::{AppendError, WriterBuilderError};
use google_cloud_bigquery::model::{ArrowRecordBatch, ArrowSchema, RowError};
use google_cloud_bigquery::write::DefaultWriter;
use google_cloud_bigquery::write::format::Arrow;
use google_cloud_bigquery::write::retry_policy::RetryableErrors;
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::retry_policy::RetryPolicyExt as _;
use ports::{PortError, PortResult};

use super::arrow::{self, Encoder};
use super::bind::BoundRow;
use super::catalog::Catalog;
use super::lane::Item;
use super::resource;
use super::shape::Shape;
use crate::error::from_google;

/// How long one try of a request may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the client may try a request again and again.
const RETRY_TIME: Duration = Duration::from_secs(30);

/// What every connection needs.
pub(super) struct Writes {
    pub(super) client: Write,
    pub(super) catalog: Arc<Catalog>,
}

impl Writes {
    fn name(&self, table: &str) -> String {
        let Catalog { project, dataset, .. } = &*self.catalog;
        format!("projects/{project}/datasets/{dataset}/tables/{table}")
    }

    /// Asks the service about the default stream of a table, which changes nothing.
    pub(super) async fn look(&self, table: &str) -> PortResult<()> {
        let open = self.client.open_default_stream(self.name(table));
        // A connection that several tables share has to know where the table is, and asks.
        let asked = open.with_multiplexing(true).build_arrow(ArrowSchema::new()).await;
        asked.map(|_: DefaultWriter<Arrow>| ()).map_err(|error| match error {
            WriterBuilderError::Rpc { source, .. } => from_google(source),
            other => PortError::backend(other),
        })
    }
}

/// What became of a request.
pub(super) enum Sent {
    /// Every row landed.
    Landed,
    /// None landed; these rows are why, by their place in the request.
    Refused(BTreeMap<usize, String>),
    /// None landed, and which row is why is not known.
    Rejected(String),
}

/// Why nothing can be said about rows.
pub(super) enum Trouble {
    NotNow,
    /// There is no such table.
    NoTable(String),
    /// The table in BigQuery lacks columns.
    OtherColumns(String),
    Backend(String),
}

impl From<PortError> for Trouble {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Unavailable { .. } => Self::NotNow,
            other => Self::Backend(other.to_string()),
        }
    }
}

/// A connection, opened when it is needed.
pub(super) struct Stream {
    table: String,
    writes: Arc<Writes>,
    open: Option<Open>,
}

struct Open {
    shape: Arc<Shape>,
    writer: DefaultWriter<Arrow>,
    encoder: Encoder,
    /// It has taken rows before.
    used: bool,
}

impl Stream {
    pub(super) fn new(table: &str, writes: Arc<Writes>) -> Self {
        Self { table: table.to_owned(), writes, open: None }
    }

    /// Sends rows as one request.
    ///
    /// What goes wrong on a connection that was open before is tried once more on a new one: the
    /// server may have kept the columns that the table had when it was opened.
    pub(super) async fn send(
        &mut self,
        shape: &Arc<Shape>,
        items: &[Item],
    ) -> Result<Sent, Trouble> {
        let rows: Vec<&BoundRow> = items.iter().map(|item| &item.row).collect();
        loop {
            let used = self.open(shape).await?;
            let error = match self.append(&rows).await? {
                Ok(()) => return Ok(Sent::Landed),
                // The connection itself is well.
                Err(AppendError::RowErrors { row_errors, .. }) if !used => {
                    return refused(row_errors, rows.len());
                }
                Err(error) => error,
            };
            self.open = None;
            match error {
                AppendError::RowErrors { .. } => {}
                AppendError::Rpc { source, .. } if used && is_lasting(&source) => {}
                AppendError::Rpc { source, .. } => return self.judge(source, shape).await,
                // The stream ended, and the client's own tries with new ones failed.
                _ => {
                    tracing::warn!(table = self.table, "BigQuery ended a connection unanswered");
                    return Err(Trouble::NotNow);
                }
            }
        }
    }

    /// Opens the connection for a shape; true when it had been used before.
    async fn open(&mut self, shape: &Arc<Shape>) -> Result<bool, Trouble> {
        if let Some(open) = &self.open
            && open.shape.is_same(shape)
        {
            return Ok(open.used);
        }
        let (encoder, message) = Encoder::new(&shape.arrow).map_err(PortError::backend)?;
        let opened = self
            .writes
            .client
            .open_default_stream(self.writes.name(&self.table))
            .with_retry_policy(RetryableErrors.with_time_limit(RETRY_TIME))
            .with_attempt_timeout(ATTEMPT_TIMEOUT)
            .build_arrow(ArrowSchema::new().set_serialized_schema(message))
            .await;
        let writer = opened.map_err(|error| match error {
            WriterBuilderError::Rpc { source, .. } => from_google(source),
            other => PortError::backend(other),
        })?;
        self.open = Some(Open { shape: Arc::clone(shape), writer, encoder, used: false });
        Ok(false)
    }

    async fn append(&mut self, rows: &[&BoundRow]) -> Result<Result<(), AppendError>, Trouble> {
        let Some(open) = &mut self.open else {
            return Err(Trouble::NotNow);
        };
        let Shape { table, arrow, .. } = &*open.shape;
        // Places are handed out as late as can be, so that a reader who has seen a later one has
        // seen these, give or take what is on its way.
        let places = rows.iter().map(|_| self.writes.catalog.order.next()).collect();
        let batch = arrow::batch(table, arrow, rows, places).map_err(PortError::backend)?;
        let message = open.encoder.encode(&batch).map_err(PortError::backend)?;
        let batch = ArrowRecordBatch::new().set_serialized_record_batch(message);
        let sent = open.writer.append(batch).send().await;
        open.used = true;
        Ok(sent.map(|_| ()))
    }

    /// What a lasting error of a new connection means; the table itself tells.
    async fn judge(&self, error: Error, shape: &Shape) -> Result<Sent, Trouble> {
        let status = error.status().map(|status| (status.code, status.message.clone()));
        let Some((code @ (Code::NotFound | Code::InvalidArgument), message)) = status else {
            return Err(from_google(error).into());
        };
        let Some(raw) = self.writes.catalog.get(&self.table).await? else {
            self.writes.catalog.forget(&self.table);
            return Err(Trouble::NoTable(self.table.clone()));
        };
        let there = resource::fields(&raw);
        let lacks = |name: &str| !there.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        if shape.arrow.fields().iter().any(|field| lacks(field.name())) {
            self.writes.catalog.forget(&self.table);
            return Err(Trouble::OtherColumns(self.table.clone()));
        }
        // New tables and columns reach the Storage Write API some time after the REST API.
        if code == Code::NotFound || is_old_schema(&message) {
            return Err(Trouble::NotNow);
        }
        Ok(Sent::Rejected(message))
    }
}

/// Whether doing the same again at once would end the same, unless the connection is to blame.
fn is_lasting(error: &Error) -> bool {
    error.status().is_some_and(|status| {
        matches!(
            status.code,
            Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition | Code::Unknown
        )
    })
}

/// BigQuery's words for columns that the server does not know yet.
fn is_old_schema(message: &str) -> bool {
    message.contains("more fields than BigQuery schema")
        || message.contains("SCHEMA_MISMATCH_EXTRA_FIELD")
}

/// The rows that BigQuery names, by their place in the request.
fn refused(errors: Vec<RowError>, rows: usize) -> Result<Sent, Trouble> {
    let mut refused: BTreeMap<usize, String> = BTreeMap::new();
    for error in errors {
        let Some(index) = usize::try_from(error.index).ok().filter(|index| *index < rows) else {
            continue;
        };
        let reasons = refused.entry(index).or_default();
        if !reasons.is_empty() {
            reasons.push_str("; ");
        }
        reasons.push_str(&error.message);
    }
    if refused.is_empty() {
        return Err(Trouble::Backend("BigQuery refused rows and did not say which".to_owned()));
    }
    Ok(Sent::Refused(refused))
}
