//! `verify`: whether what is stored is as it must be.
//!
//! | module | looks at |
//! |---|---|
//! | `file` | the pages, the tables and their indexes |
//! | `settings` | flows, connections, keys, queues, failures, kept answers |
//! | `envelopes` | the queue and the outbox |
//! | `tasks` | tasks, their history, what they wait for |
//! | `conversations` | who has which tasks open |
//! | `messages` | messages and the states they went through |
//! | `words` | the indexes of search |
//! | `warehouse` | landed tables, their views, what has not landed |
//!
//! Everything is read in one read transaction, row by row: a server that runs goes on, and memory
//! does not grow with the file. What is written is checked with the functions that write it.

mod conversations;
mod envelopes;
mod file;
mod findings;
mod messages;
mod settings;
mod tasks;
mod warehouse;
mod words;

use std::path::Path;

use ports::Stored;
use rusqlite::{Connection, OptionalExtension as _, Params, Row};
use serde::de::DeserializeOwned;

use crate::columns::Column;
use crate::copy::{is_damage, read_only};
use crate::error::{Fault, Outcome, from_text};
use crate::migrate;
use crate::open::OpenError;
pub use findings::{Aspect, FINDINGS_MAX, Finding, Report};

/// Rows between two words on how far it is.
const TOLD_EVERY: u64 = 10_000;

/// Why a file could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not there.
    #[error("there is no file {}; name a data directory with --data, or a backup", .0.display())]
    Missing(std::path::PathBuf),
    /// It is not ours.
    #[error("{} holds no data of Chatflow; name a data directory with --data, or a backup",
        .0.display())]
    Foreign(std::path::PathBuf),
    /// It cannot be opened.
    #[error("{} cannot be checked: {why}", path.display())]
    Open {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        why: OpenError,
    },
    /// It could be opened, and then not be read to its end.
    #[error("{} could not be read to its end: {why}", path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        why: ports::PortError,
    },
}

/// Is told which part is looked at, and how many of its rows were.
pub type Told<'a> = &'a dyn Fn(&'static str, u64);

/// Checks a data file, which a server may have open, or a backup.
pub fn verify(path: &Path, stored: &dyn Stored, told: Told<'_>) -> Result<Report, VerifyError> {
    if !path.exists() {
        return Err(VerifyError::Missing(path.to_owned()));
    }
    let failed = |why: OpenError| match why {
        OpenError::Foreign => VerifyError::Foreign(path.to_owned()),
        why => VerifyError::Open { path: path.to_owned(), why },
    };
    let conn = read_only(path).map_err(failed)?;
    let snapshot = conn.unchecked_transaction().map_err(|error| failed(error.into()))?;
    let version = match migrate::version(&conn) {
        Err(OpenError::Sqlite { source }) if is_damage(&source) => {
            let mut report = Report::new(0);
            report.add(Aspect::File, "pages".to_owned(), source.to_string());
            return Ok(report);
        }
        version => version.map_err(failed)?,
    };
    conn.execute_batch(warehouse::PENDING).map_err(|error| failed(error.into()))?;
    let mut look = Look { conn: &conn, stored, told, report: Report::new(version) };
    for (part, check) in PARTS {
        look.part(part, *check)
            .map_err(|fault| VerifyError::Read { path: path.to_owned(), why: fault.0 })?;
    }
    let report = look.report;
    drop(snapshot);
    Ok(report)
}

type Check = fn(&mut Look<'_>) -> Outcome<u64>;

/// In an order in which each finds what it needs: landing looks at what envelopes carry.
const PARTS: &[(&str, Check)] = &[
    ("pages", file::pages),
    ("tables", file::tables),
    ("flows", settings::flows),
    ("settings", settings::settings),
    ("failures", settings::failures),
    ("envelopes", envelopes::envelopes),
    ("tasks", tasks::tasks),
    ("history", tasks::strays),
    ("conversations", conversations::conversations),
    ("messages", messages::messages),
    ("words of messages", words::of_messages),
    ("words of tasks", words::of_tasks),
    ("labels of tasks", words::of_labels),
    ("landed rows", warehouse::landed_rows),
];

/// One look at a file.
struct Look<'a> {
    conn: &'a Connection,
    stored: &'a dyn Stored,
    told: Told<'a>,
    report: Report,
}

impl Look<'_> {
    /// Runs one part. A part that cannot be read because the file is damaged is a finding, and
    /// the others go on.
    fn part(&mut self, part: &'static str, check: Check) -> Outcome<()> {
        (self.told)(part, 0);
        match check(self) {
            Ok(rows) => self.report.checked.push((part, rows)),
            Err(fault) => {
                let Some(error) = unreadable(&fault) else { return Err(fault) };
                self.found(Aspect::File, part, format!("cannot be read to its end: {error}"));
            }
        }
        Ok(())
    }

    fn found(&mut self, aspect: Aspect, place: impl Into<String>, problem: impl Into<String>) {
        self.report.add(aspect, place.into(), problem.into());
    }

    /// Counts a row, and now and then tells how many there were.
    fn count(&self, part: &'static str, rows: &mut u64) {
        *rows += 1;
        if rows.is_multiple_of(TOLD_EVERY) {
            (self.told)(part, *rows);
        }
    }

    /// A stored document, or a finding.
    fn document<T: DeserializeOwned>(
        &mut self,
        what: &str,
        place: &str,
        row: &Row<'_>,
        at: usize,
    ) -> Outcome<Option<T>> {
        let text = row.get_ref(at)?.as_str().map_err(rusqlite::Error::from)?;
        match from_text(what, text) {
            Ok(document) => Ok(Some(document)),
            Err(fault) => {
                self.found(Aspect::Document, place, reason(&fault));
                Ok(None)
            }
        }
    }

    /// Compares the columns of a row, from `at` on, with what its document says.
    fn columns(
        &mut self,
        place: &str,
        row: &Row<'_>,
        at: usize,
        expected: &[Column<'_>],
    ) -> Outcome<()> {
        for (index, (name, value)) in expected.iter().enumerate() {
            if row.get_ref(at + index)? != *value {
                self.found(
                    Aspect::Column,
                    place,
                    format!("its column `{name}` is not what its document says"),
                );
            }
        }
        Ok(())
    }

    fn exists(&self, sql: &str, params: impl Params) -> Outcome<bool> {
        Ok(self.conn.prepare_cached(sql)?.exists(params)?)
    }

    /// A finding for every row of `sql`, whose columns are one place and one problem.
    fn strays(&mut self, aspect: Aspect, sql: &str) -> Outcome<u64> {
        let mut statement = self.conn.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            self.found(aspect, row.get::<_, String>(0)?, row.get::<_, String>(1)?);
        }
        Ok(count)
    }

    /// Whether one of these envelopes is on its way, or was given up and kept as a failure.
    fn is_on_its_way(&self, any_of: &[String]) -> Outcome<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM queue WHERE id = ?1) \
                   OR EXISTS (SELECT 1 FROM outbox WHERE id = ?1) \
                   OR EXISTS (SELECT 1 FROM queue \
                              WHERE id > 'dead/' || ?1 || '/' AND id < 'dead/' || ?1 || '0') \
                   OR EXISTS (SELECT 1 FROM failures WHERE id = 'fail_' || ?1)";
        let mut statement = self.conn.prepare_cached(sql)?;
        for id in any_of {
            if statement.query_row([id], |row| row.get(0))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The document of one key.
    fn one<T: DeserializeOwned>(&self, sql: &str, key: &str) -> Outcome<Option<T>> {
        let text: Option<String> =
            self.conn.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?;
        // One that does not parse is found where its own table is looked at.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

/// Why something does not read back.
fn reason(fault: &Fault) -> String {
    match &fault.0 {
        ports::PortError::Backend { source } => source.to_string(),
        other => other.to_string(),
    }
}

/// What SQLite says where a part of the file cannot be read, or is not there.
fn unreadable(fault: &Fault) -> Option<String> {
    let ports::PortError::Backend { source } = &fault.0 else { return None };
    let error = source.downcast_ref::<rusqlite::Error>()?;
    let is_missing = error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown);
    let is_other_type = matches!(
        error,
        rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..)
    );
    (is_damage(error) || is_missing || is_other_type).then(|| error.to_string())
}
