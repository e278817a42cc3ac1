//! The indexes of search: each row is indexed with as many words as it has, and is found by them.
//!
//! The tables of FTS5 keep no texts. How many words a row has stands in a table of their own,
//! which is read beside the rows; whether the words are the right ones is asked of the index.

use engine::{Message, Task};
use ports::search;
use rusqlite::OptionalExtension as _;

use super::{Aspect, Look};
use crate::error::Outcome;
use crate::fts;
use crate::rows::{message_words, words_of_task};

/// Rows whose words are all looked for; of the later ones each hundredth.
const ALL_UP_TO: u64 = 10_000;
const EACH: u64 = 100;
/// Most words of one row that are looked for.
const WORDS_MAX: usize = 50;

/// What is known of one index.
struct Index {
    /// The words of a row with that key.
    count: &'static str,
    /// Whether the row is found by a question.
    found: &'static str,
    /// Rows that are indexed and not there.
    strays: &'static str,
}

const MESSAGES: Index = Index {
    count: "SELECT sz FROM message_words_docsize WHERE id = ?1",
    found: "SELECT 1 FROM message_words WHERE rowid = ?1 AND message_words MATCH ?2",
    strays: "SELECT 'words of message ' || id, 'the message is not there' \
             FROM message_words_docsize WHERE id NOT IN (SELECT seq FROM messages)",
};
const TASKS: Index = Index {
    count: "SELECT sz FROM task_words_docsize WHERE id = ?1",
    found: "SELECT 1 FROM task_words WHERE rowid = ?1 AND task_words MATCH ?2",
    strays: "SELECT 'words of task ' || id, 'the task is not there' \
             FROM task_words_docsize WHERE id NOT IN (SELECT seq FROM tasks)",
};
const LABELS: Index = Index {
    count: "SELECT sz FROM task_labels_docsize WHERE id = ?1",
    found: "SELECT 1 FROM task_labels WHERE rowid = ?1 AND task_labels MATCH ?2",
    strays: "SELECT 'label of task ' || id, 'the task is not there' \
             FROM task_labels_docsize WHERE id NOT IN (SELECT seq FROM tasks)",
};

/// The words of messages.
pub(super) fn of_messages(look: &mut Look<'_>) -> Outcome<u64> {
    let mut statement = look.conn.prepare("SELECT seq, id, document FROM messages ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        look.count("words of messages", &mut count);
        let text = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
        // One that does not parse was found before.
        let Ok(message) = serde_json::from_str::<Message>(text) else { continue };
        let (seq, place): (i64, String) = (row.get(0)?, row.get(1)?);
        indexed(look, &MESSAGES, &place, (seq, count), &message_words(&message))?;
    }
    look.strays(Aspect::Search, MESSAGES.strays)?;
    Ok(count)
}

/// The words and the labels of tasks.
pub(super) fn of_tasks(look: &mut Look<'_>) -> Outcome<u64> {
    let mut statement = look.conn.prepare("SELECT seq, id, document FROM tasks ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        look.count("words of tasks", &mut count);
        let text = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
        let Ok(task) = serde_json::from_str::<Task>(text) else { continue };
        let (seq, place): (i64, String) = (row.get(0)?, row.get(1)?);
        let folded = search::fold_label(&task.label);
        let words = words_of_task(&folded, &task.contact.id, task.contact.name.as_deref());
        indexed(look, &TASKS, &place, (seq, count), &words)?;
        indexed(look, &LABELS, &place, (seq, count), &fts::pieces(&folded))?;
    }
    look.strays(Aspect::Search, TASKS.strays)?;
    look.strays(Aspect::Search, LABELS.strays)?;
    Ok(count)
}

/// The row with the key `seq`, the `nth` of its table, is indexed by these words.
fn indexed(
    look: &mut Look<'_>,
    index: &Index,
    place: &str,
    (seq, nth): (i64, u64),
    words: &str,
) -> Outcome<()> {
    let size: Option<Vec<u8>> =
        look.conn.prepare_cached(index.count)?.query_row([seq], |row| row.get(0)).optional()?;
    let (has, expected) = (varint(&size.unwrap_or_default()), words.split_whitespace().count());
    if has != expected as u64 {
        let problem = format!("{has} of its {expected} word(s) are in the index of search");
        look.found(Aspect::Search, place, problem);
        return Ok(());
    }
    if expected == 0 || nth > ALL_UP_TO && !nth.is_multiple_of(EACH) {
        return Ok(());
    }
    let quoted: Vec<String> =
        words.split_whitespace().take(WORDS_MAX).map(|word| format!("\"{word}\"")).collect();
    if !look.exists(index.found, (seq, quoted.join(" AND ")))? {
        look.found(Aspect::Search, place, "it is indexed by other words than it has");
    }
    Ok(())
}

/// A number as SQLite writes it: seven bits a byte, the highest first.
fn varint(bytes: &[u8]) -> u64 {
    let mut number: u64 = 0;
    for byte in bytes {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}
