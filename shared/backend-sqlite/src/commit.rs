//! A commit in the writer's transaction: every guard is part of the statement that writes.

use engine::{Message, Task};
use ports::{Commit, IdempotentAnswer, PortError, Receipt, search};
use rusqlite::OptionalExtension as _;

use crate::error::{Outcome, conflict, integer};
use crate::open::DeliveryMode;
use crate::order::{Ordered, micros, next_key};
use crate::queue::{self, outbox};
use crate::rows::{Prepared, PreparedMessage, message_words, words_of_task};
use crate::writer::{Group, WordTable};
use crate::{failures, fts};

/// Writes all of it; after an error the caller takes everything back.
pub(crate) fn write(
    group: &mut Group<'_>,
    prepared: Prepared,
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
    for (write, row) in commit.messages.iter().zip(prepared.messages) {
        match write.expected {
            None => create_message(group, &write.message, row)?,
            Some(revision) => update_message(group, &write.message, revision, &row)?,
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
    Ok(match delivery {
        DeliveryMode::Transactional => Receipt::default(),
        DeliveryMode::Published => {
            let unpublished = prepared.commit.outbox;
            let marks = unpublished.iter().map(|envelope| envelope.id.clone()).collect();
            Receipt { unpublished, marks }
        }
    })
}

fn conversation(group: &Group<'_>, commit: &Commit, document: &str) -> Outcome<()> {
    let Some(conversation) = &commit.conversation else {
        return Ok(());
    };
    let revision = integer("the revision", conversation.revision)?;
    let sql = if revision == 1 {
        "INSERT INTO conversations (id, revision, connection, contact, updated_at, document) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING"
    } else {
        "UPDATE conversations SET revision = ?2, connection = ?3, contact = ?4, \
         updated_at = ?5, document = ?6 WHERE id = ?1 AND revision = ?2 - 1"
    };
    let row = (
        conversation.id.as_str(),
        revision,
        &conversation.connection,
        &conversation.contact.id,
        micros(conversation.updated_at),
        document,
    );
    match group.conn.prepare_cached(sql)?.execute(row)? {
        0 => Err(conflict("conversation", conversation.id.as_str())),
        _ => Ok(()),
    }
}

fn create_task(group: &mut Group<'_>, task: &Task, document: &str) -> Outcome<()> {
    let seq = next_key(group.conn, Ordered::Tasks, task.created_at)?;
    let folded = search::fold_label(&task.label);
    let (awaited_type, awaited_key) = task.awaited_event().unzip();
    let sql = "INSERT INTO tasks (seq, id, sequence, flow, status, waiting_for, contact, \
               contact_name, conversation, queue, parent, awaited_type, awaited_key, \
               updated_at, label_folded, document) VALUES \
               (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
               ON CONFLICT (id) DO NOTHING";
    let written = group.conn.prepare_cached(sql)?.execute(rusqlite::params![
        seq,
        task.id.as_str(),
        integer("the sequence", task.sequence)?,
        task.flow,
        task.status.name(),
        task.status.waiting_for(),
        task.contact.id,
        task.contact.name,
        task.conversation.as_str(),
        task.queue().map(|(queue, _)| queue),
        task.parent.as_ref().map(|parent| parent.task.as_str()),
        awaited_type,
        awaited_key,
        micros(task.updated_at),
        folded,
        document,
    ])?;
    if written == 0 {
        return Err(conflict("task", task.id.as_str()));
    }
    count_task(group, &task.flow, task.status.name(), 1)?;
    let words = words_of_task(&folded, &task.contact.id, task.contact.name.as_deref());
    group.index(WordTable::Tasks, seq, words, false);
    group.index(WordTable::Labels, seq, fts::pieces(&folded), false);
    Ok(())
}

/// What of a stored task decides what else changes with it.
struct StoredTask {
    seq: i64,
    sequence: i64,
    flow: String,
    status: String,
    contact: String,
    contact_name: Option<String>,
    label_folded: String,
}

fn stored_task(group: &Group<'_>, id: &str) -> Outcome<Option<StoredTask>> {
    let sql = "SELECT seq, sequence, flow, status, contact, contact_name, label_folded \
               FROM tasks WHERE id = ?1";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(StoredTask {
            seq: row.get(0)?,
            sequence: row.get(1)?,
            flow: row.get(2)?,
            status: row.get(3)?,
            contact: row.get(4)?,
            contact_name: row.get(5)?,
            label_folded: row.get(6)?,
        })
    };
    Ok(group.conn.prepare_cached(sql)?.query_row([id], read).optional()?)
}

fn update_task(group: &mut Group<'_>, task: &Task, expected: u64, doc: &str) -> Outcome<()> {
    let expected = integer("the expected sequence", expected)?;
    let stored = stored_task(group, task.id.as_str())?
        .filter(|stored| stored.sequence == expected)
        .ok_or_else(|| conflict("task", task.id.as_str()))?;
    let folded = search::fold_label(&task.label);
    let (awaited_type, awaited_key) = task.awaited_event().unzip();
    let sql = "UPDATE tasks SET sequence = ?2, flow = ?3, status = ?4, waiting_for = ?5, \
               contact = ?6, contact_name = ?7, conversation = ?8, queue = ?9, parent = ?10, \
               awaited_type = ?11, awaited_key = ?12, updated_at = ?13, label_folded = ?14, \
               document = ?15 WHERE seq = ?1";
    group.conn.prepare_cached(sql)?.execute(rusqlite::params![
        stored.seq,
        integer("the sequence", task.sequence)?,
        task.flow,
        task.status.name(),
        task.status.waiting_for(),
        task.contact.id,
        task.contact.name,
        task.conversation.as_str(),
        task.queue().map(|(queue, _)| queue),
        task.parent.as_ref().map(|parent| parent.task.as_str()),
        awaited_type,
        awaited_key,
        micros(task.updated_at),
        folded,
        doc,
    ])?;
    if (stored.flow.as_str(), stored.status.as_str()) != (&task.flow, task.status.name()) {
        count_task(group, &stored.flow, &stored.status, -1)?;
        count_task(group, &task.flow, task.status.name(), 1)?;
    }
    let relabelled = stored.label_folded != folded;
    if relabelled {
        group.index(WordTable::Labels, stored.seq, fts::pieces(&folded), true);
    }
    let renamed = (&stored.contact, &stored.contact_name) != (&task.contact.id, &task.contact.name);
    if relabelled || renamed {
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

fn create_message(group: &mut Group<'_>, message: &Message, row: PreparedMessage) -> Outcome<()> {
    let seq = next_key(group.conn, Ordered::Messages, message.created_at)?;
    let sql = "INSERT INTO messages (seq, id, revision, task, conversation, connection, \
               contact, direction, state, text_digest, document) VALUES \
               (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO NOTHING";
    let written = group.conn.prepare_cached(sql)?.execute(rusqlite::params![
        seq,
        message.id.as_str(),
        integer("the revision", message.revision)?,
        message.task.as_ref().map(engine::TaskId::as_str),
        message.conversation.as_str(),
        message.connection,
        message.contact,
        direction(message.direction),
        message.state.name(),
        row.text_digest,
        row.document,
    ])?;
    if written == 0 {
        return Err(conflict("message", message.id.as_str()));
    }
    let words = row.words.unwrap_or_else(|| message_words(message));
    group.index(WordTable::Messages, seq, words, false);
    Ok(())
}

fn update_message(
    group: &mut Group<'_>,
    message: &Message,
    expected: u64,
    row: &PreparedMessage,
) -> Outcome<()> {
    let sql = "SELECT seq, text_digest FROM messages WHERE id = ?1 AND revision = ?2";
    let key = (message.id.as_str(), integer("the expected revision", expected)?);
    let (seq, text_digest): (i64, i64) = group
        .conn
        .prepare_cached(sql)?
        .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or_else(|| conflict("message", message.id.as_str()))?;
    let sql = "UPDATE messages SET revision = ?2, task = ?3, conversation = ?4, \
               connection = ?5, contact = ?6, direction = ?7, state = ?8, text_digest = ?9, \
               document = ?10 WHERE seq = ?1";
    group.conn.prepare_cached(sql)?.execute(rusqlite::params![
        seq,
        integer("the revision", message.revision)?,
        message.task.as_ref().map(engine::TaskId::as_str),
        message.conversation.as_str(),
        message.connection,
        message.contact,
        direction(message.direction),
        message.state.name(),
        row.text_digest,
        row.document,
    ])?;
    if text_digest != row.text_digest {
        group.index(WordTable::Messages, seq, message_words(message), true);
    }
    Ok(())
}

/// The name of a direction as it is stored.
pub(crate) fn direction(direction: engine::Direction) -> &'static str {
    match direction {
        engine::Direction::In => "in",
        engine::Direction::Out => "out",
    }
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
