//! `scripts/bench scale`.

use std::process::ExitCode;

use clap::Parser;
use load::scale::{Args, report, scale};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match scale(&args).await {
        Ok(scaled) if args.json => {
            let targets = report::targets(&scaled);
            println!("{}", serde_json::json!({ "measured": scaled, "targets": targets }));
            ExitCode::SUCCESS
        }
        Ok(scaled) => {
            print!("{}", report::text(&scaled));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
