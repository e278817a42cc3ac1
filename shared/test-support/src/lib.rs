//! What tests are made of: a clock that stands still, sample values, flows from text.

#![expect(clippy::panic, reason = "a test that is written wrongly fails by panicking")]

mod clock;
mod flows;

pub use clock::VirtualClock;
pub use flows::flow;
// The contract suites use the same samples and cannot depend on this crate, which will know the
// whole system.
pub use ports_contract::sample::{
    Begun, Samples, at, create, next_revision, next_sequence, update, waiting,
};
