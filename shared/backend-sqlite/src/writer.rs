//! The one thread that writes. Requests that wait at the same time share one transaction, and
//! so one sync of the disk. One that fails takes nothing with it: where it had written something
//! all of them are taken back and done again, each with a savepoint of its own. (Savepoints from
//! the start would have SQLite copy every page that a request touches.)

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ports::{PortError, PortResult};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Outcome, unavailable};
use crate::news::{self, News, Queued};
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
    /// What becomes of the queue.
    pub(crate) queued: Queued,
    /// Whether the request made or changed a table, which is not counted as a change of rows.
    pub(crate) changes_tables: bool,
}

/// How far a group is.
struct Mark {
    words: usize,
    queued: news::Mark,
    changes: u64,
}

impl Group<'_> {
    /// Indexes the words of a row; `replace` where there may be older ones.
    pub(crate) fn index(&mut self, table: WordTable, seq: i64, words: String, replace: bool) {
        if replace || !words.is_empty() {
            self.words.push(Entry { table, seq, text: words, replace });
        }
    }

    fn mark(&self) -> Mark {
        let changes = self.conn.total_changes();
        Mark { words: self.words.len(), queued: self.queued.mark(), changes }
    }

    /// Forgets what a request that failed has said.
    fn back_to(&mut self, mark: &Mark) {
        self.words.truncate(mark.words);
        self.queued.back_to(mark.queued);
    }

    /// Whether something may have been written.
    fn wrote_after(&self, mark: &Mark) -> bool {
        self.changes_tables || self.conn.total_changes() != mark.changes
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

/// What the writer is to do.
pub(crate) trait Work: Send {
    /// What it comes to.
    type Done: Send;

    /// Does it. May be asked for once more after everything was taken back.
    fn work(&mut self, group: &mut Group<'_>) -> Outcome<Self::Done>;

    /// What is to be kept at hand, once it is on the disk.
    fn fresh(self) -> Option<Fresh>
    where
        Self: Sized,
    {
        None
    }
}

impl<T, F> Work for F
where
    T: Send,
    F: FnMut(&mut Group<'_>) -> Outcome<T> + Send,
{
    type Done = T;

    fn work(&mut self, group: &mut Group<'_>) -> Outcome<T> {
        self(group)
    }
}

/// Work that waits for the writer.
trait Job: Send {
    /// Does the work; false where nothing of it may stay.
    fn work(&mut self, group: &mut Group<'_>) -> bool;

    /// Whether it was refused for what it asks, which no fault of the file is.
    fn is_refused(&self) -> bool;

    /// What is to be kept at hand of work that was done.
    fn fresh(&mut self) -> Option<Fresh>;

    /// Tells the caller, once the transaction is on the disk or has failed.
    fn answer(self: Box<Self>, failed: Option<PortError>);
}

struct Call<W: Work> {
    work: Option<W>,
    outcome: PortResult<W::Done>,
    reply: oneshot::Sender<PortResult<W::Done>>,
}

impl<W: Work> Job for Call<W> {
    fn work(&mut self, group: &mut Group<'_>) -> bool {
        // What is answered if the work panics, perhaps not before the second time.
        self.outcome = Err(PortError::backend("the writer gave up this request; report this"));
        if let Some(work) = &mut self.work {
            self.outcome = work.work(group).map_err(PortError::from);
        }
        self.outcome.is_ok()
    }

    fn is_refused(&self) -> bool {
        use PortError::{Conflict, Duplicate, Invalid, NotFound, TooLarge};
        matches!(
            self.outcome,
            Err(Conflict { .. }
                | Duplicate { .. }
                | Invalid { .. }
                | NotFound { .. }
                | TooLarge { .. })
        )
    }

    fn fresh(&mut self) -> Option<Fresh> {
        self.work.take().filter(|_| self.outcome.is_ok())?.fresh()
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

    /// Has the writer do `work`, perhaps twice; answers when that is on the disk.
    pub(crate) async fn write<T, F>(&self, work: F) -> PortResult<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Group<'_>) -> Outcome<T> + Send + 'static,
    {
        self.run(work).await
    }

    /// [`Writer::write`] for work that has something to be kept at hand.
    pub(crate) async fn run<W>(&self, work: W) -> PortResult<W::Done>
    where
        W: Work + 'static,
        W::Done: 'static,
    {
        let (reply, answer) = oneshot::channel();
        let outcome = Err(unavailable());
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
    let (words, queued) = (Vec::new(), Queued::default());
    let mut group = Group { conn, words, queued, changes_tables: false };
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
        recent.wrote(jobs.iter_mut().filter_map(|job| job.fresh()));
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
    let start = group.mark();
    execute(group.conn, "BEGIN IMMEDIATE")?;
    if !run_together(group, jobs)? {
        execute(group.conn, "ROLLBACK")?;
        group.back_to(&start);
        execute(group.conn, "BEGIN IMMEDIATE")?;
        run_apart(group, jobs)?;
    }
    group.write_words()?;
    execute(group.conn, "COMMIT")
}

/// Runs all of them; false where one failed that may have written something.
fn run_together(group: &mut Group<'_>, jobs: &mut [Box<dyn Job>]) -> Outcome<bool> {
    for job in jobs {
        group.changes_tables = false;
        let before = group.mark();
        if !run(group, job)? {
            // After a fault of the file nobody knows: what SQLite counts are whole changes.
            if group.wrote_after(&before) || !job.is_refused() {
                return Ok(false);
            }
            group.back_to(&before);
        }
    }
    Ok(true)
}

/// Runs all of them, and takes back what each has written that fails.
fn run_apart(group: &mut Group<'_>, jobs: &mut [Box<dyn Job>]) -> Outcome<()> {
    for job in jobs {
        let before = group.mark();
        execute(group.conn, "SAVEPOINT request")?;
        if !run(group, job)? {
            execute(group.conn, "ROLLBACK TO request")?;
            group.back_to(&before);
        }
        execute(group.conn, "RELEASE request")?;
    }
    Ok(())
}

/// Whether it worked.
fn run(group: &mut Group<'_>, job: &mut Box<dyn Job>) -> Outcome<bool> {
    let worked = catch_unwind(AssertUnwindSafe(|| job.work(group))).unwrap_or(false);
    // An error of the disk may have ended the transaction: nothing of it is stored.
    if group.conn.is_autocommit() { Err(unavailable().into()) } else { Ok(worked) }
}

fn execute(conn: &Connection, sql: &str) -> Outcome<()> {
    conn.prepare_cached(sql)?.execute([])?;
    Ok(())
}
