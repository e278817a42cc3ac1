//! `chatflow export …`: tasks or messages as CSV, JSON Lines or Parquet.

mod parquet;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::output::spinner;
use super::with_query;
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
    /// Typed columns, packed, for programs that analyse.
    Parquet,
}

/// What to export, and how.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Tasks or messages.
    pub what: What,
    /// CSV for spreadsheets, JSON Lines for programs, Parquet for analysis.
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
    /// A new file, there once it is complete; standard output where left out. Parquet needs one.
    #[arg(long, short)]
    pub output: Option<PathBuf>,
    /// Which server, and with which key.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A column of CSV and Parquet.
#[derive(Clone, Copy)]
struct Column {
    /// Where its value lies in the JSON of the API.
    path: &'static str,
    kind: Kind,
}

/// What the values of a column are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Time,
    /// Whatever it is, as JSON.
    Json,
}

impl Column {
    fn name(self) -> String {
        self.path.replace('/', "_")
    }

    fn value(self, item: &Value) -> Option<&Value> {
        self.path.split('/').try_fold(item, |value, name| value.get(name))
    }
}

const fn column(path: &'static str, kind: Kind) -> Column {
    Column { path, kind }
}

const TASKS: &[Column] = &[
    column("id", Kind::Text),
    column("flow", Kind::Text),
    column("version", Kind::Integer),
    column("label", Kind::Text),
    column("status", Kind::Text),
    column("step", Kind::Text),
    column("waiting_for", Kind::Text),
    column("outcome", Kind::Text),
    column("error", Kind::Text),
    column("contact/id", Kind::Text),
    column("contact/name", Kind::Text),
    column("conversation", Kind::Text),
    column("connection", Kind::Text),
    column("parent", Kind::Text),
    column("vars", Kind::Json),
    column("created_at", Kind::Time),
    column("updated_at", Kind::Time),
    column("ended_at", Kind::Time),
];
const MESSAGES: &[Column] = &[
    column("id", Kind::Text),
    column("task", Kind::Text),
    column("conversation", Kind::Text),
    column("connection", Kind::Text),
    column("contact", Kind::Text),
    column("direction", Kind::Text),
    column("state", Kind::Text),
    column("sender/kind", Kind::Text),
    column("content/text", Kind::Text),
    column("rule", Kind::Text),
    column("in_reply_to", Kind::Text),
    column("external_id", Kind::Text),
    column("error", Kind::Text),
    column("created_at", Kind::Time),
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
    columns: &'static [Column],
    out: Out,
}

enum Out {
    Csv(Box<csv::Writer<BufWriter<Place>>>),
    Lines(BufWriter<Place>),
    Parquet(Box<parquet::Writer<Place>>),
}

impl Writer {
    fn open(args: &ExportArgs, columns: &'static [Column]) -> anyhow::Result<Self> {
        let to = Place::open(args.output.as_deref())?;
        let out = match args.format {
            Format::Jsonl => Out::Lines(BufWriter::new(to)),
            Format::Csv => {
                let mut csv = csv::Writer::from_writer(BufWriter::new(to));
                csv.write_record(columns.iter().map(|column| column.name()))?;
                Out::Csv(Box::new(csv))
            }
            Format::Parquet => {
                anyhow::ensure!(
                    args.output.is_some(),
                    "Parquet is not for reading in a terminal; name a file with --output"
                );
                Out::Parquet(Box::new(parquet::Writer::new(to, columns)?))
            }
        };
        Ok(Self { columns, out })
    }

    fn write(&mut self, item: &Value) -> anyhow::Result<()> {
        match &mut self.out {
            Out::Lines(to) => writeln!(to, "{item}")?,
            Out::Csv(csv) => {
                csv.write_record(self.columns.iter().map(|column| cell(column.value(item))))?;
            }
            Out::Parquet(to) => to.write(item)?,
        }
        Ok(())
    }

    fn end(self, args: &ExportArgs, rows: u64) -> anyhow::Result<()> {
        let whole = |error: std::io::Error| anyhow::Error::new(error).context("the last rows");
        let place = match self.out {
            Out::Lines(to) => to.into_inner().map_err(|error| whole(error.into_error()))?,
            Out::Csv(csv) => {
                let to = csv.into_inner().map_err(|error| whole(error.into_error()))?;
                to.into_inner().map_err(|error| whole(error.into_error()))?
            }
            Out::Parquet(to) => to.end()?,
        };
        place.keep(args.output.as_deref())?;
        if let Some(path) = &args.output {
            super::output::line(&format!("{rows} row(s) in {}", path.display()));
        }
        Ok(())
    }
}

/// What is written to. A file has a name of its own until it is complete, so that nobody takes a
/// part for the whole; it is gone if the export ends early.
enum Place {
    Output(std::io::Stdout),
    File(NamedTempFile),
}

impl Place {
    fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Output(std::io::stdout())) };
        // Told before the work and not after it.
        anyhow::ensure!(!path.exists(), taken(path));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".chatflow-export-");
        // Whoever may read what this person makes.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder).with_context(|| {
            format!("no file can be made in {}; name another folder", folder.display())
        })?;
        Ok(Self::File(file))
    }

    /// Gives the file its name.
    fn keep(self, path: Option<&Path>) -> anyhow::Result<()> {
        match (self, path) {
            (Self::File(file), Some(path)) => {
                if let Err(error) = file.persist_noclobber(path) {
                    // The work is done: only its name is not to be had.
                    let (_, left) = error.file.keep().context(taken(path))?;
                    return Err(error.error).with_context(|| {
                        let (path, left) = (path.display(), left.display());
                        format!("{path} cannot be the name of it; the export is in {left}")
                    });
                }
            }
            (Self::File(_), None) => {}
            (Self::Output(mut output), _) => output.flush()?,
        }
        Ok(())
    }
}

fn taken(path: &Path) -> String {
    format!("{} cannot be made; name a file that is not there yet", path.display())
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Output(output) => output.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Output(output) => output.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// A cell: text as it is, nothing as nothing, the rest as JSON. What a spreadsheet would take for a
/// formula gets an apostrophe before it.
fn cell(value: Option<&Value>) -> String {
    match value {
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
        let cell = |path| cell(column(path, Kind::Text).value(&item));
        assert_eq!(cell("a/b"), "'=1+1");
        assert_eq!(cell("n"), "-1");
        assert_eq!(cell("t"), "plain");
        assert_eq!(cell("none"), "");
        assert_eq!(cell("missing"), "");
        assert_eq!(cell("o"), "[1]");
    }
}
