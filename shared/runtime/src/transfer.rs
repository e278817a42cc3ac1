//! Moving everything a store holds to another: settings, flows, conversations, tasks, messages,
//! history, failures and timers. Rows of the warehouse stay where they landed.
//!
//! The store it comes from must not change meanwhile. Every step may be done again: what is there
//! already stays, so a transfer that was interrupted goes on where it stopped. [`compare`] tells
//! afterwards whether both hold the same.

mod compare;

use std::fmt;

use engine::{EventId, Message, Task};
use ports::{
    Commit, Deliveries, Draft, Envelope, Failure, MessageFilter, MessageWrite, Page, PortError,
    PortResult, Sort, TaskFilter, TaskWrite,
};

use crate::app::App;
use crate::outcome::HandleError;

pub use compare::{Difference, compare};

/// Records read at a time.
const PAGE: usize = 200;
/// Envelopes moved at a time.
const ENVELOPES: usize = 500;
/// Rows of history written at a time: each may hold all variables of a task.
const ENTRIES: usize = 20;

/// What is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Connections, keys, queues, table schemas and secrets.
    Settings,
    /// Drafts and versions.
    Flows,
    /// Conversations.
    Conversations,
    /// Tasks, open and ended.
    Tasks,
    /// Rows of history.
    History,
    /// Messages.
    Messages,
    /// Failures.
    Failures,
    /// Timers, and envelopes that were on their way.
    Envelopes,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settings => "settings",
            Self::Flows => "flows",
            Self::Conversations => "conversations",
            Self::Tasks => "tasks",
            Self::History => "history",
            Self::Messages => "messages",
            Self::Failures => "failures",
            Self::Envelopes => "timers and envelopes",
        })
    }
}

/// Is told of every record that was moved or was there already.
pub type Progress<'a> = &'a (dyn Fn(Kind, u64) + Send + Sync);

/// Moves everything from `from`, whose envelopes are in `deliveries`, to `to`.
pub async fn copy(
    from: &App,
    deliveries: &dyn Deliveries,
    to: &App,
    progress: Progress<'_>,
) -> Result<(), HandleError> {
    settings(from, to, progress).await?;
    flows(from, to, progress).await?;
    conversations(from, to, progress).await?;
    tasks(from, to, progress).await?;
    messages(from, to, progress).await?;
    failures(from, to, progress).await?;
    // Last: what they wake must be there.
    envelopes(from, deliveries, to, progress).await
}

async fn settings(from: &App, to: &App, progress: Progress<'_>) -> Result<(), HandleError> {
    let (source, target) = (from.store(), to.store());
    for connection in source.connections().await? {
        target.put_connection(&connection).await?;
        progress(Kind::Settings, 1);
    }
    for key in source.keys().await? {
        target.put_key(&key).await?;
        progress(Kind::Settings, 1);
    }
    for queue in source.queues().await? {
        target.put_queue(&queue).await?;
        progress(Kind::Settings, 1);
    }
    for table in source.tables().await? {
        to.warehouse().ensure(&schema::with_meta(table.clone())).await?;
        target.put_table(&table).await?;
        progress(Kind::Settings, 1);
    }
    for name in from.secrets().secret_names().await? {
        // One that is there already may have been changed since, on purpose.
        if let Some(value) = from.secrets().secret(&name).await?
            && to.secrets().secret(&name).await?.is_none()
        {
            to.secrets().put_secret(&name, &value).await?;
        }
        progress(Kind::Settings, 1);
    }
    Ok(())
}

async fn flows(from: &App, to: &App, progress: Progress<'_>) -> Result<(), HandleError> {
    let (source, target) = (from.store(), to.store());
    for summary in source.list_flows().await? {
        let mut versions = source.versions(&summary.flow).await?;
        versions.reverse();
        for version in versions {
            if target.version(&summary.flow, version.version).await?.is_none() {
                target.publish(&version).await?;
            }
        }
        if let Some(draft) = source.draft(&summary.flow).await? {
            let there = target.draft(&summary.flow).await?;
            if there.as_ref().is_none_or(|there| there.source != draft.source) {
                let revision = there.map_or(0, |there| there.revision).saturating_add(1);
                target.put_draft(&Draft { revision, ..draft }).await?;
            }
        }
        progress(Kind::Flows, 1);
    }
    to.forget_catalog().await;
    Ok(())
}

/// Something that was done before, or done by the try whose answer was lost, is done.
fn done_before(result: PortResult<ports::Receipt>) -> PortResult<()> {
    match result {
        Ok(_) | Err(PortError::Duplicate { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn event(what: &str, id: &str) -> EventId {
    EventId::of(&format!("transfer/{what}"), id)
}

async fn conversations(from: &App, to: &App, progress: Progress<'_>) -> Result<(), HandleError> {
    let mut page = Page { limit: PAGE, cursor: None };
    loop {
        let found = from.store().list_conversations(None, None, &page).await?;
        for mut conversation in found.items {
            // A new store counts its own revisions.
            conversation.revision = 1;
            let commit = Commit {
                at: conversation.updated_at,
                event: Some(event("conversation", conversation.id.as_str())),
                conversation: Some(conversation),
                ..Commit::default()
            };
            done_before(to.store().commit(commit).await)?;
            progress(Kind::Conversations, 1);
        }
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return Ok(()),
        }
    }
}

/// Every task, oldest first.
async fn tasks(from: &App, to: &App, progress: Progress<'_>) -> Result<(), HandleError> {
    let filter = TaskFilter { sort: Sort::CreatedAsc, ..TaskFilter::default() };
    let mut page = Page { limit: PAGE, cursor: None };
    loop {
        let found = from.store().list_tasks(&filter, &page).await?;
        for task in found.items {
            history(from, to, &task, progress).await?;
            let commit = Commit {
                at: task.updated_at,
                event: Some(event("task", task.id.as_str())),
                tasks: vec![TaskWrite { task, expected: 0, create: true }],
                ..Commit::default()
            };
            done_before(to.store().commit(commit).await)?;
            progress(Kind::Tasks, 1);
        }
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return Ok(()),
        }
    }
}

/// A task's history goes before the task: one that is there has its whole history.
async fn history(
    from: &App,
    to: &App,
    task: &Task,
    progress: Progress<'_>,
) -> Result<(), HandleError> {
    let mut after = 0;
    loop {
        let entries = from.store().history(&task.id, after, ENTRIES).await?;
        let Some(last) = entries.last().map(|entry| entry.sequence) else { return Ok(()) };
        let count = entries.len() as u64;
        let commit = Commit {
            at: task.updated_at,
            event: Some(event("history", &format!("{}/{after}", task.id))),
            history: entries,
            ..Commit::default()
        };
        done_before(to.store().commit(commit).await)?;
        progress(Kind::History, count);
        after = last;
    }
}

async fn messages(from: &App, to: &App, progress: Progress<'_>) -> Result<(), HandleError> {
    let mut page = Page { limit: PAGE, cursor: None };
    loop {
        let found = from.store().list_messages(&MessageFilter::default(), &page).await?;
        let count = found.items.len() as u64;
        if let Some(first) = found.items.first() {
            let write =
                |message: &Message| MessageWrite { message: message.clone(), expected: None };
            let commit = Commit {
                at: first.created_at,
                event: Some(event("messages", first.id.as_str())),
                messages: found.items.iter().map(write).collect(),
                ..Commit::default()
            };
            done_before(to.store().commit(commit).await)?;
            progress(Kind::Messages, count);
        }
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return Ok(()),
        }
    }
}

async fn failures(from: &App, to: &App, progress: Progress<'_>) -> Result<(), HandleError> {
    let mut page = Page { limit: PAGE, cursor: None };
    loop {
        let found = from.store().failures(None, None, &page).await?;
        for failure in &found.items {
            put_failure(to, failure).await?;
            progress(Kind::Failures, 1);
        }
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return Ok(()),
        }
    }
}

async fn put_failure(to: &App, failure: &Failure) -> PortResult<()> {
    // One that somebody has settled there since stays settled.
    match to.store().failure(&failure.id).await? {
        Some(_) => Ok(()),
        None => to.store().put_failure(failure).await,
    }
}

/// Timers, and what was on its way when the server stopped: its functions drop what they have
/// done already.
async fn envelopes(
    from: &App,
    deliveries: &dyn Deliveries,
    to: &App,
    progress: Progress<'_>,
) -> Result<(), HandleError> {
    let mut position = 0;
    loop {
        let found = deliveries.after(position, ENVELOPES).await?;
        let Some(last) = found.last().map(|delivery| delivery.position) else { break };
        let batch: Vec<Envelope> = found.into_iter().map(|delivery| delivery.envelope).collect();
        to.bus().publish(&batch).await?;
        progress(Kind::Envelopes, batch.len() as u64);
        position = last;
    }
    // All at once: a page of timers cannot be gone on from, and what is fetched to be delivered
    // ends at some bytes. Each is small.
    let end = chrono::DateTime::<chrono::Utc>::MAX_UTC;
    let timers = from.timers().overdue(end, usize::MAX).await?;
    for batch in timers.chunks(ENVELOPES) {
        to.bus().publish(batch).await?;
        progress(Kind::Envelopes, batch.len() as u64);
    }
    Ok(())
}
