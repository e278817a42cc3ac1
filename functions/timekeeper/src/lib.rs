//! The timekeeper: due timers become events; the sweeper publishes what a crash left.
//!
//! Timers are delivered when due; [`sweep`] runs on a schedule and is safe to run twice at once.

use ports::{Envelope, Topic};
use runtime::{App, Outcome};

/// The topic whose envelopes it gets.
pub const TOPIC: Topic = Topic::Timers;

/// Handles one envelope; `attempt` counts from 0. Safe to call twice with the same one.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    runtime::sweep::handle(app, envelope, attempt).await
}

/// One bounded sweep of what a crash may have left behind.
pub async fn sweep(app: &App) -> Result<runtime::sweep::Swept, runtime::HandleError> {
    runtime::sweep::sweep(app).await
}
