//! The controller's work: one accepted event, from routing to one atomic commit.
//!
//! ```text
//!   Accepted ──► load ──► route ──► advance (one task or several) ──► commit ──► publish
//!                 ▲                                                     │
//!                 └──────────── conflict: load again, advance again ────┘
//! ```

mod commands;
mod effects;
mod external;
mod focus;
mod message;
mod start;
mod tasks;
mod work;

pub(crate) use external::named_contact;
pub(crate) use focus::FocusHints;

use engine::{Refused, Task};
use ports::{Commit, Envelope, IdempotentAnswer, PortError, PortResult, Recovery};

use crate::app::{App, Change};
use crate::jobs::{Accepted, AcceptedBody, ForConversation, What};
use crate::outcome::HandleError;
use work::Work;

/// What handling an event came to.
#[derive(Debug, Default)]
pub struct Handled {
    /// The task it was about, as it stands now.
    pub task: Option<Task>,
    /// Why the task did not take it. Nothing changed then, or only the message that says so.
    pub refused: Option<Refused>,
    /// The event had had its effect before.
    pub duplicate: bool,
}

/// Makes the answer to keep for an idempotency key from the task as it will be committed.
pub type AnswerOf<'a> = &'a (dyn Fn(&Task) -> IdempotentAnswer + Send + Sync);

/// Handles one accepted event to its commit, and publishes what follows. The event must come
/// again until this has answered without an error: it then publishes what is left.
pub async fn handle(app: &App, accepted: &Accepted) -> Result<Handled, HandleError> {
    match &accepted.body {
        AcceptedBody::Conversation(event) => {
            let handled = until_committed(app, accepted, event, Recovery::Redelivery, None).await?;
            if handled.duplicate {
                publish_what_is_left(app, accepted, event).await?;
            }
            Ok(handled)
        }
        AcceptedBody::External(event) => {
            external::fan_out(app, accepted, event).await?;
            Ok(Handled::default())
        }
    }
}

/// Handles an event of one conversation that does not come again, keeping an answer in the same
/// commit where asked to.
pub async fn run(
    app: &App,
    accepted: &Accepted,
    event: &ForConversation,
    answer: Option<AnswerOf<'_>>,
) -> Result<Handled, HandleError> {
    until_committed(app, accepted, event, Recovery::Sweep, answer).await
}

fn repeated() -> Handled {
    Handled { duplicate: true, ..Handled::default() }
}

async fn until_committed(
    app: &App,
    accepted: &Accepted,
    event: &ForConversation,
    recovery: Recovery,
    answer: Option<AnswerOf<'_>>,
) -> Result<Handled, HandleError> {
    let mut last = None;
    for _ in 0..app.limits().conflicts_max.max(1) {
        match attempt(app, accepted, event, recovery, answer).await {
            Err(HandleError::Port(PortError::Conflict { what })) => {
                tracing::debug!(event = %accepted.id, what, "somebody else committed first");
                last = Some(PortError::Conflict { what });
            }
            Err(HandleError::Port(PortError::Duplicate { .. })) => return Ok(repeated()),
            Err(error @ HandleError::Port(_)) => return Err(error),
            // What it had its effect on may not take it a second time.
            Err(_) if app.store().seen(&accepted.id).await? => return Ok(repeated()),
            other => return other,
        }
    }
    let what = "the conversation".to_owned();
    Err(HandleError::Port(last.unwrap_or(PortError::Conflict { what })))
}

async fn attempt(
    app: &App,
    accepted: &Accepted,
    event: &ForConversation,
    recovery: Recovery,
    answer: Option<AnswerOf<'_>>,
) -> Result<Handled, HandleError> {
    let conversation = &event.thread.id;
    let named = match &event.what {
        What::Task { task, .. } | What::Assign { task, .. } => vec![task.clone()],
        What::Message { names: Some(task), .. } => vec![task.clone()],
        // Most likely it is for the task it was for before: one read instead of two.
        What::Message { .. } => app.focus.of(conversation).into_iter().collect(),
        What::Start(_) => Vec::new(),
    };
    let turn = app.store().turn(Some(&accepted.id), conversation, &named).await?;
    if turn.seen {
        return Ok(repeated());
    }
    let mut work = Work::begin(app, accepted, &event.thread, &event.what, turn).await?;
    let handled = match &event.what {
        What::Message { .. } => work.message(&event.what).await?,
        What::Task { task, event } => work.task_event(task, event.clone()).await?,
        What::Start(start) => work.start_job(start).await?,
        What::Assign { message, task } => work.assign_message(message, task).await?,
    };
    let change = Change { conversation: event.thread.id.clone(), tasks: work.changed_tasks() };
    let Some(commit) = work.into_commit(recovery, answer, handled.task.as_ref())? else {
        return Ok(handled);
    };
    let focus = commit.conversation.as_ref().and_then(|now| now.focus.clone());
    self::commit(app, commit, Some(change)).await?;
    app.focus.remember(conversation, focus);
    Ok(handled)
}

/// An event that came before: what its commit left is published, as its handler may have stopped
/// before it did. Envelopes that arrive twice have one effect.
async fn publish_what_is_left(
    app: &App,
    accepted: &Accepted,
    event: &ForConversation,
) -> Result<(), HandleError> {
    let left = app.store().turn(Some(&accepted.id), &event.thread.id, &[]).await?.outbox;
    if !left.is_empty() {
        app.bus().publish(&left).await?;
        tracing::info!(event = %accepted.id, envelopes = left.len(), "published once more");
    }
    Ok(())
}

/// Commits, tells those who watch, and publishes what the backend left to publish.
pub(crate) async fn commit(app: &App, commit: Commit, change: Option<Change>) -> PortResult<()> {
    let recovery = commit.recovery;
    let receipt = app.store().commit(commit).await?;
    if let Some(change) = change {
        app.changed(change);
    }
    if receipt.unpublished.is_empty() {
        return Ok(());
    }
    match (publish(app, &receipt.unpublished, &receipt.marks).await, recovery) {
        (Ok(()), _) => Ok(()),
        // The event comes again and finds what is left.
        (Err(error), Recovery::Redelivery) => Err(error),
        (Err(error), Recovery::Sweep) => {
            tracing::warn!(%error, "publishing after the commit failed; the sweeper will do it");
            Ok(())
        }
    }
}

async fn publish(app: &App, envelopes: &[Envelope], marks: &[String]) -> PortResult<()> {
    app.bus().publish(envelopes).await?;
    if !marks.is_empty()
        && let Err(error) = app.store().mark_published(marks).await
    {
        tracing::warn!(%error, "published, but not noted; the sweeper publishes once more");
    }
    Ok(())
}
