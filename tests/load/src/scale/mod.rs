//! `scripts/bench scale`: what large files cost. Files of a million tasks, millions of messages and
//! a million timers are made once; each measurement works on a copy.

mod files;
mod lists;
mod make;
pub mod report;
mod rest;
mod search;
mod timers;
mod turns;
mod watchers;
mod words;

use std::path::PathBuf;

use clap::Parser;
use serde::Serialize;

pub use files::Made;
pub use lists::Listed;
pub(crate) use make::{Commits, publish};
pub use rest::{Cold, Rest};
pub use search::Searched;
pub use timers::Timers;
pub use turns::Cost;
pub use watchers::Watched;

use crate::client::Client;
use crate::machine::Machine;
use crate::server::{Kind, Server};
use crate::sink::Sink;
use files::Content;

/// What large files cost.
#[derive(Debug, Clone, Parser)]
#[command(name = "scale", max_term_width = 100)]
pub struct Args {
    /// Tasks of the large file.
    #[arg(long, default_value_t = 1_000_000, value_parser = number(1_000, 10_000_000))]
    pub tasks: u32,
    /// Messages of the large file, in those tasks.
    #[arg(long, default_value_t = 5_000_000, value_parser = number(4_000, 50_000_000))]
    pub messages: u32,
    /// Timers that wait.
    #[arg(long, default_value_t = 1_000_000, value_parser = number(1_000, 10_000_000))]
    pub timers: u32,
    /// Timers that are due at once.
    #[arg(long, default_value_t = 10_000, value_parser = number(100, 100_000))]
    pub at_once: u32,
    /// Watchers of Server-Sent Events.
    #[arg(long, default_value_t = 1_000, value_parser = number(1, 1_900))]
    pub watchers: u32,
    /// Tasks of the small file, beside which a turn in the large one is measured.
    #[arg(long, default_value_t = 1_000, value_parser = number(100, 1_000_000))]
    pub few: u32,
    /// Tasks of the file that starts are measured on.
    #[arg(long, default_value_t = 100_000, value_parser = number(100, 10_000_000))]
    pub start_tasks: u32,
    /// Turns of each measurement of turns.
    #[arg(long, default_value_t = 10_000, value_parser = number(500, 1_000_000))]
    pub turns: u32,
    /// Questions of each kind.
    #[arg(long, default_value_t = 100, value_parser = number(20, 10_000))]
    pub questions: u32,
    /// Only these measurements.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub only: Vec<Part>,
    /// Where made files are kept.
    #[arg(long, overrides_with = "files")]
    pub files: PathBuf,
    /// Make the files anew.
    #[arg(long)]
    pub fresh: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

fn number(least: i64, most: i64) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(least..=most)
}

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// What a turn costs in the large file and in the small one.
    Turns,
    /// Cold starts.
    Starts,
    /// Timers at rest and when they are due.
    Timers,
    /// Search in messages and tasks.
    Search,
    /// Lists of tasks.
    Lists,
    /// Server-Sent Events.
    Watchers,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Scaled {
    /// `debug` or `release`: of this program, and so of the server beside it.
    pub build: &'static str,
    /// Where.
    pub machine: Machine,
    /// The files.
    pub files: Vec<Made>,
    /// Turns in the small file and in the large one.
    pub turns: Option<(Cost, Cost)>,
    /// Starts.
    pub starts: Option<Cold>,
    /// A server with nothing in it, and one whose timers wait.
    pub rest: Option<(Rest, Rest)>,
    /// Timers that came due.
    pub timers: Option<Timers>,
    /// Search, by kind of question.
    pub searches: Vec<Searched>,
    /// Lists, by filter.
    pub lists: Vec<Listed>,
    /// Watchers.
    pub watchers: Vec<Watched>,
}

/// What all measurements need.
struct Bench<'a> {
    args: &'a Args,
    sink: &'a Sink,
    client: &'a Client,
}

impl Bench<'_> {
    fn wants(&self, part: Part) -> bool {
        self.args.only.is_empty() || self.args.only.contains(&part)
    }

    /// The directory of a file, which is made where it is not there.
    async fn file(&self, content: &Content, made: &mut Vec<Made>) -> anyhow::Result<PathBuf> {
        let is_new = !made.iter().any(|made| made.name == content.name());
        let fresh = self.args.fresh && is_new;
        let (place, file) = files::made(&self.args.files, content, fresh).await?;
        if is_new {
            made.push(file);
        }
        Ok(place)
    }

    /// A server on a copy of a file.
    async fn server(&self, content: &Content, made: &mut Vec<Made>) -> anyhow::Result<On> {
        let place = self.file(content, made).await?;
        let copy = files::copied(&self.args.files, &place)?;
        let server = Server::start(Kind::Chatflow, copy.path(), self.sink).await?;
        server.prepare(self.client, self.sink).await?;
        Ok(On { server, copy })
    }
}

/// A server, and the file it works on.
struct On {
    server: Server,
    copy: tempfile::TempDir,
}

impl On {
    async fn stop(self) -> anyhow::Result<()> {
        self.server.stop().await?;
        Ok(self.copy.close()?)
    }
}

/// Measures.
///
/// # Errors
/// Where a file cannot be made, or a server does not do what it must.
pub async fn scale(args: &Args) -> anyhow::Result<Scaled> {
    anyhow::ensure!(
        args.messages / 4 >= args.tasks,
        "a task has four messages at least; ask for --messages {} or more",
        u64::from(args.tasks) * 4
    );
    let (sink, client) = (Sink::start().await?, Client::default());
    let scratch = tempfile::tempdir()?;
    let bench = Bench { args, sink: &sink, client: &client };
    let mut scaled = Scaled {
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
        machine: Machine::of(scratch.path())?,
        files: Vec::new(),
        turns: None,
        starts: None,
        rest: None,
        timers: None,
        searches: Vec::new(),
        lists: Vec::new(),
        watchers: Vec::new(),
    };
    let large = content(args.tasks, args.messages);
    if bench.wants(Part::Turns) {
        let small = content(args.few, args.few.saturating_mul(5));
        scaled.turns = Some(turns::measure(&bench, &small, &large, &mut scaled.files).await?);
    }
    if bench.wants(Part::Starts) {
        let file = content(args.start_tasks, args.start_tasks.saturating_mul(5));
        scaled.starts = Some(rest::starts(&bench, &file, &mut scaled.files).await?);
    }
    if bench.wants(Part::Timers) {
        let file = Content { all_wait: true, ..content(args.timers, args.timers * 4) };
        let (at_rest, fired) = timers::measure(&bench, &file, &mut scaled.files).await?;
        (scaled.rest, scaled.timers) = (Some(at_rest), Some(fired));
    }
    let asks = [Part::Search, Part::Lists, Part::Watchers];
    if asks.iter().any(|part| bench.wants(*part)) {
        let on = bench.server(&large, &mut scaled.files).await?;
        if bench.wants(Part::Search) {
            scaled.searches = search::measure(&bench, &on.server).await?;
        }
        if bench.wants(Part::Lists) {
            scaled.lists = lists::measure(&bench, &on.server).await?;
        }
        if bench.wants(Part::Watchers) {
            scaled.watchers = watchers::measure(&bench, &on.server).await?;
        }
        on.stop().await?;
    }
    Ok(scaled)
}

fn content(tasks: u32, messages: u32) -> Content {
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Content { tasks: number(tasks), messages: number(messages), all_wait: false }
}
