//! The one thread that writes. Requests that wait at the same time share one transaction, and
//! so one sync of the disk; each has its own savepoint, so that one that fails takes nothing
//! with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ports::{PortError, PortResult};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Outcome, unavailable};
use crate::news::{News, Queued};
use crate::open::Lock;
use crate::recent::{Fresh, Recent};

/// Most requests of one transaction.
const GROUP_MAX: usize = 256;
/// Most requests that wait; further callers wait for a place.
const WAITING_MAX: usize = 1_024;

/// Which table words go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WordTable {
    Messages,
    Tasks,
    Labels,
}

impl WordTable {
    fn insert(self, replace: bool) -> &'static str {
        match (self, replace) {
            (Self::Messages, false) => "INSERT INTO message_words (rowid, words) VALUES (?1, ?2)",
            (Self::Messages, true) => {
                "INSERT OR REPLACE INTO message_words (rowid, words) VALUES (?1, ?2)"
            }
            (Self::Tasks, false) => "INSERT INTO task_words (rowid, words) VALUES (?1, ?2)",
            (Self::Tasks, true) => {
                "INSERT OR REPLACE INTO task_words (rowid, words) VALUES (?1, ?2)"
            }
            (Self::Labels, false) => "INSERT INTO task_labels (rowid, words) VALUES (?1, ?2)",
            (Self::Labels, true) => {
                "INSERT OR REPLACE INTO task_labels (rowid, words) VALUES (?1, ?2)"
            }
        }
    }
}

/// Words to be indexed at the end of the transaction: FTS5 writes what it has gathered at every
/// savepoint, and many small writes cost more than all the rest.
#[derive(Debug)]
struct Entry {
    table: WordTable,
    seq: i64,
    text: String,
    replace: bool,
}

/// The transaction that a request is part of.
pub(crate) struct Group<'a> {
    pub(crate) conn: &'a Connection,
    words: Vec<Entry>,
    fresh: Vec<Fresh>,
    /// What becomes of the queue.
    pub(crate) queued: Queued,
}

impl Group<'_> {
    /// Indexes the words of a row; `replace` where there may be older ones.
    pub(crate) fn index(&mut self, table: WordTable, seq: i64, words: String, replace: bool) {
        if replace || !words.is_empty() {
            self.words.push(Entry { table, seq, text: words, replace });
        }
    }

    /// Keeps documents at hand once they are on the disk.
    pub(crate) fn keep(&mut self, documents: Fresh) {
        self.fresh.push(documents);
    }

    fn write_words(&mut self) -> Outcome<()> {
        // FTS5 gathers what comes in the order of its keys.
        self.words.sort_by_key(|entry| (entry.table, entry.seq));
        for Entry { table, seq, text, replace } in &self.words {
            let sql = table.insert(*replace);
            self.conn.prepare_cached(sql)?.execute((seq, text))?;
        }
        Ok(())
    }
}

/// Work that waits for the writer.
trait Job: Send {
    /// Does the work; false where nothing of it may stay.
    fn work(&mut self, group: &mut Group<'_>) -> bool;

    /// Tells the caller, once the transaction is on the disk or has failed.
    fn answer(self: Box<Self>, failed: Option<PortError>);
}

struct Call<T, F> {
    work: Option<F>,
    outcome: PortResult<T>,
    reply: oneshot::Sender<PortResult<T>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: FnOnce(&mut Group<'_>) -> Outcome<T> + Send,
{
    fn work(&mut self, group: &mut Group<'_>) -> bool {
        if let Some(work) = self.work.take() {
            self.outcome = work(group).map_err(PortError::from);
        }
        self.outcome.is_ok()
    }

    fn answer(self: Box<Self>, failed: Option<PortError>) {
        // Nobody may be there any more to hear it.
        let _ = self.reply.send(failed.map_or(self.outcome, Err));
    }
}

enum Request {
    Job(Box<dyn Job>),
    Close,
}

/// The way to the writer's thread.
#[derive(Debug)]
pub(crate) struct Writer {
    requests: mpsc::Sender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. It owns the connection and, until it has closed that, the lock.
    pub(crate) fn start(
        conn: Connection,
        news: Arc<News>,
        recent: Arc<Recent>,
        lock: Option<Lock>,
    ) -> std::io::Result<Self> {
        let (requests, waiting) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("sqlite-writer".into()).spawn(move || {
            serve(&conn, waiting, &news, &recent);
            drop(conn);
            drop(lock);
        })?;
        Ok(Self { requests, thread: Mutex::new(Some(thread)) })
    }

    /// Has the writer do `work`; answers when that is on the disk.
    pub(crate) async fn write<T, F>(&self, work: F) -> PortResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Group<'_>) -> Outcome<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        // What is answered if the work panics.
        let outcome = Err(PortError::backend("the writer gave up this request; report this"));
        let call = Call { work: Some(work), outcome, reply };
        let request = Request::Job(Box::new(call));
        self.requests.send(request).await.map_err(|_| unavailable())?;
        answer.await.map_err(|_| unavailable())?
    }

    /// Lets the writer do what waits, and then close the file. Later requests are refused.
    pub(crate) async fn close(&self) {
        // An error says that it is closed already.
        let _ = self.requests.send(Request::Close).await;
        self.requests.closed().await;
        let thread = self.take_thread();
        if let Some(thread) = thread {
            // Its panics have been answered as errors.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn take_thread(&self) -> Option<JoinHandle<()>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Writer {
    /// Waits for what was asked for, so that the file is free for whoever opens it next.
    fn drop(&mut self) {
        let (nobody, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.requests, nobody));
        if let Some(thread) = self.take_thread() {
            let _ = thread.join();
        }
    }
}

fn serve(conn: &Connection, mut waiting: mpsc::Receiver<Request>, news: &News, recent: &Recent) {
    let mut closing = false;
    while let Some(first) = waiting.blocking_recv() {
        let mut jobs = Vec::new();
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Job(job) => jobs.push(job),
                Request::Close => {
                    // What is in the channel comes out of it still.
                    waiting.close();
                    closing = true;
                }
            }
            next = if jobs.len() < GROUP_MAX { waiting.try_recv().ok() } else { None };
        }
        if !jobs.is_empty() {
            run_group(conn, jobs, news, recent);
        }
    }
    if closing {
        // The last connection to close empties the log as well; this is for other programs that
        // have the file open.
        if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log was not emptied; the next start does it");
        }
    }
}

/// Runs all jobs in one transaction and answers them.
fn run_group(conn: &Connection, mut jobs: Vec<Box<dyn Job>>, news: &News, recent: &Recent) {
    let mut group = Group { conn, words: Vec::new(), fresh: Vec::new(), queued: Queued::default() };
    let ran = catch_unwind(AssertUnwindSafe(|| run_jobs(&mut group, &mut jobs)));
    let failed = match ran {
        Ok(Ok(())) => None,
        Ok(Err(fault)) => Some(PortError::from(fault)),
        Err(_) => Some(PortError::backend("the writer panicked; report this")),
    };
    if let Some(error) = &failed {
        match error {
            // Told where it arose, and not for each transaction: the log may lie on the same disk.
            PortError::Unavailable { .. } => {}
            _ => tracing::error!(%error, requests = jobs.len(), "a transaction failed"),
        }
        if !conn.is_autocommit()
            && let Err(error) = conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
    } else {
        recent.wrote(group.fresh);
        news.tell(group.queued);
    }
    for job in jobs {
        // Each gets an error of its own: they cannot be copied, and mean the same to everybody.
        let error = failed.as_ref().map(|error| match error {
            PortError::Unavailable { retry_after } => {
                PortError::Unavailable { retry_after: *retry_after }
            }
            other => PortError::backend(other.to_string()),
        });
        job.answer(error);
    }
}

fn run_jobs(group: &mut Group<'_>, jobs: &mut [Box<dyn Job>]) -> Outcome<()> {
    let conn = group.conn;
    let execute = |sql| conn.prepare_cached(sql)?.execute([]);
    execute("BEGIN IMMEDIATE")?;
    for job in jobs {
        execute("SAVEPOINT request")?;
        let (words, fresh) = (group.words.len(), group.fresh.len());
        let queued = group.queued.mark();
        let worked = catch_unwind(AssertUnwindSafe(|| job.work(group))).unwrap_or(false);
        if !worked {
            // An error of the disk may have ended the transaction: nothing of it is stored.
            if conn.is_autocommit() {
                return Err(unavailable().into());
            }
            execute("ROLLBACK TO request")?;
            group.words.truncate(words);
            group.fresh.truncate(fresh);
            group.queued.back_to(queued);
        }
        execute("RELEASE request")?;
    }
    group.write_words()?;
    execute("COMMIT")?;
    Ok(())
}
