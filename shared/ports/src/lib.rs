//! Ports: what the system needs of the outside world, as traits.
//!
//! The contract of every port is the weakest of its backends: delivery at least once, no order
//! across keys, conflicts happen. No vendor type crosses a port. The suites that every backend
//! passes are in `ports-contract`.

pub mod admin;
pub mod bus;
pub mod clock;
pub mod error;
pub mod search;
pub mod secret;
pub mod state;
pub mod stored;
pub mod warehouse;

pub use admin::{
    ApiKey, ConfigStore, Draft, Failure, FailureKind, FailureState, FailureStore, FlowStore,
    FlowSummary, FlowVersion, Queue,
};
pub use bus::{Bus, Deliveries, Delivery, ENVELOPE_BYTES_MAX, Envelope, Timers, Topic};
pub use clock::Clock;
pub use error::{PortError, PortResult};
pub use secret::{Secret, Secrets};
pub use state::{
    Commit, DOCUMENT_BYTES_MAX, IdempotentAnswer, MessageFilter, MessageWrite, PAGE_MAX, Page,
    PageOf, Queries, Receipt, Recovery, Sort, TaskFilter, TaskWrite, Turn, TurnStore,
};
pub use stored::{Awaited, Contents, Stored};
pub use warehouse::{QuarantinedRow, RefusedRow, Warehouse};

/// Everything a store offers, for those who need more than one part.
pub trait Store: TurnStore + Queries + FlowStore + ConfigStore + FailureStore {}

impl<T: TurnStore + Queries + FlowStore + ConfigStore + FailureStore> Store for T {}
