//! The contract of every port as tests, which every backend and every decorator runs.
//!
//! A backend's own test file is one function that makes a [`Backend`] and a call of
//! [`contract_tests!`] and [`contract_tests_faulty!`]. Every case is a function of this crate
//! whose documentation is the sentence of the port that it holds the backend to; the macros only
//! make one test of each.
//!
//! | module | holds |
//! |---|---|
//! | [`backend`] | what a backend gives: all its ports as `Arc<dyn _>` |
//! | [`sample`] | values with unique ids |
//! | [`turn_store`], [`concurrency`] | commits: atomic, guarded, once; what is published |
//! | [`queries`] | lists, filters, pages, search |
//! | [`flows`], [`config`], [`failures`], [`warehouse`], [`secrets`], [`clock`] | one port each |
//! | [`bus`] | publishing and deliveries |
//! | [`faulty`] | the [`Faulty`] decorator, a caller that copes, and cases about both |

#![expect(clippy::unwrap_used, clippy::panic, reason = "a contract suite fails by panicking")]

pub mod backend;
pub mod bus;
mod check;
pub mod clock;
pub mod concurrency;
pub mod config;
pub mod failures;
pub mod faulty;
pub mod flows;
mod macros;
pub mod queries;
pub mod restart;
pub mod sample;
pub mod secrets;
pub mod turn_store;
pub mod warehouse;

pub use backend::{Backend, Reopen};
pub use faulty::{Faults, Faulty, Rates, Retrying};
pub use sample::{Samples, Standing, at};
