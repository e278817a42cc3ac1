//! `/v1/tasks`: start, search, look, act.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use engine::{ConversationId, EventId, Task, TaskId};
use flow::{Attachment, Content};
use ports::{MessageFilter, Page, Sort, TaskFilter};
use runtime::operate::{self, Idempotency, StartRequest, Started};
use runtime::{ids, receive};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::Gateway;
use crate::input::{self, Access, JsonBody, Params};
use crate::paging::{self, PageParams, TASKS_MAX};
use crate::problem::Problem;
use crate::views::{ContactView, List, MessageView, ProgressView, TaskView};

/// Longest Idempotency-Key, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// What starts a task.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartBody {
    /// The flow.
    pub flow: String,
    /// Whom the task talks with.
    pub contact: ContactView,
    /// Values for the flow's variables.
    #[serde(default)]
    pub vars: Map<String, Value>,
    /// The key of the conversation on the connection; the contact's id where left out.
    #[serde(default)]
    pub conversation: Option<String>,
    /// The connection; `api` where left out.
    #[serde(default)]
    pub connection: Option<String>,
}

/// Starts a task.
#[utoipa::path(post, path = "/v1/tasks", tag = "tasks", request_body = StartBody,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "Repeating a request with its key within 24 h gives the first answer")),
    responses((status = 201, body = TaskView), (status = "4XX", body = Problem)))]
pub async fn start(
    State(gateway): State<Gateway>,
    access: Access,
    headers: HeaderMap,
    JsonBody(body): JsonBody<StartBody>,
) -> Result<Response, Problem> {
    let caller = access.may("tasks.write")?;
    check_id("/contact/id", &body.contact.id)?;
    if let Some(conversation) = &body.conversation {
        check_id("/conversation", conversation)?;
    }
    let connection = body.connection.clone().unwrap_or_else(|| "api".into());
    input::known_connection(&gateway, "/connection", &connection).await?;
    let idempotency = idempotency(&headers, &caller.key, &body)?;
    if let Some(given) = &idempotency
        && let Some(answer) = operate::repeated(&gateway.app, given).await?
    {
        return Ok(answered(answer.status, answer.body));
    }
    gateway.admit(&connection, 1).await?;
    let request = StartRequest {
        flow: body.flow,
        contact: body.contact.into(),
        vars: body.vars,
        connection,
        conversation: body.conversation,
    };
    let render = |task: &Task| serde_json::to_value(TaskView::from(task)).unwrap_or_default();
    match operate::start(&gateway.app, request, idempotency.as_ref(), &render).await? {
        Started::Task(task) => Ok(answered(201, render(&task))),
        Started::Before(answer) => Ok(answered(answer.status, answer.body)),
    }
}

fn answered(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), Json(body)).into_response()
}

fn idempotency(
    headers: &HeaderMap,
    caller: &str,
    body: &StartBody,
) -> Result<Option<Idempotency>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(Problem::malformed(format!(
            "an Idempotency-Key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters"
        )));
    }
    let value = serde_json::to_value(body).unwrap_or_default();
    Ok(Some(Idempotency {
        key: format!("{caller}/{key}"),
        request: receive::digest(&["POST /v1/tasks"], &value),
    }))
}

pub(crate) fn check_id(pointer: &str, id: &str) -> Result<(), Problem> {
    let most = channels::inbound::ID_BYTES_MAX;
    if id.is_empty() || id.len() > most || id.chars().any(char::is_control) {
        let message = format!("an id has 1 to {most} bytes and no control characters");
        return Err(Problem::field(pointer, message));
    }
    Ok(())
}

/// Which tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TaskQuery {
    /// The flow.
    flow: Option<String>,
    /// `running`, `waiting`, `completed`, `failed`, `cancelled` or `expired`.
    status: Option<String>,
    /// `reply`, `timer`, `call`, `event`, `child` or `human`.
    waiting_for: Option<String>,
    /// The contact's id.
    contact: Option<String>,
    /// The conversation.
    conversation: Option<String>,
    /// The queue it lies in.
    queue: Option<String>,
    /// A part of its label.
    label: Option<String>,
    /// The task that started it.
    parent: Option<String>,
    /// Created at or after (RFC 3339).
    created_after: Option<DateTime<Utc>>,
    /// Created before (RFC 3339).
    created_before: Option<DateTime<Utc>>,
    /// Words in its label, its contact or any of its messages.
    q: Option<String>,
    /// `created_desc`, `created_asc`, `updated_desc` or `updated_asc`.
    sort: Option<String>,
    /// Most items, 1 to 200; 50 where left out.
    limit: Option<usize>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// Searches tasks.
#[utoipa::path(get, path = "/v1/tasks", tag = "tasks", params(TaskQuery),
    responses((status = 200, body = List<TaskView>), (status = "4XX", body = Problem)))]
pub async fn list(
    State(gateway): State<Gateway>,
    access: Access,
    Params(query): Params<TaskQuery>,
) -> Result<Json<List<TaskView>>, Problem> {
    access.may("tasks.read")?;
    let sort = match query.sort.as_deref() {
        None | Some("created_desc") => Sort::CreatedDesc,
        Some("created_asc") => Sort::CreatedAsc,
        Some("updated_desc") => Sort::UpdatedDesc,
        Some("updated_asc") => Sort::UpdatedAsc,
        Some(other) => {
            return Err(Problem::field(
                "",
                format!(
                    "`{other}` is no order; use created_desc, created_asc, updated_desc or updated_asc"
                ),
            ));
        }
    };
    one_of(
        "status",
        query.status.as_deref(),
        &["running", "waiting", "completed", "failed", "cancelled", "expired"],
    )?;
    one_of(
        "waiting_for",
        query.waiting_for.as_deref(),
        &["reply", "timer", "call", "event", "child", "human"],
    )?;
    let filter = TaskFilter {
        flow: query.flow,
        status: query.status,
        waiting_for: query.waiting_for,
        contact: query.contact,
        conversation: query.conversation.map(ConversationId),
        queue: query.queue,
        label: query.label,
        parent: query.parent.map(TaskId),
        created_after: query.created_after,
        created_before: query.created_before,
        q: query.q.filter(|q| !q.trim().is_empty()),
        sort,
    };
    let page = paging::page(query.limit, query.cursor, TASKS_MAX)?;
    let found = gateway.app.store().list_tasks(&filter, &page).await?;
    let items = found.items.iter().map(TaskView::from).collect();
    Ok(Json(List { items, next_cursor: found.next }))
}

pub(crate) fn one_of(name: &str, given: Option<&str>, known: &[&str]) -> Result<(), Problem> {
    match given {
        Some(value) if !known.contains(&value) => Err(Problem::field(
            "",
            format!("`{name}={value}` is unknown; use one of {}", known.join(", ")),
        )),
        _ => Ok(()),
    }
}

/// One task, with its progress and its children.
#[utoipa::path(get, path = "/v1/tasks/{id}", tag = "tasks", params(("id" = String, Path)),
    responses((status = 200, body = TaskView), (status = "4XX", body = Problem)))]
pub async fn show(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<TaskView>, Problem> {
    access.may("tasks.read")?;
    let app = &gateway.app;
    let task = operate::find(app, &TaskId(id)).await?;
    let mut view = TaskView::from(&task);
    let filter = TaskFilter { parent: Some(task.id.clone()), ..TaskFilter::default() };
    let page = Page { limit: TASKS_MAX, cursor: None };
    let children = app.store().list_tasks(&filter, &page).await?.items;
    view.children = Some(children.into_iter().map(|child| child.id.0).collect());
    let history = app.store().history(&task.id, 0, ports::PAGE_MAX).await?;
    let visited: std::collections::BTreeSet<&str> =
        history.iter().flat_map(|e| e.steps.iter().map(|visit| visit.step.as_str())).collect();
    if let Some(version) = app.version(&task.flow, task.version).await? {
        let steps = version.document.steps.len();
        view.progress = Some(ProgressView { visited: visited.len(), steps });
    }
    Ok(Json(view))
}

/// A message from the contact.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageBody {
    /// What it says, at most 20,000 characters.
    #[serde(default)]
    pub text: String,
    /// The payload of the choice that was pressed.
    #[serde(default)]
    pub payload: Option<String>,
    /// Pictures and files: `{kind, url, name, mime, bytes}`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub attachments: Vec<Attachment>,
}

impl MessageBody {
    pub(crate) fn content(self) -> Result<(Content, Option<String>), Problem> {
        let most = channels::inbound::TEXT_CHARS_MAX;
        if self.text.chars().nth(most).is_some() {
            return Err(Problem::field(
                "/text",
                format!("the text has more than {most} characters"),
            ));
        }
        if self.attachments.len() > 10 {
            return Err(Problem::field("/attachments", "a message has at most 10 attachments"));
        }
        if self.payload.as_ref().is_some_and(|payload| payload.len() > 1_000) {
            return Err(Problem::field("/payload", "a payload has at most 1,000 bytes"));
        }
        if self.text.trim().is_empty() && self.payload.is_none() && self.attachments.is_empty() {
            return Err(Problem::field("/text", "the message is empty; write a text"));
        }
        let content =
            Content { text: self.text, attachments: self.attachments, choices: Vec::new() };
        Ok((content, self.payload))
    }
}

/// What was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedView {
    /// The message's id.
    pub message: Option<String>,
    /// The event's id.
    pub event: String,
    /// The conversation.
    pub conversation: Option<String>,
}

impl From<receive::Receipt> for AcceptedView {
    fn from(receipt: receive::Receipt) -> Self {
        Self {
            message: receipt.message.map(|id| id.0),
            event: receipt.event.0,
            conversation: receipt.conversation.map(|id| id.0),
        }
    }
}

/// The event of a message: the same for the same Idempotency-Key and content.
pub(crate) fn event_of(headers: &HeaderMap, caller: &str, said: &[&str]) -> EventId {
    match headers.get("idempotency-key").and_then(|key| key.to_str().ok()) {
        // What is said counts as well: another message with a used key is another message.
        Some(key) if !key.is_empty() => {
            EventId::of(&format!("api/{caller}/{key}"), &said.join("\n"))
        }
        _ => ids::fresh_event("api"),
    }
}

/// A message from the contact into this task.
#[utoipa::path(post, path = "/v1/tasks/{id}/messages", tag = "tasks",
    params(("id" = String, Path)), request_body = MessageBody,
    responses((status = 202, body = AcceptedView), (status = "4XX", body = Problem)))]
pub async fn write(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<MessageBody>,
) -> Result<(StatusCode, Json<AcceptedView>), Problem> {
    let caller = access.may("messages.write")?;
    let task = operate::find(&gateway.app, &TaskId(id)).await?;
    if task.status.has_ended() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("the task is {}; it takes no messages any more", task.status.name()),
        ));
    }
    gateway.admit(&task.connection, 1).await?;
    let (content, payload) = body.content()?;
    let said = [task.id.as_str(), &content.text, payload.as_deref().unwrap_or_default()];
    let event = event_of(&headers, &caller.key, &said);
    let receipt = receive::for_task(&gateway.app, &task, content, payload, event).await?;
    Ok((StatusCode::ACCEPTED, Json(receipt.into())))
}

/// A task's messages, both directions, oldest first.
#[utoipa::path(get, path = "/v1/tasks/{id}/messages", tag = "tasks",
    params(("id" = String, Path), PageParams),
    responses((status = 200, body = List<MessageView>), (status = "4XX", body = Problem)))]
pub async fn messages(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    Params(query): Params<PageParams>,
) -> Result<Json<List<MessageView>>, Problem> {
    access.may("messages.read")?;
    let task = operate::find(&gateway.app, &TaskId(id)).await?;
    let filter = MessageFilter { task: Some(task.id), ..MessageFilter::default() };
    let page = paging::page(query.limit, query.cursor, paging::MESSAGES_MAX)?;
    let found = gateway.app.store().list_messages(&filter, &page).await?;
    let items = found.items.iter().map(MessageView::from).collect();
    Ok(Json(List { items, next_cursor: found.next }))
}

/// Which part of a history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Only transitions behind this sequence number.
    #[serde(default)]
    after: u64,
    /// Most items, 1 to 1000.
    limit: Option<usize>,
}

/// A task's transitions, oldest first.
#[utoipa::path(get, path = "/v1/tasks/{id}/history", tag = "tasks",
    params(("id" = String, Path), HistoryQuery),
    responses((status = 200, body = List<Object>), (status = "4XX", body = Problem)))]
pub async fn history(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    Params(query): Params<HistoryQuery>,
) -> Result<Json<Value>, Problem> {
    access.may("tasks.read")?;
    let task = operate::find(&gateway.app, &TaskId(id)).await?;
    let page = paging::page(query.limit, None, ports::PAGE_MAX)?;
    let found = gateway.app.store().history(&task.id, query.after, page.limit).await?;
    let full = found.len() == page.limit;
    let next = found.last().filter(|_| full).map(|entry| entry.sequence.to_string());
    Ok(Json(json!({ "items": found, "next_cursor": next })))
}
