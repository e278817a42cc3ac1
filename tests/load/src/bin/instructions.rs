//! `scripts/bench instructions`.

use std::process::ExitCode;

use clap::Parser;
use load::instructions::{Args, Only, compare};

// One thread beside the store's own: what is counted does not depend on who runs where.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.command {
        Some(Only::Run { workload, times }) => workload.run(*times).await.map(|()| true),
        None => compare(&args).await.map(|(holds, told)| {
            print!("{told}");
            holds
        }),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
