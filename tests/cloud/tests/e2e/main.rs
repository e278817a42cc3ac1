//! The cloud shape end to end: every function a process, woken by pushes with tokens, over the
//! emulators and our own servers.
//!
//! Each test starts a system of its own, so that it can break what it likes. Run by
//! `scripts/test gcp`, which builds the programs first.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod bill;
mod crowd;
mod dialogues;
mod faults;
mod moves;
mod setting;
mod talk;
mod tokens;
mod traces;
