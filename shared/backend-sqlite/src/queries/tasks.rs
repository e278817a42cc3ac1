//! Lists of tasks.

use engine::Task;
use ports::search::{self, Question};
use ports::{Page, PageOf, Sort, TaskFilter};
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::scan::{self, Equals, Found, Index, Terms};
use super::task_search;
use crate::cursor::{self, List, Place};
use crate::error::Outcome;
use crate::fts;
use crate::order::first_key;

/// Most tasks whose label has the part looked for that are sorted; where there are more, the
/// next one is never far.
const LABEL_HITS_MAX: usize = 10_000;

/// Indexes by which tasks are listed in the order of creation, the narrowest first.
const CREATED: &[Index] = &[
    ("tasks_parent", &["parent"]),
    ("tasks_conversation", &["conversation"]),
    ("tasks_contact", &["contact"]),
    ("tasks_queue", &["queue"]),
    ("tasks_waiting", &["waiting_for"]),
    ("tasks_flow_status", &["flow", "status"]),
    ("tasks_status", &["status"]),
    ("tasks_flow", &["flow"]),
];

/// The same in the order of the last change. One person's tasks are few enough to be sorted.
const UPDATED: &[Index] = &[
    ("tasks_parent", &["parent"]),
    ("tasks_conversation", &["conversation"]),
    ("tasks_contact", &["contact"]),
    ("tasks_queue_updated", &["queue"]),
    ("tasks_waiting_updated", &["waiting_for"]),
    ("tasks_flow_status_updated", &["flow", "status"]),
    ("tasks_status_updated", &["status"]),
    ("tasks_flow_updated", &["flow"]),
    ("tasks_updated", &[]),
];

const DOCUMENT: &str = "SELECT document FROM tasks WHERE seq = ?1";

/// One page.
pub(crate) fn list(conn: &Connection, filter: &TaskFilter, page: &Page) -> Outcome<PageOf<Task>> {
    let limit = page.checked_limit()?;
    let order = Order::of(filter.sort);
    let start = cursor::start(page, order.list)?;
    let question = filter.q.as_deref().map(Question::new);
    if question.as_ref().is_some_and(Question::is_empty) {
        return Ok(PageOf { items: Vec::new(), next: None });
    }
    let found = match (candidates(conn, filter, question.as_ref())?, question) {
        (Some(candidates), _) => pick(conn, filter, &order, candidates, start, limit)?,
        (None, None) => {
            let (sql, terms) = statement(filter, &order, start);
            scan::walk(conn, &sql, &terms.values, limit, scan::any)?
        }
        (None, Some(question)) => {
            let (sql, terms) = statement(filter, &order, start);
            let judge = |seq| task_search::judge(conn, seq, &question);
            scan::walk(conn, &sql, &terms.values, limit, judge)?
        }
    };
    scan::page(conn, "task", DOCUMENT, found, order.list)
}

/// Keys of the only tasks that can fit, where the index of words knows them better than any
/// other index does.
fn candidates(
    conn: &Connection,
    filter: &TaskFilter,
    question: Option<&Question>,
) -> Outcome<Option<Vec<i64>>> {
    if filter.parent.is_some() || filter.conversation.is_some() || filter.contact.is_some() {
        return Ok(None);
    }
    if let Some(question) = question {
        return task_search::hits(conn, question).map(Some);
    }
    let Some(part) = filter.label.as_deref().and_then(fts::part_to_match) else {
        return Ok(None);
    };
    let sql = "SELECT rowid FROM task_labels WHERE task_labels MATCH ?1 LIMIT ?2";
    let most = i64::try_from(LABEL_HITS_MAX + 1).unwrap_or(i64::MAX);
    let hits: Vec<i64> = conn
        .prepare_cached(sql)?
        .query_map((part, most), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok((hits.len() <= LABEL_HITS_MAX).then_some(hits))
}

/// How a list is ordered.
struct Order {
    list: List,
    by_update: bool,
    descending: bool,
}

impl Order {
    fn of(sort: Sort) -> Self {
        let (list, by_update, descending) = match sort {
            Sort::CreatedDesc => (List::TasksCreatedDesc, false, true),
            Sort::CreatedAsc => (List::TasksCreatedAsc, false, false),
            Sort::UpdatedDesc => (List::TasksUpdatedDesc, true, true),
            Sort::UpdatedAsc => (List::TasksUpdatedAsc, true, false),
        };
        Self { list, by_update, descending }
    }

    /// What is sorted by, beside the key.
    fn column(&self) -> &'static str {
        if self.by_update { "updated_at" } else { "0" }
    }

    fn clause(&self) -> &'static str {
        match (self.by_update, self.descending) {
            (false, true) => "seq DESC",
            (false, false) => "seq ASC",
            (true, true) => "updated_at DESC, seq DESC",
            (true, false) => "updated_at ASC, seq ASC",
        }
    }

    fn behind(&self, start: Place, terms: &mut Terms) -> String {
        let sign = if self.descending { "<" } else { ">" };
        let key = terms.value(start.key);
        if self.by_update {
            let value = terms.value(start.value);
            format!("(updated_at, seq) {sign} ({value}, {key})")
        } else {
            format!("seq {sign} {key}")
        }
    }

    fn sort(&self, places: &mut [Place]) {
        places.sort_unstable_by_key(|place| (place.value, place.key));
        if self.descending {
            places.reverse();
        }
    }

    fn is_behind(&self, place: Place, start: Place) -> bool {
        let (place, start) = ((place.value, place.key), (start.value, start.key));
        if self.descending { place < start } else { place > start }
    }
}

/// Columns that must be equal.
fn equals(filter: &TaskFilter) -> Equals {
    let mut status = filter.status.clone();
    if filter.waiting_for.is_some() && status.is_none() {
        // It says so, and lets the index on flow and status be used.
        status = Some("waiting".to_owned());
    }
    let columns = [
        ("parent", filter.parent.as_ref().map(|task| task.0.clone())),
        ("conversation", filter.conversation.as_ref().map(|id| id.0.clone())),
        ("contact", filter.contact.clone()),
        ("queue", filter.queue.clone()),
        ("waiting_for", filter.waiting_for.clone()),
        ("flow", filter.flow.clone()),
        ("status", status),
    ];
    columns.into_iter().filter_map(|(column, value)| Some((column, value?))).collect()
}

/// Adds what is not an equality of columns; `None` is one more thing to look at.
fn other_terms(filter: &TaskFilter, walk_by_key: bool, terms: &mut Terms) {
    let bounds =
        [(">=", filter.created_after.map(first_key)), ("<", filter.created_before.map(first_key))];
    for (sign, bound) in bounds {
        if let Some(bound) = bound {
            let condition = format!("seq {sign} {}", terms.value(bound));
            if walk_by_key { &mut terms.walk } else { &mut terms.fits }.push(condition);
        }
    }
    if let Some(part) = filter.label.as_deref().filter(|part| !part.is_empty()) {
        let part = terms.value(search::fold(part));
        terms.fits.push(format!("instr(label_folded, {part}) > 0"));
    }
}

/// The statement that walks an index.
fn statement(filter: &TaskFilter, order: &Order, start: Option<Place>) -> (String, Terms) {
    let mut terms = Terms::default();
    let indexes = if order.by_update { UPDATED } else { CREATED };
    let mut equals = equals(filter);
    // Most of what waits does so for a reply: a flow is narrower than that.
    if filter.flow.is_some() && filter.waiting_for.as_deref() == Some("reply") {
        let fits = equals.extract_if(.., |(column, _)| *column == "waiting_for");
        let fits: Equals = fits.collect();
        for (column, value) in fits {
            let condition = format!("{column} = {}", terms.value(value));
            terms.fits.push(condition);
        }
    }
    let index = match scan::choose(indexes, equals, &mut terms) {
        Some(index) => format!("INDEXED BY {index}"),
        None => "NOT INDEXED".to_owned(),
    };
    other_terms(filter, !order.by_update, &mut terms);
    if let Some(start) = start {
        let behind = order.behind(start, &mut terms);
        terms.walk.push(behind);
    }
    let sql = format!(
        "SELECT {}, seq, {} FROM tasks {index} WHERE {} ORDER BY {}",
        order.column(),
        terms.fits(),
        terms.walk(),
        order.clause(),
    );
    (sql, terms)
}

/// Of the candidates those that fit, in order.
fn pick(
    conn: &Connection,
    filter: &TaskFilter,
    order: &Order,
    candidates: Vec<i64>,
    start: Option<Place>,
    limit: usize,
) -> Outcome<Found> {
    let mut terms = Terms::default();
    scan::choose(&[], equals(filter), &mut terms);
    other_terms(filter, false, &mut terms);
    let key = terms.values.len() + 1;
    let fits = terms.fits();
    let sql = format!("SELECT {} FROM tasks WHERE seq = ?{key} AND {fits}", order.column());
    let mut statement = conn.prepare_cached(&sql)?;
    let mut places: Vec<Place> =
        candidates.into_iter().map(|key| Place { value: 0, key }).collect();
    order.sort(&mut places);
    let mut found = Found::default();
    for mut place in places {
        // In the order of creation the first ones that fit are the page.
        if !order.by_update
            && (found.places.len() > limit
                || start.is_some_and(|start| !order.is_behind(place, start)))
        {
            continue;
        }
        let values = terms.values.iter().cloned().chain([place.key.into()]);
        let value = statement.query_row(params_from_iter(values), |row| row.get(0)).optional()?;
        if let Some(value) = value {
            place.value = value;
            found.places.push(place);
        }
    }
    if order.by_update {
        order.sort(&mut found.places);
        found.places.retain(|place| start.is_none_or(|start| order.is_behind(*place, start)));
    }
    if found.places.len() > limit {
        found.places.truncate(limit);
        found.next = found.places.last().copied();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use engine::{ConversationId, TaskId};

    use super::*;
    use crate::tests::migrated;

    /// What SQLite does for a statement, without what every walk has.
    fn plan(conn: &Connection, filter: &TaskFilter) -> String {
        let order = Order::of(filter.sort);
        let start = Some(Place { value: 1, key: 1 });
        let (sql, terms) = statement(filter, &order, start);
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql} LIMIT 10")).unwrap();
        let steps = statement
            .query_map(params_from_iter(&terms.values), |row| row.get::<_, String>(3))
            .unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn every_filter_walks_an_index_in_every_order() {
        let conn = migrated();
        for combination in 0..128_u32 {
            let has = |bit: u32| combination >> bit & 1 == 1;
            let text = |bit| has(bit).then(|| "x".to_owned());
            for sort in [Sort::CreatedDesc, Sort::CreatedAsc, Sort::UpdatedDesc, Sort::UpdatedAsc] {
                let filter = TaskFilter {
                    flow: text(0),
                    status: text(1),
                    waiting_for: has(2).then(|| "reply".to_owned()),
                    contact: text(3),
                    conversation: text(4).map(ConversationId),
                    queue: text(5),
                    parent: text(6).map(TaskId),
                    label: text(0),
                    created_after: has(1).then_some(chrono::DateTime::UNIX_EPOCH),
                    sort,
                    ..TaskFilter::default()
                };
                let plan = plan(&conn, &filter);
                let narrow = has(3) || has(4) || has(6);
                let by_update = matches!(sort, Sort::UpdatedAsc | Sort::UpdatedDesc);
                assert_eq!(plan.contains("TEMP B-TREE"), narrow && by_update, "{filter:?} {plan}");
                assert!(plan.starts_with("SEARCH tasks USING"), "{filter:?} {plan}");
            }
        }
    }

    #[test]
    fn the_narrowest_index_is_walked() {
        let conn = migrated();
        let by_flow_and_status = TaskFilter {
            flow: Some("f".into()),
            status: Some("failed".into()),
            sort: Sort::UpdatedDesc,
            ..TaskFilter::default()
        };
        assert_eq!(
            plan(&conn, &by_flow_and_status),
            "SEARCH tasks USING COVERING INDEX tasks_flow_status_updated \
             (flow=? AND status=? AND updated_at<?)"
        );
        let by_contact = TaskFilter {
            contact: Some("c".into()),
            status: Some("failed".into()),
            ..TaskFilter::default()
        };
        assert_eq!(
            plan(&conn, &by_contact),
            "SEARCH tasks USING INDEX tasks_contact (contact=? AND rowid<?)"
        );
    }
}
