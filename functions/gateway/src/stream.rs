//! Server-Sent Events: one task's messages, transitions and status; every task's changes.
//!
//! Changes made in this process arrive at once; changes made by other instances are found by
//! looking again every two seconds, so that a stream is right wherever it is served.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::{Message, Task, TaskId};
use futures::stream::{self, Stream, StreamExt};
use ports::{MessageFilter, Page};
use runtime::{App, operate};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};

use crate::Gateway;
use crate::input::Access;
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
    revisions: HashMap<String, u64>,
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
    access.may("tasks.read")?;
    let changes = gateway.app.changes();
    let task = operate::find(&gateway.app, &TaskId(id)).await?;
    let (sequence, messages_seen) = match headers.get("last-event-id") {
        Some(value) => resume(value.to_str().unwrap_or_default())?,
        None => (task.sequence, gateway.app.now().timestamp_micros()),
    };
    let watch = Watch {
        app: gateway.app.clone(),
        task: task.id,
        changes,
        stop: gateway.stop.clone(),
        sequence,
        messages_seen,
        revisions: HashMap::new(),
        first: true,
        silent: true,
        _permit: permit(&gateway)?,
    };
    let events = stream::unfold(watch, |mut watch| async move {
        let events = watch.next().await?;
        Some((stream::iter(events), watch))
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

impl Watch {
    /// Waits for news; none when the server stops.
    async fn next(&mut self) -> Option<Vec<Result<Event, Infallible>>> {
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

    async fn look(&mut self) -> Result<Vec<Result<Event, Infallible>>, runtime::HandleError> {
        let mut events = Vec::new();
        let store = self.app.store();
        let history = store.history(&self.task, self.sequence, HISTORY_MAX).await?;
        let filter = MessageFilter {
            task: Some(self.task.clone()),
            newest_first: true,
            ..MessageFilter::default()
        };
        let page = Page { limit: MESSAGES_WATCHED, cursor: None };
        let mut messages = store.list_messages(&filter, &page).await?.items;
        messages.reverse();
        let seen_before = self.messages_seen;
        for message in &messages {
            if self.is_news(message, seen_before) {
                events.push(self.event("message", &MessageView::from(message)));
            }
        }
        for entry in &history {
            self.sequence = entry.sequence;
            events.push(self.event("transition", entry));
        }
        if !history.is_empty() || std::mem::take(&mut self.silent) {
            let task = operate::find(&self.app, &self.task).await?;
            events.push(self.event("status", &TaskView::from(&task)));
        }
        Ok(events)
    }

    fn is_news(&mut self, message: &Message, seen_before: i64) -> bool {
        let changed = message.reached.last().map_or(message.created_at, |reached| reached.at);
        let changed = changed.timestamp_micros();
        let known = self.revisions.insert(message.id.0.clone(), message.revision);
        self.messages_seen = self.messages_seen.max(changed);
        known.map_or(changed > seen_before, |revision| revision < message.revision)
    }

    fn event<T: serde::Serialize>(&self, name: &str, data: &T) -> Result<Event, Infallible> {
        let id = format!("{}.{}", self.sequence, self.messages_seen);
        let event = Event::default().event(name).id(id);
        Ok(event.json_data(data).unwrap_or_else(|error| {
            tracing::error!(%error, "an event could not be written as JSON");
            Event::default().comment("lost")
        }))
    }
}

/// Follows every task: a `task` event whenever one changes.
#[utoipa::path(get, path = "/v1/stream", tag = "tasks",
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "4XX", body = Problem)))]
pub async fn all(State(gateway): State<Gateway>, access: Access) -> Result<Response, Problem> {
    access.may("tasks.read")?;
    let state = (
        gateway.app.clone(),
        gateway.app.changes(),
        gateway.stop.clone(),
        permit(&gateway)?,
    );
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
