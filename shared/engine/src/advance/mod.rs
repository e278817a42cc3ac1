//! `advance(flow, task, event, now) -> Transition`: the meaning of a flow, as a pure function.
//!
//! ```text
//!   event ──► refuse? ──► leave the wait ──► run steps ──► wait or end ──► Transition
//!                                              │ say, set, branch, record … │ task + effects
//! ```
//!
//! No I/O, no clock, no randomness: time comes as an argument, ids are derived from the event.
//! Running the same events again gives the same states and the same effects.

mod children;
mod data;
mod outside;
mod people;
mod talk;
mod trigger;
mod values;
mod walk;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use flow::{Contact, Flow, Lang};

use crate::event::{Event, EventBody, OperatorAction};
use crate::ids::{ConversationId, TaskId};
use crate::task::{Parent, Status, Task, TimerName, Vars, Wait};
use crate::transition::Transition;
pub use trigger::trigger_vars;
use walk::Walk;

/// Most steps one event may run; an endless loop ends as a failed task.
pub const STEPS_PER_EVENT_MAX: usize = 1_000;
/// Most effects that the steps of one event may have; the end of the task adds at most two.
pub const EFFECTS_MAX: usize = 1_000;
/// Most bytes of the effects of one transition as JSON: they are kept in one row of history.
pub const EFFECTS_BYTES_MAX: usize = 384 * 1024;

/// Why an event does not apply to a task as it stands. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The task has ended.
    #[error("the task is {0}; only a failed task can be retried, any other needs a new start")]
    Ended(&'static str),
    /// The task has begun already.
    #[error("the task has begun already")]
    AlreadyStarted,
    /// The task has not begun.
    #[error("the task has not begun yet; send its `started` event first")]
    NotStarted,
    /// It waits for something else.
    #[error("the task waits for {waiting_for}, not for {event}; wait until it asks")]
    NotAwaited {
        /// What it waits for.
        waiting_for: &'static str,
        /// What came.
        event: &'static str,
    },
    /// A timer of an earlier wait; it changes nothing.
    #[error("the timer belongs to an earlier wait")]
    StaleTimer,
    /// A button of an earlier question.
    #[error("that question has been answered already")]
    StaleChoice,
    /// The answer of another call, or another child.
    #[error("it belongs to an earlier call or child of the task")]
    Stale,
    /// Only failed tasks can be retried.
    #[error("the task is {0}, not failed; only a failed task can be retried")]
    NotFailed(&'static str),
    /// The values do not fit.
    #[error("{0}")]
    Invalid(String),
    /// The task's own step is not in this version of the flow.
    #[error("version {version} of the flow cannot take the task: {why}")]
    CannotMigrate {
        /// The version it was to move to.
        version: u32,
        /// Why not.
        why: String,
    },
}

/// What a task is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// The flow's published version.
    pub version: u32,
    /// Whom it talks with.
    pub contact: Contact,
    /// Where.
    pub conversation: ConversationId,
    /// On which connection.
    pub connection: String,
    /// In which language.
    pub lang: Option<Lang>,
    /// For whom.
    pub parent: Option<Parent>,
    /// By which trigger group.
    pub trigger: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

impl NewTask {
    /// The task before its `started` event.
    pub fn make(self, flow: &Flow) -> Task {
        let mut vars = Vars::new();
        for (name, var) in &flow.vars {
            vars.insert(name.clone(), var.default.clone());
        }
        Task {
            id: self.id,
            flow: flow.id.clone(),
            version: self.version,
            label: flow.title(self.lang.as_ref()).to_owned(),
            contact: self.contact,
            conversation: self.conversation,
            connection: self.connection,
            lang: self.lang,
            parent: self.parent,
            trigger: self.trigger,
            status: Status::Running,
            vars,
            input: serde_json::Value::Null,
            sequence: 0,
            created_at: self.at,
            updated_at: self.at,
            ended_at: None,
        }
    }
}

/// Applies one event to a task.
///
/// `flow` is the version the task is on, except for `Migrate`, where it is the one it moves to.
/// A clock that went backwards counts as standing still.
pub fn advance(
    flow: &Flow,
    task: &Task,
    event: &Event,
    now: DateTime<Utc>,
) -> Result<Transition, Refused> {
    let walk = Walk::new(flow, task, event, now.max(task.updated_at));
    match &task.status {
        Status::Running => match &event.body {
            EventBody::Started { vars, input } => walk.started(vars, input),
            EventBody::Operator { action: OperatorAction::Cancel { reason }, .. } => {
                Ok(walk.cancelled(reason))
            }
            _ => Err(Refused::NotStarted),
        },
        Status::Waiting { step, entered, timers, on, .. } => match &event.body {
            EventBody::Timer { name: TimerName::Expiry, entered: 0 } if flow.timeout.is_some() => {
                Ok(walk.expired())
            }
            EventBody::Timer { name, entered: of } if of != entered || !timers.contains(name) => {
                Err(Refused::StaleTimer)
            }
            _ => waiting(walk, step, on, event),
        },
        Status::Failed { step, .. } => match &event.body {
            EventBody::Operator { action: OperatorAction::Retry, .. } => {
                Ok(walk.begin(step.as_ref()))
            }
            EventBody::Started { .. } => Err(Refused::AlreadyStarted),
            _ => Err(Refused::Ended("failed")),
        },
        Status::Completed { .. } | Status::Cancelled { .. } | Status::Expired { .. } => {
            match &event.body {
                EventBody::Operator { action: OperatorAction::Retry, .. } => {
                    Err(Refused::NotFailed(task.status.name()))
                }
                EventBody::Started { .. } => Err(Refused::AlreadyStarted),
                _ => Err(Refused::Ended(task.status.name())),
            }
        }
    }
}

fn waiting(walk: Walk<'_>, step: &str, on: &Wait, event: &Event) -> Result<Transition, Refused> {
    let not_awaited = || Refused::NotAwaited { waiting_for: on.name(), event: event.body.name() };
    match (&event.body, on) {
        (EventBody::Started { .. }, _) => Err(Refused::AlreadyStarted),
        (EventBody::Reply { content, pressed, .. }, Wait::Reply { .. }) => {
            walk.reply(step, content, *pressed)
        }
        (EventBody::Reply { content, .. }, Wait::Human { .. }) => Ok(walk.said_to_human(content)),
        (EventBody::Timer { name: TimerName::Timeout, .. }, _) => walk.timed_out(step),
        (EventBody::Timer { name: TimerName::Remind, .. }, Wait::Reply { .. }) => walk.remind(step),
        (EventBody::Timer { name: TimerName::Due, .. }, Wait::Timer { .. }) => {
            Ok(walk.left_wait(step, None))
        }
        (EventBody::Timer { .. }, _) => Err(Refused::StaleTimer),
        (EventBody::Answered { call, result }, Wait::Call { call: open }) if call == open => {
            Ok(walk.answered(step, result))
        }
        (
            EventBody::External { event_type, key, data },
            Wait::Event { kind: awaited, key: open },
        ) if event_type == awaited && key == open => Ok(walk.left_wait(step, Some(data.clone()))),
        (
            EventBody::ChildEnded { child, completed, outcome, result },
            Wait::Child { child: open },
        ) if child == open => Ok(walk.child_ended(step, child, *completed, outcome, result)),
        (EventBody::ChildEnded { child, completed, outcome, result }, Wait::Children(batch)) => {
            walk.one_of_children_ended(step, batch, child, *completed, outcome, result)
        }
        (EventBody::Answered { .. } | EventBody::ChildEnded { .. }, _) => Err(Refused::Stale),
        (EventBody::Focused, Wait::Reply { .. }) => Ok(walk.ask_again(step)),
        (EventBody::Operator { action, by }, _) => operator(walk, step, on, action, by),
        (EventBody::Reply { .. } | EventBody::External { .. } | EventBody::Focused, _) => {
            Err(not_awaited())
        }
    }
}

fn operator(
    walk: Walk<'_>,
    step: &str,
    on: &Wait,
    action: &OperatorAction,
    by: &str,
) -> Result<Transition, Refused> {
    let not_awaited = |event| Refused::NotAwaited { waiting_for: on.name(), event };
    match (action, on) {
        (OperatorAction::Cancel { reason }, _) => Ok(walk.cancelled(reason)),
        (OperatorAction::Retry, _) => Err(Refused::NotFailed("waiting")),
        (OperatorAction::Migrate { version }, _) => walk.migrated(step, on, *version),
        (OperatorAction::Say { content }, _) => walk.operator_said(content, by),
        (OperatorAction::Assign { queue, assignee }, Wait::Human { queue: current, .. }) => {
            Ok(walk.assigned(queue.as_ref().unwrap_or(current), assignee.as_ref()))
        }
        (OperatorAction::Assign { .. }, _) => Err(not_awaited("operator_assign")),
        (OperatorAction::Resolve { resolution, note }, Wait::Human { .. }) => {
            walk.resolved(step, resolution, note.as_deref(), by)
        }
        (OperatorAction::Resolve { .. }, _) => Err(not_awaited("operator_resolve")),
    }
}
