//! Channels: verifying, reading and writing what LINE, Slack, e-mail and webhooks carry.
//!
//! Codecs over values: bytes and headers in, typed messages out, and back. No I/O, no clock; the
//! time and the secrets arrive as arguments.

pub mod connection;
pub mod inbound;
pub mod webhook;

pub use connection::{Channel, Connection, Mapping, ReplyTarget};
pub use inbound::{Inbound, InboundBody, InboundError};
