//! The landing: checks rows against their schemas and appends them to the warehouse.
//!
//! Rows that do not fit are kept in quarantine with the reason.

use axum::Router;
use bootstrap::push;
use ports::{Envelope, Topic};
use runtime::outcome::HandleError;
use runtime::{App, Outcome};

/// The topic whose envelopes it gets.
pub const TOPIC: Topic = Topic::Landing;

/// What it serves: pushes of its topic.
pub fn router(app: App) -> Router {
    push::router(app, TOPIC, |app, envelope, attempt| Box::pin(handle(app, envelope, attempt)))
}

/// Handles one envelope; `attempt` counts from 0. Safe to call twice with the same one.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    runtime::land::handle(app, envelope, attempt).await
}

/// Handles many envelopes together, for a bus that can hold them back. After an error handle them
/// one by one: the error says nothing of any one of them.
pub async fn handle_together(app: &App, envelopes: &[&Envelope]) -> Result<(), HandleError> {
    runtime::land::handle_together(app, envelopes).await
}
