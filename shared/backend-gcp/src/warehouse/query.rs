//! Queries: one statement, its parameters, and its rows in pages.

use std::time::Duration;

use google_cloud_bigquery_v2::client::JobService;
use google_cloud_bigquery_v2::model;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use google_cloud_wkt::Struct;
use ports::{PortError, PortResult};

use crate::error::{from_google, invalid, is_not_found, unavailable};

/// How long BigQuery may take to answer before it says that it is not done.
const WAIT_MILLIS: u32 = 10_000;
/// How often it is asked again.
const WAITS_MAX: usize = 6;
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs queries in one project.
pub(super) struct Jobs {
    pub(super) service: JobService,
    pub(super) project: String,
}

/// A statement about one table.
pub(super) struct Statement<'a> {
    /// The table, for errors.
    pub(super) table: &'a str,
    /// The text, in BigQuery's own SQL.
    pub(super) sql: String,
    /// Texts that come from outside, by name.
    pub(super) parameters: Vec<(&'a str, String)>,
    /// Says that a repeated request is the same one; never used twice.
    pub(super) id: String,
}

/// A part of the rows of a query, each as `{"f": [{"v": …}, …]}`.
pub(super) struct Rows {
    pub(super) rows: Vec<Struct>,
    next: Option<(model::JobReference, String)>,
}

impl Jobs {
    /// Runs a statement and gives its first rows.
    pub(super) async fn run(&self, statement: Statement<'_>) -> PortResult<Rows> {
        let table = statement.table.to_owned();
        let request = model::QueryRequest::new()
            .set_query(statement.sql)
            .set_use_legacy_sql(false)
            .set_parameter_mode("NAMED")
            .set_query_parameters(statement.parameters.into_iter().map(text_parameter))
            .set_timeout_ms(WAIT_MILLIS)
            .set_format_options(model::DataFormatOptions::new().set_use_int64_timestamp(true))
            .set_request_id(statement.id);
        let answer = self
            .service
            .query()
            .set_project_id(&self.project)
            .set_query_request(request)
            .with_idempotency(true)
            .with_attempt_timeout(REQUEST_TIMEOUT)
            .send()
            .await
            .map_err(|error| fault(error, &table))?;
        check(&answer.errors, &table)?;
        let job = answer.job_reference.unwrap_or_default();
        if answer.job_complete != Some(false) {
            return Ok(Rows { rows: answer.rows, next: next(job, answer.page_token) });
        }
        for _ in 0..WAITS_MAX {
            if let Some(rows) = self.results(&job, None, &table).await? {
                return Ok(rows);
            }
        }
        Err(unavailable())
    }

    /// The rows after those, if there are more.
    pub(super) async fn more(&self, rows: &Rows, table: &str) -> PortResult<Option<Rows>> {
        let Some((job, token)) = &rows.next else {
            return Ok(None);
        };
        match self.results(job, Some(token), table).await? {
            Some(rows) => Ok(Some(rows)),
            None => Err(unavailable()),
        }
    }

    /// Rows of a job; none when it is not done.
    async fn results(
        &self,
        job: &model::JobReference,
        token: Option<&str>,
        table: &str,
    ) -> PortResult<Option<Rows>> {
        let mut request = self
            .service
            .get_query_results()
            .set_project_id(&self.project)
            .set_job_id(&job.job_id)
            .set_timeout_ms(WAIT_MILLIS);
        if let Some(location) = &job.location {
            request = request.set_location(location);
        }
        if let Some(token) = token {
            request = request.set_page_token(token);
        }
        let answer = request
            .set_format_options(model::DataFormatOptions::new().set_use_int64_timestamp(true))
            .with_attempt_timeout(REQUEST_TIMEOUT)
            .send()
            .await
            .map_err(|error| fault(error, table))?;
        check(&answer.errors, table)?;
        if answer.job_complete == Some(false) {
            return Ok(None);
        }
        let next = next(job.clone(), answer.page_token);
        Ok(Some(Rows { rows: answer.rows, next }))
    }
}

fn next(job: model::JobReference, token: String) -> Option<(model::JobReference, String)> {
    (!token.is_empty()).then_some((job, token))
}

fn text_parameter((name, value): (&str, String)) -> model::QueryParameter {
    model::QueryParameter::new()
        .set_name(name)
        .set_parameter_type(model::QueryParameterType::new().set_type("STRING"))
        .set_parameter_value(model::QueryParameterValue::new().set_value(value))
}

pub(super) fn no_table(table: &str) -> PortError {
    PortError::NotFound { what: format!("table {table} in the warehouse") }
}

fn fault(error: google_cloud_gax::error::Error, table: &str) -> PortError {
    if is_not_found(&error) {
        return no_table(table);
    }
    match error.status().filter(|status| lacks_column(&status.message)) {
        Some(_) => other_columns(table),
        None => from_google(error),
    }
}

/// What a query that BigQuery took, and that failed, says.
fn check(errors: &[model::ErrorProto], table: &str) -> PortResult<()> {
    let Some(error) = errors.first() else {
        return Ok(());
    };
    Err(match error.reason.as_str() {
        "notFound" => no_table(table),
        "invalidQuery" if lacks_column(&error.message) => other_columns(table),
        "backendError"
        | "jobBackendError"
        | "internalError"
        | "jobInternalError"
        | "rateLimitExceeded"
        | "jobRateLimitExceeded"
        | "resourcesExceeded"
        | "stopped"
        | "timeout"
        | "quotaExceeded" => unavailable(),
        _ => PortError::backend(format!("query of table {table}: {}", error.message)),
    })
}

/// BigQuery's words for a column that is not there; the second are the emulator's.
fn lacks_column(message: &str) -> bool {
    message.contains("Unrecognized name") || message.contains("Referenced column")
}

fn other_columns(table: &str) -> PortError {
    invalid(format!("table {table} has other columns in BigQuery; ensure the table first"))
}
