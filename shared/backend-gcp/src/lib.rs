//! Every port on Google Cloud.
//!
//! | module | port | service |
//! |---|---|---|
//! | [`config`] | | where everything is |
//! | `gcp` | all of them | |
//! | `firestore` | all of `Store`, and `Timers` | Firestore |
//! | `alarms` | | Cloud Tasks: wakes the timekeeper when a timer is due |
//! | `bus` | `Bus` | Pub/Sub |
//! | `warehouse` | `Warehouse` | BigQuery; quarantine in Firestore |
//! | `secrets` | `Secrets` | Secret Manager |

mod alarms;
mod bus;
pub mod config;
mod error;
mod firestore;
mod gcp;
mod secrets;
mod warehouse;

pub use alarms::Alarms;
pub use bus::PubSub;
pub use config::{Config, Endpoints};
pub use firestore::{Firestore, indexes_document};
pub use gcp::{Finding, Gcp, Traceparent};
pub use secrets::SecretManager;
pub use warehouse::BigQuery;
