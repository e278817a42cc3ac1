//! What was measured, for people, and the targets it is held against.

use std::fmt::Write as _;

use super::{Scaled, Watched};
use crate::report::{Target, at_most, held, machine, megabytes};

/// What a turn costs with a million tasks, as a multiple of what it costs with a thousand.
const GROWTH_MAX: f64 = 1.2;
/// From the start of the process to the first reply, in milliseconds.
const START_MILLIS_MAX: f64 = 100.0;
/// Processor time in ten seconds that a million timers may add: two ticks of the clock that counts
/// it, which a server at rest differs by from itself.
const REST_MILLIS_MAX: f64 = 20.0;
const SINGLE_TIMER_MILLIS_MAX: f64 = 1_000.0;
const AT_ONCE_SECONDS_MAX: f64 = 5.0;
const SEARCH_P95_MILLIS_MAX: f64 = 200.0;
const LIST_P95_MILLIS_MAX: f64 = 50.0;
const WATCHED_MILLIS_MAX: f64 = 300.0;

/// The targets of what was measured.
pub fn targets(scaled: &Scaled) -> Vec<Target> {
    let mut targets = Vec::new();
    if let Some((small, large)) = &scaled.turns {
        let growth = large.cpu_millis_per_1000_turns / small.cpu_millis_per_1000_turns;
        targets.push(at_most("a turn's CPU, large file ÷ small,", growth, GROWTH_MAX));
    }
    if let Some(starts) = &scaled.starts {
        let what = format!("cold start with {} tasks, ms,", starts.tasks);
        targets.push(at_most(&what, starts.first_reply_median_millis, START_MILLIS_MAX));
    }
    if let Some((empty, waiting)) = &scaled.rest {
        let more = waiting.cpu_millis_per_10_seconds - empty.cpu_millis_per_10_seconds;
        targets.push(at_most("CPU of waiting timers, ms in 10 s,", more, REST_MILLIS_MAX));
    }
    if let Some(timers) = &scaled.timers {
        let single = timers.single_max_millis;
        targets.push(at_most("a timer late by, ms,", single, SINGLE_TIMER_MILLIS_MAX));
        let what = format!("{} timers at once fired, s,", timers.at_once);
        targets.push(at_most(&what, timers.at_once_fired_seconds, AT_ONCE_SECONDS_MAX));
    }
    let slowest = |p95s: Vec<f64>| p95s.into_iter().reduce(f64::max);
    if let Some(p95) = slowest(scaled.searches.iter().map(|s| s.p95_millis).collect()) {
        targets.push(at_most("search p95, slowest kind, ms,", p95, SEARCH_P95_MILLIS_MAX));
    }
    if let Some(p95) = slowest(scaled.lists.iter().map(|l| l.p95_millis).collect()) {
        targets.push(at_most("task list p95, slowest filter, ms,", p95, LIST_P95_MILLIS_MAX));
    }
    for Watched { what, watchers, max_millis, .. } in &scaled.watchers {
        let what = format!("{watchers} watchers of {what}, last one, ms,");
        targets.push(at_most(&what, *max_millis, WATCHED_MILLIS_MAX));
    }
    targets
}

/// Everything, as Markdown tables that are also columns on a terminal.
pub fn text(scaled: &Scaled) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, scaled);
    out
}

fn write(out: &mut String, scaled: &Scaled) -> std::fmt::Result {
    machine(out, scaled.build, &scaled.machine)?;
    files(out, scaled)?;
    servers(out, scaled)?;
    if !scaled.searches.is_empty() {
        answers(out, "search", "asked", "empty")?;
    }
    for s in &scaled.searches {
        let empty = s.empty.to_string();
        answer(out, (&s.what, s.questions, &empty), [s.p50_millis, s.p95_millis, s.max_millis])?;
    }
    if !scaled.lists.is_empty() {
        answers(out, "tasks by", "pages", "")?;
    }
    for l in &scaled.lists {
        answer(out, (&l.what, l.pages, ""), [l.p50_millis, l.p95_millis, l.max_millis])?;
    }
    if !scaled.watchers.is_empty() {
        writeln!(
            out,
            "\n| watchers | of        | updates | p50 ms | p99 ms | last ms |\n\
             |---------:|-----------|--------:|-------:|-------:|--------:|"
        )?;
    }
    for w in &scaled.watchers {
        writeln!(
            out,
            "| {:>8} | {:<9} | {:>7} | {:>6.1} | {:>6.1} | {:>7.1} |",
            w.watchers, w.what, w.updates, w.p50_millis, w.p99_millis, w.max_millis
        )?;
    }
    held(out, &targets(scaled))
}

fn files(out: &mut String, scaled: &Scaled) -> std::fmt::Result {
    writeln!(
        out,
        "\n| file                            | MB     | made in s |\n\
         |---------------------------------|-------:|----------:|"
    )?;
    for file in &scaled.files {
        let seconds = file.seconds.map_or("was there".to_owned(), |s| format!("{s:.0}"));
        writeln!(out, "| {:<31} | {:>6.0} | {seconds:>9} |", file.name, megabytes(file.bytes))?;
    }
    Ok(())
}

fn servers(out: &mut String, scaled: &Scaled) -> std::fmt::Result {
    if let Some((small, large)) = &scaled.turns {
        writeln!(
            out,
            "\n|    tasks | CPU ms/1,000 turns (range) | turns/s | p50 ms | p99 ms |\n\
             |---------:|---------------------------:|--------:|-------:|-------:|"
        )?;
        for cost in [small, large] {
            let (least, most) = cost.cpu_millis_range;
            let range = format!("({least:.0} to {most:.0})");
            writeln!(
                out,
                "| {:>8} | {:>10.0} {range:>15} | {:>7.0} | {:>6.2} | {:>6.2} |",
                cost.tasks,
                cost.cpu_millis_per_1000_turns,
                cost.turns_per_second,
                cost.p50_millis,
                cost.p99_millis,
            )?;
        }
    }
    if let Some(cold) = &scaled.starts {
        writeln!(
            out,
            "\ncold start with {} tasks: first reply after {:.0} ms (longest {:.0})",
            cold.tasks, cold.first_reply_median_millis, cold.first_reply_max_millis
        )?;
    }
    if let Some((empty, waiting)) = &scaled.rest {
        for rest in [empty, waiting] {
            writeln!(
                out,
                "\nat rest with {} timers: {:.0} ms CPU in 10 s, {:.1} MB RSS",
                rest.timers,
                rest.cpu_millis_per_10_seconds,
                megabytes(rest.resident_bytes)
            )?;
        }
    }
    if let Some(timers) = &scaled.timers {
        writeln!(
            out,
            "\ntimers, {} waiting: {} one after the other, late by {:.1} ms (p50), {:.1} ms (most); \
             {} at once, all fired after {:.2} s, the last reply after {:.2} s",
            timers.waiting,
            timers.single,
            timers.single_p50_millis,
            timers.single_max_millis,
            timers.at_once,
            timers.at_once_fired_seconds,
            timers.at_once_replied_seconds
        )?;
    }
    Ok(())
}

fn answers(out: &mut String, what: &str, count: &str, more: &str) -> std::fmt::Result {
    writeln!(
        out,
        "\n| {what:<46} | {count:>5} | {more:>5} | p50 ms | p95 ms | most ms |\n\
         |------------------------------------------------|------:|------:|-------:|-------:\
         |--------:|"
    )
}

fn answer(
    out: &mut String,
    (what, count, more): (&str, u32, &str),
    [p50, p95, most]: [f64; 3],
) -> std::fmt::Result {
    writeln!(out, "| {what:<46} | {count:>5} | {more:>5} | {p50:>6.1} | {p95:>6.1} | {most:>7.1} |")
}
