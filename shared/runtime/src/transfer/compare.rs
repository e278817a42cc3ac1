//! Whether two stores hold the same: counts and hashes of every kind of record.

use ports::{MessageFilter, Page, PortResult, Sort, TaskFilter};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Kind, PAGE};
use crate::app::App;
use crate::outcome::HandleError;

/// What both stores hold of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which kind.
    pub kind: Kind,
    /// How many there are in the one and in the other.
    pub counts: [u64; 2],
    /// Whether they are the same, one by one.
    pub same: bool,
}

/// Counts records and hashes them, whatever their order.
#[derive(Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    /// The hashes of all records, added: lists of two stores may differ among equal times.
    hash: [u64; 4],
}

impl Sum {
    fn add<T: Serialize>(&mut self, record: &T) {
        let text = serde_json::to_string(record).unwrap_or_default();
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        for (sum, bytes) in self.hash.iter_mut().zip(digest.chunks_exact(8)) {
            *sum = sum.wrapping_add(bytes.try_into().map_or(0, u64::from_le_bytes));
        }
        self.count += 1;
    }

    fn add_all<T: Serialize>(&mut self, records: &[T]) {
        for record in records {
            self.add(record);
        }
    }
}

/// Compares flows, conversations, tasks, history, messages and failures.
pub async fn compare(one: &App, other: &App) -> Result<Vec<Difference>, HandleError> {
    let mut differences = Vec::new();
    for kind in [
        Kind::Flows,
        Kind::Conversations,
        Kind::Tasks,
        Kind::History,
        Kind::Messages,
        Kind::Failures,
    ] {
        let (here, there) = (sum(one, kind).await?, sum(other, kind).await?);
        let counts = [here.count, there.count];
        differences.push(Difference { kind, counts, same: here == there });
    }
    Ok(differences)
}

async fn sum(app: &App, kind: Kind) -> PortResult<Sum> {
    match kind {
        Kind::Flows => flows(app).await,
        Kind::Conversations => conversations(app).await,
        Kind::Tasks | Kind::History => tasks(app, kind).await,
        Kind::Messages => messages(app).await,
        Kind::Failures => failures(app).await,
        // Values are written as they are; envelopes are gone as soon as they are delivered.
        Kind::Settings | Kind::Envelopes => Ok(Sum::default()),
    }
}

async fn flows(app: &App) -> PortResult<Sum> {
    let mut sum = Sum::default();
    for summary in app.store().list_flows().await? {
        for version in app.store().versions(&summary.flow).await? {
            sum.add(&version);
        }
        if let Some(draft) = app.store().draft(&summary.flow).await? {
            // Revisions count anew.
            sum.add(&(draft.flow, draft.source));
        }
    }
    Ok(sum)
}

async fn conversations(app: &App) -> PortResult<Sum> {
    let mut sum = Sum::default();
    let mut page = Page { limit: PAGE, cursor: None };
    loop {
        let found = app.store().list_conversations(None, None, &page).await?;
        for mut conversation in found.items {
            conversation.revision = 0;
            sum.add(&conversation);
        }
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return Ok(sum),
        }
    }
}

async fn tasks(app: &App, kind: Kind) -> PortResult<Sum> {
    let mut sum = Sum::default();
    let filter = TaskFilter { sort: Sort::CreatedAsc, ..TaskFilter::default() };
    let mut page = Page { limit: PAGE, cursor: None };
    loop {
        let found = app.store().list_tasks(&filter, &page).await?;
        for task in &found.items {
            if kind == Kind::Tasks {
                sum.add(task);
                continue;
            }
            let mut after = 0;
            loop {
                let entries = app.store().history(&task.id, after, PAGE).await?;
                let Some(last) = entries.last().map(|entry| entry.sequence) else { break };
                sum.add_all(&entries);
                after = last;
            }
        }
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return Ok(sum),
        }
    }
}

async fn messages(app: &App) -> PortResult<Sum> {
    let mut sum = Sum::default();
    let mut page = Page { limit: PAGE, cursor: None };
    loop {
        let found = app.store().list_messages(&MessageFilter::default(), &page).await?;
        sum.add_all(&found.items);
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return Ok(sum),
        }
    }
}

async fn failures(app: &App) -> PortResult<Sum> {
    let mut sum = Sum::default();
    let mut page = Page { limit: PAGE, cursor: None };
    loop {
        let found = app.store().failures(None, None, &page).await?;
        sum.add_all(&found.items);
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return Ok(sum),
        }
    }
}
