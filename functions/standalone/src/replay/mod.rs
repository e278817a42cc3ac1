//! `chatflow replay`: plays the users of recorded dialogues, and checks what became of it.

mod dialogues;
mod play;
mod report;

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::client::{Client, ServerArgs};

/// What to replay, and how.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// Messages, one JSON object per line, in time order; `.zst` is unpacked.
    pub file: PathBuf,
    /// Which server, and with which key.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The connection whose webhook gets the messages.
    #[arg(long, default_value = "demo")]
    pub connection: String,
    /// Keep the gaps of the recording, this many times faster; as fast as possible where left out.
    #[arg(long, value_parser = positive)]
    pub speed: Option<f64>,
    /// Messages on their way at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// A name for this run, part of every message's id; a random one where left out.
    #[arg(long)]
    pub run: Option<String>,
    /// Print the report as one JSON object.
    #[arg(long)]
    pub json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed.is_finite() => Ok(speed),
        _ => Err("a speed is a number above 0, such as 1 or 60".into()),
    }
}

/// Replays and reports; false where a check fails.
pub async fn run(args: &ReplayArgs) -> anyhow::Result<bool> {
    let messages = dialogues::read(&args.file)
        .with_context(|| format!("{} cannot be replayed", args.file.display()))?;
    let client = Client::new(&args.server)?;
    client.get("/v1/reports/overview").await?;
    let name = args.run.clone().unwrap_or_else(|| runtime::ids::random().chars().take(8).collect());
    let bar = progress(messages.len() as u64, args.json);
    let before = report::before(&client, args, &name).await?;
    let played = play::play(&client, args, &name, &messages, &bar).await?;
    bar.set_message("waiting for the server to finish");
    play::settle(&client).await?;
    bar.finish_and_clear();
    let report = report::make(&client, args, &name, &messages, played, &before).await?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        report.print();
    }
    Ok(report.problems.is_empty())
}

fn progress(length: u64, quiet: bool) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if quiet || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {pos}/{len} messages, {per_sec}, {eta} left {msg}")
    {
        bar.set_style(style);
    }
    bar
}
