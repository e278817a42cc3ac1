//! `chatflow backup`, `restore`, `verify`: the data file of a local server.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use bootstrap::local::{self, Aspect, Copied, CopyError, Report};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::output::{line, spinner, table, value};

/// Where a backup is made of, and what it is called.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// A new file.
    pub file: PathBuf,
    /// The server's data directory.
    #[arg(long, env = "CHATFLOW_DATA", default_value = "data")]
    pub data: PathBuf,
    /// Print JSON: `{"file": …, "bytes": …, "version": …}`.
    #[arg(long)]
    pub json: bool,
}

/// Which backup is restored, and where.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The backup.
    pub file: PathBuf,
    /// The data directory; made where it is not there.
    #[arg(long, env = "CHATFLOW_DATA", default_value = "data")]
    pub data: PathBuf,
    /// Print JSON: `{"data": …, "bytes": …, "version": …}`.
    #[arg(long)]
    pub json: bool,
}

/// What is checked.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// A backup; the data file of the server where left out.
    pub file: Option<PathBuf>,
    /// The server's data directory.
    #[arg(long, env = "CHATFLOW_DATA", default_value = "data")]
    pub data: PathBuf,
    /// Print JSON: `{"ok": …, "version": …, "checked": […], "findings": […], "counts": {…}}`.
    #[arg(long)]
    pub json: bool,
}

/// Makes a backup.
pub fn back_up(args: &BackupArgs) -> anyhow::Result<()> {
    let Copied { bytes, version } =
        with_bar(|pages| local::back_up(&args.data, &args.file, pages))?;
    if args.json {
        value(&json!({ "file": args.file, "bytes": bytes, "version": version }));
    } else {
        let file = args.file.display();
        line(&format!("{file} holds everything ({bytes} bytes); keep it where only you can read"));
    }
    Ok(())
}

/// Restores one.
pub fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let Copied { bytes, version } =
        with_bar(|pages| local::restore(&args.file, &args.data, pages))?;
    if args.json {
        value(&json!({ "data": args.data, "bytes": bytes, "version": version }));
    } else {
        let data = args.data.display();
        line(&format!("restored {bytes} bytes; start it by `chatflow serve --data {data}`"));
    }
    Ok(())
}

/// Checks a file; false where something is wrong.
pub fn verify(args: &VerifyArgs) -> anyhow::Result<bool> {
    let file = args.file.clone().unwrap_or_else(|| local::data_file(&args.data));
    let spinner = spinner();
    let told = |part: &'static str, rows: u64| {
        spinner.set_message(format!("{part}: {rows}"));
        spinner.tick();
    };
    let report = local::verify(&file, &told)?;
    spinner.finish_and_clear();
    let is_well = report.total() == 0;
    if args.json {
        value(&as_json(&report));
    } else {
        tell(&file, &report);
    }
    Ok(is_well)
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template("{wide_bar} {percent}% {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Copies, and tells on a terminal how far it is.
fn with_bar(
    copy: impl FnOnce(&dyn Fn(u64, u64)) -> Result<Copied, CopyError>,
) -> anyhow::Result<Copied> {
    let bar = bar();
    let copied = copy(&|done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    Ok(copied)
}

fn as_json(report: &Report) -> Value {
    let checked: Vec<Value> =
        report.checked.iter().map(|(part, rows)| json!({ "part": part, "rows": rows })).collect();
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "kind": finding.aspect.name(), "place": finding.place,
                "problem": finding.problem, "fix": finding.aspect.fix(),
            })
        })
        .collect();
    let counts: serde_json::Map<String, Value> =
        report.counts.iter().map(|(aspect, count)| (aspect.name().into(), json!(count))).collect();
    json!({
        "ok": report.total() == 0, "version": report.version, "checked": checked,
        "findings": findings, "counts": counts,
    })
}

fn tell(file: &Path, report: &Report) {
    let parts = report.checked.iter();
    let rows = parts.map(|(part, rows)| vec![(*part).to_owned(), rows.to_string()]).collect();
    line(&table(&["CHECKED", "ROWS"], rows));
    let (file, version) = (file.display(), report.version);
    if report.total() == 0 {
        line(&format!("\n{file} (version {version}) is as it must be."));
        return;
    }
    let findings = report.findings.iter();
    let rows = findings
        .map(|found| {
            vec![found.aspect.name().to_owned(), found.place.clone(), found.problem.clone()]
        })
        .collect();
    line(&format!("\n{}", table(&["KIND", "WHERE", "WHAT IS WRONG"], rows)));
    line("");
    for (aspect, count) in &report.counts {
        line(&format!("{}{}: {}", aspect.name(), more(*aspect, *count, report), aspect.fix()));
    }
    line(&format!("{file} (version {version}): {} finding(s).", report.total()));
}

/// How many findings of a kind are not shown.
fn more(aspect: Aspect, count: u64, report: &Report) -> String {
    let shown = report.findings.iter().filter(|finding| finding.aspect == aspect).count() as u64;
    match count.saturating_sub(shown) {
        0 => String::new(),
        more => format!(" ({more} more)"),
    }
}
