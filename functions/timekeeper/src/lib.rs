//! The timekeeper: due timers become events; the sweeper publishes what a crash left.
//!
//! In the cloud an alarm of Cloud Tasks rings for a timer at `POST /alarms`, and Cloud Scheduler
//! asks for a sweep at `POST /sweep`. Both are safe to do twice at once.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bootstrap::push;
use ports::{Envelope, Topic};
use runtime::{App, Outcome};
use serde::Deserialize;

/// The topic whose envelopes it gets.
pub const TOPIC: Topic = Topic::Timers;
/// Largest body of an alarm, in bytes.
const ALARM_BYTES_MAX: usize = 16 * 1024;

/// What Cloud Tasks brings.
#[derive(Deserialize)]
struct Alarm {
    /// The timer's id.
    timer: String,
}

/// What it serves: pushes of its topic, alarms, sweeps.
pub fn router(app: App) -> Router {
    let woken = Router::new()
        .route("/alarms", post(alarm))
        .route("/sweep", post(swept))
        .with_state(app.clone());
    push::router(app, TOPIC, |app, envelope, attempt| Box::pin(handle(app, envelope, attempt)))
        .merge(woken)
}

/// A timer is due. One that cannot ring now is rung again by the queue, or by the sweeper.
async fn alarm(State(app): State<App>, body: Body) -> Response {
    let Ok(body) = to_bytes(body, ALARM_BYTES_MAX).await else {
        let reason = format!("an alarm has at most {ALARM_BYTES_MAX} bytes");
        return push::refuse(&app, TOPIC, b"", reason).await;
    };
    let Ok(Alarm { timer }) = serde_json::from_slice(&body) else {
        let reason = "an alarm is JSON with the timer's id: {\"timer\": \"…\"}".to_owned();
        return push::refuse(&app, TOPIC, &body, reason).await;
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    let envelope = Envelope { key: timer.clone(), id: timer, topic: TOPIC, due: None, body };
    push::direct(&app, &envelope, runtime::timers::ring(&app, &envelope.id)).await
}

/// A sweep is due. What it did not get done is left for the next one.
async fn swept(State(app): State<App>) -> Response {
    match runtime::timers::sweep(&app).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            tracing::warn!(%error, "sweeping failed; it is repeated");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// Handles one envelope; `attempt` counts from 0. Safe to call twice with the same one.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    runtime::sweep::handle(app, envelope, attempt).await
}

/// One bounded sweep of what a crash may have left behind.
pub async fn sweep(app: &App) -> Result<runtime::sweep::Swept, runtime::HandleError> {
    runtime::sweep::sweep(app).await
}
