//! The controller: routes events to tasks and advances them, one atomic commit per event.
//!
//! Envelopes of one conversation come in the order they were accepted; an envelope that comes
//! twice has one effect.

use axum::Router;
use bootstrap::push;
use ports::{Envelope, Topic};
use runtime::jobs::{Accepted, open};
use runtime::{App, HandleError, Outcome, turn};

/// The topic whose envelopes it gets.
pub const TOPIC: Topic = Topic::Events;

/// What it serves: pushes of its topic.
pub fn router(app: App) -> Router {
    push::router(app, TOPIC, |app, envelope, attempt| Box::pin(handle(app, envelope, attempt)))
}

/// Handles one envelope; `attempt` counts from 0. Safe to call twice with the same one.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    let handled = match open::<Accepted>(envelope) {
        Ok(accepted) => turn::handle(app, &accepted).await.map(|_| ()),
        Err(error) => Err(error.into()),
    };
    match handled {
        Ok(()) => Outcome::Done,
        // The task does not take the event, and never will: that is an answer, not a failure.
        Err(HandleError::Refused(_)) => Outcome::Done,
        Err(error) => error.into_outcome(attempt, &envelope.id),
    }
}
