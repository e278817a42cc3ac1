//! Use cases: receive, route, advance, send, call, land, sweep, administer.
//!
//! Only this crate commits, and nothing here sends, publishes or calls before its commit. It
//! knows the ports, never a backend.

pub mod administer;
pub mod app;
pub mod call;
pub mod catalog;
pub mod egress;
pub mod fail;
pub mod ids;
pub mod jobs;
pub mod keys;
pub mod land;
pub mod operate;
pub mod outcome;
pub mod receive;
pub mod rows;
pub mod schedules;
pub mod send;
pub mod stored;
pub mod sweep;
pub mod timers;
pub mod transfer;
pub mod turn;

pub use app::{App, AppParts, Change, Limits, TerminalLine};
pub use outcome::{HandleError, Outcome};
