//! The timekeeper: due timers become events; the sweeper publishes what a crash left.

use engine::EventBody;
use ports::Envelope;

use crate::app::App;
use crate::ids;
use crate::jobs::{TimerJob, What, for_conversation, open};
use crate::outcome::{HandleError, Outcome};
use crate::schedules;

/// Most envelopes one sweep publishes; the next sweep takes the rest.
const SWEEP_MAX: usize = 500;
/// Event ids forgotten at a time, and how often in one sweep: more than any server accepts.
const FORGET_MAX: usize = 1_000;
const FORGET_BATCHES_MAX: usize = 50;

/// A timer's time has come.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    match fire(app, envelope).await {
        Ok(()) => Outcome::Done,
        Err(error) => error.into_outcome(attempt, &envelope.id),
    }
}

async fn fire(app: &App, envelope: &Envelope) -> Result<(), HandleError> {
    match open(envelope)? {
        TimerJob::Task { task, thread, name, entered } => {
            let id = ids::fired(&envelope.id);
            let what = What::Task { task, event: EventBody::Timer { name, entered } };
            let at = app.now();
            app.bus().publish(&[for_conversation(id, at, thread, what)?]).await?;
            Ok(())
        }
        TimerJob::Schedule { flow, version, trigger, at } => {
            schedules::fire(app, &flow, version, trigger, at).await
        }
    }
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Envelopes that a crash had left unpublished.
    pub published: usize,
    /// Event ids and answers that were old enough to forget.
    pub forgotten: u64,
    /// Timers whose alarm did not ring.
    pub rung: usize,
}

/// One bounded sweep; safe to run twice at once.
pub async fn sweep(app: &App) -> Result<Swept, HandleError> {
    let now = app.now();
    let limits = app.limits();
    let before = |age: std::time::Duration| {
        chrono::TimeDelta::from_std(age)
            .ok()
            .and_then(|age| now.checked_sub_signed(age))
            .unwrap_or(now)
    };
    let left = app.store().unpublished(before(limits.sweep_after), SWEEP_MAX).await?;
    if !left.is_empty() {
        app.bus().publish(&left).await?;
        let ids: Vec<String> = left.iter().map(|envelope| envelope.id.clone()).collect();
        app.store().mark_published(&ids).await?;
        tracing::info!(envelopes = left.len(), "published what a crash had left");
    }
    let mut forgotten = 0;
    for _ in 0..FORGET_BATCHES_MAX {
        let gone = app.store().forget(before(limits.events_kept), now, FORGET_MAX).await?;
        forgotten += gone;
        if gone < FORGET_MAX as u64 {
            break;
        }
    }
    // A crash between publishing a flow and setting its timers leaves a schedule without one.
    schedules::arm_all(app).await?;
    Ok(Swept { published: left.len(), forgotten, rung: 0 })
}
