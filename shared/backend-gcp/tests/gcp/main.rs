//! Every port on Google Cloud, against servers that stand in for Google's.
//!
//! Run inside `emulators run -- cargo nextest run -p backend-gcp`, which starts the servers and
//! says where they are. Every test has a project of its own, so that they do not see each other.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod alarms;
mod bus;
mod bus_faults;
mod contract;
mod gate;
mod limits;
mod place;
mod pulled;
mod secrets;
mod warehouse;
