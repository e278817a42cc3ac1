//! What was measured, for people.

use super::{Measured, Speed};

/// Budgets of a function in a release build: its program, its start, its memory while idle.
const BYTES_MAX: u64 = 25 * MEGABYTE;
const START_MILLIS_MAX: f64 = 300.0;
const RESIDENT_BYTES_MAX: u64 = 60 * MEGABYTE;
const MEGABYTE: u64 = 1_000_000;

#[expect(clippy::cast_precision_loss, reason = "sizes of files and memory")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MEGABYTE as f64
}

impl Measured {
    pub(super) fn print(&self) {
        println!("{} build, {} cores; emulators share the machine", self.build, self.cores);
        println!("\nfunction     program MB   start ms (longest)   idle MB   after load MB");
        for function in &self.functions {
            let over = function.bytes > BYTES_MAX
                || function.start_median_millis > START_MILLIS_MAX
                || function.resident_idle_bytes > RESIDENT_BYTES_MAX;
            println!(
                "{:<12} {:>10.1} {:>11.0} {:>8.0} {:>9.1} {:>15.1}{}",
                function.name,
                megabytes(function.bytes),
                function.start_median_millis,
                function.start_max_millis,
                megabytes(function.resident_idle_bytes),
                megabytes(function.resident_after_load_bytes),
                if over { "   over budget" } else { "" },
            );
        }
        println!(
            "budgets: program {} MB, start {START_MILLIS_MAX} ms, idle {} MB",
            BYTES_MAX / MEGABYTE,
            RESIDENT_BYTES_MAX / MEGABYTE
        );
        println!(
            "\npeople at once     turns    turns/s    p50 ms    p99 ms   (the emulators' speed)"
        );
        for speed in [&self.few_at_once, &self.all_at_once] {
            let Speed { contacts, turns, turns_per_second, p50_millis, p99_millis } = speed;
            println!(
                "{contacts:>14} {turns:>9} {turns_per_second:>10.1} {p50_millis:>9.0} {p99_millis:>9.0}"
            );
        }
        println!("\none message with one reply costs, on average:");
        println!("function      calls     bytes   reads  writes  published  appends  alarms");
        for bill in &self.bills {
            println!(
                "{:<12} {:>6.2} {:>9.0} {:>7.2} {:>7.2} {:>10.2} {:>8.2} {:>7.2}",
                bill.name,
                bill.calls,
                bill.bytes,
                bill.reads,
                bill.writes,
                bill.published,
                bill.appends,
                bill.alarms,
            );
        }
        let sum = |of: fn(&super::bill::Bill) -> f64| self.bills.iter().map(of).sum::<f64>();
        println!(
            "a million of them: {:.1} million reads and {:.1} million writes of Firestore, {:.1} \
             million messages of Pub/Sub, {:.1} million requests of BigQuery's Storage Write API, \
             {:.1} million calls of Cloud Tasks",
            sum(|bill| bill.reads),
            sum(|bill| bill.writes),
            sum(|bill| bill.published),
            sum(|bill| bill.appends),
            sum(|bill| bill.alarms),
        );
        if let Some(replay) = &self.replay {
            println!("\nreplay: {replay}");
        }
    }
}
