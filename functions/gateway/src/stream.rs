//! Server-Sent Events: one task's messages, transitions and status; every task's changes.
//!
//! Changes made in this process arrive at once; changes made by other instances are found by
//! looking again every two seconds, so that a stream is right wherever it is served.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::{Effect, EventBody, HistoryEntry, Message, MessageId, Task, TaskId};
use futures::stream::{self, Stream, StreamExt};
use ports::{MessageFilter, Page};
use runtime::{App, operate};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};

use crate::Gateway;
use crate::input::{self, Access};
use crate::problem::Problem;
use crate::views::{MessageView, TaskView};

/// How long until a stream looks again by itself.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Messages of a task that are looked at for changed states.
const MESSAGES_WATCHED: usize = 200;
/// Transitions sent at once after a reconnection.
const HISTORY_MAX: usize = 1_000;

struct Watch {
    app: App,
    task: TaskId,
    changes: broadcast::Receiver<runtime::Change>,
    stop: watch::Receiver<bool>,
    sequence: u64,
    /// The latest state change of a message that was sent, in microseconds since 1970.
    messages_seen: i64,
    /// Messages the client knows, and in which revision. None before the first look of a stream
    /// that resumes: then the time of a state tells whether the client knows it.
    revisions: Option<HashMap<String, u64>>,
    first: bool,
    /// Nothing was sent yet: the first look tells how the task stands.
    silent: bool,
    _permit: OwnedSemaphorePermit,
}

/// Follows one task: `message`, `transition` and `status` events; resumes by `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/tasks/{id}/stream", tag = "tasks", params(("id" = String, Path),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen")),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "4XX", body = Problem)))]
pub async fn task(
    State(gateway): State<Gateway>,
    access: Access,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // It shows both, so it takes both.
    let caller = access.may("tasks.read")?;
    input::require(&caller, "messages.read")?;
    let changes = gateway.app.changes();
    let id = TaskId(id);
    let resumed = match headers.get("last-event-id") {
        Some(value) => Some(resume(value.to_str().unwrap_or_default())?),
        None => None,
    };
    // The messages before the task: what happens in between is told twice, not lost.
    let messages = latest(&gateway.app, &id).await?;
    let task = operate::find(&gateway.app, &id).await?;
    let (sequence, messages_seen, revisions) = match resumed {
        Some((sequence, messages_seen)) => (sequence, messages_seen, None),
        None => {
            let newest = messages.iter().map(changed_at).max().unwrap_or_default();
            (task.sequence, newest, Some(revisions(&messages)))
        }
    };
    let watch = Watch {
        app: gateway.app.clone(),
        task: task.id,
        changes,
        stop: gateway.stop.clone(),
        sequence,
        messages_seen,
        revisions,
        first: true,
        silent: true,
        _permit: permit(&gateway)?,
    };
    let events = stream::unfold(watch, |mut watch| async move {
        let events = watch.next().await?;
        Some((stream::iter(events.into_iter().map(Ok)), watch))
    })
    .flatten();
    Ok(respond(events))
}

fn respond(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response()
}

fn permit(gateway: &Gateway) -> Result<OwnedSemaphorePermit, Problem> {
    gateway.watchers.clone().try_acquire_owned().map_err(|_| {
        let mut problem = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many streams are open; try again later or poll",
        );
        problem.retry_after_seconds = Some(5);
        problem
    })
}

/// An event's id: the task's sequence number and the time of the newest message state.
fn resume(id: &str) -> Result<(u64, i64), Problem> {
    let parts = id.split_once('.');
    let read = parts.and_then(|(s, m)| Some((s.parse().ok()?, m.parse().ok()?)));
    read.ok_or_else(|| {
        Problem::malformed("Last-Event-ID must be the id of an event of this stream")
    })
}

/// The newest messages of a task, oldest first.
async fn latest(app: &App, task: &TaskId) -> Result<Vec<Message>, runtime::HandleError> {
    let filter =
        MessageFilter { task: Some(task.clone()), newest_first: true, ..MessageFilter::default() };
    let page = Page { limit: MESSAGES_WATCHED, cursor: None };
    let mut messages = app.store().list_messages(&filter, &page).await?.items;
    messages.reverse();
    Ok(messages)
}

/// When a message reached its state, in microseconds since 1970.
fn changed_at(message: &Message) -> i64 {
    let reached = message.reached.last().map_or(message.created_at, |reached| reached.at);
    reached.timestamp_micros()
}

/// The messages that a transition took or made.
fn messages_of(entry: &HistoryEntry) -> impl Iterator<Item = &MessageId> {
    let taken = match &entry.event.body {
        EventBody::Reply { message, .. } => Some(message),
        _ => None,
    };
    let made = entry.effects.iter().filter_map(|effect| match effect {
        Effect::Send { id, .. } | Effect::Notify { id, .. } => Some(id),
        _ => None,
    });
    taken.into_iter().chain(made)
}

fn revisions(messages: &[Message]) -> HashMap<String, u64> {
    messages.iter().map(|message| (message.id.0.clone(), message.revision)).collect()
}

impl Watch {
    /// Waits for news; none when the server stops.
    async fn next(&mut self) -> Option<Vec<Event>> {
        loop {
            if *self.stop.borrow() {
                return None;
            }
            if !std::mem::take(&mut self.first) {
                self.wait().await;
            }
            let events = match self.look().await {
                Ok(events) => events,
                Err(error) => {
                    tracing::warn!(%error, "a stream could not look");
                    Vec::new()
                }
            };
            if !events.is_empty() {
                return Some(events);
            }
        }
    }

    async fn wait(&mut self) {
        let timeout = tokio::time::sleep(LOOK_AGAIN);
        tokio::pin!(timeout);
        loop {
            tokio::select! {
                () = &mut timeout => return,
                _ = self.stop.changed() => return,
                change = self.changes.recv() => match change {
                    Ok(change) if !change.tasks.contains(&self.task) => {}
                    _ => return,
                },
            }
        }
    }

    async fn look(&mut self) -> Result<Vec<Event>, runtime::HandleError> {
        let mut events = Vec::new();
        // Messages are read before the history and told after it, so that no message is told
        // before the transition it belongs to.
        let messages = latest(&self.app, &self.task).await?;
        let history = self.app.store().history(&self.task, self.sequence, HISTORY_MAX).await?;
        for entry in &history {
            self.sequence = entry.sequence;
            events.push(self.event("transition", entry));
        }
        let news = self.news(&messages, &history);
        for (index, message) in news.iter().enumerate() {
            // Of several at one time only the last one's id says that the time is over.
            let next = news.get(index + 1).map(|next| changed_at(next));
            if next != Some(changed_at(message)) {
                self.messages_seen = self.messages_seen.max(changed_at(message));
            }
            events.push(self.event("message", &MessageView::from(*message)));
        }
        self.revisions = Some(revisions(&messages));
        if !history.is_empty() || std::mem::take(&mut self.silent) {
            let task = operate::find(&self.app, &self.task).await?;
            events.push(self.event("status", &TaskView::from(&task)));
        }
        Ok(events)
    }

    /// What the client does not know yet, in the order of the times it came about.
    fn news<'m>(&self, messages: &'m [Message], history: &[HistoryEntry]) -> Vec<&'m Message> {
        // Times of different writers may overlap: a message of a transition that the client has
        // not seen is new whatever its time.
        let unseen: HashSet<&MessageId> = history.iter().flat_map(messages_of).collect();
        let is_news = |message: &&Message| match &self.revisions {
            None => changed_at(message) > self.messages_seen || unseen.contains(&message.id),
            Some(known) => known.get(message.id.as_str()) != Some(&message.revision),
        };
        let mut news: Vec<&Message> = messages.iter().filter(is_news).collect();
        news.sort_by_key(|message| changed_at(message));
        news
    }

    fn event<T: serde::Serialize>(&self, name: &str, data: &T) -> Event {
        let id = format!("{}.{}", self.sequence, self.messages_seen);
        let event = Event::default().event(name).id(id);
        event.json_data(data).unwrap_or_else(|error| {
            tracing::error!(%error, "an event could not be written as JSON");
            Event::default().comment("lost")
        })
    }
}

/// Follows every task: a `task` event whenever one changes.
#[utoipa::path(get, path = "/v1/stream", tag = "tasks",
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "4XX", body = Problem)))]
pub async fn all(State(gateway): State<Gateway>, access: Access) -> Result<Response, Problem> {
    access.may("tasks.read")?;
    let state =
        (gateway.app.clone(), gateway.app.changes(), gateway.stop.clone(), permit(&gateway)?);
    let events = stream::unfold(state, |(app, mut changes, mut stop, permit)| async move {
        loop {
            if *stop.borrow() {
                return None;
            }
            let ids = tokio::select! {
                _ = stop.changed() => continue,
                change = changes.recv() => match change {
                    Ok(change) => change.tasks,
                    Err(broadcast::error::RecvError::Closed) => return None,
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        let lost = Event::default().event("reset").data("{}");
                        return Some((stream::iter(vec![Ok(lost)]), (app, changes, stop, permit)));
                    }
                },
            };
            let tasks: Vec<Task> = app.store().tasks(&ids).await.unwrap_or_default();
            if tasks.is_empty() {
                continue;
            }
            let events: Vec<Result<Event, Infallible>> = tasks
                .iter()
                .filter_map(|task| {
                    Event::default().event("task").json_data(TaskView::from(task)).ok().map(Ok)
                })
                .collect();
            return Some((stream::iter(events), (app, changes, stop, permit)));
        }
    })
    .flatten();
    Ok(respond(events))
}
