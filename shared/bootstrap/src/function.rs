//! A function in the cloud: configuration, telemetry, connections, tokens, then serving on
//! `$PORT`, or on AWS Lambda where its runtime API is there.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use runtime::App;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower_http::catch_panic::CatchPanicLayer;

use crate::config::Config;
use crate::oidc::{self, Verifier};
use crate::telemetry::trace;
use crate::{lambda, serve};

/// Pushes handled at the same time; more are delivered again. Cloud Run sends fewer.
const REQUESTS_MAX: usize = 256;
/// How long requests may take to end after SIGTERM: Cloud Run kills after ten seconds.
const DRAIN: Duration = Duration::from_secs(8);
/// How long the store may take to say that it answers.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a function that Google calls serves: its routes behind the check of tokens, and its
/// health in the open.
pub fn guarded(app: App, routes: Router, verifier: Arc<Verifier>) -> Router {
    let permits = Arc::new(Semaphore::new(REQUESTS_MAX));
    routes
        .layer(middleware::from_fn_with_state(permits, bounded))
        // Last, so that it comes first: strangers take no permit.
        .layer(middleware::from_fn_with_state(verifier, oidc::guard))
        .merge(health(app))
}

fn health(app: App) -> Router {
    let ready = async |State(app): State<App>| {
        let asked = tokio::time::timeout(READY_TIMEOUT, runtime::receive::ready(&app));
        match asked.await {
            Ok(Ok(())) => (StatusCode::OK, "ready\n"),
            Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
        }
    };
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(app)
}

async fn bounded(State(permits): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = permits.try_acquire() else {
        let later = (header::RETRY_AFTER, HeaderValue::from_static("1"));
        return (StatusCode::SERVICE_UNAVAILABLE, [later]).into_response();
    };
    next.run(request).await
}

/// What every request gets: a span that continues its trace, and an answer even where the code
/// panics.
pub fn observed(routes: Router) -> Router {
    let panicked = |_| StatusCode::INTERNAL_SERVER_ERROR.into_response();
    routes.layer(CatchPanicLayer::custom(panicked)).layer(middleware::from_fn(trace::follow))
}

/// The socket of a function; none on AWS Lambda.
pub async fn listen(config: &Config) -> anyhow::Result<Option<TcpListener>> {
    if config.lambda {
        return Ok(None);
    }
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another port with PORT"))?;
    Ok(Some(listener))
}

/// Serves until SIGTERM, then drains; on AWS Lambda until Lambda ends the process.
pub async fn serve(
    listener: Option<TcpListener>,
    router: Router,
    stop: watch::Sender<bool>,
) -> anyhow::Result<()> {
    let Some(listener) = listener else { return lambda::run(router).await };
    let stopped = stop.subscribe();
    let ended = serve::signal()?;
    let signal = tokio::spawn(async move {
        ended.await;
        tracing::info!("stopping");
        stop.send_replace(true);
    });
    serve::http_draining(listener, router, stopped, DRAIN).await?;
    Ok(signal.await?)
}

#[cfg(feature = "gcp")]
pub use on_google::main;

#[cfg(feature = "gcp")]
mod on_google {
    use std::process::ExitCode;
    use std::sync::Arc;
    use std::time::Duration;

    use anyhow::Context;
    use axum::Router;
    use ports::Clock;
    use runtime::{App, Limits};
    use tokio::sync::watch;

    use super::{guarded, listen, observed, serve};
    use crate::config::{Config, Role};
    use crate::gcp::Google;
    use crate::oidc::Verifier;
    use crate::{SystemClock, telemetry};

    /// How long live flows and connections are trusted: each look reads all of them, and a look a
    /// second would cost more than the messages.
    const CATALOG_TTL: Duration = Duration::from_secs(10);
    /// How long connections may take to open before requests are accepted all the same.
    const WARM_TIMEOUT: Duration = Duration::from_secs(5);

    /// The whole program of a function: `routes` makes its routes of the settings, the system, and
    /// what turns true when the function stops.
    ///
    /// Exit codes: 0 stopped by a signal, 1 it could not start or failed.
    pub fn main<R>(role: Role, routes: R) -> ExitCode
    where
        R: FnOnce(&Config, App, watch::Receiver<bool>) -> Router,
    {
        let ended = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("the async runtime cannot start")
            .and_then(|runtime| {
                let ended = runtime.block_on(run(role, routes));
                // A name server that does not answer must not hold up the exit.
                runtime.shutdown_timeout(Duration::from_millis(500));
                ended
            });
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    async fn run<R>(role: Role, routes: R) -> anyhow::Result<()>
    where
        R: FnOnce(&Config, App, watch::Receiver<bool>) -> Router,
    {
        let config = Config::from_process(role)?;
        // Fails where it was installed before, by the same code.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let telemetry = telemetry::start_function(&config)?;
        let ended = run_on(&config, routes).await;
        if let Err(error) = &ended {
            tracing::error!(error = format!("{error:#}"), "the function failed");
        }
        telemetry.end().await;
        ended
    }

    async fn run_on<R>(config: &Config, routes: R) -> anyhow::Result<()>
    where
        R: FnOnce(&Config, App, watch::Receiver<bool>) -> Router,
    {
        let gcp = config.gcp.as_ref().context("set CHATFLOW_BACKEND=gcp")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let listener = listen(config).await?;
        let limits = Limits { catalog_ttl: CATALOG_TTL, ..Limits::default() };
        let google = Google::connect(gcp, clock.clone(), limits).await?;
        let verifier = match &gcp.push {
            Some(push) => Some(Arc::new(Verifier::new(push, clock)?)),
            None => None,
        };
        warm(&google, verifier.as_deref()).await;
        let stop = watch::Sender::new(false);
        let routes = routes(config, google.app.clone(), stop.subscribe());
        let router = match verifier {
            Some(verifier) => guarded(google.app.clone(), routes, verifier),
            None => routes,
        };
        tracing::info!(role = config.role.name(), port = config.port, "ready");
        serve(listener, observed(router), stop).await
    }

    /// Opens what the first request would have to wait for. What does not answer now may later.
    async fn warm(google: &Google, verifier: Option<&Verifier>) {
        let keys = async {
            if let Some(verifier) = verifier
                && let Err(error) = verifier.warm().await
            {
                tracing::warn!(%error, "starting without Google's keys");
            }
        };
        let backend = async {
            if let Err(error) = google.warm().await {
                tracing::warn!(%error, "starting before the backend answers");
            }
        };
        let both = async { tokio::join!(keys, backend) };
        if tokio::time::timeout(WARM_TIMEOUT, both).await.is_err() {
            tracing::warn!("starting before all connections are open");
        }
    }
}
