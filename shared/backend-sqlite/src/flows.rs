//! `FlowStore`: drafts, versions, and which version is live.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use ports::{Draft, FlowStore, FlowSummary, FlowVersion, PortError, PortResult};
use rusqlite::Connection;

use crate::error::{Fault, Outcome, conflict, from_text, integer, natural, to_text};
use crate::open::Sqlite;
use crate::order::micros;
use crate::turn::document;
use crate::writer::Group;

fn write_draft(group: &Group<'_>, draft: &Draft, text: &str) -> Outcome<()> {
    let revision = integer("the revision", draft.revision)?;
    let sql = if revision == 1 {
        "INSERT INTO drafts (flow, revision, updated_at, document) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (flow) DO NOTHING"
    } else {
        "UPDATE drafts SET revision = ?2, updated_at = ?3, document = ?4 \
         WHERE flow = ?1 AND revision = ?2 - 1"
    };
    let row = (&draft.flow, revision, micros(draft.updated_at), text);
    match group.conn.prepare_cached(sql)?.execute(row)? {
        0 => Err(conflict("the draft of flow", &draft.flow)),
        _ => Ok(()),
    }
}

fn write_version(group: &Group<'_>, flow: &str, version: &FlowVersion, text: &str) -> Outcome<()> {
    let sql = "SELECT COALESCE(MAX(version), 0) FROM flow_versions WHERE flow = ?1";
    let last: u32 = group.conn.prepare_cached(sql)?.query_row([flow], |row| row.get(0))?;
    if last.checked_add(1) != Some(version.version) {
        return Err(conflict("the versions of flow", flow));
    }
    let sql = "INSERT INTO flow_versions (flow, version, document) VALUES (?1, ?2, ?3)";
    group.conn.prepare_cached(sql)?.execute((flow, version.version, text))?;
    let sql = "INSERT INTO live_flows (flow, version, published_at) VALUES (?1, ?2, ?3) \
               ON CONFLICT (flow) DO UPDATE \
               SET version = excluded.version, published_at = excluded.published_at";
    let row = (flow, version.version, micros(version.published_at));
    group.conn.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

fn time(micros: i64) -> Outcome<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| Fault(PortError::backend(format!("{micros} is no time"))))
}

fn summaries(conn: &Connection) -> Outcome<Vec<FlowSummary>> {
    let mut flows: BTreeMap<String, FlowSummary> = BTreeMap::new();
    let mut statement = conn.prepare_cached("SELECT flow, revision, updated_at FROM drafts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let flow: String = row.get(0)?;
        let summary = FlowSummary {
            flow: flow.clone(),
            draft_revision: Some(natural("revision", row.get(1)?)?),
            live: None,
            updated_at: time(row.get(2)?)?,
        };
        flows.insert(flow, summary);
    }
    let sql = "SELECT flow, version, published_at FROM live_flows";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let flow: String = row.get(0)?;
        let published_at = time(row.get(2)?)?;
        let summary = flows.entry(flow.clone()).or_insert_with(|| FlowSummary {
            flow,
            draft_revision: None,
            live: None,
            updated_at: published_at,
        });
        summary.live = Some(row.get(1)?);
        summary.updated_at = summary.updated_at.max(published_at);
    }
    Ok(flows.into_values().collect())
}

#[async_trait]
impl FlowStore for Sqlite {
    async fn draft(&self, flow: &str) -> PortResult<Option<Draft>> {
        let flow = flow.to_owned();
        let sql = "SELECT document FROM drafts WHERE flow = ?1";
        self.inner.readers.read(move |conn| document(conn, "draft", sql, flow)).await
    }

    async fn put_draft(&self, draft: &Draft) -> PortResult<()> {
        let (draft, text) = (draft.clone(), to_text("the draft", draft)?);
        self.inner.writer.write(move |group| write_draft(group, &draft, &text)).await
    }

    async fn publish(&self, version: &FlowVersion) -> PortResult<()> {
        let (version, text) = (version.clone(), to_text("the flow", version)?);
        self.inner
            .writer
            .write(move |group| write_version(group, &version.document.id, &version, &text))
            .await
    }

    async fn version(&self, flow: &str, version: u32) -> PortResult<Option<FlowVersion>> {
        let flow = flow.to_owned();
        let sql = "SELECT document FROM flow_versions WHERE flow = ?1 AND version = ?2";
        let read = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query((flow, version))?;
            match rows.next()? {
                Some(row) => from_text("flow", &row.get::<_, String>(0)?).map(Some),
                None => Ok(None),
            }
        };
        self.inner.readers.read(read).await
    }

    async fn versions(&self, flow: &str) -> PortResult<Vec<FlowVersion>> {
        let flow = flow.to_owned();
        let sql = "SELECT document FROM flow_versions WHERE flow = ?1 ORDER BY version DESC";
        let read = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query([flow])?;
            let mut versions = Vec::new();
            while let Some(row) = rows.next()? {
                versions.push(from_text("flow", &row.get::<_, String>(0)?)?);
            }
            Ok(versions)
        };
        self.inner.readers.read(read).await
    }

    async fn list_flows(&self) -> PortResult<Vec<FlowSummary>> {
        self.inner.readers.read(summaries).await
    }

    async fn live(&self) -> PortResult<Vec<(String, u32)>> {
        let read = |conn: &Connection| {
            let sql = "SELECT flow, version FROM live_flows ORDER BY flow";
            let live = conn
                .prepare_cached(sql)?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            Ok(live)
        };
        self.inner.readers.read(read).await
    }
}
