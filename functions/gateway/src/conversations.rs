//! `/v1/conversations` and `/v1/messages`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use engine::{ConversationId, Direction, MessageId, MessageState, TaskId};
use ports::MessageFilter;
use runtime::{operate, receive};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::Gateway;
use crate::input::{Access, JsonBody, Params};
use crate::paging::{self, MESSAGES_MAX, TASKS_MAX};
use crate::problem::Problem;
use crate::tasks::{AcceptedView, MessageBody, event_of, one_of};
use crate::views::{ConversationView, List, MessageView, TaskView};

/// Which conversations.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ConversationQuery {
    /// The connection.
    connection: Option<String>,
    /// The contact's id.
    contact: Option<String>,
    /// Most items, 1 to 200; 50 where left out.
    limit: Option<usize>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// Conversations, last changed first.
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations", params(ConversationQuery),
    responses((status = 200, body = List<ConversationView>), (status = "4XX", body = Problem)))]
pub async fn list(
    State(gateway): State<Gateway>,
    access: Access,
    Params(query): Params<ConversationQuery>,
) -> Result<Json<List<ConversationView>>, Problem> {
    access.may("conversations.read")?;
    let page = paging::page(query.limit, query.cursor, TASKS_MAX)?;
    let (connection, contact) = (query.connection.as_deref(), query.contact.as_deref());
    let found = gateway.app.store().list_conversations(connection, contact, &page).await?;
    let items = found.items.iter().map(ConversationView::from).collect();
    Ok(Json(List { items, next_cursor: found.next }))
}

async fn find(gateway: &Gateway, id: String) -> Result<ConversationView, Problem> {
    let id = ConversationId(id);
    match gateway.app.store().turn(None, &id, &[]).await?.conversation {
        Some(conversation) => Ok(ConversationView::from(&conversation)),
        None => Err(Problem::not_found(format!("conversation `{id}`"))),
    }
}

/// One conversation.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path)),
    responses((status = 200, body = ConversationView), (status = "4XX", body = Problem)))]
pub async fn show(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<ConversationView>, Problem> {
    access.may("conversations.read")?;
    find(&gateway, id).await.map(Json)
}

/// Which task gets the focus.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FocusBody {
    /// An open task of the conversation.
    task: String,
}

/// Switches to a task; it asks again where it waits for a reply.
#[utoipa::path(post, path = "/v1/conversations/{id}/focus", tag = "conversations",
    params(("id" = String, Path)), request_body = FocusBody,
    responses((status = 200, body = ConversationView), (status = "4XX", body = Problem)))]
pub async fn focus(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<FocusBody>,
) -> Result<Json<ConversationView>, Problem> {
    access.may("conversations.write")?;
    let before = find(&gateway, id.clone()).await?;
    if !before.open.iter().any(|open| open.task == body.task) {
        let message = format!("`{}` is not an open task of this conversation", body.task);
        return Err(Problem::field("/task", message));
    }
    operate::focus(&gateway.app, &TaskId(body.task)).await?;
    find(&gateway, id).await.map(Json)
}

/// A message from the contact that names no task: it is routed.
#[utoipa::path(post, path = "/v1/conversations/{id}/messages", tag = "conversations",
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
    let (content, payload) = body.content()?;
    let said = [id.as_str(), &content.text, payload.as_deref().unwrap_or_default()];
    let event = event_of(&headers, &caller.key, &said);
    let thread = receive::thread(&gateway.app, &ConversationId(id)).await?;
    gateway.admit(&thread.connection, 1).await?;
    let receipt = receive::for_thread(&gateway.app, thread, content, payload, event).await?;
    Ok((StatusCode::ACCEPTED, Json(receipt.into())))
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MessageQuery {
    /// The conversation.
    conversation: Option<String>,
    /// The connection.
    connection: Option<String>,
    /// The contact's id.
    contact: Option<String>,
    /// The task.
    task: Option<String>,
    /// `in` or `out`.
    direction: Option<String>,
    /// The state.
    state: Option<String>,
    /// Words in its text.
    q: Option<String>,
    /// Created at or after (RFC 3339).
    created_after: Option<DateTime<Utc>>,
    /// Created before (RFC 3339).
    created_before: Option<DateTime<Utc>>,
    /// `oldest` (first) or `newest`.
    order: Option<String>,
    /// Most items, 1 to 1000; 50 where left out.
    limit: Option<usize>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// Searches messages.
#[utoipa::path(get, path = "/v1/messages", tag = "messages", params(MessageQuery),
    responses((status = 200, body = List<MessageView>), (status = "4XX", body = Problem)))]
pub async fn messages(
    State(gateway): State<Gateway>,
    access: Access,
    Params(query): Params<MessageQuery>,
) -> Result<Json<List<MessageView>>, Problem> {
    access.may("messages.read")?;
    one_of("direction", query.direction.as_deref(), &["in", "out"])?;
    one_of("order", query.order.as_deref(), &["oldest", "newest"])?;
    let filter = MessageFilter {
        task: query.task.map(TaskId),
        conversation: query.conversation.map(ConversationId),
        connection: query.connection,
        contact: query.contact,
        direction: match query.direction.as_deref() {
            Some("in") => Some(Direction::In),
            Some(_) => Some(Direction::Out),
            None => None,
        },
        state: match query.state {
            Some(state) => Some(known_state(&state)?),
            None => None,
        },
        created_after: query.created_after,
        created_before: query.created_before,
        q: query.q.filter(|q| !q.trim().is_empty()),
        newest_first: query.order.as_deref() == Some("newest"),
    };
    let page = paging::page(query.limit, query.cursor, MESSAGES_MAX)?;
    let found = gateway.app.store().list_messages(&filter, &page).await?;
    let items = found.items.iter().map(MessageView::from).collect();
    Ok(Json(List { items, next_cursor: found.next }))
}

fn known_state(state: &str) -> Result<MessageState, Problem> {
    serde_json::from_value(serde_json::Value::String(state.to_owned()))
        .map_err(|_| Problem::field("", format!("`state={state}` is no state of a message")))
}

/// Which task gets a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignMessageBody {
    /// An open task of the message's conversation.
    task: String,
}

/// Gives an unrouted message to a task.
#[utoipa::path(post, path = "/v1/messages/{id}/assign", tag = "messages",
    params(("id" = String, Path)), request_body = AssignMessageBody,
    responses((status = 200, body = TaskView), (status = "4XX", body = Problem)))]
pub async fn assign(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<AssignMessageBody>,
) -> Result<Json<TaskView>, Problem> {
    access.may("messages.write")?;
    let (message, task) = (MessageId(id), TaskId(body.task));
    let task = operate::assign_message(&gateway.app, &message, &task).await?;
    Ok(Json(TaskView::from(&task)))
}
