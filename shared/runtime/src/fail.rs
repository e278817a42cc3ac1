//! Failures: what was given up is kept, and can be tried again or discarded.

use engine::{EventBody, MessageState, OperatorAction};
use ports::{Envelope, Failure, FailureKind, FailureState};

use crate::app::App;
use crate::ids;
use crate::jobs::{Accepted, AcceptedBody, DeadLetter, SendJob, What, open};
use crate::outcome::{HandleError, Outcome};

/// Keeps an envelope that its function gave up.
pub async fn handle(app: &App, envelope: &Envelope, attempt: u32) -> Outcome {
    match keep(app, envelope).await {
        Ok(()) => Outcome::Done,
        Err(error) => error.into_outcome(attempt, &envelope.id),
    }
}

async fn keep(app: &App, envelope: &Envelope) -> Result<(), HandleError> {
    keep_letter(app, open(envelope)?).await
}

/// Keeps a given-up envelope as a failure.
pub async fn keep_letter(app: &App, letter: DeadLetter) -> Result<(), HandleError> {
    let about = about(&letter.envelope);
    let failure = Failure {
        id: format!("fail_{}", letter.envelope.id),
        kind: FailureKind::DeadLetter,
        reason: format!("`{}` gave up: {}", letter.envelope.topic.name(), letter.reason),
        at: app.now(),
        attempts: letter.attempts,
        state: FailureState::Open,
        task: about.0,
        conversation: about.1,
        envelope: Some(letter.envelope),
        settled: None,
    };
    app.store().put_failure(&failure).await?;
    Ok(())
}

/// The task and the conversation an envelope was about, where it says so.
fn about(envelope: &Envelope) -> (Option<engine::TaskId>, Option<engine::ConversationId>) {
    match open::<Accepted>(envelope).map(|accepted| accepted.body) {
        Ok(AcceptedBody::Conversation(event)) => {
            let task = match event.what {
                What::Task { task, .. } | What::Assign { task, .. } => Some(task),
                What::Message { names, .. } => names,
                What::Start(start) => Some(start.task),
            };
            (task, Some(event.thread.id))
        }
        Ok(AcceptedBody::External(_)) | Err(_) => (None, None),
    }
}

async fn open_failure(app: &App, id: &str) -> Result<Failure, HandleError> {
    let found = app.store().failure(id).await?;
    let failure = found.ok_or_else(|| HandleError::NotFound(format!("failure `{id}`")))?;
    if failure.state != FailureState::Open {
        return Err(HandleError::Conflict(format!(
            "the failure was {} already",
            failure.state.name()
        )));
    }
    Ok(failure)
}

/// Tries again what failed: the task's step, or the envelope.
pub async fn retry(app: &App, id: &str, by: &str) -> Result<Failure, HandleError> {
    let mut failure = open_failure(app, id).await?;
    if failure.kind == FailureKind::Task
        && let Some(task) = failure.task.clone()
    {
        let event = EventBody::Operator { by: by.to_owned(), action: OperatorAction::Retry };
        crate::operate::on_task(app, &task, event).await?;
    }
    let mut envelopes: Vec<Envelope> = failure.envelope.clone().into_iter().collect();
    if failure.kind == FailureKind::Reply && !reopen(app, &failure).await? {
        envelopes.clear();
    }
    for envelope in &mut envelopes {
        // Another id: the first one may still be on its way out of the queue.
        envelope.id = format!("{}/again/{}", envelope.id, ids::random());
    }
    failure.state = FailureState::Retried;
    failure.settled = Some((by.to_owned(), app.now()));
    app.store().settle_failure(&failure, FailureState::Open, &envelopes).await?;
    Ok(failure)
}

/// A reply that failed is sent as a new message with the same content: states only move forward.
/// One whose outcome is unknown goes out once more as the same message, so that the receiver can
/// drop it where it did arrive. Tells whether its envelope is to be published again.
async fn reopen(app: &App, failure: &Failure) -> Result<bool, HandleError> {
    let Some(envelope) = &failure.envelope else { return Ok(false) };
    let job: SendJob = open(envelope)?;
    let found = app.store().messages(std::slice::from_ref(&job.message)).await?;
    let Some(message) = found.into_iter().next() else {
        return Err(HandleError::NotFound(format!("message `{}`", job.message)));
    };
    if message.state.may_become(MessageState::Sent) {
        return Ok(true);
    }
    crate::operate::send_again(app, message, failure.at).await?;
    Ok(false)
}

/// Decides that nothing is to be done.
pub async fn discard(app: &App, id: &str, by: &str) -> Result<Failure, HandleError> {
    let mut failure = open_failure(app, id).await?;
    failure.state = FailureState::Discarded;
    failure.settled = Some((by.to_owned(), app.now()));
    app.store().settle_failure(&failure, FailureState::Open, &[]).await?;
    Ok(failure)
}
