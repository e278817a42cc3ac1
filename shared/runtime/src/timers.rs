//! Timers where the backend does not deliver them itself: an alarm rings, or the sweeper finds
//! what no alarm rang for.

use chrono::TimeDelta;
use ports::{Envelope, Topic};

use crate::app::App;
use crate::fail;
use crate::jobs::DeadLetter;
use crate::outcome::{HandleError, Outcome};
use crate::sweep::{self, Swept};

/// An alarm may ring this much early: clocks differ.
const EARLY_MAX: TimeDelta = TimeDelta::milliseconds(500);
/// One that rings earlier is set again: the backend takes no alarm so far ahead.
const SOON_MAX: TimeDelta = TimeDelta::minutes(10);
/// How late a timer must be before the sweeper rings it: its alarm may be on its way.
const LATE_MIN: TimeDelta = TimeDelta::seconds(30);
/// Most timers one sweep rings; the next sweep takes the rest.
const RUNG_MAX: usize = 500;

/// An alarm rings for the timer of that id. Ringing twice, or for a timer that was withdrawn, has
/// no effect; ringing early sets the alarm again.
pub async fn ring(app: &App, id: &str) -> Outcome {
    match app.timers().timer(id).await {
        Ok(None) => Outcome::Done,
        Ok(Some(timer)) => fire(app, &timer).await,
        Err(error) => HandleError::Port(error).into_outcome(0, id),
    }
}

async fn fire(app: &App, timer: &Envelope) -> Outcome {
    match attempt(app, timer).await {
        Ok(outcome) => outcome,
        Err(error) => error.into_outcome(0, &timer.id),
    }
}

async fn attempt(app: &App, timer: &Envelope) -> Result<Outcome, HandleError> {
    let early = timer.due.map_or(TimeDelta::zero(), |due| due - app.now());
    if early > SOON_MAX {
        app.timers().alarm(timer).await?;
        return Ok(Outcome::Done);
    }
    if early > EARLY_MAX {
        // The same alarm cannot be set again: its queue rings once more.
        let after = early.to_std().unwrap_or_default();
        return Ok(Outcome::Retry { after, reason: "it is not due yet".to_owned() });
    }
    if timer.topic == Topic::Timers {
        match sweep::handle(app, timer, 0).await {
            Outcome::Done => {}
            retry @ Outcome::Retry { .. } => return Ok(retry),
            Outcome::GiveUp { reason } => {
                let letter = DeadLetter { envelope: timer.clone(), reason, attempts: 1 };
                fail::keep_letter(app, letter).await?;
            }
        }
    } else {
        // Another id: the timer's own counts as published until it is done.
        let id = format!("{}/rung", timer.id);
        app.bus().publish(&[Envelope { id, due: None, ..timer.clone() }]).await?;
    }
    app.timers().done(std::slice::from_ref(&timer.id)).await?;
    Ok(Outcome::Done)
}

/// One bounded sweep: what a crash left, and timers whose alarm was lost. Safe to run twice at
/// once.
pub async fn sweep(app: &App) -> Result<Swept, HandleError> {
    let mut swept = sweep::sweep(app).await?;
    for timer in app.timers().overdue(app.now() - LATE_MIN, RUNG_MAX).await? {
        match fire(app, &timer).await {
            Outcome::Done => swept.rung += 1,
            Outcome::Retry { reason, .. } | Outcome::GiveUp { reason } => {
                tracing::warn!(timer = timer.id, reason, "a late timer waits for the next sweep");
            }
        }
    }
    if swept.rung > 0 {
        tracing::info!(timers = swept.rung, "rang timers whose alarm did not");
    }
    Ok(swept)
}
