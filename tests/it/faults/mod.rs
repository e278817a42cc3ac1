//! Real faults of a real process: it is killed, stopped, its disk fills up, its log is cut, its
//! address for replies misbehaves. Nothing accepted is lost, nothing is doubled, and it recovers by
//! itself.
//!
//! Dice decide the instants; the seed is printed. `scripts/bench faults` stops the process for
//! more than a minute; other than that it does what the tests do.

mod disk;
mod kill;
mod log;
mod sink;
mod stop;

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::bench::Dice;

/// Dice for this run.
fn dice() -> Dice {
    let seed = RandomState::new().build_hasher().finish();
    eprintln!("seed {seed}");
    Dice(seed)
}

/// Whether there is time for what takes minutes.
fn is_long() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a switch for tests only")]
    std::env::var("CHATFLOW_FAULTS").is_ok_and(|value| value == "long")
}
