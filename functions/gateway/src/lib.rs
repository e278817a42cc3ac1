//! The gateway: webhooks, events and the API.
//!
//! It verifies and normalises what comes in, and answers 2xx once the event is stored durably.
//! Every route of the API asks one place for a permission by name ([`input::Access`]).

pub mod actions;
pub mod admission;
pub mod conversations;
mod docs;
pub mod events;
pub mod failures;
pub mod flows;
pub mod input;
pub mod paging;
pub mod problem;
pub mod settings;
pub mod stream;
pub mod tasks;
pub mod views;
pub mod webhooks;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use ports::Deliveries;
use runtime::App;
use tokio::sync::{Semaphore, watch};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use admission::{Admission, Entered};
use problem::Problem;

/// Events that may wait to be handled, where nobody says otherwise.
pub const BACKLOG_MAX: u32 = 2_000;
/// Streams open at the same time.
const STREAMS_MAX: usize = 2_000;
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Counts for `/metrics`.
#[derive(Debug, Default)]
pub struct Counts {
    requests: AtomicU64,
    refused: AtomicU64,
    overloaded: AtomicU64,
}

impl Counts {
    pub(crate) fn unauthorised(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn shed(&self) {
        self.overloaded.fetch_add(1, Ordering::Relaxed);
    }
}

/// What every handler has.
#[derive(Clone)]
pub struct Gateway {
    /// The system.
    pub app: App,
    /// Where the bus is polled, for its backlog.
    pub backlog: Option<Arc<dyn Deliveries>>,
    /// Turns true when the server stops; streams end then.
    pub stop: watch::Receiver<bool>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) watchers: Arc<Semaphore>,
    admission: Arc<Admission>,
}

impl Gateway {
    /// Puts the gateway's state together.
    pub fn new(
        app: App,
        backlog: Option<Arc<dyn Deliveries>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            app,
            backlog,
            stop,
            counts: Arc::default(),
            watchers: Arc::new(Semaphore::new(STREAMS_MAX)),
            admission: Arc::new(Admission::new(BACKLOG_MAX)),
        }
    }

    /// Shares the bounds with who handles what was accepted, and tells of it.
    #[must_use]
    pub fn admitting(self, admission: Arc<Admission>) -> Self {
        Self { admission, ..self }
    }

    /// Says no where more waits than can be handled soon: before anything is read or stored.
    pub(crate) async fn admit(&self, connection: &str, more: usize) -> Result<(), Problem> {
        // In the cloud the bus takes whatever comes, and as many handlers as are needed start.
        let Some(deliveries) = &self.backlog else { return Ok(()) };
        let backlog = deliveries.backlog().await?;
        self.admission.admit(connection, more, &backlog).inspect_err(|_| self.counts.shed())
    }

    /// A place for one more request, and for its body.
    async fn enter(&self, path: &str, bytes: Option<u64>) -> Result<Entered, Problem> {
        let connection = self.line_of(path).await;
        // A body that does not say how large it is may be as large as any.
        let most = input::BODY_BYTES_MAX;
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        self.admission.enter(connection, bytes.unwrap_or(most).min(most))
    }

    /// The connection that a request is for; that of the API has no name. Those that do not exist
    /// are one: names that somebody makes up get no share each.
    async fn line_of<'a>(&self, path: &'a str) -> &'a str {
        let Some(rest) = path.strip_prefix("/webhooks/") else { return "" };
        let id = rest.split('/').next().unwrap_or_default();
        let catalog = self.app.catalog().await;
        if catalog.is_ok_and(|catalog| catalog.connection(id).is_some()) { id } else { "?" }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chatflow",
        description = "Many people, many automated tasks, at once. Errors are RFC 9457 problem \
                       documents; times are RFC 3339 UTC; lists page by `cursor`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Bearer),
    security(("api_key" = [])),
)]
struct ApiDoc;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let components = document.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("api_key", scheme);
    }
}

fn api() -> OpenApiRouter<Gateway> {
    OpenApiRouter::with_openapi(ApiDoc::openapi())
        .routes(routes!(webhooks::receive))
        .routes(routes!(events::receive))
        .routes(routes!(tasks::list, tasks::start))
        .routes(routes!(tasks::show))
        .routes(routes!(tasks::messages, tasks::write))
        .routes(routes!(tasks::history))
        .routes(routes!(actions::cancel))
        .routes(routes!(actions::retry))
        .routes(routes!(actions::assign))
        .routes(routes!(actions::reply))
        .routes(routes!(actions::resolve))
        .routes(routes!(actions::migrate))
        .routes(routes!(stream::task))
        .routes(routes!(stream::all))
        .routes(routes!(conversations::list))
        .routes(routes!(conversations::show))
        .routes(routes!(conversations::focus))
        .routes(routes!(conversations::write))
        .routes(routes!(conversations::messages))
        .routes(routes!(conversations::assign))
        .routes(routes!(flows::list))
        .routes(routes!(flows::show, flows::put))
        .routes(routes!(flows::check))
        .routes(routes!(flows::publish))
        .routes(routes!(flows::rollback))
        .routes(routes!(flows::versions))
        .routes(routes!(flows::version))
        .routes(routes!(flows::test))
        .routes(routes!(flows::simulate))
        .routes(routes!(flows::schema))
        .routes(routes!(failures::list))
        .routes(routes!(failures::retry))
        .routes(routes!(failures::discard))
        .routes(routes!(settings::connections))
        .routes(routes!(settings::connection, settings::put_connection))
        .routes(routes!(settings::queues))
        .routes(routes!(settings::put_queue))
        .routes(routes!(settings::secrets))
        .routes(routes!(settings::put_secret))
        .routes(routes!(settings::list_keys, settings::create_key))
        .routes(routes!(settings::revoke_key))
        .routes(routes!(settings::tables))
        .routes(routes!(settings::table, settings::put_table))
        .routes(routes!(settings::plan_table))
        .routes(routes!(settings::rows))
        .routes(routes!(settings::quarantine))
        .routes(routes!(settings::replay))
        .routes(routes!(settings::overview))
}

/// The OpenAPI 3.1 document, generated from the handlers.
pub fn openapi() -> Document {
    documented().1
}

/// The routes and their document. Operation ids are `tag_handler`, which is unique.
fn documented() -> (Router<Gateway>, Document) {
    let (routes, mut document) = api().split_for_parts();
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
            operation.operation_id =
                operation.operation_id.take().map(|handler| format!("{tag}_{handler}"));
        }
    }
    (routes, document)
}

/// Everything the gateway serves, with `more` routes that get the same treatment: bounds, problem
/// documents, headers.
pub fn router(gateway: Gateway, more: Router) -> Router {
    let (api, document) = documented();
    let document = Arc::new(document);
    let described = move || async move { Json(&*document).into_response() };
    api.route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(gateway.clone())
        .merge(docs::routes())
        .route("/openapi.json", get(described))
        .merge(more)
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(
            ServiceBuilder::new()
                .layer(SetResponseHeaderLayer::if_not_present(
                    HeaderName::from_static("x-content-type-options"),
                    HeaderValue::from_static("nosniff"),
                ))
                .layer(SetResponseHeaderLayer::if_not_present(
                    HeaderName::from_static("cache-control"),
                    HeaderValue::from_static("no-store"),
                ))
                .layer(middleware::map_response(problem::unify))
                .layer(middleware::from_fn_with_state(gateway, bounded))
                .layer(CatchPanicLayer::custom(|_| panicked())),
        )
}

/// Leaves webhooks and probes of what the gateway serves: for a service that everybody may call,
/// while another, which asks who is there, serves all.
pub fn webhooks_only(routes: Router) -> Router {
    async fn filter(request: Request, next: Next) -> Response {
        let path = request.uri().path();
        if path.starts_with("/webhooks/") || matches!(path, "/healthz" | "/readyz") {
            return next.run(request).await;
        }
        let told = "only webhooks are served here; the API has an address of its own";
        Problem::new(StatusCode::NOT_FOUND, told).into_response()
    }
    routes.layer(middleware::from_fn(filter))
}

fn panicked() -> Response {
    tracing::error!("a handler panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Keeps the number, the size and the length of requests bounded.
async fn bounded(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    gateway.counts.requests.fetch_add(1, Ordering::Relaxed);
    let path = request.uri().path().to_owned();
    let bytes = request.body().size_hint().upper();
    let _entered = match gateway.enter(&path, bytes).await {
        Ok(entered) => entered,
        Err(problem) => {
            gateway.counts.shed();
            return problem.into_response();
        }
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => too_slow().into_response(),
    }
}

fn too_slow() -> Problem {
    let told = "the request took too long; try again in a second";
    let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, told);
    problem.retry_after_seconds = Some(1);
    problem
}

async fn ready(State(gateway): State<Gateway>) -> Result<&'static str, Problem> {
    runtime::receive::ready(&gateway.app).await?;
    Ok("ready\n")
}

/// Prometheus text.
async fn metrics(State(gateway): State<Gateway>) -> Result<String, Problem> {
    let mut text = String::new();
    let mut line = |name: &str, labels: &str, value: u64| {
        text.push_str(&format!("chatflow_{name}{labels} {value}\n"));
    };
    let counts = &gateway.counts;
    line("requests_total", "", counts.requests.load(Ordering::Relaxed));
    line("webhooks_refused_total", "", counts.refused.load(Ordering::Relaxed));
    line("requests_shed_total", "", counts.overloaded.load(Ordering::Relaxed));
    if let Some(deliveries) = &gateway.backlog {
        for (topic, count) in deliveries.backlog().await? {
            line("backlog", &format!("{{topic=\"{}\"}}", topic.name()), count);
        }
    }
    for (flow, status, count) in gateway.app.store().task_counts().await? {
        line("tasks", &format!("{{flow=\"{flow}\",status=\"{status}\"}}"), count);
    }
    Ok(text)
}
