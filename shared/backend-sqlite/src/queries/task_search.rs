//! Tasks by words of their label, their contact and their messages.
//!
//! A word of a question may stand in the label and another in a message. Of the messages that
//! hold a word the newest [`HITS_MAX`] count: common words find the newest tasks, and the other
//! filters find older ones.

use std::collections::{BTreeSet, HashMap};

use ports::search::{self, Question};
use rusqlite::{Connection, OptionalExtension as _};
use serde::Deserialize;

use super::scan::Verdict;
use crate::error::{Outcome, from_text};
use crate::fts;
use crate::rows::words_of_task;

/// Most messages, and most tasks by their own words, that one word is looked up in.
const HITS_MAX: u32 = 5_000;
/// Most messages that are looked at for those that belong to a task.
const MATCHES_MAX: u32 = 25_000;
/// Most messages of one task whose text is read.
const MESSAGES_MAX: u32 = 2_000;
/// What reading a text costs in rows that are walked over.
pub(crate) const TEXT_COST: u64 = 4;

/// A message without all that search does not need.
#[derive(Deserialize)]
struct OnlyText {
    content: OnlyContent,
}

#[derive(Deserialize)]
struct OnlyContent {
    #[serde(default)]
    text: String,
}

/// The words of a stored message.
pub(crate) fn words_of_message(document: &str) -> Outcome<String> {
    let message: OnlyText = from_text("message", document)?;
    Ok(search::words(&message.content.text))
}

/// Keys of the tasks that hold all words of the question.
pub(crate) fn hits(conn: &Connection, question: &Question) -> Outcome<Vec<i64>> {
    let mut known = HashMap::new();
    let mut hits = of_match(conn, &fts::to_match(question), &mut known)?;
    let each = fts::each_match(question);
    if each.len() > 1 {
        let mut common: Option<BTreeSet<i64>> = None;
        for word in each {
            let with_word = of_match(conn, &word, &mut known)?;
            let both = match common {
                None => with_word,
                Some(before) => before.intersection(&with_word).copied().collect(),
            };
            let is_empty = both.is_empty();
            common = Some(both);
            if is_empty {
                break;
            }
        }
        hits.extend(common.into_iter().flatten());
    }
    Ok(hits.into_iter().collect())
}

/// Keys of tasks with such words in one of their texts. `known` are keys by task id.
fn of_match(
    conn: &Connection,
    words: &str,
    known: &mut HashMap<String, Option<i64>>,
) -> Outcome<BTreeSet<i64>> {
    let own = "SELECT rowid FROM task_words WHERE task_words MATCH ?1 \
               ORDER BY rowid DESC LIMIT ?2";
    let mut found: BTreeSet<i64> = conn
        .prepare_cached(own)?
        .query_map((words, HITS_MAX), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let messages = "SELECT m.task FROM (SELECT rowid AS seq FROM message_words \
                      WHERE message_words MATCH ?1 ORDER BY rowid DESC LIMIT ?2) AS w \
                    CROSS JOIN messages AS m ON m.seq = w.seq WHERE m.task IS NOT NULL LIMIT ?3";
    let mut key = conn.prepare_cached("SELECT seq FROM tasks WHERE id = ?1")?;
    let mut statement = conn.prepare_cached(messages)?;
    let mut rows = statement.query((words, MATCHES_MAX, HITS_MAX))?;
    while let Some(row) = rows.next()? {
        let task = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let seq = if let Some(seq) = known.get(task) {
            *seq
        } else {
            let seq = key.query_row([task], |row| row.get(0)).optional()?;
            known.insert(task.to_owned(), seq);
            seq
        };
        found.extend(seq);
    }
    Ok(found)
}

/// Whether one task holds all words of the question: its texts are read.
pub(crate) fn judge(conn: &Connection, seq: i64, question: &Question) -> Outcome<Verdict> {
    let own = "SELECT label_folded, contact, contact_name, id FROM tasks WHERE seq = ?1";
    let (words, id) = conn.prepare_cached(own)?.query_row([seq], |row| {
        let (label, contact): (String, String) = (row.get(0)?, row.get(1)?);
        let name: Option<String> = row.get(2)?;
        Ok((words_of_task(&label, &contact, name.as_deref()), row.get::<_, String>(3)?))
    })?;
    let mut marks = question.unmarked();
    question.mark(&words, &mut marks);
    let mut cost = 1;
    let sql = "SELECT document FROM messages INDEXED BY messages_task WHERE task = ?1 \
               ORDER BY seq DESC LIMIT ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query((id, MESSAGES_MAX))?;
    while !marks.iter().all(|mark| *mark)
        && let Some(row) = rows.next()?
    {
        let document = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        question.mark(&words_of_message(document)?, &mut marks);
        cost += TEXT_COST;
    }
    Ok(Verdict { fits: marks.iter().all(|mark| *mark), cost })
}
