//! The one way out: every HTTP request this system makes to somebody else's server.
//!
//! The URL of a `call` step or of a webhook reply is written by a flow author or arrives in a
//! message, so it is hostile until checked. [`Egress`] keeps such a request from reaching the
//! machine it runs on and the network around it (server-side request forgery). What it promises,
//! written as absences:
//!
//! - No connection to an address that is not public ([`classify`]), unless the request's own
//!   [`HostAllowList`] names the host.
//! - No gap between checking and connecting: the resolver inside the client drops forbidden
//!   addresses, so a name cannot change its answer after the check.
//! - No connection shared between the two worlds: requests to hosts allowed by name have a client,
//!   and so a connection pool, of their own.
//! - No redirect followed unchecked; none from https to http; no credentials carried to another
//!   origin.
//! - No proxy from the environment, no cookie store, no decompression.
//! - No unbounded wait, body, header list or redirect chain.
//!
//! Errors say whether the request may have reached the server, because that decides whether a
//! caller may send it again: see [`EgressError::is_safe_to_retry`].

mod address;
mod allow;
mod client;
mod connect;
mod error;
mod redirect;
mod request;
mod resolver;
mod retry_after;
#[cfg(test)]
mod tests;

pub use address::{AddressClass, classify};
pub use allow::{AllowListError, HostAllowList};
pub use client::{Egress, EgressConfig, EgressSetupError, OpenResponse};
pub use error::{ConnectProblem, EgressError, Refusal, ResponsePart};
pub use request::{OutgoingRequest, Response};
pub use retry_after::retry_after;

use std::time::Duration;

/// Longest `timeout` a request may ask for.
pub const TIMEOUT_MAX: Duration = Duration::from_mins(5);
/// Most redirects a request may follow.
pub const REDIRECTS_MAX: u8 = 5;
/// Longest URL, of a request or a redirect, in bytes.
pub const URL_BYTES_MAX: usize = 8 * 1024;
/// Most headers on a request and on an answer.
pub const HEADERS_MAX: usize = 128;
/// Most bytes in all header names and values together, on a request and on an answer.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Longest wait that [`retry_after`] passes on.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
