//! The failures function: keeps what other functions gave up.
//!
//! Nothing is dropped: an administrator sees it, and can try it again or discard it.

use axum::Router;
use bootstrap::push;
use ports::{Envelope, Topic};
use runtime::{App, Outcome};

/// The topic whose envelopes it gets.
pub const TOPIC: Topic = Topic::Failures;

/// What it serves: pushes of its topic.
pub fn router(app: App) -> Router {
    push::router(app, TOPIC, |app, envelope, attempt| Box::pin(handle(app, envelope, attempt)))
}

/// Handles one envelope; `attempt` counts from 0. Safe to call twice with the same one.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    runtime::fail::handle(app, envelope, attempt).await
}
