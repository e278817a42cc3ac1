//! Bootstrap: configuration, telemetry, serving, pushes, the clock, and the system on a backend:
//! SQLite or, with the feature `gcp`, Google Cloud.
//!
//! The only crate that names a backend.

pub mod clock;
pub mod config;
#[cfg(feature = "cloud")]
pub mod function;
#[cfg(feature = "gcp")]
pub mod gcp;
#[cfg(feature = "cloud")]
mod lambda;
pub mod local;
#[cfg(feature = "cloud")]
pub mod oidc;
pub mod push;
pub mod serve;
pub mod telemetry;

pub use clock::SystemClock;
pub use config::{Config, Role};
pub use local::{FILE, Local, LocalError};
