//! A function as it is assembled: strangers are turned away before anything is read.

#![cfg(feature = "cloud")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use backend_sqlite::{Options, Sqlite};
use bootstrap::config::Push;
use bootstrap::oidc::Verifier;
use bootstrap::{Local, SystemClock, function};
use bytes::Bytes;
use futures::stream;
use runtime::Limits;
use tower::ServiceExt;

fn assembled() -> Router {
    let clock = Arc::new(SystemClock);
    let sqlite = Sqlite::in_memory(Options::new(clock.clone())).unwrap();
    let local = Local::on(sqlite, clock.clone(), Limits::default(), Arc::new(|_| {})).unwrap();
    let push = Push {
        audience: "https://controller.run.app".into(),
        service_accounts: vec!["push@x.y".into()],
        // Nobody listens: strangers without a token need no keys to be turned away.
        jwks_url: "http://127.0.0.1:9/jwks".into(),
    };
    let verifier = Arc::new(Verifier::new(&push, clock).unwrap());
    let routes = Router::new()
        .route("/", post(async |_: Bytes| StatusCode::NO_CONTENT))
        .route("/alarms", post(async |_: Bytes| StatusCode::NO_CONTENT));
    function::observed(function::guarded(local.app, routes, verifier))
}

async fn status(router: &Router, request: Request<Body>) -> StatusCode {
    router.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn strangers_are_turned_away_before_the_body_is_read() {
    let router = assembled();
    for path in ["/", "/alarms"] {
        for token in [None, Some("Bearer x"), Some("Bearer a.b.c"), Some("Basic x")] {
            let read = Arc::new(AtomicBool::new(false));
            let seen = read.clone();
            let body = Body::from_stream(stream::once(async move {
                seen.store(true, Ordering::SeqCst);
                Ok::<_, std::io::Error>(Bytes::from_static(b"{}"))
            }));
            let mut request = Request::post(path);
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let answer = status(&router, request.body(body).unwrap()).await;
            assert_eq!(answer, StatusCode::UNAUTHORIZED, "{path} {token:?}");
            assert!(!read.load(Ordering::SeqCst), "the body was read: {path} {token:?}");
        }
    }
}

#[tokio::test]
async fn health_is_in_the_open() {
    let router = assembled();
    for path in ["/healthz", "/readyz"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(status(&router, request).await, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let routes = Router::new().route("/", post(async || -> StatusCode { panic!("in a test") }));
    let request = Request::post("/").body(Body::empty()).unwrap();
    let answer = status(&function::observed(routes), request).await;
    assert_eq!(answer, StatusCode::INTERNAL_SERVER_ERROR);
}
