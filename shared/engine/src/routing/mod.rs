//! One person, many tasks: which task an inbound message is for.
//!
//! [`route`] is the seven rules of the design, as a pure function over the conversation and the
//! triggers of published flows. [`Conversation`] is what it remembers between messages.

mod command;
mod conversation;
mod rules;
mod texts;

#[cfg(test)]
mod tests;

pub use command::{Command, parse as parse_command};
pub use conversation::{
    Conversation, FocusChange, HELD_MAX, Held, OPEN_TASKS_MAX, OpenTask, QUEUED_MAX, QueuedStart,
};
pub use rules::{EntryPoint, Incoming, Route, Rule, route};
pub use texts::{Texts, texts};

use crate::event::Pressed;
use crate::ids::TaskId;

/// What a button sends back: the task, the wait and the place of the choice.
pub fn payload(task: &TaskId, entered: u64, index: usize) -> String {
    format!("cf1:{task}:{entered}:{index}")
}

/// Reads what a button sent back; none where it is not one of ours.
pub fn read_payload(text: &str) -> Option<(TaskId, Pressed)> {
    let mut parts = text.strip_prefix("cf1:")?.split(':');
    let task = TaskId(parts.next()?.to_owned());
    let entered = parts.next()?.parse().ok()?;
    let index = parts.next()?.parse().ok()?;
    let ours = task.0.starts_with(TaskId::PREFIX) && task.0.len() <= 64;
    (parts.next().is_none() && ours).then_some((task, Pressed { entered, index }))
}
