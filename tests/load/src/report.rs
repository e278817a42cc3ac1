//! The numbers, for people, and the targets they are held against.

use std::fmt::Write as _;

use serde::Serialize;

use crate::machine::Machine;
use crate::measure::{Half, Measured, Point, Start};
use crate::server::Kind;

const MEGABYTE: f64 = 1e6;

/// Turns per second with the most people, as a part of the floor's: at least.
const SPEED_MIN: f64 = 0.5;
/// Their p99, as a multiple of the floor's: at most.
const P99_MAX: f64 = 2.5;
/// The webhook's acknowledgement at half of that speed, p99: at most.
const ACKNOWLEDGED_MILLIS_MAX: f64 = 20.0;
/// From the start of the process to the first reply: at most.
const START_MILLIS_MAX: f64 = 100.0;
/// Memory at rest: at most.
const IDLE_MEGABYTES_MAX: f64 = 40.0;
/// The program: at most.
const PROGRAM_MEGABYTES_MAX: f64 = 25.0;

/// Something that was promised, and what came of it.
#[derive(Debug, Serialize)]
pub struct Target {
    /// What, with its bound.
    pub what: String,
    /// What was measured.
    pub measured: f64,
    /// Whether that is within the bound.
    pub met: bool,
}

/// The targets on two cores.
pub fn targets(measured: &Measured) -> Vec<Target> {
    let of = |kind: Kind| {
        let most = measured.points.iter().filter(|point| point.server == kind);
        most.max_by_key(|point| point.users)
    };
    let mut targets = Vec::new();
    if let (Some(floor), Some(ours)) = (of(Kind::Floor), of(Kind::Chatflow)) {
        let measured = ours.turns_per_second / floor.turns_per_second;
        let what = format!("turns/s at {} users ÷ floor's ≥ {SPEED_MIN}", ours.users);
        targets.push(Target { what, measured, met: measured >= SPEED_MIN });
        let measured = ours.p99_millis / floor.p99_millis;
        targets.push(at_most("p99 ÷ floor's", measured, P99_MAX));
    }
    if let Some(half) = measured.halves.iter().find(|half| half.server == Kind::Chatflow) {
        let p99 = half.acknowledged_p99_millis;
        let what = "acknowledgement p99 at half capacity, ms,";
        targets.push(at_most(what, p99, ACKNOWLEDGED_MILLIS_MAX));
    }
    if let Some(start) = measured.starts.iter().find(|start| start.server == Kind::Chatflow) {
        let idle = megabytes(start.resident_bytes_idle);
        let program = megabytes(start.program_bytes);
        targets.push(at_most("idle RSS, MB,", idle, IDLE_MEGABYTES_MAX));
        let first_reply = start.first_reply_median_millis;
        targets.push(at_most("cold start, ms,", first_reply, START_MILLIS_MAX));
        targets.push(at_most("program, MB,", program, PROGRAM_MEGABYTES_MAX));
    }
    targets
}

pub(crate) fn at_most(what: &str, measured: f64, bound: f64) -> Target {
    Target { what: format!("{what} ≤ {bound}"), measured, met: measured <= bound }
}

/// Everything, as Markdown tables that are also columns on a terminal.
pub fn text(measured: &Measured) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, measured);
    out
}

fn write(out: &mut String, measured: &Measured) -> std::fmt::Result {
    self::machine(out, measured.build, &measured.machine)?;
    points(out, &measured.points)?;
    halves(out, &measured.halves)?;
    starts(out, &measured.starts)?;
    held(out, &targets(measured))
}

/// What it was measured on, as a line.
pub(crate) fn machine(out: &mut String, build: &str, machine: &Machine) -> std::fmt::Result {
    writeln!(
        out,
        "{build} build; {} cores of {}, {:.0} GB, Linux {}; load {:.2} before; one 4 KiB append \
         with its sync: p50 {:.2} ms, p99 {:.2} ms",
        machine.cores,
        machine.processor,
        megabytes(machine.memory_bytes) / 1e3,
        machine.kernel,
        machine.load_before,
        machine.sync_p50_millis,
        machine.sync_p99_millis,
    )
}

/// The targets as a table.
pub(crate) fn held(out: &mut String, targets: &[Target]) -> std::fmt::Result {
    writeln!(out, "\n| target                                         | measured | met |")?;
    writeln!(out, "|------------------------------------------------|---------:|-----|")?;
    for Target { what, measured, met } in targets {
        let met = if *met { "yes" } else { "no" };
        writeln!(out, "| {what:<46} | {measured:>8.2} | {met:<3} |")?;
    }
    Ok(())
}

fn points(out: &mut String, points: &[Point]) -> std::fmt::Result {
    writeln!(
        out,
        "\n| users | server   | turns | turns/s | p50 ms | p95 ms | p99 ms | CPU ms/1,000 turns \
         | generator's | its cores | settled after s | peak RSS MB | stored B/turn | written B/turn |"
    )?;
    writeln!(
        out,
        "|------:|----------|------:|--------:|-------:|-------:|-------:|-------------------:\
         |------------:|----------:|----------------:|------------:|--------------:|---------------:|"
    )?;
    for point in points {
        writeln!(
            out,
            "| {:>5} | {:<8} | {:>5} | {:>7.0} | {:>6.2} | {:>6.2} | {:>6.2} | {:>18.0} | {:>11.0} \
             | {:>9.2} | {:>15.2} | {:>11.1} | {:>13.0} | {:>14.0} |",
            point.users,
            point.server.name(),
            point.turns,
            point.turns_per_second,
            point.p50_millis,
            point.p95_millis,
            point.p99_millis,
            point.cpu_millis_per_1000_turns,
            point.generator_cpu_millis_per_1000_turns,
            point.generator_cores,
            point.settled_after_seconds,
            megabytes(point.resident_bytes_peak),
            point.stored_bytes_per_turn,
            point.written_bytes_per_turn,
        )?;
    }
    Ok(())
}

fn halves(out: &mut String, halves: &[Half]) -> std::fmt::Result {
    writeln!(
        out,
        "\n| at half   | turns/s | acknowledged p50 ms | p99 ms | reply p50 ms | p99 ms |\n\
         |-----------|--------:|--------------------:|-------:|-------------:|-------:|"
    )?;
    for half in halves {
        writeln!(
            out,
            "| {:<9} | {:>7.0} | {:>19.2} | {:>6.2} | {:>12.2} | {:>6.2} |",
            half.server.name(),
            half.turns_per_second,
            half.acknowledged_p50_millis,
            half.acknowledged_p99_millis,
            half.p50_millis,
            half.p99_millis,
        )?;
    }
    Ok(())
}

fn starts(out: &mut String, starts: &[Start]) -> std::fmt::Result {
    writeln!(
        out,
        "\n| at rest   | program MB | first reply ms (longest) | idle RSS MB |\n\
         |-----------|-----------:|-------------------------:|------------:|"
    )?;
    for start in starts {
        let longest = format!("({:.0})", start.first_reply_max_millis);
        writeln!(
            out,
            "| {:<9} | {:>10.1} | {:>17.0} {longest:>6} | {:>11.1} |",
            start.server.name(),
            megabytes(start.program_bytes),
            start.first_reply_median_millis,
            megabytes(start.resident_bytes_idle),
        )?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files and memory")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MEGABYTE
}
