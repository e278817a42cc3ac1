//! Calls to Firestore, each bounded in time.
//!
//! The messages are those of the `firestore` crate's own client: its methods read one collection
//! each, and a turn reads several in one call.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use firestore::FirestoreDb;
use futures::StreamExt as _;
use gcloud_sdk::google::firestore::v1::precondition::ConditionType;
use gcloud_sdk::google::firestore::v1::structured_aggregation_query::{
    Aggregation, QueryType as AggregationOf, aggregation,
};
use gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, CommitRequest, CommitResponse, Document, DocumentMask, Precondition,
    RunAggregationQueryRequest, RunQueryRequest, StructuredAggregationQuery, StructuredQuery,
    Write, batch_get_documents_response, run_aggregation_query_request, run_query_request, value,
    write,
};
use gcloud_sdk::prost::Message as _;
use gcloud_sdk::prost_types::Timestamp;
use gcloud_sdk::tonic::{Code, Status};
use ports::{PortError, PortResult};

use super::indexes;
use super::query::Query;
use crate::error::unavailable;

/// Longest call.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Attempts of a read that met trouble on the way.
const READ_ATTEMPTS: u32 = 4;
/// Most documents of one batched read.
const GET_MAX: usize = 300;
/// Largest commit: Firestore takes 10 MiB.
const COMMIT_BYTES_MAX: usize = 10 * 1024 * 1024 - 64 * 1024;
/// Largest message either way: a page of documents of 1 MiB each.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The connection to one database. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    db: FirestoreDb,
}

/// What a document must be for a write to happen.
#[derive(Debug, Clone)]
pub(crate) enum Guard {
    /// It must not exist.
    Absent,
    /// It must not have changed since.
    Unchanged(Timestamp),
    /// Whatever it is.
    Any,
}

/// Why a commit was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A guard did not hold, or others are writing the same documents.
    Guard,
    /// Anything else.
    Port(PortError),
}

impl From<PortError> for Refusal {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

fn meaning(status: &Status) -> PortError {
    // The text of a status may name a document, never what is in it.
    tracing::debug!(code = ?status.code(), text = status.message(), "Firestore refuses");
    match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Cancelled
        | Code::Internal
        | Code::Unknown => unavailable(),
        code => PortError::backend(format!("Firestore answered {code}: {}", status.message())),
    }
}

fn late<T>(result: Result<Result<T, Status>, tokio::time::error::Elapsed>) -> Result<T, Status> {
    result.unwrap_or_else(|_| Err(Status::deadline_exceeded("Firestore did not answer in time")))
}

/// Repeats a read that met passing trouble, with short waits.
async fn patiently<T, F>(mut read: impl FnMut() -> F) -> PortResult<T>
where
    F: Future<Output = Result<T, Status>> + Send,
{
    let mut wait = Duration::from_millis(25);
    let mut attempt = 1;
    loop {
        match read().await {
            Ok(found) => return Ok(found),
            Err(status) => {
                let error = meaning(&status);
                attempt += 1;
                if attempt > READ_ATTEMPTS || !matches!(error, PortError::Unavailable { .. }) {
                    tracing::debug!(code = ?status.code(), "a read of Firestore failed");
                    return Err(error);
                }
                tokio::time::sleep(wait).await;
                wait *= 3;
            }
        }
    }
}

impl Client {
    pub(crate) fn new(db: FirestoreDb) -> Self {
        Self { db }
    }

    /// The full name of a document.
    pub(crate) fn name(&self, collection: &str, key: &str) -> String {
        format!("{}/{collection}/{key}", self.db.get_documents_path())
    }

    fn database(&self) -> String {
        self.db.get_database_path().clone()
    }

    /// Documents by their full names, in as few calls as can be; those that do not exist are left
    /// out. `mask` names the fields that come back, all where it is empty.
    pub(crate) async fn get(
        &self,
        names: &[String],
        mask: &[&str],
    ) -> PortResult<HashMap<String, Document>> {
        let mut found = HashMap::new();
        for names in names.chunks(GET_MAX) {
            found.extend(patiently(|| self.get_once(names, mask)).await?);
        }
        Ok(found)
    }

    /// One document.
    pub(crate) async fn one(&self, collection: &str, key: &str) -> PortResult<Option<Document>> {
        let name = self.name(collection, key);
        Ok(self.get(std::slice::from_ref(&name), &[]).await?.remove(&name))
    }

    /// One atomic commit. It is not repeated after trouble on the way: it may have been done.
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<CommitResponse, Refusal> {
        let request = CommitRequest { database: self.database(), writes, ..Default::default() };
        if request.encoded_len() > COMMIT_BYTES_MAX {
            let what = "what one event writes".to_owned();
            return Err(PortError::TooLarge { what, limit: COMMIT_BYTES_MAX }.into());
        }
        let mut api = self.db.client().get().max_decoding_message_size(MESSAGE_BYTES_MAX);
        match late(tokio::time::timeout(TIMEOUT, api.commit(request)).await) {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(match status.code() {
                Code::AlreadyExists | Code::FailedPrecondition | Code::NotFound | Code::Aborted => {
                    Refusal::Guard
                }
                _ => Refusal::Port(meaning(&status)),
            }),
        }
    }

    /// Reads a query's documents one by one, until `take` has enough.
    pub(crate) async fn query(
        &self,
        query: Query,
        mut take: impl FnMut(Document) -> ControlFlow<()>,
    ) -> PortResult<()> {
        debug_assert!(indexes::serve(&query), "no index serves {query:?}");
        let structured = query.into_structured();
        // Collected before they are taken: a read that is repeated must not give some twice. A
        // query asks for no more than one page.
        let documents = patiently(|| self.query_once(structured.clone())).await?;
        for document in documents {
            if take(document).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// All documents of a query.
    pub(crate) async fn all(&self, query: Query) -> PortResult<Vec<Document>> {
        let mut found = Vec::new();
        self.query(query, |document| {
            found.push(document);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(found)
    }

    /// How many documents a query has: a thousandth of a read each.
    pub(crate) async fn count(&self, query: Query) -> PortResult<u64> {
        debug_assert!(indexes::serve(&query), "no index serves {query:?}");
        let mut structured = query.into_structured();
        structured.limit = None;
        let aggregation = StructuredAggregationQuery {
            aggregations: vec![Aggregation {
                alias: "count".to_owned(),
                operator: Some(aggregation::Operator::Count(aggregation::Count::default())),
            }],
            query_type: Some(AggregationOf::StructuredQuery(structured)),
        };
        let counted = patiently(|| self.count_once(aggregation.clone())).await?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }
}

impl Client {
    async fn query_once(&self, query: StructuredQuery) -> Result<Vec<Document>, Status> {
        let request = RunQueryRequest {
            parent: self.db.get_documents_path().clone(),
            query_type: Some(run_query_request::QueryType::StructuredQuery(query)),
            ..Default::default()
        };
        let mut api = self.db.client().get().max_decoding_message_size(MESSAGE_BYTES_MAX);
        let run = async {
            let mut documents = Vec::new();
            let mut stream = api.run_query(request).await?.into_inner();
            while let Some(answer) = stream.next().await {
                documents.extend(answer?.document);
            }
            Ok(documents)
        };
        late(tokio::time::timeout(TIMEOUT, run).await)
    }

    async fn count_once(&self, query: StructuredAggregationQuery) -> Result<i64, Status> {
        let request = RunAggregationQueryRequest {
            parent: self.db.get_documents_path().clone(),
            query_type: Some(run_aggregation_query_request::QueryType::StructuredAggregationQuery(
                query,
            )),
            ..Default::default()
        };
        let mut api = self.db.client().get();
        let run = async {
            let mut stream = api.run_aggregation_query(request).await?.into_inner();
            let mut counted = 0;
            while let Some(answer) = stream.next().await {
                let value = answer?.result.and_then(|mut it| it.aggregate_fields.remove("count"));
                if let Some(value::ValueType::IntegerValue(count)) =
                    value.and_then(|value| value.value_type)
                {
                    counted += count;
                }
            }
            Ok(counted)
        };
        late(tokio::time::timeout(TIMEOUT, run).await)
    }

    async fn get_once(
        &self,
        names: &[String],
        mask: &[&str],
    ) -> Result<HashMap<String, Document>, Status> {
        let request = BatchGetDocumentsRequest {
            database: self.database(),
            documents: names.to_vec(),
            mask: (!mask.is_empty()).then(|| DocumentMask {
                field_paths: mask.iter().map(|name| (*name).to_owned()).collect(),
            }),
            ..Default::default()
        };
        let mut api = self.db.client().get().max_decoding_message_size(MESSAGE_BYTES_MAX);
        let get = async {
            let mut stream = api.batch_get_documents(request).await?.into_inner();
            let mut found = HashMap::new();
            while let Some(answer) = stream.next().await {
                if let Some(batch_get_documents_response::Result::Found(document)) = answer?.result
                {
                    found.insert(document.name.clone(), document);
                }
            }
            Ok(found)
        };
        late(tokio::time::timeout(TIMEOUT, get).await)
    }
}

/// A write of a whole document.
pub(crate) fn put(document: Document, guard: Guard) -> Write {
    Write {
        operation: Some(write::Operation::Update(document)),
        current_document: guard.precondition(),
        ..Write::default()
    }
}

/// The removal of a document, whether or not it is there.
pub(crate) fn delete(name: String) -> Write {
    Write { operation: Some(write::Operation::Delete(name)), ..Write::default() }
}

impl Guard {
    fn precondition(self) -> Option<Precondition> {
        let condition = match self {
            Self::Absent => ConditionType::Exists(false),
            Self::Unchanged(since) => ConditionType::UpdateTime(since),
            Self::Any => return None,
        };
        Some(Precondition { condition_type: Some(condition) })
    }
}
