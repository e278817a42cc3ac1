//! Conversations: their open tasks are those that have not ended, as they stand.

use std::collections::BTreeSet;

use engine::{Conversation, ConversationId, MessageId, TaskId};

use super::tasks::task;
use super::{Aspect, Look};
use crate::error::Outcome;
use crate::rows::conversation_columns;

/// Every conversation.
pub(super) fn conversations(look: &mut Look<'_>) -> Outcome<u64> {
    let sql = "SELECT id, revision, connection, contact, updated_at, document FROM conversations";
    let mut statement = look.conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        look.count("conversations", &mut count);
        let place = row.get::<_, String>(0)?;
        let document = look.document::<Conversation>("conversation", &place, row, 5)?;
        let Some(conversation) = document else { continue };
        look.columns(&place, row, 0, &conversation_columns(&conversation)?)?;
        if ConversationId::of(&conversation.connection, &conversation.key) != conversation.id {
            let problem = "its id is not that of its connection and key";
            look.found(Aspect::Conversation, place.as_str(), problem);
        }
        open(look, &place, &conversation)?;
        unlisted(look, &place, &conversation)?;
        remembered(look, &place, &conversation)?;
    }
    Ok(count)
}

/// Each open task is there, has not ended, and is as the entry says.
fn open(look: &mut Look<'_>, place: &str, conversation: &Conversation) -> Outcome<()> {
    let mut numbers = BTreeSet::new();
    for entry in &conversation.open {
        let id = &entry.task;
        let mut wrong =
            |problem: &str| look.found(Aspect::Conversation, place, format!("{id} {problem}"));
        if entry.number >= conversation.next_number || !numbers.insert(entry.number) {
            wrong("has a number that another task has or will get");
        }
        let Some(task) = task(look, id)? else {
            look.found(Aspect::Conversation, place, format!("{id} is open and not there"));
            continue;
        };
        let problem = if task.status.has_ended() {
            format!("{id} is open and has ended: it is {}", task.status.name())
        } else if task.conversation != conversation.id {
            format!("{id} is open here and belongs to {}", task.conversation)
        } else {
            // What the task's next event would make of the entry is what it must be already.
            let mut again = conversation.clone();
            again.reflect(&task, false);
            if again.find(id) == Some(entry) && entry.flow == task.flow {
                continue;
            }
            format!("{id} stands otherwise than its entry says")
        };
        look.found(Aspect::Conversation, place, problem);
    }
    Ok(())
}

/// Every task that has not ended is among the open ones.
fn unlisted(look: &mut Look<'_>, place: &str, conversation: &Conversation) -> Outcome<()> {
    let sql = "SELECT id FROM tasks WHERE conversation = ?1 AND status IN ('running', 'waiting')";
    let mut statement = look.conn.prepare_cached(sql)?;
    let mut rows = statement.query([conversation.id.as_str()])?;
    while let Some(row) = rows.next()? {
        let id = TaskId(row.get(0)?);
        if conversation.find(&id).is_none() {
            let problem = format!("{id} has not ended and is not among its open tasks");
            look.found(Aspect::Conversation, place, problem);
        }
    }
    Ok(())
}

/// The focus and the tasks on offer are open; the messages it keeps are there.
fn remembered(look: &mut Look<'_>, place: &str, conversation: &Conversation) -> Outcome<()> {
    for (what, task) in conversation
        .focus
        .iter()
        .map(|task| ("has the focus", task))
        .chain(conversation.candidates.iter().map(|task| ("is on offer", task)))
    {
        if conversation.find(task).is_none() {
            look.found(Aspect::Conversation, place, format!("{task} {what} and is not open"));
        }
    }
    let held = conversation.held.iter().map(|held| &held.message);
    let kept = held.chain(conversation.queued.iter().map(|queued| &queued.message));
    for message in kept {
        let sql = "SELECT 1 FROM messages WHERE id = ?1";
        if !look.exists(sql, [MessageId::as_str(message)])? {
            let problem = format!("it keeps {message}, which is not there");
            look.found(Aspect::Reference, place, problem);
        }
    }
    Ok(())
}
