//! The indexes of search: each row is indexed by the words that it has, and by no others.
//!
//! The tables of FTS5 keep no texts, and asking them row by row for the words of each would take
//! longer the more rows there are. So both sides are read once, from the rows and from the index,
//! and every word of every row goes into the sum of one of many buckets. Rows are only asked for
//! one by one in buckets whose sums differ.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use engine::{Message, Task};
use ports::search;
use rusqlite::OptionalExtension as _;

use super::{Aspect, Look};
use crate::error::Outcome;
use crate::fts;
use crate::rows::{message_words, words_of_task};

/// Half a megabyte of sums: with a million rows some fifteen share one.
const BUCKETS: usize = 1 << 16;
/// Most rows that are asked for one by one.
const ASKED_MAX: u64 = 1_000;
/// Most words of one row that are asked for.
const WORDS_MAX: usize = 50;

/// One index and the rows it is made of.
struct Index {
    /// What the part is called.
    part: &'static str,
    /// The key, the id and the document of each row.
    rows: &'static str,
    /// The table over every word of the index.
    vocabulary: &'static str,
    /// Every word of it: the word, the key of its row, its place there.
    words: &'static str,
    /// How many words the index says that a row has.
    size: &'static str,
    /// Whether a row is found by a question.
    found: &'static str,
    /// Rows that are indexed and not there.
    strays: &'static str,
    /// The words of a document; none where it does not parse, which was found before.
    of: fn(&str) -> Option<String>,
}

const MESSAGES: Index = Index {
    part: "words of messages",
    rows: "SELECT seq, id, document FROM main.messages ORDER BY seq",
    vocabulary: "CREATE VIRTUAL TABLE temp.words_of_messages \
                 USING fts5vocab (main, message_words, instance)",
    words: "SELECT term, doc, offset FROM temp.words_of_messages",
    size: "SELECT sz FROM message_words_docsize WHERE id = ?1",
    found: "SELECT 1 FROM message_words WHERE rowid = ?1 AND message_words MATCH ?2",
    strays: "SELECT 'words of message ' || id, 'the message is not there' \
             FROM message_words_docsize WHERE id NOT IN (SELECT seq FROM messages)",
    of: |document| Some(message_words(&serde_json::from_str::<Message>(document).ok()?)),
};

const TASKS: Index = Index {
    part: "words of tasks",
    rows: "SELECT seq, id, document FROM main.tasks ORDER BY seq",
    vocabulary: "CREATE VIRTUAL TABLE temp.words_of_tasks \
                 USING fts5vocab (main, task_words, instance)",
    words: "SELECT term, doc, offset FROM temp.words_of_tasks",
    size: "SELECT sz FROM task_words_docsize WHERE id = ?1",
    found: "SELECT 1 FROM task_words WHERE rowid = ?1 AND task_words MATCH ?2",
    strays: "SELECT 'words of task ' || id, 'the task is not there' \
             FROM task_words_docsize WHERE id NOT IN (SELECT seq FROM tasks)",
    of: |document| {
        let task: Task = serde_json::from_str(document).ok()?;
        let folded = search::fold_label(&task.label);
        Some(words_of_task(&folded, &task.contact.id, task.contact.name.as_deref()))
    },
};

const LABELS: Index = Index {
    part: "labels of tasks",
    rows: TASKS.rows,
    vocabulary: "CREATE VIRTUAL TABLE temp.labels_of_tasks \
                 USING fts5vocab (main, task_labels, instance)",
    words: "SELECT term, doc, offset FROM temp.labels_of_tasks",
    size: "SELECT sz FROM task_labels_docsize WHERE id = ?1",
    found: "SELECT 1 FROM task_labels WHERE rowid = ?1 AND task_labels MATCH ?2",
    strays: "SELECT 'label of task ' || id, 'the task is not there' \
             FROM task_labels_docsize WHERE id NOT IN (SELECT seq FROM tasks)",
    of: |document| {
        let task: Task = serde_json::from_str(document).ok()?;
        Some(fts::pieces(&search::fold_label(&task.label)))
    },
};

/// The words of messages.
pub(super) fn of_messages(look: &mut Look<'_>) -> Outcome<u64> {
    check(look, &MESSAGES)
}

/// The words of tasks.
pub(super) fn of_tasks(look: &mut Look<'_>) -> Outcome<u64> {
    check(look, &TASKS)
}

/// The labels of tasks.
pub(super) fn of_labels(look: &mut Look<'_>) -> Outcome<u64> {
    check(look, &LABELS)
}

fn check(look: &mut Look<'_>, index: &Index) -> Outcome<u64> {
    let mut sums = vec![0_u64; BUCKETS];
    let mut count = 0;
    let mut wrong = 0;
    let unread = each_row(look, index, |look, seq, place, words| {
        look.count(index.part, &mut count);
        let size = index_size(look, index, seq)?;
        let expected = words.split_whitespace().count() as u64;
        if size != expected {
            wrong += 1;
            let problem = format!("{size} of its {expected} word(s) are in the index of search");
            look.found(Aspect::Search, place, problem);
        }
        for (offset, word) in words.split_whitespace().enumerate() {
            let sum = bucket(&mut sums, seq);
            *sum = sum.wrapping_add(digest(seq, offset as u64, word.as_bytes()));
        }
        Ok(())
    })?;
    subtract(look, index, &mut sums)?;
    let strays = look.strays(Aspect::Search, index.strays)?;
    if sums.iter().any(|sum| *sum != 0) {
        let named = unread + wrong + strays + ask(look, index, &mut sums)?;
        if named == 0 {
            let problem = "the index of search holds other words than the rows have";
            look.found(Aspect::Search, index.part, problem);
        }
    }
    Ok(count)
}

/// Calls `each` with the key, the id and the words of every row; gives the number of those whose
/// document does not parse.
fn each_row(
    look: &mut Look<'_>,
    index: &Index,
    mut each: impl FnMut(&mut Look<'_>, i64, &str, &str) -> Outcome<()>,
) -> Outcome<u64> {
    let mut statement = look.conn.prepare(index.rows)?;
    let mut rows = statement.query([])?;
    let mut unread = 0;
    while let Some(row) = rows.next()? {
        let document = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
        match (index.of)(document) {
            Some(words) => each(look, row.get(0)?, &row.get::<_, String>(1)?, &words)?,
            None => unread += 1,
        }
    }
    Ok(unread)
}

/// Takes every word of the index from the sums.
fn subtract(look: &mut Look<'_>, index: &Index, sums: &mut [u64]) -> Outcome<()> {
    look.conn.execute_batch(index.vocabulary)?;
    let mut statement = look.conn.prepare(index.words)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let term = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
        let (seq, offset): (i64, i64) = (row.get(1)?, row.get(2)?);
        let sum = bucket(sums, seq);
        *sum = sum.wrapping_sub(digest(seq, offset.unsigned_abs(), term));
    }
    Ok(())
}

/// Asks for the rows of buckets whose sums differ, as many as may be; gives how many are wrong.
fn ask(look: &mut Look<'_>, index: &Index, sums: &mut [u64]) -> Outcome<u64> {
    let (mut asked, mut wrong) = (0, 0);
    each_row(look, index, |look, seq, place, words| {
        if *bucket(sums, seq) == 0 || words.is_empty() || asked == ASKED_MAX {
            return Ok(());
        }
        // One of another number of words was found before.
        if index_size(look, index, seq)? != words.split_whitespace().count() as u64 {
            return Ok(());
        }
        asked += 1;
        let quoted: Vec<String> =
            words.split_whitespace().take(WORDS_MAX).map(|word| format!("\"{word}\"")).collect();
        if !look.exists(index.found, (seq, quoted.join(" AND ")))? {
            wrong += 1;
            look.found(Aspect::Search, place, "it is indexed by other words than it has");
        }
        Ok(())
    })?;
    Ok(wrong)
}

fn bucket(sums: &mut [u64], seq: i64) -> &mut u64 {
    let at = usize::try_from(digest(seq, 0, &[])).unwrap_or_default() % sums.len();
    &mut sums[at]
}

fn digest(seq: i64, offset: u64, word: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seq, offset, word).hash(&mut hasher);
    hasher.finish()
}

/// How many words the index says that a row has.
fn index_size(look: &Look<'_>, index: &Index, seq: i64) -> Outcome<u64> {
    let size: Option<Vec<u8>> =
        look.conn.prepare_cached(index.size)?.query_row([seq], |row| row.get(0)).optional()?;
    Ok(varint(&size.unwrap_or_default()))
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
