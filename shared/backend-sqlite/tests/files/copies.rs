//! Copies: one state of a file that is written meanwhile, and nothing half done.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use backend_sqlite::{CopyError, VERSION, back_up, restore};
use ports::{Queries, TurnStore};
use ports_contract::Samples;
use rusqlite::Connection;

use crate::{damaged, fixture, open, verify};

fn silent(_: u64, _: u64) {}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn somewhere() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy.db");
    (directory, path)
}

#[test]
fn a_copy_is_complete_private_and_alone() {
    let (_directory, path) = fixture(VERSION);
    let (folder, copy) = somewhere();
    let told = AtomicU64::new(0);
    let pages = |done: u64, of: u64| {
        assert!(done <= of);
        told.store(of, Ordering::Relaxed);
    };
    let copied = back_up(&path, &copy, &pages).unwrap();
    assert_eq!((copied.version, copied.bytes), (VERSION, copy.metadata().unwrap().len()));
    assert_eq!(told.load(Ordering::Relaxed) * 4096, copied.bytes);
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["copy.db"]);
    let conn = Connection::open(&copy).unwrap();
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete", "it needs no log beside it");
    drop(conn);
    assert_eq!(verify(&copy).findings, []);

    let refused = back_up(&path, &copy, &silent).unwrap_err();
    assert!(matches!(&refused, CopyError::Exists { path, .. } if *path == copy), "{refused}");
    assert!(refused.to_string().ends_with("name a file that is not there yet"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_one_state_of_a_file_that_is_written_meanwhile() {
    let (_directory, path) = fixture(VERSION);
    let sqlite = open(&path);
    // More than is copied at once.
    let make = Samples::new(6);
    for _ in 0..20 {
        let mut commit = make.begin().commit;
        commit.tasks[0].task.vars.insert("pad".into(), "p".repeat(500_000).into());
        sqlite.commit(commit).await.unwrap();
    }
    let before = sqlite.task_counts().await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let writing = tokio::spawn({
        let (sqlite, stop, written) = (sqlite.clone(), stop.clone(), written.clone());
        async move {
            let make = Samples::new(7);
            while !stop.load(Ordering::Relaxed) {
                sqlite.commit(make.begin().commit).await.unwrap();
                written.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let (_folder, copy) = somewhere();
    let copying = {
        let (path, copy, written) = (path.clone(), copy.clone(), written.clone());
        // The writer goes on between the steps of the copy: each waits until it did.
        tokio::task::spawn_blocking(move || {
            let steps = AtomicU64::new(0);
            let step = |_, of| {
                // Begun anew it would need more of them, for ever.
                let nth = steps.fetch_add(1, Ordering::Relaxed) + 1;
                assert!(nth <= of / 1_024 + 1, "step {nth} of {of} pages");
                let seen = written.load(Ordering::Relaxed);
                while written.load(Ordering::Relaxed) == seen {
                    std::thread::yield_now();
                }
            };
            back_up(&path, &copy, &step).unwrap();
            assert!(steps.into_inner() > 2, "it is copied step by step");
            written.load(Ordering::Relaxed)
        })
    };
    let written_by_its_end = copying.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    assert!(written_by_its_end > 0);
    let count = |counts: Vec<(String, String, u64)>| -> u64 {
        counts.into_iter().map(|(_, _, tasks)| tasks).sum()
    };
    let now = count(sqlite.task_counts().await.unwrap());
    sqlite.close().await;
    let copied = open(&copy);
    let in_copy = count(copied.task_counts().await.unwrap());
    copied.close().await;
    assert!(count(before) <= in_copy && in_copy < now, "{in_copy} of {now}");
    // Every commit is in it as a whole or not at all: what samples lack are flows and landed
    // rows only.
    let report = verify(&copy);
    let kinds: Vec<&str> = report.counts.keys().map(|aspect| aspect.name()).collect();
    assert!(
        kinds.iter().all(|kind| ["reference", "history", "landing"].contains(kind)),
        "{report:?}"
    );
}

#[test]
fn what_is_no_whole_file_of_ours_is_not_copied() {
    let (_directory, newer) = damaged("PRAGMA user_version = 99");
    let (_directory, foreign) = damaged("PRAGMA application_id = 7");
    let (_directory, torn) = fixture(VERSION);
    tear(&torn);
    let (folder, text) = somewhere();
    std::fs::write(&text, "a text and no database, whatever its name says").unwrap();
    let missing = folder.path().join("missing.db");
    let fix = "name a file that `chatflow backup` made";
    for (from, part) in [
        (&newer, "has version 99, this program knows"),
        (&foreign, fix),
        (&text, fix),
        (&missing, fix),
        (&torn, "is damaged: "),
    ] {
        let to = tempfile::tempdir().unwrap();
        let refused = restore(from, &to.path().join("chatflow.db"), &silent).unwrap_err();
        assert!(refused.to_string().contains(part), "{refused}");
        let left = names(to.path());
        assert!(left.is_empty() || left == ["chatflow.db.lock"], "{refused}: {left:?}");
    }
}

/// Writes nonsense over the page that holds the first rows of messages.
pub(crate) fn tear(path: &Path) {
    let conn = Connection::open(path).unwrap();
    let root: u32 = conn
        .query_row("SELECT rootpage FROM sqlite_master WHERE name = 'messages'", [], |row| {
            row.get(0)
        })
        .unwrap();
    conn.close().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let root = root as usize;
    bytes[(root - 1) * 4096..root * 4096].fill(0xA5);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_backup_is_restored_where_nothing_is() {
    let (_directory, path) = fixture(1);
    let (_folder, backup) = somewhere();
    assert_eq!(back_up(&path, &backup, &silent).unwrap().version, 1);
    let to = tempfile::tempdir().unwrap();
    let data = to.path().join("chatflow.db");
    restore(&backup, &data, &silent).unwrap();
    let sqlite = open(&data);
    assert_eq!(
        sqlite.task_counts().await.unwrap().iter().map(|counted| counted.2).sum::<u64>(),
        14
    );
    // Neither over the file, nor over what its server has not yet written into it.
    let refused = restore(&backup, &data, &silent).unwrap_err();
    assert!(matches!(refused, CopyError::Locked(_)), "{refused}");
    sqlite.close().await;
    drop(sqlite);
    for left in ["chatflow.db", "chatflow.db-wal"] {
        let to = tempfile::tempdir().unwrap();
        std::fs::write(to.path().join(left), "").unwrap();
        let refused = restore(&backup, &to.path().join("chatflow.db"), &silent).unwrap_err();
        assert!(matches!(&refused, CopyError::Exists { .. }), "{refused}");
        assert_eq!(names(to.path()), [left, "chatflow.db.lock"]);
    }
}
