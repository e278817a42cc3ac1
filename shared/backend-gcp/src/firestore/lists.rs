//! `Queries`: pages that walk one order, and look at each document whether it fits.
//!
//! What names few documents (a conversation, a contact, a task, a word) is walked by its own
//! index; what names many (a status, a flow) by indexes in several ranges. The rest is looked at
//! document by document. Where few fit, a page ends before it is full, with a cursor to go on.

use std::ops::ControlFlow;

use async_trait::async_trait;
use engine::{Conversation, ConversationId, HistoryEntry, Message, Task, TaskId};
use gcloud_sdk::google::firestore::v1::{Document, Value};
use ports::search::{Question, fold, words};
use ports::{MessageFilter, PAGE_MAX, Page, PageOf, PortResult, Queries, Sort, TaskFilter};
use serde::de::DeserializeOwned;

use super::Firestore;
use super::cursor::{self, List, Place};
use super::documents::{DOCUMENT, direction, number};
use super::keys::{CONVERSATIONS, EVENTS, MESSAGES, TASKS};
use super::query::Query;
use super::search::{piece_of, rarest};
use super::value::{Read, from_json, micros_time, text, time};

/// Most documents looked at for one page, and for one that has found nothing yet.
const LOOKED_AT_MAX: usize = 5_000;
const LOOKED_AT_EMPTY_MAX: usize = 20_000;
/// Most bytes of documents of one page.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most documents read in one call: they may have 1 MiB each.
const CHUNK_MAX: usize = 300;

/// The fields of a task that a filter looks at.
pub(crate) const TASK_FIELDS: &[&str] = &[
    "flow",
    "status",
    "waiting_for",
    "contact",
    "conversation",
    "queue",
    "parent",
    "label",
    "created_at",
    "updated_at",
];

/// The time a list is sorted by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sorted {
    pub(crate) field: &'static str,
    pub(crate) descending: bool,
}

/// Where a document stands in its order, to go on behind it.
pub(crate) fn behind(document: &Document, field: &str) -> (Value, String) {
    (micros_time(document.micros(field).unwrap_or_default()), document.name.clone())
}

fn sorted(sort: Sort) -> (Sorted, List) {
    let (field, descending, list) = match sort {
        Sort::CreatedDesc => ("created_at", true, List::TasksCreatedDesc),
        Sort::CreatedAsc => ("created_at", false, List::TasksCreatedAsc),
        Sort::UpdatedDesc => ("updated_at", true, List::TasksUpdatedDesc),
        Sort::UpdatedAsc => ("updated_at", false, List::TasksUpdatedAsc),
    };
    (Sorted { field, descending }, list)
}

/// Whether a field has the value that is looked for, where one is.
fn has(document: &Document, field: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| document.text(field) == Some(wanted))
}

fn in_time(
    document: &Document,
    after: Option<chrono::DateTime<chrono::Utc>>,
    before: Option<chrono::DateTime<chrono::Utc>>,
) -> bool {
    let created = document.micros("created_at").unwrap_or_default();
    after.is_none_or(|after| created >= after.timestamp_micros())
        && before.is_none_or(|before| created < before.timestamp_micros())
}

/// Whether a task fits all of a filter but its words. Looks at [`TASK_FIELDS`].
pub(crate) fn task_fits(filter: &TaskFilter, task: &Document) -> bool {
    let label = filter
        .label
        .as_deref()
        .is_none_or(|part| task.text("label").is_some_and(|label| label.contains(&fold(part))));
    label
        && has(task, "flow", filter.flow.as_deref())
        && has(task, "status", filter.status.as_deref())
        && has(task, "waiting_for", filter.waiting_for.as_deref())
        && has(task, "contact", filter.contact.as_deref())
        && has(task, "conversation", filter.conversation.as_ref().map(ConversationId::as_str))
        && has(task, "queue", filter.queue.as_deref())
        && has(task, "parent", filter.parent.as_ref().map(TaskId::as_str))
        && in_time(task, filter.created_after, filter.created_before)
}

fn message_fits(filter: &MessageFilter, question: Option<&Question>, message: &Document) -> bool {
    let plain = has(message, "task", filter.task.as_ref().map(TaskId::as_str))
        && has(message, "conversation", filter.conversation.as_ref().map(ConversationId::as_str))
        && has(message, "contact", filter.contact.as_deref())
        && has(message, "connection", filter.connection.as_deref())
        && has(message, "state", filter.state.map(engine::MessageState::name))
        && filter
            .direction
            .is_none_or(|wanted| message.fields.get("direction") == Some(&direction(wanted)))
        && in_time(message, filter.created_after, filter.created_before);
    plain
        && question.is_none_or(|question| {
            let read = message.json::<Message>("message", DOCUMENT);
            read.is_ok_and(|message| question.matches(&words(&message.content.text)))
        })
}

fn equal(values: Vec<(&'static str, Option<&str>)>) -> Vec<(&'static str, Value)> {
    values.into_iter().filter_map(|(name, value)| Some((name, text(value?)))).collect()
}

/// What a list of tasks walks.
fn tasks_query(filter: &TaskFilter, sorted: Sorted) -> Query {
    let narrow = equal(vec![
        ("conversation", filter.conversation.as_ref().map(ConversationId::as_str)),
        ("contact", filter.contact.as_deref()),
        ("parent", filter.parent.as_ref().map(TaskId::as_str)),
    ]);
    let piece = filter.label.as_deref().and_then(|part| piece_of(&fold(part)));
    let contains = piece.map(|piece| ("pieces", text(piece)));
    let is_narrow = !narrow.is_empty() || contains.is_some();
    let broad = equal(vec![
        ("flow", filter.flow.as_deref()),
        ("status", filter.status.as_deref()),
        ("waiting_for", filter.waiting_for.as_deref()),
        ("queue", filter.queue.as_deref()),
    ]);
    let bounded = sorted.field == "created_at";
    Query {
        collection: TASKS,
        equals: if is_narrow { narrow } else { broad },
        contains,
        sharded: !is_narrow,
        order: Some((sorted.field, sorted.descending)),
        at_least: filter.created_after.filter(|_| bounded).map(time),
        below: filter.created_before.filter(|_| bounded).map(time),
        ..Query::default()
    }
}

fn messages_query(filter: &MessageFilter, question: Option<&Question>) -> Query {
    let narrow = equal(vec![
        ("task", filter.task.as_ref().map(TaskId::as_str)),
        ("conversation", filter.conversation.as_ref().map(ConversationId::as_str)),
        ("contact", filter.contact.as_deref()),
    ]);
    let contains = question.and_then(rarest).map(|token| ("tokens", text(token)));
    let is_narrow = !narrow.is_empty() || contains.is_some();
    let mut broad = equal(vec![
        ("connection", filter.connection.as_deref()),
        ("state", filter.state.map(engine::MessageState::name)),
    ]);
    broad.extend(filter.direction.map(|wanted| ("direction", direction(wanted))));
    Query {
        collection: MESSAGES,
        equals: if is_narrow { narrow } else { broad },
        contains,
        sharded: !is_narrow,
        order: Some(("created_at", filter.newest_first)),
        at_least: filter.created_after.map(time),
        below: filter.created_before.map(time),
        ..Query::default()
    }
}

impl Firestore {
    /// One page of a query, in its order: the documents that fit, as domain values.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        what: &str,
        query: Query,
        page: &Page,
        list: List,
        fits: impl Fn(&Document) -> bool,
    ) -> PortResult<PageOf<T>> {
        let limit = page.checked_limit()?;
        let start = cursor::start(page, list)?;
        let Some((field, _)) = query.order else {
            return Ok(PageOf { items: Vec::new(), next: None });
        };
        let mut after = start.map(|place| {
            (micros_time(place.micros), self.client().name(query.collection, &place.key))
        });
        let (mut items, mut last) = (Vec::new(), None);
        let (mut looked_at, mut bytes) = (0, 0_usize);
        loop {
            let chunk = (limit + 1 - items.len()).clamp(20, CHUNK_MAX);
            let query = Query { after: after.take(), limit: chunk, ..query.clone() };
            let (mut found, mut more) = (0, false);
            let mut failed = None;
            self.client()
                .query(query, |document| {
                    found += 1;
                    after = Some(behind(&document, field));
                    if !fits(&document) {
                        return ControlFlow::Continue(());
                    }
                    if items.len() == limit || bytes > PAGE_BYTES_MAX {
                        more = true;
                        return ControlFlow::Break(());
                    }
                    bytes += document.text(DOCUMENT).map_or(0, str::len);
                    last = Some(Place::of(&document, field));
                    match document.json(what, DOCUMENT) {
                        Ok(item) => items.push(item),
                        Err(error) => {
                            failed = Some(error);
                            return ControlFlow::Break(());
                        }
                    }
                    ControlFlow::Continue(())
                })
                .await?;
            if let Some(error) = failed {
                return Err(error);
            }
            looked_at += found;
            let most = if items.is_empty() { LOOKED_AT_EMPTY_MAX } else { LOOKED_AT_MAX };
            if more || (found == chunk && looked_at >= most) {
                // Goes on behind the last that was looked at, or behind the last that fits.
                return Ok(PageOf { items, next: last.map(|last| last.cursor(list)) });
            }
            if found < chunk {
                return Ok(PageOf { items, next: None });
            }
        }
    }
}

#[async_trait]
impl Queries for Firestore {
    async fn list_tasks(&self, filter: &TaskFilter, page: &Page) -> PortResult<PageOf<Task>> {
        let (sorted, list) = sorted(filter.sort);
        let Some(question) = filter.q.as_deref().map(Question::new) else {
            let query = tasks_query(filter, sorted);
            return self.page("task", query, page, list, |task| task_fits(filter, task)).await;
        };
        let (limit, start) = (page.checked_limit()?, cursor::start(page, list)?);
        if question.is_empty() {
            return Ok(PageOf { items: Vec::new(), next: None });
        }
        self.search_tasks(filter, &question, sorted, list, start, limit).await
    }

    async fn list_messages(
        &self,
        filter: &MessageFilter,
        page: &Page,
    ) -> PortResult<PageOf<Message>> {
        let list = if filter.newest_first { List::MessagesNewest } else { List::MessagesOldest };
        let question = filter.q.as_deref().map(Question::new);
        if question.as_ref().is_some_and(Question::is_empty) {
            page.checked_limit()?;
            cursor::start(page, list)?;
            return Ok(PageOf { items: Vec::new(), next: None });
        }
        let query = messages_query(filter, question.as_ref());
        let fits = |message: &Document| message_fits(filter, question.as_ref(), message);
        self.page("message", query, page, list, fits).await
    }

    async fn history(
        &self,
        task: &TaskId,
        after: u64,
        limit: usize,
    ) -> PortResult<Vec<HistoryEntry>> {
        let Some(from) = after.checked_add(1).filter(|from| i64::try_from(*from).is_ok()) else {
            return Ok(Vec::new());
        };
        let query = Query {
            collection: EVENTS,
            equals: vec![("task", text(task.as_str()))],
            order: Some(("sequence", false)),
            at_least: Some(number("the sequence number", from)?),
            limit: limit.min(PAGE_MAX),
            ..Query::default()
        };
        let mut entries = Vec::new();
        for document in self.client().all(query).await? {
            if let Some(entry) = self.long(&document, "entry").await? {
                entries.push(from_json("row of history", &entry)?);
            }
        }
        Ok(entries)
    }

    async fn list_conversations(
        &self,
        connection: Option<&str>,
        contact: Option<&str>,
        page: &Page,
    ) -> PortResult<PageOf<Conversation>> {
        let equals = match contact {
            Some(_) => equal(vec![("contact", contact)]),
            None => equal(vec![("connection", connection)]),
        };
        let query = Query {
            collection: CONVERSATIONS,
            equals,
            sharded: contact.is_none(),
            order: Some(("updated_at", true)),
            ..Query::default()
        };
        let fits = |document: &Document| has(document, "connection", connection);
        self.page("conversation", query, page, List::Conversations, fits).await
    }

    /// Counted by Firestore, flow by flow: a thousand tasks are one read.
    async fn task_counts(&self) -> PortResult<Vec<(String, String, u64)>> {
        let mut counts = Vec::new();
        let mut after = None;
        loop {
            let query = Query {
                collection: TASKS,
                order: Some(("flow", false)),
                after: after.take(),
                limit: 1,
                select: &["flow"],
                ..Query::default()
            };
            let found = self.client().all(query).await?;
            let Some(flow) = found.first().and_then(|task| task.text("flow")) else {
                return Ok(counts);
            };
            for status in ["running", "waiting", "completed", "failed", "cancelled", "expired"] {
                let equals = vec![("flow", text(flow)), ("status", text(status))];
                let query = Query { collection: TASKS, equals, ..Query::default() };
                let count = self.client().count(query).await?;
                if count > 0 {
                    counts.push((flow.to_owned(), status.to_owned(), count));
                }
            }
            // Behind every task of this flow: no key is greater than this one.
            after = Some((text(flow), self.client().name(TASKS, "\u{10ffff}")));
        }
    }

    async fn ping(&self) -> PortResult<()> {
        // That there is no such document is an answer.
        self.client().one("ping", "ping").await.map(|_| ())
    }
}
