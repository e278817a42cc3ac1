//! `scripts/bench instructions`: how many instructions fixed workloads take, beside a baseline
//! that is checked in. Times differ from machine to machine and from run to run; these hardly do.
//!
//! Valgrind counts those of a whole process. Each workload is counted done once and done many
//! times: the difference is the work itself, without the program's start.

mod workload;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

pub use workload::Workload;

/// How far a count may be from the baseline's, in percent of that.
const TOLERANCE_PERCENT: u64 = 5;

/// How many instructions fixed workloads take, beside a baseline.
#[derive(Debug, Clone, Parser)]
#[command(name = "instructions", max_term_width = 100)]
pub struct Args {
    /// What else it can do.
    #[command(subcommand)]
    pub command: Option<Only>,
    /// The file with the counts to compare with.
    #[arg(long, default_value = "tests/load/INSTRUCTIONS.json")]
    pub baseline: PathBuf,
    /// Write the counts there instead of comparing.
    #[arg(long)]
    pub write: bool,
    /// How often each is counted; the one in the middle counts, and how far they differ is told.
    /// A process hashes by seeds of its own, which makes up to three percent.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub runs: u32,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What is done without counting.
#[derive(Debug, Clone, Subcommand)]
pub enum Only {
    /// Does one workload: this is what is counted.
    Run {
        /// Which.
        workload: Workload,
        /// How often.
        times: u32,
    },
}

/// Counts, and what they were made with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// The compiler: another one gives other counts.
    pub compiler: String,
    /// Instructions of each workload, each time it is done.
    pub instructions: BTreeMap<String, u64>,
}

/// Counts of one workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Which.
    pub workload: String,
    /// Instructions, each time it is done.
    pub instructions: u64,
    /// Those of the baseline; none where it is not in there.
    pub baseline: Option<u64>,
    /// How far the runs differ, as a part of the count.
    pub spread: f64,
}

impl Compared {
    /// How much more it is than the baseline, as a part of that.
    pub fn change(&self) -> Option<f64> {
        Some(real(self.instructions) / real(self.baseline?) - 1.0)
    }

    /// Whether it is about what the baseline says.
    pub fn holds(&self) -> bool {
        self.baseline.is_some_and(|baseline| {
            self.instructions.abs_diff(baseline) * 100 <= baseline * TOLERANCE_PERCENT
        })
    }
}

/// Counts everything and compares; with `--write` it writes instead. True where all hold.
///
/// # Errors
/// Where valgrind is not there, a workload fails, or the baseline cannot be read or written.
pub async fn compare(args: &Args) -> anyhow::Result<(bool, String)> {
    let baseline = if args.write { Counts::default() } else { read(&args.baseline)? };
    let compiler = compiler().await?;
    let mut compared = Vec::new();
    for (workload, times) in Workload::ALL {
        let mut counts = Vec::new();
        for run in 1..=args.runs {
            eprintln!("{} ({run} of {})…", workload.name(), args.runs);
            counts.push(count(workload, times).await?);
        }
        compared.push(summed(workload, counts, &baseline));
    }
    if args.write {
        let counts = compared.iter().map(|one| (one.workload.clone(), one.instructions));
        let counts = Counts { compiler, instructions: counts.collect() };
        let written = serde_json::to_string_pretty(&counts)? + "\n";
        std::fs::write(&args.baseline, written)
            .with_context(|| format!("{} cannot be written", args.baseline.display()))?;
        return Ok((true, text(&compared, None)));
    }
    let other = (compiler != baseline.compiler).then_some(baseline.compiler.as_str());
    let gone: Vec<&String> = baseline
        .instructions
        .keys()
        .filter(|name| !compared.iter().any(|one| one.workload == **name))
        .collect();
    anyhow::ensure!(
        gone.is_empty(),
        "the baseline has {gone:?}, which no workload is any more; renew it with --write"
    );
    let holds = compared.iter().all(Compared::holds);
    let told = if args.json {
        serde_json::json!({ "holds": holds, "compiler": compiler, "counts": compared }).to_string()
            + "\n"
    } else {
        text(&compared, other)
    };
    Ok((holds, told))
}

fn read(path: &Path) -> anyhow::Result<Counts> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read; make it with --write", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no baseline; make it anew with --write", path.display()))
}

fn summed(workload: Workload, mut counts: Vec<u64>, baseline: &Counts) -> Compared {
    counts.sort_unstable();
    let middle = counts.get(counts.len() / 2).copied().unwrap_or_default();
    let ends = counts.first().zip(counts.last());
    let spread = ends.map_or(0.0, |(least, most)| real(most - least) / real(middle.max(1)));
    Compared {
        workload: workload.name().to_owned(),
        instructions: middle,
        baseline: baseline.instructions.get(workload.name()).copied(),
        spread,
    }
}

/// Instructions of one time of a workload.
async fn count(workload: Workload, times: u32) -> anyhow::Result<u64> {
    let once = counted(workload, 1).await?;
    let often = counted(workload, times).await?;
    anyhow::ensure!(often > once, "{} times take no more than once", workload.name());
    Ok((often - once) / u64::from(times - 1))
}

/// Instructions of a process that does it so often.
async fn counted(workload: Workload, times: u32) -> anyhow::Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["run", workload.name(), &times.to_string()])
        .kill_on_drop(true);
    let output = command.output().await.context("valgrind is needed; install it")?;
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{} failed: {told}", workload.name());
    refs(&told).with_context(|| format!("valgrind told no count: {told}"))
}

/// The number after `I refs:`, with commas.
fn refs(told: &str) -> Option<u64> {
    let line = told.lines().find(|line| line.contains("I ") && line.contains("refs:"))?;
    let number = line.rsplit_once(':')?.1.replace(',', "");
    number.trim().parse().ok()
}

async fn compiler() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("--version").output().await.context("rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The counts as a table, and what to do about those that do not hold.
fn text(compared: &[Compared], other_compiler: Option<&str>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, compared, other_compiler);
    out
}

fn write(out: &mut String, compared: &[Compared], other: Option<&str>) -> std::fmt::Result {
    writeln!(out, "| workload | instructions |   baseline | change | spread |")?;
    writeln!(out, "|----------|-------------:|-----------:|-------:|-------:|")?;
    for one in compared {
        let baseline = one.baseline.map_or("–".to_owned(), |baseline| baseline.to_string());
        let change = one.change().map_or("–".to_owned(), |c| format!("{:+.1} %", c * 100.0));
        writeln!(
            out,
            "| {:<8} | {:>12} | {baseline:>10} | {change:>6} | {:>4.1} % |",
            one.workload,
            one.instructions,
            one.spread * 100.0
        )?;
    }
    let beside: Vec<&Compared> =
        compared.iter().filter(|one| one.change().is_some() && !one.holds()).collect();
    for one in &beside {
        let change = one.change().unwrap_or_default() * 100.0;
        let what = if change > 0.0 { "more" } else { "fewer" };
        writeln!(out, "{} takes {:.1} % {what} instructions", one.workload, change.abs())?;
    }
    if !beside.is_empty() {
        writeln!(
            out,
            "find out why (valgrind --tool=callgrind); where it is meant, renew the baseline with \
             `scripts/bench instructions --write`"
        )?;
    }
    if let Some(compiler) = other {
        writeln!(out, "the baseline was made by {compiler}; another compiler gives other counts")?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of instructions")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_valgrind_tells_is_read() {
        assert_eq!(refs("==7== x\n==7== I   refs:      1,234,567\n"), Some(1_234_567));
        assert_eq!(refs("==7== I refs:        42\n"), Some(42));
        assert_eq!(refs("nothing"), None);
    }

    #[test]
    fn five_percent_either_way_hold() {
        let one = |instructions, baseline| Compared {
            workload: "check".into(),
            instructions,
            baseline,
            spread: 0.0,
        };
        for (instructions, holds) in [(950, true), (1_050, true), (949, false), (1_051, false)] {
            assert_eq!(one(instructions, Some(1_000)).holds(), holds, "{instructions}");
        }
        assert!(!one(1_000, None).holds());
        let told = text(&[one(1_100, Some(1_000)), one(1_000, Some(1_000))], Some("rustc 1"));
        assert!(told.contains("check takes 10.0 % more instructions\nfind out why"), "{told}");
        assert!(told.contains("made by rustc 1"), "{told}");
    }

    #[test]
    fn the_baseline_has_every_workload() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/INSTRUCTIONS.json");
        let baseline = read(Path::new(file)).unwrap();
        let names: Vec<&str> = Workload::ALL.iter().map(|(workload, _)| workload.name()).collect();
        assert_eq!(baseline.instructions.len(), names.len());
        assert!(names.iter().all(|name| baseline.instructions.contains_key(*name)), "{names:?}");
    }
}
