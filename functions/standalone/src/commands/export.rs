//! `chatflow export …`: tasks or messages as CSV or JSON Lines.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::Value;

use super::output::spinner;
use super::{Readers, new_file, with_query};
use crate::client::{Client, ServerArgs};

/// What is exported.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum What {
    /// Tasks as they are now.
    Tasks,
    /// Messages, both directions.
    Messages,
}

/// How it is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    /// A line of headings, then a line for each; nested values as JSON.
    Csv,
    /// One JSON object per line, as the API shows it.
    Jsonl,
}

/// What to export, and how.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Tasks or messages.
    pub what: What,
    /// CSV for spreadsheets, JSON Lines for programs.
    #[arg(long, default_value = "jsonl")]
    pub format: Format,
    /// Only created at or after this time: 2026-01-05T00:00:00Z.
    #[arg(long)]
    pub after: Option<String>,
    /// Only created before this time.
    #[arg(long)]
    pub before: Option<String>,
    /// Tasks of this flow only.
    #[arg(long)]
    pub flow: Option<String>,
    /// A new file; standard output where left out.
    #[arg(long, short)]
    pub output: Option<PathBuf>,
    /// Which server, and with which key.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Columns of CSV, each a path into the JSON.
const TASKS: &[&str] = &[
    "id",
    "flow",
    "version",
    "label",
    "status",
    "step",
    "waiting_for",
    "outcome",
    "error",
    "contact/id",
    "contact/name",
    "conversation",
    "connection",
    "parent",
    "vars",
    "created_at",
    "updated_at",
    "ended_at",
];
const MESSAGES: &[&str] = &[
    "id",
    "task",
    "conversation",
    "connection",
    "contact",
    "direction",
    "state",
    "sender/kind",
    "content/text",
    "rule",
    "in_reply_to",
    "external_id",
    "error",
    "created_at",
];

/// Writes everything, page by page.
pub async fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let (after, before) = (args.after.as_deref(), args.before.as_deref());
    let (path, page, columns, order) = match args.what {
        What::Tasks => ("/v1/tasks", "200", TASKS, ("sort", Some("created_asc"))),
        What::Messages => ("/v1/messages", "1000", MESSAGES, ("order", Some("oldest"))),
    };
    anyhow::ensure!(
        args.flow.is_none() || matches!(args.what, What::Tasks),
        "messages belong to no flow; leave --flow out, or export tasks"
    );
    let mut writer = Writer::open(args, columns)?;
    let bar = spinner();
    let mut cursor: Option<String> = None;
    loop {
        let asked = [
            ("limit", Some(page)),
            order,
            ("created_after", after),
            ("created_before", before),
            ("flow", args.flow.as_deref()),
            ("cursor", cursor.as_deref()),
        ];
        let found = client.get(&with_query(path, &asked)).await?;
        for item in found["items"].as_array().into_iter().flatten() {
            writer.write(item)?;
            bar.inc(1);
        }
        match found["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    bar.finish_and_clear();
    writer.end(args, bar.position())
}

/// Where rows go.
struct Writer {
    columns: &'static [&'static str],
    out: Out,
}

enum Out {
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    Lines(Box<dyn Write>),
}

impl Writer {
    fn open(args: &ExportArgs, columns: &'static [&'static str]) -> anyhow::Result<Self> {
        let to: Box<dyn Write> = match &args.output {
            None => Box::new(std::io::stdout().lock()),
            Some(path) => Box::new(std::io::BufWriter::new(new_file(path, Readers::Usual)?)),
        };
        let out = match args.format {
            Format::Jsonl => Out::Lines(to),
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(to);
                csv.write_record(columns.iter().map(|name| name.replace('/', "_")))?;
                Out::Csv(Box::new(csv))
            }
        };
        Ok(Self { columns, out })
    }

    fn write(&mut self, item: &Value) -> anyhow::Result<()> {
        match &mut self.out {
            Out::Lines(to) => writeln!(to, "{item}")?,
            Out::Csv(csv) => csv.write_record(self.columns.iter().map(|path| cell(item, path)))?,
        }
        Ok(())
    }

    fn end(self, args: &ExportArgs, rows: u64) -> anyhow::Result<()> {
        match self.out {
            Out::Lines(mut to) => to.flush()?,
            Out::Csv(mut csv) => csv.flush()?,
        }
        if let Some(path) = &args.output {
            super::output::line(&format!("{rows} row(s) in {}", path.display()));
        }
        Ok(())
    }
}

/// A cell: text as it is, nothing as nothing, the rest as JSON. What a spreadsheet would take for a
/// formula gets an apostrophe before it.
fn cell(item: &Value, path: &str) -> String {
    match item.pointer(&format!("/{path}")) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => {
            format!("'{text}")
        }
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_safe_in_spreadsheets() {
        let item = json!({ "a": { "b": "=1+1" }, "n": -1, "t": "plain", "none": null, "o": [1] });
        assert_eq!(cell(&item, "a/b"), "'=1+1");
        assert_eq!(cell(&item, "n"), "-1");
        assert_eq!(cell(&item, "t"), "plain");
        assert_eq!(cell(&item, "none"), "");
        assert_eq!(cell(&item, "missing"), "");
        assert_eq!(cell(&item, "o"), "[1]");
    }
}
