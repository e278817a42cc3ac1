//! `/v1/failures`: what went wrong for good and is kept.

use axum::Json;
use axum::extract::{Path, State};
use ports::{Failure, FailureKind, FailureState};
use runtime::fail;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use crate::Gateway;
use crate::input::{Access, Params};
use crate::paging::{self, TASKS_MAX};
use crate::problem::Problem;

/// Which failures.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FailureQuery {
    /// `open`, `retried` or `discarded`.
    state: Option<String>,
    /// `task`, `reply`, `call`, `landing`, `event` or `dead_letter`.
    kind: Option<String>,
    /// Most items, 1 to 200; 50 where left out.
    limit: Option<usize>,
    /// Where the page before ended.
    cursor: Option<String>,
}

fn view(failure: &Failure) -> Value {
    json!({
        "id": failure.id, "kind": failure.kind, "reason": failure.reason, "at": failure.at,
        "attempts": failure.attempts, "state": failure.state, "task": failure.task,
        "conversation": failure.conversation,
        "topic": failure.envelope.as_ref().map(|envelope| envelope.topic),
        "settled_by": failure.settled.as_ref().map(|(by, _)| by),
        "settled_at": failure.settled.as_ref().map(|(_, at)| at),
    })
}

fn known<T: serde::de::DeserializeOwned>(
    name: &str,
    value: Option<String>,
) -> Result<Option<T>, Problem> {
    let Some(value) = value else { return Ok(None) };
    serde_json::from_value(Value::String(value.clone())).map(Some).map_err(|_| {
        Problem::field("", format!("`{name}={value}` is unknown; /docs lists those known"))
    })
}

/// Failures, newest first.
#[utoipa::path(get, path = "/v1/failures", tag = "failures", params(FailureQuery),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn list(
    State(gateway): State<Gateway>,
    access: Access,
    Params(query): Params<FailureQuery>,
) -> Result<Json<Value>, Problem> {
    access.may("failures.read")?;
    let state: Option<FailureState> = known("state", query.state)?;
    let kind: Option<FailureKind> = known("kind", query.kind)?;
    let page = paging::page(query.limit, query.cursor, TASKS_MAX)?;
    let found = gateway.app.store().failures(state, kind, &page).await?;
    let items: Vec<Value> = found.items.iter().map(view).collect();
    Ok(Json(json!({ "items": items, "next_cursor": found.next })))
}

/// Tries again what failed.
#[utoipa::path(post, path = "/v1/failures/{id}/retry", tag = "failures",
    params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn retry(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let caller = access.may("failures.write")?;
    Ok(Json(view(&fail::retry(&gateway.app, &id, &caller.name).await?)))
}

/// Decides that nothing is to be done.
#[utoipa::path(post, path = "/v1/failures/{id}/discard", tag = "failures",
    params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn discard(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let caller = access.may("failures.write")?;
    Ok(Json(view(&fail::discard(&gateway.app, &id, &caller.name).await?)))
}
