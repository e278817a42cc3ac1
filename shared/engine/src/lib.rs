//! The engine: `advance(flow, task, event, now) -> Transition`, and which task a message is for.
//!
//! Everything here is a pure function over values: no I/O, no clock, no randomness, no
//! environment. What a flow means is decided here and nowhere else; the editor's preview and a
//! flow's own tests run the same code through [`simulate`].

pub mod advance;
pub mod answer;
pub mod effect;
pub mod event;
pub mod ids;
pub mod message;
pub mod routing;
pub mod simulate;
pub mod task;
pub mod transition;

pub use advance::{NewTask, Refused, advance, trigger_vars};
pub use effect::{CallRequest, Effect};
pub use event::{CallResult, Event, EventBody, OperatorAction, Pressed};
pub use ids::{CallId, ConversationId, EventId, MessageId, RowId, TaskId};
pub use message::{Direction, Message, MessageState, Reached, Sender};
pub use routing::{Conversation, Incoming, Route, Rule, route};
pub use task::{Parent, Status, Task, TimerName, Vars, Wait};
pub use transition::{HistoryEntry, Transition, Visit, rebuild};
