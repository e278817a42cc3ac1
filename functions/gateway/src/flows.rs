//! `/v1/flows`: drafts, checks, tests, versions.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::simulate;
use flow::{Problem as FlowProblem, TestLine};
use ports::FlowVersion;
use runtime::administer::flows::{self as administer, Checked, Published};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::Gateway;
use crate::input::{self, Access, JsonBody, if_match, stale};
use crate::problem::Problem;
use crate::settings::tagged;

/// Every flow.
#[utoipa::path(get, path = "/v1/flows", tag = "flows",
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn list(State(gateway): State<Gateway>, access: Access) -> Result<Json<Value>, Problem> {
    access.may("flows.read")?;
    let catalog = gateway.app.catalog().await?;
    let flows = gateway.app.store().list_flows().await?;
    let items: Vec<Value> = flows
        .into_iter()
        .map(|flow| {
            let live = catalog.live(&flow.flow).map(|version| &version.document);
            json!({
                "flow": flow.flow, "name": live.and_then(|live| live.name.clone()),
                "description": live.and_then(|live| live.description.clone()),
                "draft_revision": flow.draft_revision, "live": flow.live,
                "updated_at": flow.updated_at,
            })
        })
        .collect();
    Ok(Json(json!({ "items": items, "next_cursor": null })))
}

/// The draft with its problems; its revision is the `ETag`.
#[utoipa::path(get, path = "/v1/flows/{id}", tag = "flows", params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn show(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    access.may("flows.read")?;
    let draft = administer::draft(&gateway.app, &id).await?;
    let checked = administer::check_source(&gateway.app, &id, &draft.source).await?;
    let live = gateway.app.catalog().await?.live(&id).map(|version| version.version);
    let view = json!({
        "flow": draft.flow, "source": draft.source, "revision": draft.revision, "live": live,
        "updated_at": draft.updated_at, "updated_by": draft.updated_by,
        "document": checked.flow, "problems": checked.problems,
    });
    Ok(tagged(StatusCode::OK, draft.revision, &view))
}

async fn text(body: Body) -> Result<String, Problem> {
    let bytes = input::bytes(body).await?;
    let text = String::from_utf8(bytes.to_vec())
        .map_err(|_| Problem::malformed("the flow is not UTF-8; save it as UTF-8"))?;
    if text.contains('\0') {
        return Err(Problem::field("", "the flow holds a NUL character; remove it"));
    }
    Ok(text)
}

/// Writes the draft, as YAML or JSON. It may have problems; they come with the answer.
#[utoipa::path(put, path = "/v1/flows/{id}", tag = "flows",
    params(("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag of the last GET")),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = Object), (status = 201, body = Object),
        (status = "4XX", body = Problem)))]
pub async fn put(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = access.may("flows.write")?;
    let expected = if_match(&headers)?;
    let source = text(body).await?;
    let (draft, checked) =
        administer::put_draft(&gateway.app, &id, &source, expected, &caller.name)
            .await
            .map_err(|error| stale(error.into(), expected.is_some()))?;
    let status = if draft.revision == 1 { StatusCode::CREATED } else { StatusCode::OK };
    let view = json!({
        "flow": draft.flow, "revision": draft.revision, "updated_at": draft.updated_at,
        "problems": checked.problems, "publishable": checked.is_publishable(),
    });
    Ok(tagged(status, draft.revision, &view))
}

/// What to check or run: the draft where left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceBody {
    /// The text of a flow, YAML or JSON.
    #[serde(default)]
    source: Option<String>,
}

async fn checked(gateway: &Gateway, id: &str, source: Option<String>) -> Result<Checked, Problem> {
    let source = match source {
        Some(source) => source,
        None => administer::draft(&gateway.app, id).await?.source,
    };
    Ok(administer::check_source(&gateway.app, id, &source).await?)
}

/// Checks a flow against everything it names: all problems at once.
#[utoipa::path(post, path = "/v1/flows/{id}/check", tag = "flows", params(("id" = String, Path)),
    request_body = SourceBody,
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn check(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<SourceBody>,
) -> Result<Json<Value>, Problem> {
    access.may("flows.read")?;
    let checked = checked(&gateway, &id, body.source).await?;
    Ok(Json(json!({
        "problems": checked.problems, "publishable": checked.is_publishable(),
    })))
}

fn unpublishable(detail: String, problems: &[FlowProblem]) -> Problem {
    let mut problem = Problem::field("", detail);
    problem.errors = problems
        .iter()
        .map(|found| crate::problem::FieldError {
            pointer: found.pointer.clone(),
            message: match &found.fix {
                Some(fix) => format!("{}; {fix}", found.message),
                None => found.message.clone(),
            },
        })
        .collect();
    problem
}

fn version_view(version: &FlowVersion) -> Value {
    json!({
        "flow": version.document.id, "version": version.version,
        "published_at": version.published_at, "published_by": version.published_by,
        "rollback_of": version.rollback_of,
    })
}

/// Checks the draft, runs its tests, makes a version and points the triggers at it.
#[utoipa::path(post, path = "/v1/flows/{id}/publish", tag = "flows",
    params(("id" = String, Path)),
    responses((status = 201, body = Object), (status = "4XX", body = Problem)))]
pub async fn publish(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let caller = access.may("flows.publish")?;
    match administer::publish(&gateway.app, &id, &caller.name).await? {
        Published::Live(version, tests) => {
            let mut view = version_view(&version);
            view["tests"] = json!(tests.len());
            Ok((StatusCode::CREATED, Json(view)).into_response())
        }
        Published::Problems(problems) => Err(unpublishable(
            "the flow has errors; correct them and publish again".into(),
            &problems,
        )),
        Published::TestsFail(reports) => {
            let failing: Vec<FlowProblem> = reports
                .iter()
                .enumerate()
                .filter(|(_, report)| !report.passed)
                .map(|(index, report)| {
                    let what = format!("test `{}`: {}", report.name, report.problems.join("; "));
                    FlowProblem::error(format!("/tests/{index}"), what)
                })
                .collect();
            Err(unpublishable("the flow's own tests fail".into(), &failing))
        }
    }
}

/// Which version to publish again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackBody {
    /// Its number.
    version: u32,
}

/// Publishes an old version again, as a new one.
#[utoipa::path(post, path = "/v1/flows/{id}/rollback", tag = "flows",
    params(("id" = String, Path)), request_body = RollbackBody,
    responses((status = 201, body = Object), (status = "4XX", body = Problem)))]
pub async fn rollback(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<RollbackBody>,
) -> Result<Response, Problem> {
    let caller = access.may("flows.publish")?;
    let version = administer::rollback(&gateway.app, &id, body.version, &caller.name).await?;
    Ok((StatusCode::CREATED, Json(version_view(&version))).into_response())
}

/// All published versions, newest first.
#[utoipa::path(get, path = "/v1/flows/{id}/versions", tag = "flows",
    params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn versions(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    access.may("flows.read")?;
    let found = gateway.app.store().versions(&id).await?;
    if found.is_empty() {
        administer::draft(&gateway.app, &id).await?;
    }
    let items: Vec<Value> = found.iter().map(version_view).collect();
    Ok(Json(json!({ "items": items, "next_cursor": null })))
}

/// One published version, with its document and its text.
#[utoipa::path(get, path = "/v1/flows/{id}/versions/{version}", tag = "flows",
    params(("id" = String, Path), ("version" = u32, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn version(
    State(gateway): State<Gateway>,
    access: Access,
    Path((id, number)): Path<(String, u32)>,
) -> Result<Json<Value>, Problem> {
    access.may("flows.read")?;
    let Some(found) = gateway.app.version(&id, number).await? else {
        return Err(Problem::not_found(format!("version {number} of flow `{id}`")));
    };
    let mut view = version_view(&found);
    view["document"] = json!(found.document);
    view["source"] = json!(found.source);
    Ok(Json(view))
}

/// Runs the flow's own tests.
#[utoipa::path(post, path = "/v1/flows/{id}/test", tag = "flows", params(("id" = String, Path)),
    request_body = SourceBody,
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn test(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<SourceBody>,
) -> Result<Json<Value>, Problem> {
    access.may("flows.read")?;
    let checked = checked(&gateway, &id, body.source).await?;
    let Some(flow) = checked.flow else {
        let detail = "the text is no flow; correct it first".to_owned();
        return Err(unpublishable(detail, &checked.problems));
    };
    let reports = simulate::run_tests(&flow);
    let passed = reports.iter().all(|report| report.passed);
    Ok(Json(json!({ "passed": passed, "tests": reports })))
}

/// A conversation to be played.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulateBody {
    /// The text of a flow; the draft where left out.
    #[serde(default)]
    source: Option<String>,
    /// What happens, in order: the lines of a flow's tests.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    script: Vec<TestLine>,
    /// Variables, language, contact and time at the start.
    #[serde(default)]
    #[schema(value_type = Object)]
    options: simulate::Options,
}

/// Plays a conversation with a flow, without doing anything outside.
#[utoipa::path(post, path = "/v1/flows/{id}/simulate", tag = "flows",
    params(("id" = String, Path)), request_body = SimulateBody,
    responses((status = 200, body = Object), (status = "4XX", body = Problem)))]
pub async fn simulate(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<SimulateBody>,
) -> Result<Json<Value>, Problem> {
    access.may("flows.read")?;
    let checked = checked(&gateway, &id, body.source).await?;
    let publishable = checked.is_publishable();
    let Some(flow) = checked.flow.filter(|_| publishable) else {
        let detail = "the flow has errors; correct them first".to_owned();
        return Err(unpublishable(detail, &checked.problems));
    };
    let report = simulate::simulate(&flow, &body.script, body.options);
    Ok(Json(json!(report)))
}

/// The JSON Schema of the flow document, so that editors complete and validate.
#[utoipa::path(get, path = "/schemas/flow.json", tag = "flows",
    responses((status = 200, body = Object)))]
pub async fn schema() -> Json<Value> {
    Json(flow::json_schema::flow_schema())
}
