//! `/v1/tasks/{id}/…`: what an operator may do to a task.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use engine::{EventBody, OperatorAction, TaskId};
use runtime::operate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Gateway;
use crate::input::{Access, JsonBody};
use crate::problem::Problem;
use crate::tasks::{MessageBody, check_id};
use crate::views::TaskView;

/// Why a task is cancelled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// For people.
    #[serde(default)]
    reason: Option<String>,
}

/// Stops a task and the children it waits for.
#[utoipa::path(post, path = "/v1/tasks/{id}/cancel", tag = "tasks", params(("id" = String, Path)),
    request_body = CancelBody,
    responses((status = 200, body = TaskView), (status = "4XX", body = Problem)))]
pub async fn cancel(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<CancelBody>,
) -> Result<Json<TaskView>, Problem> {
    let caller = access.may("tasks.write")?;
    let reason = body.reason.unwrap_or_else(|| format!("cancelled by {}", caller.name));
    act(&gateway, id, caller.name, OperatorAction::Cancel { reason: clip(&reason) }).await
}

/// Enters the failed step again.
#[utoipa::path(post, path = "/v1/tasks/{id}/retry", tag = "tasks", params(("id" = String, Path)),
    responses((status = 200, body = TaskView), (status = "4XX", body = Problem)))]
pub async fn retry(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<TaskView>, Problem> {
    let caller = access.may("tasks.write")?;
    act(&gateway, id, caller.name, OperatorAction::Retry).await
}

/// Where a task goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignBody {
    /// The queue; the one it is in where left out.
    #[serde(default)]
    queue: Option<String>,
    /// Who takes it; nobody where left out.
    #[serde(default)]
    assignee: Option<String>,
}

/// Puts a task that waits for a person into a queue, or gives it to somebody.
#[utoipa::path(post, path = "/v1/tasks/{id}/assign", tag = "tasks", params(("id" = String, Path)),
    request_body = AssignBody,
    responses((status = 200, body = TaskView), (status = "4XX", body = Problem)))]
pub async fn assign(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<AssignBody>,
) -> Result<Json<TaskView>, Problem> {
    let caller = access.may("tasks.handle")?;
    if let Some(queue) = &body.queue {
        let known = gateway.app.store().queues().await?;
        if !known.iter().any(|known| known.id == *queue) {
            return Err(Problem::field("/queue", format!("there is no queue `{queue}`")));
        }
    }
    if let Some(assignee) = &body.assignee {
        check_id("/assignee", assignee)?;
    }
    let action = OperatorAction::Assign { queue: body.queue, assignee: body.assignee };
    act(&gateway, id, caller.name, action).await
}

/// What an operator says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplyBody {
    /// To the contact.
    text: String,
}

/// Says something to the contact, as a person.
#[utoipa::path(post, path = "/v1/tasks/{id}/reply", tag = "tasks", params(("id" = String, Path)),
    request_body = ReplyBody,
    responses((status = 200, body = TaskView), (status = "4XX", body = Problem)))]
pub async fn reply(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<ReplyBody>,
) -> Result<Json<TaskView>, Problem> {
    let caller = access.may("tasks.handle")?;
    let text = MessageBody { text: body.text, payload: None, attachments: Vec::new() };
    let (content, _) = text.content()?;
    act(&gateway, id, caller.name, OperatorAction::Say { content }).await
}

/// How a hand-off is resolved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveBody {
    /// One of the step's resolutions; any text where it names none.
    resolution: String,
    /// A remark.
    #[serde(default)]
    note: Option<String>,
}

/// Finishes a hand-off; the flow goes on.
#[utoipa::path(post, path = "/v1/tasks/{id}/resolve", tag = "tasks",
    params(("id" = String, Path)), request_body = ResolveBody,
    responses((status = 200, body = TaskView), (status = "4XX", body = Problem)))]
pub async fn resolve(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<ResolveBody>,
) -> Result<Json<TaskView>, Problem> {
    let caller = access.may("tasks.handle")?;
    let action = OperatorAction::Resolve {
        resolution: clip(&body.resolution),
        note: body.note.as_deref().map(clip),
    };
    act(&gateway, id, caller.name, action).await
}

/// Where a task moves.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrateBody {
    /// The version.
    version: u32,
    /// Only tell whether it would go.
    #[serde(default)]
    dry_run: bool,
}

/// Moves a waiting task to another version of its flow, where its step still exists.
#[utoipa::path(post, path = "/v1/tasks/{id}/migrate", tag = "tasks",
    params(("id" = String, Path)), request_body = MigrateBody,
    responses((status = 200, body = TaskView), (status = "4XX", body = Problem)))]
pub async fn migrate(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<MigrateBody>,
) -> Result<Response, Problem> {
    let caller = access.may("tasks.write")?;
    if body.dry_run {
        let id = TaskId(id);
        let told = operate::migrate_dry_run(&gateway.app, &id, body.version, &caller.name).await?;
        return Ok(Json(told).into_response());
    }
    let action = OperatorAction::Migrate { version: body.version };
    act(&gateway, id, caller.name, action).await.map(IntoResponse::into_response)
}

async fn act(
    gateway: &Gateway,
    id: String,
    by: String,
    action: OperatorAction,
) -> Result<Json<TaskView>, Problem> {
    let event = EventBody::Operator { by, action };
    let task = operate::on_task(&gateway.app, &TaskId(id), event).await?;
    Ok(Json(TaskView::from(&task)))
}

fn clip(text: &str) -> String {
    text.chars().take(1_000).collect()
}
