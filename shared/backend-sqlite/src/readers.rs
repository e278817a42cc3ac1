//! Read-only connections beside the writer. They see what was committed when they begin, and
//! never hold the writer up.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ports::{PortError, PortResult};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::error::{Outcome, unavailable};
use crate::open::{BUSY_TIMEOUT, READER_CACHE_KIB, STATEMENTS_MAX};

/// A pool of them.
#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    count: u32,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// A pool of `count` connections; they are opened when they are first needed.
    pub(crate) fn new(path: &Path, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX).clamp(1, 64);
        Self {
            path: path.to_owned(),
            permits: Arc::new(Semaphore::new(count as usize)),
            count,
            idle: Arc::default(),
        }
    }

    /// Runs `work` on a thread that may block, over one state of the file.
    pub(crate) async fn read<T, F>(&self, work: F) -> PortResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    {
        // The permit goes with the connection: who stops waiting does not make a further one.
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| unavailable())?;
        let idle = Arc::clone(&self.idle);
        let path = self.path.clone();
        let reading = tokio::task::spawn_blocking(move || -> Outcome<T> {
            let _permit = permit;
            let popped = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let conn = match popped {
                Some(conn) => conn,
                None => open(&path)?,
            };
            let ran = catch_unwind(AssertUnwindSafe(|| {
                let _snapshot = Snapshot::begin(&conn)?;
                work(&conn)
            }));
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            ran.unwrap_or_else(|panic| resume_unwind(panic))
        });
        match reading.await {
            Ok(outcome) => outcome.map_err(PortError::from),
            Err(_) => Err(PortError::backend("a reader gave up this request; report this")),
        }
    }

    /// Waits for those that read, and closes all connections.
    pub(crate) async fn close(&self) {
        let all = self.permits.acquire_many(self.count).await;
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        drop(all);
    }
}

/// One state of the file, until it is dropped. (The transactions of `rusqlite` parse their
/// statements each time.)
struct Snapshot<'a>(&'a Connection);

impl<'a> Snapshot<'a> {
    fn begin(conn: &'a Connection) -> Outcome<Self> {
        conn.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(conn))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // An error of the disk may have ended it.
        if self.0.is_autocommit() {
            return;
        }
        // Nothing was written; ending it cannot lose anything.
        let ended = self.0.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]));
        if let Err(error) = ended {
            tracing::error!(%error, "a reader could not end");
        }
    }
}

fn open(path: &Path) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(conn)
}
