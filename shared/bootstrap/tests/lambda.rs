//! The same router on AWS Lambda, through a real local runtime API (`cargo lambda watch`).
//!
//! Needs `CARGO_LAMBDA`: the path of the program from the Python package `cargo-lambda`. Without
//! it the test says so and ends, except in CI, where it fails.

#![cfg(feature = "cloud")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use bootstrap::function;
use tokio::sync::watch;

/// Set for the process that plays the function.
const PLAYS: &str = "BOOTSTRAP_TEST_PLAYS_FUNCTION";

/// Ends the process whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn router() -> Router {
    let echo = async |headers: HeaderMap, body: String| {
        let named = headers.get("x-name").and_then(|value| value.to_str().ok()).unwrap_or("?");
        (StatusCode::ACCEPTED, [("x-answer", "yes")], format!("{named} says {body}"))
    };
    Router::new()
        .route("/echo", post(echo))
        .route("/things/{id}", get(async |Path(id): Path<String>| format!("thing {id}")))
}

/// Not a test by itself: [`serves_the_runtime_api`] runs this program again as the function.
#[test]
fn play_the_function() {
    if std::env::var_os(PLAYS).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let config = {
        let cloud = [
            ("CHATFLOW_BACKEND", "gcp"),
            ("CHATFLOW_PROJECT", "p"),
            ("CHATFLOW_REGION", "r"),
            ("CHATFLOW_TIMEKEEPER_URL", "https://t.run.app"),
            ("CHATFLOW_TASKS_SERVICE_ACCOUNT", "a@b.c"),
        ];
        let given = cloud.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let lambda = std::env::vars().filter(|(name, _)| name.starts_with("AWS_LAMBDA"));
        bootstrap::Config::from_environment(given.chain(lambda), bootstrap::Role::Gateway).unwrap()
    };
    runtime.block_on(async {
        let listener = function::listen(&config).await.unwrap();
        assert!(listener.is_none(), "on Lambda there is no port to listen on");
        let router = function::observed(router());
        function::serve(listener, router, watch::Sender::new(false)).await.unwrap();
    });
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn is_open(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[tokio::test]
async fn serves_the_runtime_api() {
    let Some(cargo_lambda) = std::env::var_os("CARGO_LAMBDA") else {
        let what = "CARGO_LAMBDA is not set: `pip install cargo-lambda` and set it to the path of \
                    the program `cargo-lambda`";
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{what}");
        eprintln!("skipped: {what}");
        return;
    };
    let port = free_port();
    let data = tempfile::tempdir().unwrap();
    // It wants a project with a program, even where it is only to serve the API.
    let manifest = "[package]\nname = \"none\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    std::fs::write(data.path().join("Cargo.toml"), manifest).unwrap();
    std::fs::create_dir(data.path().join("src")).unwrap();
    std::fs::write(data.path().join("src/main.rs"), "fn main() {}\n").unwrap();
    let _watch = Running(
        Command::new(cargo_lambda)
            .args(["lambda", "watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1"])
            .args(["--invoke-port", &port.to_string()])
            .current_dir(data.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let began = Instant::now();
    while !is_open(port) {
        assert!(began.elapsed() < Duration::from_secs(30), "cargo lambda did not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _function = Running(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "play_the_function", "--nocapture"])
            .env(PLAYS, "1")
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://127.0.0.1:{port}/.rt"))
            .env("AWS_LAMBDA_FUNCTION_NAME", "_")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "4096")
            .spawn()
            .unwrap(),
    );
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let answer = client
        .post(format!("{url}/echo?x=1"))
        .header("x-name", "Mei")
        .body("請假")
        .send()
        .await
        .unwrap_or_else(|error| panic!("the function did not answer: {error}"));
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["x-answer"], "yes");
    assert_eq!(answer.text().await.unwrap(), "Mei says 請假");
    let answer = client.get(format!("{url}/things/7")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "thing 7");
    let answer = client.get(format!("{url}/nothing")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
}
