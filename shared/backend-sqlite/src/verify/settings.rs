//! What administrators keep: flows, connections, keys, queues, table schemas; and failures, kept
//! answers.

use channels::Connection;
use ports::{ApiKey, Draft, Failure, FlowVersion, IdempotentAnswer, Queue};
use rusqlite::types::ValueRef;
use schema::Table;

use super::{Aspect, Look};
use crate::config::{CONNECTION, KEY, QUEUE, TABLE};
use crate::error::{Outcome, integer};
use crate::order::micros;

/// Drafts, versions without gaps, and the live ones.
pub(super) fn flows(look: &mut Look<'_>) -> Outcome<u64> {
    let mut count = drafts(look)?;
    let sql = "SELECT flow, version, document FROM flow_versions ORDER BY flow, version";
    let mut statement = look.conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut before: (String, i64) = (String::new(), 0);
    while let Some(row) = rows.next()? {
        look.count("flows", &mut count);
        let (flow, number): (String, i64) = (row.get(0)?, row.get(1)?);
        let place = format!("version {number} of flow {flow}");
        let next = if before.0 == flow { before.1 + 1 } else { 1 };
        if number != next {
            look.found(Aspect::Reference, place.as_str(), format!("version {next} is not there"));
        }
        if let Some(version) = look.document::<FlowVersion>("flow", &place, row, 2)? {
            let expected = [
                ("flow", ValueRef::from(version.document.id.as_str())),
                ("version", ValueRef::Integer(version.version.into())),
            ];
            look.columns(&place, row, 0, &expected)?;
        }
        before = (flow, number);
    }
    look.strays(
        Aspect::Reference,
        "SELECT 'live flow ' || flow, 'its version ' || version || ' is not there' \
         FROM live_flows AS l WHERE NOT EXISTS (SELECT 1 FROM flow_versions AS v \
         WHERE v.flow = l.flow AND v.version = l.version)",
    )?;
    look.strays(
        Aspect::Reference,
        "SELECT 'flow ' || flow, 'it has versions and none of them is live' \
         FROM flow_versions WHERE version = 1 AND flow NOT IN (SELECT flow FROM live_flows)",
    )?;
    Ok(count)
}

fn drafts(look: &mut Look<'_>) -> Outcome<u64> {
    let mut statement =
        look.conn.prepare("SELECT flow, revision, updated_at, document FROM drafts")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        look.count("flows", &mut count);
        let place = format!("draft of flow {}", row.get::<_, String>(0)?);
        if let Some(draft) = look.document::<Draft>("draft", &place, row, 3)? {
            let expected = [
                ("flow", ValueRef::from(draft.flow.as_str())),
                ("revision", ValueRef::Integer(integer("the revision", draft.revision)?)),
                ("updated_at", ValueRef::Integer(micros(draft.updated_at))),
            ];
            look.columns(&place, row, 0, &expected)?;
        }
    }
    Ok(count)
}

/// Connections, keys, queues, table schemas, and answers kept for repeated requests.
pub(super) fn settings(look: &mut Look<'_>) -> Outcome<u64> {
    let mut statement = look.conn.prepare("SELECT kind, id, document FROM config")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        look.count("settings", &mut count);
        let (kind, id): (String, String) = (row.get(0)?, row.get(1)?);
        let place = format!("{kind} {id}");
        let named = match kind.as_str() {
            CONNECTION => look.document::<Connection>(&kind, &place, row, 2)?.map(|it| it.id),
            KEY => look.document::<ApiKey>(&kind, &place, row, 2)?.map(|it| it.id),
            QUEUE => look.document::<Queue>(&kind, &place, row, 2)?.map(|it| it.id),
            TABLE => look.document::<Table>(&kind, &place, row, 2)?.map(|it| it.id().to_owned()),
            _ => {
                look.found(Aspect::Document, place.as_str(), "there is no such kind of setting");
                None
            }
        };
        if let Some(named) = named {
            look.columns(&place, row, 1, &[("id", ValueRef::from(named.as_str()))])?;
        }
    }
    answers(look, &mut count)?;
    Ok(count)
}

fn answers(look: &mut Look<'_>, count: &mut u64) -> Outcome<()> {
    let mut statement = look.conn.prepare("SELECT key, expires_at, document FROM answers")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        look.count("settings", count);
        let place = format!("answer {}", row.get::<_, String>(0)?);
        if let Some(answer) = look.document::<IdempotentAnswer>("answer", &place, row, 2)? {
            let expected = [
                ("key", ValueRef::from(answer.key.as_str())),
                ("expires_at", ValueRef::Integer(micros(answer.expires_at))),
            ];
            look.columns(&place, row, 0, &expected)?;
        }
    }
    Ok(())
}

/// Failures, whose envelopes a retry must be able to read.
pub(super) fn failures(look: &mut Look<'_>) -> Outcome<u64> {
    let mut statement = look.conn.prepare("SELECT id, kind, state, at, document FROM failures")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        look.count("failures", &mut count);
        let place = format!("failure {}", row.get::<_, String>(0)?);
        let Some(failure) = look.document::<Failure>("failure", &place, row, 4)? else { continue };
        let expected = [
            ("id", ValueRef::from(failure.id.as_str())),
            ("kind", ValueRef::from(failure.kind.name())),
            ("state", ValueRef::from(failure.state.name())),
            ("at", ValueRef::Integer(micros(failure.at))),
        ];
        look.columns(&place, row, 0, &expected)?;
        if let Some(envelope) = &failure.envelope {
            // What was given up because nobody could read it is kept as it came.
            if let Ok(contents) = look.stored.contents(envelope) {
                super::warehouse::pend(look.conn, &contents.rows)?;
            }
        }
    }
    Ok(count)
}
