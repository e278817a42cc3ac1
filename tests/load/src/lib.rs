//! How fast the local server is: people who talk to it in closed loops, a sink that its replies
//! go to, and the least program that does the same work durably, for comparison.
//!
//! | module | holds |
//! |---|---|
//! | [`client`] | requests to servers on this machine |
//! | [`instructions`] | counts of instructions: `scripts/bench instructions` |
//! | [`machine`] | what the numbers were measured on |
//! | [`measure`] | the order of what is measured |
//! | [`overload`] | more than can be handled, in open loops |
//! | [`plain`] | posting with as little work as can be, for open loops |
//! | [`process`] | what a process used |
//! | [`report`] | the numbers, for people, and the targets |
//! | [`scale`] | large files: `scripts/bench scale` |
//! | [`server`] | starting, preparing and stopping what is measured |
//! | [`sink`] | the server that replies are sent to |
//! | [`talk`] | the conversations |

pub mod client;
pub mod instructions;
pub mod machine;
pub mod measure;
pub mod overload;
pub mod plain;
pub mod process;
pub mod report;
pub mod scale;
pub mod server;
pub mod sink;
pub mod talk;
