//! A commit in the writer's transaction: every guard is part of the statement that writes.

use engine::{Message, Task};
use ports::{Commit, IdempotentAnswer, PortError, Receipt, search};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::columns::{self, Column};
use crate::error::{Outcome, conflict, integer};
use crate::open::DeliveryMode;
use crate::order::{Ordered, micros, next_key};
use crate::queue::{self, outbox};
use crate::recent::Fresh;
use crate::rows::{
    Prepared, PreparedMessage, conversation_columns, message_columns, message_words, task_columns,
    words_of_task,
};
use crate::writer::{Group, WordTable, Work};
use crate::{failures, fts};

/// A commit that waits for the writer.
pub(crate) struct Committing {
    pub(crate) prepared: Prepared,
    pub(crate) delivery: DeliveryMode,
    /// When what it publishes is published.
    pub(crate) published_at: i64,
}

impl Work for Committing {
    type Done = Receipt;

    fn work(&mut self, group: &mut Group<'_>) -> Outcome<Receipt> {
        write(group, &self.prepared, self.delivery, self.published_at)
    }

    fn fresh(self) -> Option<Fresh> {
        Some(self.prepared.into_documents())
    }
}

/// Writes all of it; after an error the caller takes everything back.
fn write(
    group: &mut Group<'_>,
    prepared: &Prepared,
    delivery: DeliveryMode,
    published_at: i64,
) -> Outcome<Receipt> {
    let commit = &prepared.commit;
    let at = micros(commit.at);
    if let Some(event) = &commit.event {
        let sql = "INSERT INTO events (id, at) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
        if group.conn.prepare_cached(sql)?.execute((event.as_str(), at))? == 0 {
            return Err(PortError::Duplicate { event: event.0.clone() }.into());
        }
    }
    if let Some(document) = &prepared.conversation {
        conversation(group, commit, document)?;
    }
    for (write, document) in commit.tasks.iter().zip(&prepared.tasks) {
        if write.create {
            create_task(group, &write.task, document)?;
        } else {
            update_task(group, &write.task, write.expected, document)?;
        }
    }
    for (write, row) in commit.messages.iter().zip(&prepared.messages) {
        match write.expected {
            None => create_message(group, &write.message, row)?,
            Some(revision) => update_message(group, &write.message, revision, row)?,
        }
    }
    history(group, commit, &prepared.history)?;
    for (failure, document) in commit.failures.iter().zip(&prepared.failures) {
        failures::write(group, failure, document)?;
    }
    if let (Some(answer), Some(document)) = (&commit.answer, &prepared.answer) {
        keep_answer(group, answer, document, at)?;
    }
    for id in &commit.withdrawn {
        queue::withdraw(group, id)?;
        if delivery == DeliveryMode::Published {
            outbox::release(group, id)?;
        }
    }
    for envelope in &commit.outbox {
        match delivery {
            DeliveryMode::Transactional => queue::enqueue(group, envelope, published_at)?,
            DeliveryMode::Published => outbox::hold(group, envelope, commit.event.as_ref(), at)?,
        }
    }
    let unpublished = match delivery {
        DeliveryMode::Transactional => Vec::new(),
        DeliveryMode::Published => commit.outbox.clone(),
    };
    let marks = unpublished.iter().map(|envelope| envelope.id.clone()).collect();
    Ok(Receipt { unpublished, marks })
}

fn conversation(group: &Group<'_>, commit: &Commit, document: &str) -> Outcome<()> {
    let Some(conversation) = &commit.conversation else {
        return Ok(());
    };
    let sql = if conversation.revision == 1 {
        "INSERT INTO conversations (id, revision, connection, contact, updated_at, document) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING"
    } else {
        "UPDATE conversations SET revision = ?2, connection = ?3, contact = ?4, \
         updated_at = ?5, document = ?6 WHERE id = ?1 AND revision = ?2 - 1"
    };
    let columns = conversation_columns(conversation)?;
    let document = [("document", document.into())];
    let row = columns::values(&columns).chain(columns::values(&document));
    let row = rusqlite::params_from_iter(row);
    match group.conn.prepare_cached(sql)?.execute(row)? {
        0 => Err(conflict("conversation", conversation.id.as_str())),
        _ => Ok(()),
    }
}

/// A new row: its key and its document beside the columns.
fn create(
    group: &Group<'_>,
    table: &str,
    seq: i64,
    columns: &[Column<'_>],
    document: &str,
) -> Outcome<bool> {
    let mut all = vec![("seq", ValueRef::Integer(seq))];
    all.extend_from_slice(columns);
    all.push(("document", document.into()));
    columns::insert(group.conn, table, &all)
}

fn create_task(group: &mut Group<'_>, task: &Task, document: &str) -> Outcome<()> {
    let seq = next_key(group.conn, Ordered::Tasks, task.created_at)?;
    let folded = search::fold_label(&task.label);
    if !create(group, "tasks", seq, &task_columns(task, &folded)?, document)? {
        return Err(conflict("task", task.id.as_str()));
    }
    count_task(group, &task.flow, task.status.name(), 1)?;
    let words = words_of_task(&folded, &task.contact.id, task.contact.name.as_deref());
    group.index(WordTable::Tasks, seq, words, false);
    group.index(WordTable::Labels, seq, fts::pieces(&folded), false);
    Ok(())
}

fn update_task(group: &mut Group<'_>, task: &Task, expected: u64, doc: &str) -> Outcome<()> {
    let expected = integer("the expected sequence", expected)?;
    let folded = search::fold_label(&task.label);
    let columns = task_columns(task, &folded)?;
    let counted = |row: &Row<'_>| Ok((row.get("flow")?, row.get("status")?));
    let found = columns::find(group.conn, "tasks", &columns, ("sequence", expected), counted)?;
    let (stored, counted) = found.ok_or_else(|| conflict("task", task.id.as_str()))?;
    let (flow, status): (String, String) = counted;
    stored.update(group.conn, "tasks", doc)?;
    if stored.changes("flow") || stored.changes("status") {
        count_task(group, &flow, &status, -1)?;
        count_task(group, &task.flow, task.status.name(), 1)?;
    }
    let relabelled = stored.changes("label_folded");
    if relabelled {
        group.index(WordTable::Labels, stored.seq, fts::pieces(&folded), true);
    }
    if relabelled || stored.changes("contact") || stored.changes("contact_name") {
        let words = words_of_task(&folded, &task.contact.id, task.contact.name.as_deref());
        group.index(WordTable::Tasks, stored.seq, words, true);
    }
    Ok(())
}

fn count_task(group: &Group<'_>, flow: &str, status: &str, change: i64) -> Outcome<()> {
    let sql = "INSERT INTO task_counts (flow, status, tasks) VALUES (?1, ?2, ?3) \
               ON CONFLICT (flow, status) DO UPDATE SET tasks = tasks + excluded.tasks";
    group.conn.prepare_cached(sql)?.execute((flow, status, change))?;
    Ok(())
}

fn create_message(group: &mut Group<'_>, message: &Message, row: &PreparedMessage) -> Outcome<()> {
    let seq = next_key(group.conn, Ordered::Messages, message.created_at)?;
    let columns = message_columns(message, row.text_digest)?;
    if !create(group, "messages", seq, &columns, &row.document)? {
        return Err(conflict("message", message.id.as_str()));
    }
    let words = row.words.clone().unwrap_or_else(|| message_words(message));
    group.index(WordTable::Messages, seq, words, false);
    Ok(())
}

fn update_message(
    group: &mut Group<'_>,
    message: &Message,
    expected: u64,
    row: &PreparedMessage,
) -> Outcome<()> {
    let columns = message_columns(message, row.text_digest)?;
    let expected = ("revision", integer("the expected revision", expected)?);
    let found = columns::find(group.conn, "messages", &columns, expected, |_| Ok(()))?;
    let (stored, ()) = found.ok_or_else(|| conflict("message", message.id.as_str()))?;
    stored.update(group.conn, "messages", &row.document)?;
    if stored.changes("text_digest") {
        group.index(WordTable::Messages, stored.seq, message_words(message), true);
    }
    Ok(())
}

fn history(group: &Group<'_>, commit: &Commit, documents: &[String]) -> Outcome<()> {
    let sql = "INSERT INTO history (task, sequence, document) VALUES (?1, ?2, ?3) \
               ON CONFLICT (task, sequence) DO NOTHING";
    for (entry, document) in commit.history.iter().zip(documents) {
        let row = (entry.task.as_str(), integer("the sequence", entry.sequence)?, document);
        if group.conn.prepare_cached(sql)?.execute(row)? == 0 {
            return Err(conflict("the history of task", entry.task.as_str()));
        }
    }
    Ok(())
}

fn keep_answer(
    group: &Group<'_>,
    answer: &IdempotentAnswer,
    document: &str,
    now: i64,
) -> Outcome<()> {
    let sql = "INSERT INTO answers (key, expires_at, document) VALUES (?1, ?2, ?3) \
               ON CONFLICT (key) DO UPDATE \
               SET expires_at = excluded.expires_at, document = excluded.document \
               WHERE answers.expires_at <= ?4";
    let row = (&answer.key, micros(answer.expires_at), document, now);
    match group.conn.prepare_cached(sql)?.execute(row)? {
        0 => Err(conflict("the answer to idempotency key", &answer.key)),
        _ => Ok(()),
    }
}
