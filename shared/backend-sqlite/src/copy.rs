//! Copies of a file, complete in themselves: backups, and what is restored from them.
//!
//! Pages are copied by SQLite's backup within one read transaction: it sees one state of the
//! file whatever the server writes meanwhile, and is never begun anew because of it. `VACUUM
//! INTO` would do so too, but makes every table and index again: it takes several times as long,
//! tells nothing of how far it is, and what it copies is no longer the file that was there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::migrate;
use crate::open::{BUSY_TIMEOUT, OpenError, lock};

/// Pages copied between two words on how far it is: 4 MiB.
const PAGES_AT_ONCE: i32 = 1_024;
/// How often a busy file is tried again, and how long between.
const BUSY_MAX: usize = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// What SQLite may keep beside a file; a stranger's log would be taken for the file's own.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is nothing to copy.
    #[error("there is no file {}; {fix}", path.display())]
    Missing {
        /// What was looked for.
        path: PathBuf,
        /// What to do.
        fix: &'static str,
    },
    /// Nothing is written over.
    #[error("{} is there already; {fix}", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
        /// What to do.
        fix: &'static str,
    },
    /// It is not ours.
    #[error("{} holds no data of Chatflow; {fix}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What to do.
        fix: &'static str,
    },
    /// The file cannot be used.
    #[error("{} cannot be copied: {why}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Why.
        why: OpenError,
    },
    /// Another server uses where it would go.
    #[error(transparent)]
    Locked(OpenError),
    /// The pages of the copy do not hold together.
    #[error(
        "{} is damaged: {reason}; nothing was written. Look at its disk, and use another backup",
        path.display()
    )]
    Damaged {
        /// The file that was copied.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// The copy cannot be written.
    #[error("the copy {} cannot be written: {reason}; nothing of it was kept", path.display())]
    Write {
        /// The copy.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The size of the copy.
    pub bytes: u64,
    /// The version of the file.
    pub version: usize,
}

/// Is told how many pages of how many were copied.
pub type Pages<'a> = &'a dyn Fn(u64, u64);

/// Copies the data file of a server, which may be running, into a new file: one state of it,
/// readable by its owner only, checked before it has its name.
pub fn back_up(from: &Path, to: &Path, pages: Pages<'_>) -> Result<Copied, CopyError> {
    let fixes = Fixes {
        source: "name the server's data directory with --data",
        exists: "name a file that is not there yet",
    };
    copy(from, to, fixes, pages)
}

/// Makes the data file of a server from a backup, where there is none. The next server that opens
/// it brings it to its own version.
pub fn restore(from: &Path, to: &Path, pages: Pages<'_>) -> Result<Copied, CopyError> {
    let fixes = Fixes {
        source: "name a file that `chatflow backup` made",
        exists: "restore into another data directory, or move its files away first",
    };
    // First what costs nothing and leaves nothing behind.
    drop(Source::open(from, fixes)?);
    std::fs::create_dir_all(folder_of(to)).map_err(|error| failed(to, &error))?;
    let _lock = lock(to).map_err(CopyError::Locked)?;
    copy(from, to, fixes, pages)
}

/// What to do where the source cannot be used, and where something is in the way.
#[derive(Clone, Copy)]
struct Fixes {
    source: &'static str,
    exists: &'static str,
}

fn copy(from: &Path, to: &Path, fixes: Fixes, pages: Pages<'_>) -> Result<Copied, CopyError> {
    let Fixes { exists, .. } = fixes;
    let Source { conn, version } = Source::open(from, fixes)?;
    let taken = std::iter::once(to.to_owned()).chain(COMPANIONS.map(|ending| beside(to, ending)));
    if let Some(path) = taken.into_iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(CopyError::Exists { path, fix: exists });
    }
    let failed = |error: &dyn std::fmt::Display| failed(to, error);
    let folder = folder_of(to);
    // Its mode is 0600, and it goes with this function unless it gets its name.
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let partial = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".partial")
        .tempfile_in(folder)
        .map_err(|error| failed(&error))?;
    fill(&conn, partial.path(), pages).map_err(|error| failed(&error))?;
    drop(conn);
    match check(partial.path()) {
        Ok(None) => {}
        Ok(Some(reason)) => return Err(CopyError::Damaged { path: from.to_owned(), reason }),
        Err(error) => return Err(failed(&error)),
    }
    partial.as_file().sync_all().map_err(|error| failed(&error))?;
    let bytes = partial.as_file().metadata().map_err(|error| failed(&error))?.len();
    partial.persist_noclobber(to).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => CopyError::Exists { path: to.to_owned(), fix: exists },
        _ => failed(&error.error),
    })?;
    // It is there and whole; only a power cut in the next seconds could take its name.
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::warn!(%error, "the folder of the copy could not be synced");
    }
    Ok(Copied { bytes, version })
}

/// A file of ours, in a read transaction of its connection: it stands still.
struct Source {
    conn: Connection,
    version: usize,
}

impl Source {
    fn open(path: &Path, Fixes { source: fix, .. }: Fixes) -> Result<Self, CopyError> {
        if !path.exists() {
            return Err(CopyError::Missing { path: path.to_owned(), fix });
        }
        let opened = read_only(path).and_then(|conn| {
            conn.execute_batch("BEGIN")?;
            Ok((migrate::version(&conn)?, conn))
        });
        let path = path.to_owned();
        match opened {
            Ok((version, conn)) => Ok(Self { conn, version }),
            Err(OpenError::Foreign) => Err(CopyError::Foreign { path, fix }),
            Err(OpenError::Sqlite { source }) if is_damage(&source) => {
                Err(CopyError::Damaged { path, reason: source.to_string() })
            }
            Err(why) => Err(CopyError::Source { path, why }),
        }
    }
}

fn failed(to: &Path, error: &dyn std::fmt::Display) -> CopyError {
    CopyError::Write { path: to.to_owned(), reason: error.to_string() }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A connection that cannot change the file.
pub(crate) fn read_only(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    Ok(conn)
}

/// Copies every page. The source is within a read transaction: it stands still.
fn fill(source: &Connection, to: &Path, pages: Pages<'_>) -> rusqlite::Result<()> {
    let mut copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Until it has its name nobody minds what a crash leaves of it; it is synced before.
    copy.pragma_update(None, "synchronous", "OFF")?;
    {
        let backup = Backup::new(source, &mut copy)?;
        let mut busy = 0;
        loop {
            let step = backup.step(PAGES_AT_ONCE)?;
            let progress = backup.progress();
            let of = u64::try_from(progress.pagecount).unwrap_or_default();
            let left = u64::try_from(progress.remaining).unwrap_or_default();
            pages(of.saturating_sub(left), of);
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ if busy < BUSY_MAX => {
                    busy += 1;
                    pause();
                }
                _ => return Err(busy_for_too_long()),
            }
        }
    }
    // Without a log of its own: the file is all there is of it.
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error)
}

#[expect(clippy::disallowed_methods, reason = "nothing tells when another program lets go")]
fn pause() {
    std::thread::sleep(BUSY_PAUSE);
}

fn busy_for_too_long() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    rusqlite::Error::SqliteFailure(code, Some("another program keeps the file locked".to_owned()))
}

/// What is wrong with the pages of a copy.
fn check(path: &Path) -> Result<Option<String>, OpenError> {
    let conn = read_only(path)?;
    migrate::version(&conn)?;
    let said: String = match conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)) {
        Ok(said) => said,
        Err(error) if is_damage(&error) => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    Ok((said != "ok").then(|| said.replace('\n', " ")))
}

/// Whether an error says that the file is damaged.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}
