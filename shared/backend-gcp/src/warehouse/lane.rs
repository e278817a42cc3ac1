//! The way of rows into one table: appends that come at the same time become one request, over
//! one connection that stays open.

use std::sync::Arc;
use std::time::Duration;

use ports::{PortError, PortResult, RefusedRow};
use tokio::sync::{mpsc, oneshot};

use super::bind::{BYTES_MAX, BoundRow};
use super::shape::Shape;
use super::stream::{Sent, Stream, Trouble, Writes};

/// Most rows of one request.
const ROWS_MAX: usize = 10_000;
/// Most appends that wait for the one before; more wait to be let in.
const WAITING_MAX: usize = 64;
/// How long an append may take, waiting included.
const APPEND_TIMEOUT: Duration = Duration::from_secs(90);
/// Most requests for one batch whose rows BigQuery refuses bit by bit.
const REQUESTS_MAX: usize = 1_000;

/// Where appends to one table go in.
#[derive(Clone)]
pub(super) struct Lane {
    jobs: mpsc::Sender<Job>,
}

/// Rows of one caller.
struct Job {
    shape: Arc<Shape>,
    /// Each with its place in the caller's batch.
    rows: Vec<(usize, BoundRow)>,
    reply: oneshot::Sender<PortResult<Vec<RefusedRow>>>,
}

impl Lane {
    /// Opens a lane; it closes when the last clone is dropped and its work is done.
    pub(super) fn open(table: &str, writes: Arc<Writes>) -> Self {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let stream = Stream::new(table, writes);
        tokio::spawn(work(stream, waiting));
        Self { jobs }
    }

    /// Whether its task is gone, as when the runtime it ran on has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.jobs.is_closed()
    }

    /// Appends rows and gives those that BigQuery refuses. An error means that it is not known
    /// which rows landed.
    pub(super) async fn append(
        &self,
        shape: Arc<Shape>,
        rows: Vec<(usize, BoundRow)>,
    ) -> PortResult<Vec<RefusedRow>> {
        let (reply, answer) = oneshot::channel();
        let job = Job { shape, rows, reply };
        let done = async {
            self.jobs.send(job).await.map_err(|_| crate::error::unavailable())?;
            answer.await.map_err(|_| crate::error::unavailable())?
        };
        match tokio::time::timeout(APPEND_TIMEOUT, done).await {
            Ok(done) => done,
            Err(_) => Err(crate::error::unavailable()),
        }
    }
}

async fn work(mut stream: Stream, mut waiting: mpsc::Receiver<Job>) {
    let mut next: Option<Job> = None;
    loop {
        let first = match next.take() {
            Some(job) => job,
            None => match waiting.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        let shape = Arc::clone(&first.shape);
        let mut batch = Batch::default();
        batch.take(first);
        while let Ok(job) = waiting.try_recv() {
            if !job.shape.is_same(&shape) || !batch.has_room_for(&job) {
                next = Some(job);
                break;
            }
            batch.take(job);
        }
        batch.land(&mut stream, &shape).await;
    }
}

/// A row on its way: whose it is, and which of theirs.
pub(super) struct Item {
    caller: usize,
    index: usize,
    pub(super) row: BoundRow,
}

struct Caller {
    refused: Vec<RefusedRow>,
    reply: oneshot::Sender<PortResult<Vec<RefusedRow>>>,
    /// Some of the rows may not have landed.
    unsettled: bool,
}

/// Rows of one or more callers that are landed together.
#[derive(Default)]
struct Batch {
    callers: Vec<Caller>,
    items: Vec<Item>,
    weight: usize,
}

fn weight(rows: &[(usize, BoundRow)]) -> usize {
    rows.iter().map(|(_, row)| row.weight).sum()
}

impl Batch {
    fn has_room_for(&self, job: &Job) -> bool {
        self.items.len() + job.rows.len() <= ROWS_MAX
            && self.weight.saturating_add(weight(&job.rows)) <= BYTES_MAX
    }

    fn take(&mut self, job: Job) {
        // Nobody waits for these rows any more; whoever sent them sends them again.
        if job.reply.is_closed() {
            return;
        }
        let caller = self.callers.len();
        self.weight = self.weight.saturating_add(weight(&job.rows));
        self.callers.push(Caller { refused: Vec::new(), reply: job.reply, unsettled: false });
        self.items.extend(job.rows.into_iter().map(|(index, row)| Item { caller, index, row }));
    }

    /// Lands everything and answers every caller.
    async fn land(mut self, stream: &mut Stream, shape: &Arc<Shape>) {
        let mut left = std::mem::take(&mut self.items);
        let mut trouble = None;
        while !left.is_empty() && trouble.is_none() {
            let rest = left.split_off(request_len(&left));
            trouble = self.settle(stream, shape, left).await.err();
            left = rest;
        }
        self.unsettled(&left);
        for mut caller in self.callers {
            let answer = match &trouble {
                Some(trouble) if caller.unsettled => Err(trouble.to_error()),
                _ => {
                    caller.refused.sort_by_key(|row| row.index);
                    Ok(caller.refused)
                }
            };
            // A caller that is gone needs no answer.
            drop(caller.reply.send(answer));
        }
    }

    fn unsettled(&mut self, items: &[Item]) {
        for item in items {
            if let Some(caller) = self.callers.get_mut(item.caller) {
                caller.unsettled = true;
            }
        }
    }

    fn refuse(&mut self, item: &Item, reason: String) {
        if let Some(caller) = self.callers.get_mut(item.caller) {
            caller.refused.push(RefusedRow { index: item.index, reason });
        }
    }

    /// Lands rows that fit into one request. BigQuery takes all rows of a request or none: those
    /// that it names are refused and the others sent again; where it names none, the request is
    /// cut in halves until the row is found.
    async fn settle(
        &mut self,
        stream: &mut Stream,
        shape: &Arc<Shape>,
        items: Vec<Item>,
    ) -> Result<(), Trouble> {
        let mut parts = vec![items];
        let mut requests = 0;
        while let Some(mut items) = parts.pop() {
            requests += 1;
            let sent = if requests > REQUESTS_MAX {
                Err(Trouble::NotNow)
            } else {
                stream.send(shape, &items).await
            };
            match sent {
                Ok(Sent::Landed) => {}
                Ok(Sent::Refused(rows)) => {
                    let mut left = Vec::with_capacity(items.len());
                    for (index, item) in items.into_iter().enumerate() {
                        match rows.get(&index) {
                            Some(reason) => self.refuse(&item, reason.clone()),
                            None => left.push(item),
                        }
                    }
                    if !left.is_empty() {
                        parts.push(left);
                    }
                }
                Ok(Sent::Rejected(reason)) => match items.as_slice() {
                    [item] => self.refuse(item, reason),
                    _ => {
                        let half = items.split_off(items.len() / 2);
                        parts.push(half);
                        parts.push(items);
                    }
                },
                Err(trouble) => {
                    self.unsettled(&items);
                    for items in &parts {
                        self.unsettled(items);
                    }
                    return Err(trouble);
                }
            }
        }
        Ok(())
    }
}

/// How many of the first rows make one request.
fn request_len(items: &[Item]) -> usize {
    let mut bytes = 0_usize;
    let fits = |item: &&Item| {
        bytes = bytes.saturating_add(item.row.weight);
        bytes <= BYTES_MAX
    };
    items.iter().take(ROWS_MAX).take_while(fits).count().max(1)
}

impl Trouble {
    fn to_error(&self) -> PortError {
        match self {
            Self::NotNow => crate::error::unavailable(),
            Self::NoTable(table) => super::query::no_table(table),
            Self::OtherColumns(table) => crate::error::invalid(format!(
                "table {table} has other columns in BigQuery than its rows; ensure the table first"
            )),
            Self::Backend(message) => PortError::backend(message.clone()),
        }
    }
}
