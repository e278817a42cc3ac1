//! Ids of envelopes and events, which repeat with what they stand for; and ids that come from
//! nothing but chance, for requests that bring none of their own.

use engine::{CallId, EventId, MessageId, Status, Task, TaskId, TimerName, Wait};

/// Which of the timers of this name the wait has: reminders follow each other.
pub(crate) fn nth_of(task: &Task, name: TimerName) -> u64 {
    match (&task.status, name) {
        (Status::Waiting { on: Wait::Reply { reminded, .. }, .. }, TimerName::Remind) => {
            u64::from(*reminded)
        }
        _ => 0,
    }
}

/// The id of a timer's envelope. `nth` makes a timer that is set again another envelope, for the
/// one before may still be on its way: a reminder is counted; the clock of the whole task is
/// known by the sequence number of the transition that set it, 1 but for retries and moves.
pub(crate) fn timer(task: &TaskId, name: TimerName, entered: u64, nth: u64) -> String {
    format!("timer/{task}/{}/{entered}/{nth}", name.as_str())
}

/// The event of a timer that fired. The envelope's id names the one setting of the timer: firing
/// twice is firing once.
pub(crate) fn fired(timer: &str) -> EventId {
    EventId::of("timer", timer)
}

/// The id of the envelope that sends a message.
pub(crate) fn sending(message: &MessageId) -> String {
    format!("send/{message}")
}

/// The event that brings the answer of a call.
pub(crate) fn answer(call: &CallId) -> EventId {
    EventId::of(call.as_str(), "answer")
}

/// The event that starts a child.
pub(crate) fn start(child: &TaskId) -> EventId {
    EventId::of("start", child.as_str())
}

/// The event that tells a child's parent that the child cannot start.
pub(crate) fn not_started(child: &TaskId) -> EventId {
    EventId::of(child.as_str(), "not-started")
}

/// The event that tells a child's parent of its end. A child that is retried after it failed
/// ends twice; the parent takes the first.
pub(crate) fn ended(child: &Task) -> EventId {
    EventId::of(child.id.as_str(), &format!("ended/{}", child.sequence))
}

/// A fresh random id of 128 bits in hexadecimal.
pub fn random() -> String {
    let mut bytes = [0u8; 16];
    // The operating system's generator failing leaves nothing to fall back on; an id made of
    // zeros would collide and be refused as a duplicate, never overwrite anything.
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the system's random generator failed");
    }
    engine::ids::hex(&bytes)
}

/// The id of an event that nothing names.
pub fn fresh_event(source: &str) -> EventId {
    EventId::of(source, &random())
}
