//! A thousand seeds, in four parts that run side by side.

#![expect(clippy::panic, reason = "a broken promise fails the test")]

use sim::run;
use sim::shrink::shrink;

/// Things that happen in a run: fewer than `sim` has by itself, so that a thousand seeds take a
/// minute and a half on two cores without optimization.
const STEPS: usize = 100;

/// Runs to make a failing plan shorter: as many as a test has time for.
const SHRINK_RUNS_MAX: usize = 300;

fn hold(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        if let Err(failure) = run(seed, STEPS) {
            panic!("{}", shrink(*failure, SHRINK_RUNS_MAX));
        }
    }
}

#[test]
fn a_thousand_seeds_hold_first_quarter() {
    hold(0..250);
}

#[test]
fn a_thousand_seeds_hold_second_quarter() {
    hold(250..500);
}

#[test]
fn a_thousand_seeds_hold_third_quarter() {
    hold(500..750);
}

#[test]
fn a_thousand_seeds_hold_last_quarter() {
    hold(750..1_000);
}

/// The numbers of a run are the same every time: nothing but the seed has a say.
#[test]
fn a_seed_decides_everything() {
    for seed in [3, 71, 1_000_003] {
        assert_eq!(run(seed, STEPS), run(seed, STEPS), "seed {seed}");
    }
    assert_ne!(run(3, STEPS), run(71, STEPS));
}
