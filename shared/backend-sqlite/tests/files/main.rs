//! Whole files: those of every version, which a real server of that version made, and what becomes
//! of them when they are opened, copied, damaged and checked.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod copies;
mod damage;
mod versions;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backend_sqlite::{Options, Report, Sqlite, VERSION};
use ports_contract::Standing;
use runtime::stored::Written;
use rusqlite::Connection;
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A copy of the file of that version, in a directory of its own.
fn fixture(version: usize) -> (TempDir, PathBuf) {
    let packed = std::fs::read(fixtures().join(format!("v{version}.db.gz"))).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chatflow.db");
    std::fs::write(&path, bytes).unwrap();
    (directory, path)
}

/// The newest one, changed by hand.
fn damaged(sql: &str) -> (TempDir, PathBuf) {
    let (directory, path) = fixture(VERSION);
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(sql).unwrap();
    conn.close().unwrap();
    (directory, path)
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, Options::new(Arc::new(Standing))).unwrap()
}

fn verify(path: &Path) -> Report {
    backend_sqlite::verify(path, &Written, &|_, _| {}).unwrap()
}
