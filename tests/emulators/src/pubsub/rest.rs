//! Pub/Sub's REST methods (v1) that are served, and the controls of this server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::faults::Faults;
use super::message::{Draft, RestDraft};
use super::problem::Problem;
use super::service::{Pulled, Service};
use super::subscription::Subscription;

/// A request's bytes: ten megabytes of messages in base64, and their frames.
const REQUEST_BYTES_MAX: usize = 16_000_000;
const QUIET_MILLISECONDS: u64 = 30_000;
const QUIET_MILLISECONDS_MAX: u64 = 600_000;

type Shared = State<Arc<Service>>;
type Answer = Result<Json<Value>, Problem>;

pub(super) fn router(service: Arc<Service>) -> Router {
    let topic = put(create_topic).get(get_topic).delete(delete_topic).post(on_topic);
    let subscription = put(create_subscription)
        .get(get_subscription)
        .delete(delete_subscription)
        .post(on_subscription);
    Router::new()
        .route("/v1/projects/{project}/topics", get(list_topics))
        .route("/v1/projects/{project}/topics/{topic}", topic)
        .route("/v1/projects/{project}/subscriptions", get(list_subscriptions))
        .route("/v1/projects/{project}/subscriptions/{subscription}", subscription)
        .route("/control/faults", post(set_faults))
        .route("/control/quiet", post(quiet))
        .route("/control/counters", get(counters))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(service)
}

/// Says that a method is not served, in the protocol it was asked in.
async fn unknown(headers: HeaderMap, request: Request) -> Response {
    let grpc = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let message = format!("{} is not served here", request.uri().path());
    if grpc {
        return Status::unimplemented(message).into_http::<axum::body::Body>();
    }
    let error = json!({ "code": 404, "message": message, "status": "NOT_FOUND" });
    (StatusCode::NOT_FOUND, Json(json!({ "error": error }))).into_response()
}

/// A body, whatever its content type; an empty one counts as `{}`.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    let bytes = if bytes.is_empty() { b"{}" } else { &bytes[..] };
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::invalid(format!("the body does not fit: {error}")))
}

fn topic_name((project, topic): &(String, String)) -> String {
    format!("projects/{project}/topics/{topic}")
}

fn subscription_name((project, subscription): &(String, String)) -> String {
    format!("projects/{project}/subscriptions/{subscription}")
}

/// The name and the method in `name:method`.
fn method((project, last): (String, String)) -> Result<((String, String), String), Problem> {
    match last.split_once(':') {
        Some((name, method)) => Ok(((project, name.to_owned()), method.to_owned())),
        None => Err(Problem::invalid("POST needs a method, as in NAME:publish")),
    }
}

/// A topic in REST's form. The name comes from the address.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RestTopic {
    #[serde(default, rename = "name")]
    _name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

fn topic(name: &str, labels: &BTreeMap<String, String>) -> Value {
    if labels.is_empty() {
        json!({ "name": name })
    } else {
        json!({ "name": name, "labels": labels })
    }
}

async fn create_topic(
    State(service): Shared,
    Path(path): Path<(String, String)>,
    bytes: Bytes,
) -> Answer {
    let (name, given) = (topic_name(&path), body::<RestTopic>(&bytes)?);
    service.store.create_topic(&name, given.labels.clone())?;
    Ok(Json(topic(&name, &given.labels)))
}

async fn get_topic(State(service): Shared, Path(path): Path<(String, String)>) -> Answer {
    let name = topic_name(&path);
    Ok(Json(topic(&name, &service.store.topic(&name)?)))
}

async fn delete_topic(State(service): Shared, Path(path): Path<(String, String)>) -> Answer {
    service.store.delete_topic(&topic_name(&path))?;
    Ok(Json(json!({})))
}

/// All at once: this server has no pages.
async fn list_topics(State(service): Shared, Path(project): Path<String>) -> Answer {
    let found = service.store.topics(&format!("projects/{project}/"));
    let topics: Vec<Value> = found.iter().map(|(name, labels)| topic(name, labels)).collect();
    Ok(Json(json!({ "topics": topics })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishRequest {
    messages: Vec<RestDraft>,
}

async fn on_topic(
    State(service): Shared,
    Path(path): Path<(String, String)>,
    bytes: Bytes,
) -> Answer {
    let (path, method) = method(path)?;
    if method != "publish" {
        return Err(Problem::invalid(format!("topics have no method {method:?} here")));
    }
    let request: PublishRequest = body(&bytes)?;
    let drafts: Result<Vec<Draft>, Problem> =
        request.messages.into_iter().map(Draft::try_from).collect();
    let ids = service.publish(&topic_name(&path), drafts?)?;
    Ok(Json(json!({ "messageIds": ids })))
}

async fn create_subscription(
    State(service): Shared,
    Path(path): Path<(String, String)>,
    bytes: Bytes,
) -> Answer {
    let given: Subscription = body(&bytes)?;
    let given = Subscription { name: subscription_name(&path), ..given };
    Ok(Json(json!(*service.subscribe(given)?)))
}

async fn get_subscription(State(service): Shared, Path(path): Path<(String, String)>) -> Answer {
    Ok(Json(json!(*service.store.subscription(&subscription_name(&path))?)))
}

async fn delete_subscription(State(service): Shared, Path(path): Path<(String, String)>) -> Answer {
    service.unsubscribe(&subscription_name(&path))?;
    Ok(Json(json!({})))
}

/// All at once: this server has no pages.
async fn list_subscriptions(State(service): Shared, Path(project): Path<String>) -> Answer {
    let found = service.store.subscriptions(&format!("projects/{project}/"));
    let subscriptions: Vec<Value> = found.iter().map(|config| json!(**config)).collect();
    Ok(Json(json!({ "subscriptions": subscriptions })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PullRequest {
    max_messages: usize,
    #[serde(default)]
    return_immediately: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AckRequest {
    ack_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeadlineRequest {
    ack_ids: Vec<String>,
    ack_deadline_seconds: u32,
}

async fn on_subscription(
    State(service): Shared,
    Path(path): Path<(String, String)>,
    bytes: Bytes,
) -> Answer {
    let (path, method) = method(path)?;
    let name = subscription_name(&path);
    match method.as_str() {
        "pull" => {
            let asked: PullRequest = body(&bytes)?;
            let pulled = service.pull(&name, asked.max_messages, asked.return_immediately).await?;
            let received: Vec<Value> = pulled.iter().map(received).collect();
            Ok(Json(json!({ "receivedMessages": received })))
        }
        "acknowledge" => {
            service.acknowledge(&name, &body::<AckRequest>(&bytes)?.ack_ids)?;
            Ok(Json(json!({})))
        }
        "modifyAckDeadline" => {
            let asked: DeadlineRequest = body(&bytes)?;
            service.extend(&name, &asked.ack_ids, asked.ack_deadline_seconds)?;
            Ok(Json(json!({})))
        }
        other => Err(Problem::invalid(format!("subscriptions have no method {other:?} here"))),
    }
}

fn received(pulled: &Pulled) -> Value {
    let mut fields = json!({ "ackId": pulled.ack_id, "message": pulled.message.rest() });
    if let Some(attempt) = pulled.delivery_attempt {
        fields["deliveryAttempt"] = json!(attempt);
    }
    fields
}

/// The faults given replace those in force; `{}` ends them all.
async fn set_faults(State(service): Shared, bytes: Bytes) -> Answer {
    let faults: Faults = body(&bytes)?;
    faults.check()?;
    service.store.mischief.set(faults);
    Ok(Json(json!(faults)))
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct QuietRequest {
    limit_milliseconds: u64,
}

impl Default for QuietRequest {
    fn default() -> Self {
        Self { limit_milliseconds: QUIET_MILLISECONDS }
    }
}

/// Answers once nothing is outstanding, with the counters.
async fn quiet(State(service): Shared, bytes: Bytes) -> Answer {
    let asked: QuietRequest = body(&bytes)?;
    let limit = Duration::from_millis(asked.limit_milliseconds.min(QUIET_MILLISECONDS_MAX));
    service
        .idle(limit)
        .await
        .map_err(|error| Problem { code: Code::DeadlineExceeded, message: error.to_string() })?;
    Ok(Json(json!(service.store.counters())))
}

async fn counters(State(service): Shared) -> Answer {
    Ok(Json(json!(service.store.counters())))
}
