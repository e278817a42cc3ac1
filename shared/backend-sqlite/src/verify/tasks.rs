//! Tasks: columns, counters, a history without gaps that leads to them, and what they wait for.

use std::ops::ControlFlow;

use engine::{Effect, HistoryEntry, Task, TaskId, TimerName, rebuild};
use ports::search;
use rusqlite::Row;

use super::{Aspect, Look};
use crate::error::{Outcome, integer};
use crate::order::{COUNTERS, first_key};
use crate::rows::task_columns;

/// Every task with its history.
pub(super) fn tasks(look: &mut Look<'_>) -> Outcome<u64> {
    let sql = "SELECT seq, id, sequence, flow, status, waiting_for, contact, contact_name, \
               conversation, queue, parent, awaited_type, awaited_key, updated_at, label_folded, \
               document FROM tasks ORDER BY seq";
    let mut statement = look.conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        look.count("tasks", &mut count);
        let place = row.get::<_, String>(1)?;
        let Some(task) = look.document::<Task>("task", &place, row, 15)? else { continue };
        let folded = search::fold_label(&task.label);
        look.columns(&place, row, 1, &task_columns(&task, &folded)?)?;
        key(look, &place, row.get(0)?, first_key(task.created_at), "tasks")?;
        references(look, &place, &task)?;
        let expiry = history(look, &place, &task)?;
        waits(look, &place, &task, expiry)?;
    }
    counts(look)?;
    Ok(count)
}

/// A key is made of the time of creation; only where a thousand were made in one microsecond it is
/// a later one.
pub(super) fn key(
    look: &mut Look<'_>,
    place: &str,
    key: i64,
    first: i64,
    table: &str,
) -> Outcome<()> {
    let is_within = key >= first && key < first + COUNTERS;
    let sql = format!("SELECT 1 FROM {table} WHERE seq = ?1");
    if is_within || key > first && look.exists(&sql, [first + COUNTERS - 1])? {
        return Ok(());
    }
    look.found(Aspect::Column, place, "its key `seq` is not made of its time of creation");
    Ok(())
}

fn references(look: &mut Look<'_>, place: &str, task: &Task) -> Outcome<()> {
    let sql = "SELECT 1 FROM flow_versions WHERE flow = ?1 AND version = ?2";
    if !look.exists(sql, (&task.flow, task.version))? {
        let problem = format!("version {} of flow {} is not there", task.version, task.flow);
        look.found(Aspect::Reference, place, problem);
    }
    let sql = "SELECT 1 FROM conversations WHERE id = ?1";
    if !look.exists(sql, [task.conversation.as_str()])? {
        let problem = format!("its conversation {} is not there", task.conversation);
        look.found(Aspect::Reference, place, problem);
    }
    if let Some(parent) = &task.parent
        && !look.exists("SELECT 1 FROM tasks WHERE id = ?1", [parent.task.as_str()])?
    {
        let problem = format!("{}, which started it, is not there", parent.task);
        look.found(Aspect::Reference, place, problem);
    }
    Ok(())
}

/// The rows of history lead to the task. Gives the sequence number of the transition that set the
/// timer of the whole task, where one is set.
fn history(look: &mut Look<'_>, place: &str, task: &Task) -> Outcome<Option<u64>> {
    let sql = "SELECT task, sequence, document FROM history WHERE task = ?1 ORDER BY sequence";
    let mut statement = look.conn.prepare_cached(sql)?;
    let mut rows = statement.query([task.id.as_str()])?;
    let mut walk = Walk { rebuilt: task.clone(), last: None, expiry: None };
    let mut is_whole = true;
    while let Some(row) = rows.next()? {
        match entry(look, place, row, &mut walk)? {
            ControlFlow::Continue(()) => {}
            ControlFlow::Break(()) => is_whole = false,
        }
    }
    let last = walk.last.map_or(0, |(sequence, ..)| sequence);
    if last != task.sequence {
        let problem = format!("it stands at {}, and its history ends at {last}", task.sequence);
        look.found(Aspect::History, place, problem);
    } else if is_whole && walk.rebuilt != *task {
        look.found(Aspect::History, place, "it is not what its history leads to");
    }
    Ok(walk.expiry)
}

/// How far the history of a task was read.
struct Walk {
    /// The task as the rows so far lead to it.
    rebuilt: Task,
    /// Number, time and status of the last row.
    last: Option<(u64, chrono::DateTime<chrono::Utc>, &'static str)>,
    expiry: Option<u64>,
}

/// One row; breaks where it could not be followed.
fn entry(
    look: &mut Look<'_>,
    place: &str,
    row: &Row<'_>,
    walk: &mut Walk,
) -> Outcome<ControlFlow<()>> {
    let number: i64 = row.get(1)?;
    let (last, time, status) =
        walk.last.map_or((0, None, "running"), |(last, time, status)| (last, Some(time), status));
    let whose = format!("history {number} of {place}");
    let Some(entry) = look.document::<HistoryEntry>("row of history", &whose, row, 2)? else {
        let last = u64::try_from(number).unwrap_or_default();
        walk.last = Some((last, time.unwrap_or_default(), status));
        return Ok(ControlFlow::Break(()));
    };
    let expected = [
        ("task", entry.task.as_str().into()),
        ("sequence", rusqlite::types::ValueRef::Integer(integer("it", entry.sequence)?)),
    ];
    look.columns(&whose, row, 0, &expected)?;
    let mut wrong = |problem: String| look.found(Aspect::History, whose.as_str(), problem);
    if entry.sequence != last + 1 {
        wrong(format!("it comes after {last}; {} is missing", last + 1));
    }
    if entry.before != status {
        wrong(format!("the task was {status} before it, and it says {}", entry.before));
    }
    if time.is_some_and(|time| entry.at < time) {
        wrong("its time is before that of the row before it".to_owned());
    }
    for effect in &entry.effects {
        match effect {
            Effect::SetTimer { name: TimerName::Expiry, .. } => {
                walk.expiry = Some(entry.sequence);
            }
            Effect::CancelTimer { name: TimerName::Expiry, .. } => walk.expiry = None,
            _ => {}
        }
    }
    walk.rebuilt = rebuild(&walk.rebuilt, std::slice::from_ref(&entry));
    walk.last = Some((entry.sequence, entry.at, entry.status.name()));
    Ok(ControlFlow::Continue(()))
}

/// What a task waits for is on its way: its timers, the answer of its call, the end of a child.
fn waits(look: &mut Look<'_>, place: &str, task: &Task, expiry: Option<u64>) -> Outcome<()> {
    let mut awaited = look.stored.awaited(task, expiry);
    for child in task.open_children() {
        let stored = self::task(look, &child)?;
        awaited.extend(look.stored.end_of(&child, stored.as_ref()));
    }
    for awaited in awaited {
        if !look.is_on_its_way(&awaited.any_of)? {
            let problem = format!("it waits for {}, which is not on its way", awaited.what);
            look.found(Aspect::Lost, place, problem);
        }
    }
    Ok(())
}

/// The counters equal the counts.
fn counts(look: &mut Look<'_>) -> Outcome<()> {
    look.strays(
        Aspect::Count,
        "WITH counted AS (SELECT flow, status, COUNT(*) AS tasks FROM tasks GROUP BY flow, status) \
         SELECT 'tasks of ' || flow || ' that are ' || status, \
                'the counter says ' || COALESCE(k.tasks, 0) || ', there are ' \
                || COALESCE(c.tasks, 0) \
         FROM task_counts AS k FULL JOIN counted AS c USING (flow, status) \
         WHERE COALESCE(k.tasks, 0) <> COALESCE(c.tasks, 0)",
    )?;
    Ok(())
}

/// Rows of history of tasks that are not there.
pub(super) fn strays(look: &mut Look<'_>) -> Outcome<u64> {
    look.strays(
        Aspect::Reference,
        "SELECT 'history of ' || task, 'the task is not there' FROM history AS h \
         WHERE NOT EXISTS (SELECT 1 FROM tasks AS t WHERE t.id = h.task) GROUP BY task",
    )?;
    let sql = "SELECT COUNT(*) FROM history";
    let rows: i64 = look.conn.query_row(sql, [], |row| row.get(0))?;
    Ok(rows.unsigned_abs())
}

/// The task of that id.
pub(super) fn task(look: &Look<'_>, id: &TaskId) -> Outcome<Option<Task>> {
    look.one("SELECT document FROM tasks WHERE id = ?1", id.as_str())
}
