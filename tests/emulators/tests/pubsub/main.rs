//! The Pub/Sub server, its tokens and the counting proxy, met by Google's own clients.

mod admin;
mod delivery;
mod faults;
mod harness;
mod proxy;
mod pulling;
mod tokens;
