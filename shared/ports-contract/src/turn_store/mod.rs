//! `TurnStore`: batched reads, and the one atomic commit with its guards.

mod answers;
mod awaiting;
mod commits;
mod guards;
mod outbox;
mod timers;
mod whole;

pub use answers::*;
pub use awaiting::*;
pub use commits::*;
pub use guards::*;
pub use outbox::*;
pub use timers::*;
pub use whole::*;
