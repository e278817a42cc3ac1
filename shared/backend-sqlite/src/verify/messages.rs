//! Messages: states that only went forward, and replies that are on their way.

use chrono::TimeDelta;
use engine::{Direction, Message, MessageState};

use super::{Aspect, Look, tasks};
use crate::error::Outcome;
use crate::order::first_key;
use crate::rows::{digest, message_columns};

/// How far the times of a message may go back: the messenger's clock used to be its own, and the
/// time of a busy conversation runs ahead of it.
const BACK_MAX: TimeDelta = TimeDelta::seconds(1);

/// Every message.
pub(super) fn messages(look: &mut Look<'_>) -> Outcome<u64> {
    let sql = "SELECT seq, id, revision, task, conversation, connection, contact, direction, \
               state, text_digest, document FROM messages ORDER BY seq";
    let mut statement = look.conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        look.count("messages", &mut count);
        let place = row.get::<_, String>(1)?;
        let Some(message) = look.document::<Message>("message", &place, row, 10)? else {
            continue;
        };
        let columns = message_columns(&message, digest(&message.content.text))?;
        look.columns(&place, row, 1, &columns)?;
        tasks::key(look, &place, row.get(0)?, first_key(message.created_at), "messages")?;
        states(look, &place, &message);
        references(look, &place, &message)?;
        if matches!(message.state, MessageState::Queued | MessageState::Sending)
            && !look.is_on_its_way(&look.stored.sending(&message.id).any_of)?
        {
            let problem = format!("it is {}, and nothing will send it", message.state.name());
            look.found(Aspect::Lost, place, problem);
        }
    }
    Ok(count)
}

fn states(look: &mut Look<'_>, place: &str, message: &Message) {
    let mut wrong = |problem: String| look.found(Aspect::State, place, problem);
    let first = match message.direction {
        Direction::In => MessageState::Received,
        Direction::Out => MessageState::Queued,
    };
    if message.reached.first().is_none_or(|reached| reached.state != first) {
        wrong(format!("the first of its states is not {}", first.name()));
    }
    if message.reached.last().is_none_or(|reached| reached.state != message.state) {
        wrong(format!("it is {}, and the last of its states is another", message.state.name()));
    }
    for [before, after] in message.reached.array_windows() {
        if !before.state.may_become(after.state) {
            wrong(format!("it went from {} to {}", before.state.name(), after.state.name()));
        }
        if before.at - after.at > BACK_MAX {
            wrong(format!("it was {} before it was {}", after.state.name(), before.state.name()));
        }
    }
}

fn references(look: &mut Look<'_>, place: &str, message: &Message) -> Outcome<()> {
    if let Some(task) = &message.task
        && !look.exists("SELECT 1 FROM tasks WHERE id = ?1", [task.as_str()])?
    {
        look.found(Aspect::Reference, place, format!("its task {task} is not there"));
    }
    // Whom a flow notifies has no conversation before they write.
    if message.direction == Direction::In
        && !look
            .exists("SELECT 1 FROM conversations WHERE id = ?1", [message.conversation.as_str()])?
    {
        let problem = format!("its conversation {} is not there", message.conversation);
        look.found(Aspect::Reference, place, problem);
    }
    Ok(())
}
