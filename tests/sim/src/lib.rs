//! Seeded simulation: the whole system in one process on a virtual clock, over the real handlers,
//! with a store and a bus that misbehave within their contracts.
//!
//! ```text
//!   plan (of the seed) ──► world: processes ──► handlers ──► gate ──► faults ──► watch ──► SQLite
//!                                                            await    refuse,    the
//!                                                            points   lose, late model
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`plan`] | what happens, decided by the seed |
//! | [`gate`] | await points: where a handler stops, goes on, or is dropped |
//! | [`watch`], [`model`] | what is committed and sent, and what must never be |
//! | `world`, `work`, `process` | the system, and everything under way in it |
//! | `rest` | how it must be in the end |
//! | [`shrink`] | a failing plan, made shorter |
//!
//! A run is a function of its seed and its number of steps: one thread decides everything, and
//! the threads of the store are waited for at every call.

pub mod dice;
mod flows;
pub mod gate;
pub mod model;
pub mod plan;
mod process;
mod rest;
pub mod shrink;
pub mod watch;
mod work;
mod world;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plan::Action;
use world::World;

/// Things that happen in a run, where nobody says how many.
pub const STEPS: usize = 400;

/// What a run that held its promises came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Deliveries begun.
    pub deliveries: usize,
    /// Handlers that were stopped on their way.
    pub crashes: usize,
    /// Faults of the store and the bus.
    pub faults: u64,
    /// Commits.
    pub commits: u64,
    /// Tasks made.
    pub tasks: usize,
    /// Replies that went out, those that went out twice counted twice.
    pub sent: usize,
    /// What was committed and sent, in its order, as one number.
    pub digest: u64,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What happened.
    pub plan: Vec<Action>,
    /// How many things of the plan had happened; all of them where it showed only in the end.
    pub step: usize,
    /// Which promise, and how.
    pub violation: String,
}

impl Failure {
    /// Which promise was broken: the first word.
    pub fn promise(&self) -> &str {
        self.violation.split(':').next().unwrap_or_default()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} at step {}: {}", self.seed, self.step, self.violation)?;
        for (step, action) in self.plan.iter().enumerate() {
            writeln!(f, "{step:4} {action:?}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Runs the plan of a seed.
pub fn run(seed: u64, steps: usize) -> Result<Stats, Box<Failure>> {
    run_plan(seed, &plan::generate(seed, steps)).map_err(Box::new)
}

/// Runs a plan; the seed decides about the faults.
pub fn run_plan(seed: u64, plan: &[Action]) -> Result<Stats, Failure> {
    let mut step = 0;
    let ran = catch_unwind(AssertUnwindSafe(|| live(seed, plan, &mut step)));
    let violation = match ran {
        Ok(Ok(stats)) => return Ok(stats),
        Ok(Err(violation)) => violation,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("panic: {}", text.unwrap_or("without a text"))
        }
    };
    Err(Failure { seed, plan: plan.to_vec(), step, violation })
}

fn live(seed: u64, plan: &[Action], step: &mut usize) -> Result<Stats, String> {
    // Nobody polls on it: it is there for the threads that read, and for bounds of time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| format!("setup: {error}"))?;
    let _entered = runtime.enter();
    let mut world = World::new(seed);
    for action in plan {
        world.act(*action)?;
        *step += 1;
    }
    world.come_to_rest(seed)?;
    world.judge()?;
    let model = world.watched.model();
    Ok(Stats {
        faults: world.faulty.faults().total(),
        commits: model.commits,
        tasks: model.tasks.len(),
        digest: model.digest,
        ..world.stats
    })
}
