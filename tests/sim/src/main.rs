//! `sim`: runs seeds, and shows what broke.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::Parser;
use sim::shrink::shrink;
use sim::{Failure, STEPS};

/// The whole system, simulated, with everything going wrong. Prints the seed that breaks a
/// promise, and the shortest plan found that does.
#[derive(Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// This seed only.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Things that happen in a run.
    #[arg(long, default_value_t = STEPS)]
    steps: usize,
    /// Most runs to make a failing plan shorter.
    #[arg(long, default_value_t = 1_000)]
    shrink: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (from, seeds) = args.seed.map_or((args.from, args.seeds), |seed| (seed, 1));
    let next = AtomicU64::new(from);
    let totals = Mutex::new((0_u64, sim::Stats::default()));
    let failed: Mutex<Option<Failure>> = Mutex::default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds || locked(&failed).is_some() {
                        return;
                    }
                    match sim::run(seed, args.steps) {
                        Ok(stats) => add(&mut locked(&totals), stats),
                        Err(failure) => {
                            locked(&failed).get_or_insert(*failure);
                        }
                    }
                }
            });
        }
    });
    let (held, stats) = *locked(&totals);
    println!(
        "{held} seeds held: {} deliveries, {} crashes, {} faults, {} commits, {} tasks, {} sent",
        stats.deliveries, stats.crashes, stats.faults, stats.commits, stats.tasks, stats.sent
    );
    let Some(failure) = locked(&failed).take() else { return ExitCode::SUCCESS };
    println!("seed {} failed at step {}: {}", failure.seed, failure.step, failure.violation);
    println!("making it shorter");
    println!("{}", shrink(failure, args.shrink));
    ExitCode::FAILURE
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add((held, sum): &mut (u64, sim::Stats), stats: sim::Stats) {
    *held += 1;
    sum.deliveries += stats.deliveries;
    sum.crashes += stats.crashes;
    sum.faults += stats.faults;
    sum.commits += stats.commits;
    sum.tasks += stats.tasks;
    sum.sent += stats.sent;
}
