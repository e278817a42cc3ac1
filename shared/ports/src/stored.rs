//! What only the runtime knows of what a store holds, for those who check one: a store takes the
//! bodies of envelopes as they come, and knows no ids of things that are on their way.

use engine::{MessageId, Task, TaskId};
use serde_json::{Map, Value};

use crate::bus::Envelope;

/// What an envelope carries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// The task it is about, where that must be stored already.
    pub task: Option<TaskId>,
    /// The message that it sends.
    pub message: Option<MessageId>,
    /// Rows on their way to the warehouse: the table and the row.
    pub rows: Vec<(String, Map<String, Value>)>,
}

/// Something that a task waits for and that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// What, for people: `its timer remind`.
    pub what: String,
    /// Ids of envelopes: one of them must be on its way, or have been given up as a failure.
    pub any_of: Vec<String>,
}

/// Reads what a store keeps and does not understand.
pub trait Stored: Send + Sync {
    /// What an envelope carries, or why it cannot be read.
    fn contents(&self, envelope: &Envelope) -> Result<Contents, String>;

    /// What a task waits for: timers and the answer of its call. `expiry` is the sequence number
    /// of the transition that set the timer of the whole task, where one is set.
    fn awaited(&self, task: &Task, expiry: Option<u64>) -> Vec<Awaited>;

    /// What brings the end of a child to the task that waits for it; `stored` is the child, where
    /// it has begun. None where the child runs.
    fn end_of(&self, child: &TaskId, stored: Option<&Task>) -> Option<Awaited>;

    /// What sends a message that has not been sent.
    fn sending(&self, message: &MessageId) -> Awaited;
}
