//! The messenger: sends replies and tracks how far they came.
//!
//! A reply is sent at least once; where the outcome cannot be known the message says `unknown`.

use ports::{Envelope, Topic};
use runtime::{App, Outcome};

/// The topic whose envelopes it gets.
pub const TOPIC: Topic = Topic::Outbound;

/// Handles one envelope; `attempt` counts from 0. Safe to call twice with the same one.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    runtime::send::handle(app, envelope, attempt).await
}
