//! The queue and the outbox: envelopes that their functions can read.

use ports::{Contents, QuarantinedRow};
use rusqlite::types::ValueRef;

use super::warehouse::{pend, pend_quarantined};
use super::{Aspect, Look};
use crate::error::Outcome;
use crate::order::micros;
use crate::queue::read_envelope;

/// Envelopes that wait for their function, for their time, or to be published.
pub(super) fn envelopes(look: &mut Look<'_>) -> Outcome<u64> {
    let mut count = 0;
    for (table, sql) in [
        ("queue", "SELECT id, topic, key, due, body FROM queue"),
        ("outbox", "SELECT id, topic, key, due, body FROM outbox"),
    ] {
        let mut statement = look.conn.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            look.count("envelopes", &mut count);
            let place = format!("{table} {}", row.get::<_, String>(0)?);
            let read = match read_envelope(row, 0) {
                Ok(envelope) => look.stored.contents(&envelope),
                Err(fault) if super::unreadable(&fault).is_none() => Err(super::reason(&fault)),
                Err(fault) => return Err(fault),
            };
            match read {
                Ok(contents) => {
                    pend(look.conn, &contents.rows)?;
                    named(look, &place, &contents)?;
                }
                Err(reason) => look.found(Aspect::Envelope, place, reason),
            }
        }
    }
    count += quarantine(look)?;
    Ok(count)
}

/// What an envelope is about is stored: both are written in one step.
fn named(look: &mut Look<'_>, place: &str, contents: &Contents) -> Outcome<()> {
    if let Some(task) = &contents.task
        && !look.exists("SELECT 1 FROM tasks WHERE id = ?1", [task.as_str()])?
    {
        look.found(Aspect::Reference, place, format!("it is about {task}, which is not there"));
    }
    if let Some(message) = &contents.message
        && !look.exists("SELECT 1 FROM messages WHERE id = ?1", [message.as_str()])?
    {
        look.found(Aspect::Reference, place, format!("it sends {message}, which is not there"));
    }
    Ok(())
}

fn quarantine(look: &mut Look<'_>) -> Outcome<u64> {
    let mut statement = look.conn.prepare("SELECT id, landing, at, document FROM quarantine")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        look.count("envelopes", &mut count);
        let place = format!("quarantined row {}", row.get::<_, String>(0)?);
        let document = look.document::<QuarantinedRow>("quarantined row", &place, row, 3)?;
        let Some(kept) = document else { continue };
        let expected = [
            ("id", ValueRef::from(kept.id.as_str())),
            ("landing", ValueRef::from(kept.table.as_str())),
            ("at", ValueRef::Integer(micros(kept.at))),
        ];
        look.columns(&place, row, 0, &expected)?;
        pend_quarantined(look.conn, &kept)?;
    }
    Ok(count)
}
