//! `scripts/bench local`.

use std::process::ExitCode;

use clap::Parser;
use load::measure::{Args, measure};
use load::report;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match measure(&args).await {
        Ok(measured) if args.json => {
            let targets = report::targets(&measured);
            println!("{}", serde_json::json!({ "measured": measured, "targets": targets }));
            ExitCode::SUCCESS
        }
        Ok(measured) => {
            print!("{}", report::text(&measured));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
