//! `scripts/bench local` and `scripts/bench overload`.

use std::process::ExitCode;

use clap::Parser;
use load::{measure, overload, report};
use serde::Serialize;

#[derive(Debug, Parser)]
#[command(name = "load", max_term_width = 100)]
enum Command {
    /// How fast the local server is, beside the least that does the same work.
    Local(measure::Args),
    /// What the local server does when more comes than it can handle.
    Overload(overload::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Local(args) => measure::measure(&args).await.map(|measured| {
            tell(args.json, &measured, &report::targets(&measured), || report::text(&measured));
        }),
        Command::Overload(args) => overload::measure(&args).await.map(|measured| {
            let targets = overload::report::targets(&measured);
            tell(args.json, &measured, &targets, || overload::report::text(&measured));
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn tell<M: Serialize>(
    json: bool,
    measured: &M,
    targets: &[report::Target],
    text: impl FnOnce() -> String,
) {
    if json {
        println!("{}", serde_json::json!({ "measured": measured, "targets": targets }));
    } else {
        print!("{}", text());
    }
}
