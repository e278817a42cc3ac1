//! Runs a case of a suite under faults.

use super::{Faulty, Rates, Retrying};
use crate::backend::Backend;

/// Seeds that every case runs with, each on a store of its own.
const SEEDS: u64 = 4;

/// Runs the case behind [`Faulty`] and [`Retrying`]: it must come out as without faults, and
/// there must have been some.
pub async fn run(make: impl AsyncFn() -> Backend, case: impl AsyncFn(Backend)) {
    let mut injected = 0;
    for seed in 0..SEEDS {
        let faulty = Faulty::new(make().await, seed, Rates::OFTEN);
        case(Retrying::backend(&faulty.backend())).await;
        injected += faulty.faults().total();
    }
    assert!(injected > 0, "no fault in {SEEDS} runs: this case says nothing about faults");
}
