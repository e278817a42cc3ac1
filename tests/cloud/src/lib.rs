//! The whole cloud shape on one machine: every function as a process of its own, woken by pushes,
//! alarms and sweeps as Terraform wires them, over servers that stand in for Google's.
//!
//! | module | holds |
//! |---|---|
//! | [`bench`] | what `scripts/bench gcp` measures |
//! | [`load`] | many people talking at once |
//! | [`proxies`] | counting what a function asks of a service, and taking the service away |
//! | [`system`] | starting, wiring, killing and stopping all of it |
//! | [`ports`] | ports that nobody else takes |
//! | [`programs`] | where the programs are |
//! | [`sink`] | a server that replies are sent to |

pub mod bench;
pub mod load;
pub mod ports;
pub mod programs;
pub mod proxies;
pub mod sink;
pub mod system;

pub use sink::Sink;
pub use system::{Options, System, client};
