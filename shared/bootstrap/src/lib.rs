//! Bootstrap: the clock, telemetry, serving, and the local system on SQLite.
//!
//! The only crate that names a backend.

pub mod clock;
pub mod local;
pub mod serve;
pub mod telemetry;

pub use clock::SystemClock;
pub use local::{Local, LocalError};
