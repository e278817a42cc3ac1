//! `chatflow`: all routers in one process, and the command line.
//!
//! The local server is configuration, not a fork: it merges the same routers and runs the same
//! handlers as the functions in the cloud, with an in-process delivery loop in place of Pub/Sub
//! push.

pub mod cli;
pub mod client;
#[cfg(feature = "gcp")]
mod cloud;
pub mod commands;
pub mod delivery;
pub mod demo;
mod doctor;
pub mod events;
mod fair;
pub mod page;
pub mod profile;
pub mod replay;
pub mod server;
