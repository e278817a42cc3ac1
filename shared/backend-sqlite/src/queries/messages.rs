//! Lists of messages.

use engine::{Message, MessageState};
use ports::search::Question;
use ports::{MessageFilter, Page, PageOf};
use rusqlite::Connection;

use super::scan::{self, Equals, Index, Terms, Verdict};
use super::task_search::{TEXT_COST, words_of_message};
use crate::cursor::{self, List, Place};
use crate::error::Outcome;
use crate::fts;
use crate::order::first_key;
use crate::rows::direction;

/// Indexes by which messages are listed, the narrowest first.
const INDEXES: &[Index] = &[
    ("messages_task", &["task"]),
    ("messages_conversation", &["conversation"]),
    ("messages_contact", &["contact"]),
    ("messages_unfinished", &["unfinished", "state"]),
    ("messages_connection", &["connection"]),
];

const DOCUMENT: &str = "SELECT document FROM messages WHERE seq = ?1";

/// One page.
pub(crate) fn list(
    conn: &Connection,
    filter: &MessageFilter,
    page: &Page,
) -> Outcome<PageOf<Message>> {
    let limit = page.checked_limit()?;
    let list = if filter.newest_first { List::MessagesNewest } else { List::MessagesOldest };
    let start = cursor::start(page, list)?;
    let question = filter.q.as_deref().map(Question::new);
    let narrow = filter.task.is_some() || filter.conversation.is_some() || filter.contact.is_some();
    let found = match question {
        None => {
            let (sql, terms) = statement(filter, start);
            scan::walk(conn, &sql, &terms.values, limit, scan::any)?
        }
        Some(question) if question.is_empty() => {
            return Ok(PageOf { items: Vec::new(), next: None });
        }
        Some(question) if narrow => {
            let (sql, terms) = statement(filter, start);
            let judge = |seq| judge(conn, seq, &question);
            scan::walk(conn, &sql, &terms.values, limit, judge)?
        }
        Some(question) => {
            let (sql, terms) = search_statement(filter, &question, start);
            scan::walk(conn, &sql, &terms.values, limit, scan::any)?
        }
    };
    scan::page(conn, "message", DOCUMENT, found, list)
}

/// Reads the text of one message: of one conversation that is cheaper than all messages that
/// hold the word.
fn judge(conn: &Connection, seq: i64, question: &Question) -> Outcome<Verdict> {
    let mut statement = conn.prepare_cached(DOCUMENT)?;
    let mut rows = statement.query([seq])?;
    let fits = match rows.next()? {
        None => false,
        Some(row) => {
            let document = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            question.matches(&words_of_message(document)?)
        }
    };
    Ok(Verdict { fits, cost: TEXT_COST })
}

/// Columns that must be equal.
fn equals(filter: &MessageFilter) -> Equals {
    let columns = [
        ("task", filter.task.as_ref().map(|task| task.0.clone())),
        ("conversation", filter.conversation.as_ref().map(|id| id.0.clone())),
        ("contact", filter.contact.clone()),
        ("connection", filter.connection.clone()),
        ("state", filter.state.map(|state| state.name().to_owned())),
        ("direction", filter.direction.map(|to| direction(to).to_owned())),
    ];
    columns.into_iter().filter_map(|(column, value)| Some((column, value?))).collect()
}

/// Most messages have come to one of these states; the index leaves them out.
fn is_finished(state: MessageState) -> bool {
    use MessageState::{Delivered, Processed, Read, Sent};
    matches!(state, Processed | Sent | Delivered | Read)
}

/// What is compared by key: times, and where the page before ended.
fn key_terms(filter: &MessageFilter, start: Option<Place>, key: &str, terms: &mut Terms) {
    let behind = if filter.newest_first { "<" } else { ">" };
    let bounds = [
        (">=", filter.created_after.map(first_key)),
        ("<", filter.created_before.map(first_key)),
        (behind, start.map(|place| place.key)),
    ];
    for (sign, bound) in bounds {
        if let Some(bound) = bound {
            let condition = format!("{key} {sign} {}", terms.value(bound));
            terms.walk.push(condition);
        }
    }
}

fn clause(filter: &MessageFilter) -> &'static str {
    if filter.newest_first { "DESC" } else { "ASC" }
}

/// The statement that walks an index.
fn statement(filter: &MessageFilter, start: Option<Place>) -> (String, Terms) {
    let mut terms = Terms::default();
    let unfinished = filter.state.is_some_and(|state| !is_finished(state));
    let indexes: Vec<Index> = INDEXES
        .iter()
        .filter(|(_, columns)| unfinished || !columns.contains(&"state"))
        .map(|(name, columns)| (*name, columns.strip_prefix(&["unfinished"]).unwrap_or(columns)))
        .collect();
    let index = match scan::choose(&indexes, equals(filter), &mut terms) {
        Some("messages_unfinished") => {
            // SQLite takes a partial index where the statement repeats its condition.
            let condition = "state NOT IN ('processed', 'sent', 'delivered', 'read')";
            terms.walk.push(condition.to_owned());
            "INDEXED BY messages_unfinished".to_owned()
        }
        Some(index) => format!("INDEXED BY {index}"),
        None => "NOT INDEXED".to_owned(),
    };
    key_terms(filter, start, "seq", &mut terms);
    let sql = format!(
        "SELECT 0, seq, {} FROM messages {index} WHERE {} ORDER BY seq {}",
        terms.fits(),
        terms.walk(),
        clause(filter),
    );
    (sql, terms)
}

/// The statement that walks the index of words.
fn search_statement(
    filter: &MessageFilter,
    question: &Question,
    start: Option<Place>,
) -> (String, Terms) {
    let mut terms = Terms::default();
    scan::choose(&[], equals(filter), &mut terms);
    let words = terms.value(fts::to_match(question));
    terms.walk.push(format!("message_words MATCH {words}"));
    key_terms(filter, start, "w.rowid", &mut terms);
    let sql = format!(
        "SELECT 0, w.rowid, {} FROM message_words AS w \
         CROSS JOIN messages AS m ON m.seq = w.rowid WHERE {} ORDER BY w.rowid {}",
        terms.fits(),
        terms.walk(),
        clause(filter),
    );
    (sql, terms)
}

#[cfg(test)]
mod tests {
    use engine::{ConversationId, TaskId};
    use rusqlite::params_from_iter;

    use super::*;
    use crate::tests::migrated;

    fn plan(conn: &Connection, sql: &str, terms: &Terms) -> String {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql} LIMIT 10")).unwrap();
        let steps = statement
            .query_map(params_from_iter(&terms.values), |row| row.get::<_, String>(3))
            .unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn every_filter_walks_an_index_in_both_orders() {
        let conn = migrated();
        let start = Some(Place { value: 0, key: 1 });
        for combination in 0..64_u32 {
            let has = |bit: u32| combination >> bit & 1 == 1;
            let text = |bit| has(bit).then(|| "x".to_owned());
            for state in [None, Some(MessageState::Failed), Some(MessageState::Sent)] {
                let filter = MessageFilter {
                    task: text(0).map(TaskId),
                    conversation: text(1).map(ConversationId),
                    connection: text(2),
                    contact: text(3),
                    direction: has(4).then_some(engine::Direction::In),
                    created_before: has(4).then_some(chrono::DateTime::UNIX_EPOCH),
                    newest_first: has(5),
                    state,
                    ..MessageFilter::default()
                };
                let (sql, terms) = statement(&filter, start);
                let walked = plan(&conn, &sql, &terms);
                assert!(walked.starts_with("SEARCH messages USING"), "{filter:?} {walked}");
                assert!(!walked.contains("TEMP B-TREE"), "{filter:?} {walked}");
                let (sql, terms) = search_statement(&filter, &Question::new("x y"), start);
                let searched = plan(&conn, &sql, &terms);
                assert!(searched.starts_with("SCAN w VIRTUAL TABLE"), "{filter:?} {searched}");
                assert!(!searched.contains("TEMP B-TREE"), "{filter:?} {searched}");
            }
        }
    }
}
