//! What came of too much, for people, and the targets it is held against.

use std::fmt::Write as _;

use super::{Level, Measured};
use crate::report::{Target, at_most, held, machine, megabytes};

/// Goodput at and above the capacity, as a part of the best: at least.
const GOODPUT_MIN: f64 = 0.9;
/// From a message that is refused to the answer, p99: at most.
const REFUSED_MILLIS_MAX: f64 = 100.0;
/// Until turns take as long as before: at most.
const RECOVERY_SECONDS_MAX: f64 = 5.0;
/// The most memory with the most load, as a multiple of that with the least of which something is
/// refused: at most. What waits is as much in both.
const MEMORY_MAX: f64 = 1.5;
/// A turn of the quiet connection, p99: at most.
const QUIET_MILLIS_MAX: f64 = 1_000.0;

/// What was promised.
pub fn targets(measured: &Measured) -> Vec<Target> {
    let levels = &measured.levels;
    let goodput = |level: &Level| level.goodput_per_second;
    let best = levels.iter().map(goodput).fold(0.0, f64::max);
    let from_one = levels.iter().filter(|level| level.times >= 1.0);
    let worst = from_one.map(goodput).fold(best, f64::min) / best.max(f64::EPSILON);
    let most = |of: fn(&Level) -> f64| levels.iter().map(of).fold(0.0, f64::max);
    let broken = |level: &Level| f64::from(level.broken + level.without_retry_after + level.lost);
    let what = format!("goodput from 1 × capacity on ÷ best ≥ {GOODPUT_MIN}");
    let mut targets = vec![
        Target { what, measured: worst, met: worst >= GOODPUT_MIN },
        at_most("refused p99, ms,", most(|level| level.refused_p99_millis), REFUSED_MILLIS_MAX),
        at_most("broken, lost, or without Retry-After", levels.iter().map(broken).sum(), 0.0),
        at_most(
            "recovered after s",
            most(|level| level.recovered_after_seconds),
            RECOVERY_SECONDS_MAX,
        ),
    ];
    let full = levels.iter().find(|level| level.refused_per_second > 0.0);
    if let (Some(first), Some(last)) = (full, levels.last()) {
        let times = megabytes(last.resident_bytes_peak) / megabytes(first.resident_bytes_peak);
        targets.push(at_most("peak RSS ÷ that where refusing begins", times, MEMORY_MAX));
    }
    let beside = &measured.beside;
    let refused = f64::from(beside.quiet_messages - beside.quiet_accepted);
    targets.push(at_most("messages refused of the quiet connection", refused, 0.0));
    let p99 = beside.quiet_turn_p99_millis;
    targets.push(at_most("p99 of the quiet connection, ms,", p99, QUIET_MILLIS_MAX));
    targets
}

/// Everything, as Markdown tables that are also columns on a terminal.
pub fn text(measured: &Measured) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, measured);
    out
}

fn write(out: &mut String, measured: &Measured) -> std::fmt::Result {
    machine(out, measured.build, &measured.machine)?;
    writeln!(
        out,
        "capacity {:.0} turns/s; a turn alone: p99 {:.1} ms",
        measured.capacity_per_second, measured.quiet_turn_p99_millis
    )?;
    writeln!(
        out,
        "\n| × | offered/s | accepted/s | goodput/s | refused/s | refused p99 ms | accepted p99 ms \
         | reply p99 ms | lost | peak RSS MB | recovered s | generator's cores |\n\
         |--:|----------:|-----------:|----------:|----------:|---------------:|----------------:\
         |-------------:|-----:|------------:|------------:|------------------:|"
    )?;
    for level in &measured.levels {
        writeln!(
            out,
            "| {} | {:>9.0} | {:>10.0} | {:>9.0} | {:>9.0} | {:>14.1} | {:>15.1} | {:>12.0} | {:>4} \
             | {:>11.1} | {:>11.2} | {:>17.2} |",
            level.times,
            level.offered_per_second,
            level.accepted_per_second,
            level.goodput_per_second,
            level.refused_per_second,
            level.refused_p99_millis,
            level.acknowledged_p99_millis,
            level.turn_p99_millis,
            level.lost,
            megabytes(level.resident_bytes_peak),
            level.recovered_after_seconds,
            level.generator_cores,
        )?;
    }
    let beside = &measured.beside;
    writeln!(
        out,
        "\nbeside a connection that sends {} times the capacity ({:.0} % of it accepted): {} of {} \
         messages of a quiet one accepted at once, replies p50 {:.1} ms, p99 {:.1} ms",
        beside.times,
        beside.noisy_accepted * 100.0,
        beside.quiet_accepted,
        beside.quiet_messages,
        beside.quiet_turn_p50_millis,
        beside.quiet_turn_p99_millis,
    )?;
    held(out, &targets(measured))
}
