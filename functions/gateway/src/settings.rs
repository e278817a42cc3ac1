//! Administration: connections, queues, secrets, keys, tables, reports.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use channels::Connection;
use ports::{ApiKey, Page, Queue};
use runtime::{administer, keys, land};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::Gateway;
use crate::input::{Access, JsonBody, Params, if_match, stale};
use crate::paging::{self, PageParams, TASKS_MAX};
use crate::problem::Problem;

/// All connections.
#[utoipa::path(get, path = "/v1/connections", tag = "administration",
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn connections(
    State(gateway): State<Gateway>,
    access: Access,
) -> Result<Json<Value>, Problem> {
    access.may("connections.read")?;
    let items = gateway.app.store().connections().await?;
    Ok(Json(json!({ "items": items, "next_cursor": null })))
}

/// One connection; its revision is the `ETag`.
#[utoipa::path(get, path = "/v1/connections/{id}", tag = "administration",
    params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn connection(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    access.may("connections.read")?;
    match gateway.app.store().connection(&id).await? {
        Some(connection) => Ok(tagged(StatusCode::OK, connection.revision, &connection)),
        None => Err(Problem::not_found(format!("connection `{id}`"))),
    }
}

/// Makes or changes a connection. Secrets are named, never given here.
#[utoipa::path(put, path = "/v1/connections/{id}", tag = "administration",
    params(("id" = String, Path)), request_body = Object,
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn put_connection(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(mut connection): JsonBody<Connection>,
) -> Result<Response, Problem> {
    access.may("connections.write")?;
    let expected = if_match(&headers)?;
    if connection.id != id {
        let message = format!("the address says `{id}`, the body `{}`", connection.id);
        return Err(Problem::field("/id", message));
    }
    connection.revision = 0;
    let written = administer::put_connection(&gateway.app, connection, expected)
        .await
        .map_err(|error| stale(error.into(), expected.is_some()))?;
    Ok(tagged(StatusCode::OK, written.revision, &written))
}

pub(crate) fn tagged<T: serde::Serialize>(status: StatusCode, revision: u64, body: &T) -> Response {
    let mut response = (status, Json(body)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// All queues of people.
#[utoipa::path(get, path = "/v1/queues", tag = "administration",
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn queues(
    State(gateway): State<Gateway>,
    access: Access,
) -> Result<Json<Value>, Problem> {
    access.may("queues.read")?;
    let items = gateway.app.store().queues().await?;
    Ok(Json(json!({ "items": items, "next_cursor": null })))
}

/// A queue's settings.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueBody {
    /// What people call it.
    name: String,
}

/// Makes or renames a queue.
#[utoipa::path(put, path = "/v1/queues/{id}", tag = "administration",
    params(("id" = String, Path)), request_body = QueueBody,
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn put_queue(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<QueueBody>,
) -> Result<Json<Queue>, Problem> {
    access.may("queues.write")?;
    let queue = Queue { id, name: body.name };
    administer::put_queue(&gateway.app, &queue).await?;
    Ok(Json(queue))
}

/// The names of all secrets; never their values.
#[utoipa::path(get, path = "/v1/secrets", tag = "administration",
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn secrets(
    State(gateway): State<Gateway>,
    access: Access,
) -> Result<Json<Value>, Problem> {
    access.may("secrets.read")?;
    let names = gateway.app.secrets().secret_names().await?;
    Ok(Json(json!({ "items": names, "next_cursor": null })))
}

/// A secret's value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretBody {
    /// 1 to 16,384 bytes; it can never be read back.
    value: String,
}

/// Sets a secret.
#[utoipa::path(put, path = "/v1/secrets/{name}", tag = "administration",
    params(("name" = String, Path)), request_body = SecretBody,
    responses((status = 204), (status = "4XX", body = Problem)))]
pub async fn put_secret(
    State(gateway): State<Gateway>,
    access: Access,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<SecretBody>,
) -> Result<StatusCode, Problem> {
    access.may("secrets.write")?;
    administer::put_secret(&gateway.app, &name, &body.value).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn key_view(key: &ApiKey) -> Value {
    json!({
        "id": key.id, "name": key.name, "permissions": key.permissions,
        "created_at": key.created_at, "revoked_at": key.revoked_at,
    })
}

/// All API keys, without their secrets.
#[utoipa::path(get, path = "/v1/keys", tag = "administration",
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn list_keys(
    State(gateway): State<Gateway>,
    access: Access,
) -> Result<Json<Value>, Problem> {
    access.may("keys.read")?;
    let found = gateway.app.store().keys().await?;
    let items: Vec<Value> = found.iter().map(key_view).collect();
    Ok(Json(json!({ "items": items, "next_cursor": null })))
}

/// A new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyBody {
    /// What it is for; people see it in histories.
    name: String,
    /// `*`, an area such as `tasks.*`, or a permission such as `tasks.read`.
    permissions: Vec<String>,
}

/// Makes a key; its text is shown this once.
#[utoipa::path(post, path = "/v1/keys", tag = "administration", request_body = KeyBody,
    responses((status = 201, body = Object), (status = "4XX", body = Problem)))]
pub async fn create_key(
    State(gateway): State<Gateway>,
    access: Access,
    JsonBody(body): JsonBody<KeyBody>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let caller = access.may("keys.write")?;
    if body.name.trim().is_empty() || body.name.chars().count() > 100 {
        return Err(Problem::field("/name", "a name has 1 to 100 characters"));
    }
    if body.permissions.is_empty() || body.permissions.len() > 50 {
        return Err(Problem::field("/permissions", "give 1 to 50 permissions"));
    }
    for (index, permission) in body.permissions.iter().enumerate() {
        let well_formed = permission == "*"
            || permission.split_once('.').is_some_and(|(area, act)| {
                let plain =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase());
                plain(area) && (act == "*" || plain(act))
            });
        if !well_formed {
            let message =
                "write `*`, an area such as `tasks.*`, or a permission such as `tasks.read`";
            return Err(Problem::field(format!("/permissions/{index}"), message));
        }
        // Nobody gives away more than they have.
        if !caller.may(permission) {
            let message = format!("your own key lacks `{permission}`");
            return Err(Problem::new(StatusCode::FORBIDDEN, message));
        }
    }
    let (key, text) = keys::create(&gateway.app, &body.name, body.permissions).await?;
    let mut view = key_view(&key);
    view["key"] = Value::String(text);
    Ok((StatusCode::CREATED, Json(view)))
}

/// Revokes a key, for good.
#[utoipa::path(post, path = "/v1/keys/{id}/revoke", tag = "administration",
    params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn revoke_key(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    access.may("keys.write")?;
    let Some(mut key) = gateway.app.store().key(&id).await? else {
        return Err(Problem::not_found(format!("key `{id}`")));
    };
    key.revoked_at.get_or_insert(gateway.app.now());
    gateway.app.store().put_key(&key).await?;
    Ok(Json(key_view(&key)))
}

/// All warehouse tables: those of the system and those users defined.
#[utoipa::path(get, path = "/v1/tables", tag = "warehouse",
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn tables(
    State(gateway): State<Gateway>,
    access: Access,
) -> Result<Json<Value>, Problem> {
    access.may("tables.read")?;
    let items = land::counts(&gateway.app).await?;
    Ok(Json(json!({ "items": items, "next_cursor": null })))
}

/// A table's schema, as a BigQuery `Table` resource.
#[utoipa::path(get, path = "/v1/tables/{id}", tag = "warehouse", params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn table(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<schema::Table>, Problem> {
    access.may("tables.read")?;
    find_table(&gateway, &id).await.map(Json)
}

async fn find_table(gateway: &Gateway, id: &str) -> Result<schema::Table, Problem> {
    let found = land::table(&gateway.app, id).await?;
    found.ok_or_else(|| Problem::not_found(format!("table `{id}`")))
}

/// What applying a schema would change.
#[utoipa::path(post, path = "/v1/tables/{id}/plan", tag = "warehouse",
    params(("id" = String, Path)), request_body = Object,
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn plan_table(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(document): JsonBody<Value>,
) -> Result<Json<Value>, Problem> {
    access.may("tables.read")?;
    let (_, plan) = administer::tables::plan(&gateway.app, &id, &document).await?;
    Ok(Json(json!({ "plan": plan, "allowed": plan.is_allowed() })))
}

/// Makes or changes a table.
#[utoipa::path(put, path = "/v1/tables/{id}", tag = "warehouse", params(("id" = String, Path)),
    request_body = Object,
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn put_table(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(document): JsonBody<Value>,
) -> Result<Json<Value>, Problem> {
    access.may("tables.write")?;
    let (table, plan) = administer::tables::apply(&gateway.app, &id, &document).await?;
    Ok(Json(json!({ "table": table, "plan": plan })))
}

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RowsQuery {
    /// Only the newest row per key.
    #[serde(default)]
    current: bool,
    /// Most items, 1 to 200; 50 where left out.
    limit: Option<usize>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// Rows that landed.
#[utoipa::path(get, path = "/v1/tables/{id}/rows", tag = "warehouse",
    params(("id" = String, Path), RowsQuery),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn rows(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    Params(query): Params<RowsQuery>,
) -> Result<Json<Value>, Problem> {
    access.may("tables.read")?;
    let table = find_table(&gateway, &id).await?;
    let page = paging::page(query.limit, query.cursor, TASKS_MAX)?;
    let found = gateway.app.warehouse().rows(&table, query.current, &page).await?;
    Ok(Json(json!({ "items": found.items, "next_cursor": found.next })))
}

/// Rows that do not fit their table, with the reasons.
#[utoipa::path(get, path = "/v1/tables/{id}/quarantine", tag = "warehouse",
    params(("id" = String, Path), PageParams),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn quarantine(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    Params(query): Params<PageParams>,
) -> Result<Json<Value>, Problem> {
    access.may("tables.read")?;
    let page: Page = paging::page(query.limit, query.cursor, TASKS_MAX)?;
    let found = gateway.app.warehouse().quarantined(&id, &page).await?;
    Ok(Json(json!({ "items": found.items, "next_cursor": found.next })))
}

/// Tries every quarantined row of a table again.
#[utoipa::path(post, path = "/v1/tables/{id}/replay", tag = "warehouse",
    params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn replay(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    access.may("tables.write")?;
    let replayed = land::replay(&gateway.app, &id).await?;
    Ok(Json(json!(replayed)))
}

/// Tasks by flow and status, and what waits in the queues of the system.
#[utoipa::path(get, path = "/v1/reports/overview", tag = "reports",
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn overview(
    State(gateway): State<Gateway>,
    access: Access,
) -> Result<Json<Value>, Problem> {
    access.may("reports.read")?;
    let counts = gateway.app.store().task_counts().await?;
    let tasks: Vec<Value> = counts
        .into_iter()
        .map(|(flow, status, count)| json!({ "flow": flow, "status": status, "count": count }))
        .collect();
    let backlog: Vec<Value> = match &gateway.backlog {
        Some(deliveries) => deliveries
            .backlog()
            .await?
            .into_iter()
            .map(|(topic, count)| json!({ "topic": topic.name(), "count": count }))
            .collect(),
        None => Vec::new(),
    };
    Ok(Json(json!({ "tasks": tasks, "backlog": backlog })))
}
