//! Makes a failing plan shorter, as long as the same promise is broken.

use crate::plan::Action;
use crate::{Failure, run_plan};

/// Drops parts of the plan, large ones first, in at most `runs_max` runs.
pub fn shrink(failure: Failure, runs_max: usize) -> Failure {
    let mut best = failure;
    let mut runs = 0;
    let mut part = best.plan.len().div_ceil(2);
    while part > 0 && runs < runs_max {
        let mut at = 0;
        while at < best.plan.len() && runs < runs_max {
            runs += 1;
            let mut plan: Vec<Action> = best.plan.clone();
            plan.drain(at..(at + part).min(plan.len()));
            match run_plan(best.seed, &plan) {
                Err(shorter) if shorter.promise() == best.promise() => best = shorter,
                _ => at += part,
            }
        }
        part /= 2;
    }
    best
}
