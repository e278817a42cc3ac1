//! Opening, locking and closing the file.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ports::Clock;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::migrate;
use crate::news::News;
use crate::queue;
use crate::readers::Readers;
use crate::recent::Recent;
use crate::writer::Writer;

/// How long a connection waits for another program that has the file open.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Most prepared statements kept per connection.
pub(crate) const STATEMENTS_MAX: usize = 256;
/// Pages kept in memory per reader, in KiB.
pub(crate) const READER_CACHE_KIB: i64 = 4 * 1024;
/// Pages kept in memory for the writer, in KiB. As long as the file is smaller than
/// [`LARGE_BYTES`], SQLite walks all of them at every commit in which a page got another number,
/// which more of them would make slow; what is not here is in the cache of the system.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// The same where the file was large when it was opened: more of it is worth having at hand.
const WRITER_CACHE_LARGE_KIB: i64 = 64 * 1024;
/// A page gets the number of SQLite's lock page, which is here, while two of them change places.
const LARGE_BYTES: i64 = 1024 * 1024 * 1024;
/// The log is cut to this size once its pages are in the file.
const LOG_BYTES_MAX: i64 = 128 * 1024 * 1024;
/// Pages in the log before they go to the file: about 32 MiB. A full group writes a few hundred,
/// and what is written again before it goes to the file goes there once; but the commit that
/// finds the log so long waits until it is emptied.
const CHECKPOINT_PAGES: i64 = 8_000;

/// What becomes of a commit's outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeliveryMode {
    /// The commit publishes it: nothing is left to do for the caller.
    #[default]
    Transactional,
    /// It is held until the caller publishes it and says so, as in the cloud.
    Published,
}

/// How a file is opened.
#[derive(Clone)]
pub struct Options {
    /// Most questions answered at the same time (1 to 64).
    pub readers: usize,
    /// What becomes of a commit's outbox.
    pub delivery: DeliveryMode,
    /// Tells when envelopes are published.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// Four readers, transactional delivery.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { readers: 4, delivery: DeliveryMode::default(), clock }
    }
}

/// Why a file cannot be opened. The errors below are sources, and no part of the text.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another program has it.
    #[error("another Chatflow server uses {}; stop it or choose another data directory",
        path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error(
        "the data file has version {found}, this program knows {known}; \
        run the newer program that wrote it"
    )]
    Newer {
        /// The version of the file.
        found: usize,
        /// The newest version this program knows.
        known: usize,
    },
    /// It is not ours.
    #[error("the file holds data of another program; choose another data directory")]
    Foreign,
    /// It cannot be made, read or guarded.
    #[error("{} cannot be opened; let this program write there, or choose another data directory",
        path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite says no.
    #[error("the data file cannot be used{}", advice(source))]
    Sqlite {
        /// Why.
        #[from]
        source: rusqlite::Error,
    },
}

/// What to do about an error of SQLite.
fn advice(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; free space on its disk",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "; let this program write there, or choose another data directory"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "; put a copy of the data in its place, or choose another data directory"
        }
        _ => "",
    }
}

/// Holds the lock file; dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "kept open: closing it unlocks")] File);

/// All ports on one file. Clones share it.
///
/// Dropping the last clone waits for writes that were asked for; [`Sqlite::close`] does so
/// without blocking a thread, and empties the log.
#[derive(Clone)]
pub struct Sqlite {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqlite").field("delivery", &self.inner.delivery).finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    // Fields are dropped in this order: the writer first, the directory last.
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) news: Arc<News>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) delivery: DeliveryMode,
    pub(crate) clock: Arc<dyn Clock>,
    _directory: Option<tempfile::TempDir>,
}

impl Sqlite {
    /// Opens the file, which is made (mode 0600) where there is none, and migrated. A lock file
    /// beside it, `NAME.lock`, keeps a second server out.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        // First the lock: opening and closing the data file would take the locks away that
        // another server in this process has on it.
        let lock = lock(path)?;
        create(path)?;
        Self::start(path, options, Some(lock), None)
    }

    /// A file of its own that goes when the last clone does. Nothing waits for the disk.
    ///
    /// SQLite's own `:memory:` would not do: its readers wait for the writer.
    pub fn in_memory(options: Options) -> Result<Self, OpenError> {
        let directory =
            tempfile::Builder::new().prefix("chatflow-").tempdir().map_err(|source| {
                OpenError::Io { path: "the directory of temporary files".into(), source }
            })?;
        let path = directory.path().join("chatflow.db");
        create(&path)?;
        Self::start(&path, options, None, Some(directory))
    }

    fn start(
        path: &Path,
        options: Options,
        lock: Option<Lock>,
        directory: Option<tempfile::TempDir>,
    ) -> Result<Self, OpenError> {
        let synchronous = if directory.is_some() { "OFF" } else { "FULL" };
        let mut conn = connect(path, synchronous)?;
        migrate::migrate(&mut conn)?;
        let news = Arc::new(News::default());
        news.count(queue::count(&conn)?);
        let recent = Arc::new(Recent::default());
        let writer = Writer::start(conn, Arc::clone(&news), Arc::clone(&recent), lock)
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        let inner = Inner {
            writer,
            readers: Readers::new(path, options.readers),
            news,
            recent,
            delivery: options.delivery,
            clock: options.clock,
            _directory: directory,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Finishes what was asked for, empties the log and closes the file. Later requests, by any
    /// clone, are answered `Unavailable`. Closing twice is closing once.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
        self.inner.recent.clear();
        self.inner.news.clear();
    }
}

fn connect(path: &Path, synchronous: &str) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", synchronous)?;
    let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let page_bytes: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let is_large = pages.saturating_mul(page_bytes) > LARGE_BYTES;
    let cache = if is_large { WRITER_CACHE_LARGE_KIB } else { WRITER_CACHE_KIB };
    conn.pragma_update(None, "cache_size", -cache)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // There are none: rows refer to each other across the order in which they are written.
    conn.pragma_update(None, "foreign_keys", false)?;
    Ok(conn)
}

/// Makes the file, readable by its owner only; SQLite gives its log the same mode.
fn create(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    let file = private().open(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    }
    drop(file);
    Ok(())
}

/// Takes the lock of a data file.
pub(crate) fn lock(path: &Path) -> Result<Lock, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let failed = |source| OpenError::Io { path: lock_path.clone(), source };
    let file = private().open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}
