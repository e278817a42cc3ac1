//! `FlowStore`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gcloud_sdk::google::firestore::v1::Document;
use ports::{Draft, FlowStore, FlowSummary, FlowVersion, PortResult};

use super::Firestore;
use super::client::{Guard, Refusal, put};
use super::documents::{DOCUMENT, REVISION, number};
use super::keys::{DRAFTS, LIVE, VERSIONS, key};
use super::query::Query;
use super::value::{Fields, Read, from_json, integer, text, time, to_json};
use crate::error::conflict;

/// Most flows, and most versions of one.
const FLOWS_MAX: usize = 10_000;
/// What a list of drafts needs to know of each.
const DRAFT_HEAD: &[&str] = &["flow", REVISION, "updated_at"];

fn version_key(flow: &str, version: u32) -> String {
    key(&format!("{flow}_{version}"))
}

fn moment(document: &Document, field: &str) -> DateTime<Utc> {
    let micros = document.micros(field).unwrap_or_default();
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
}

fn whole(document: &Document, field: &str) -> u64 {
    document.integer(field).and_then(|it| u64::try_from(it).ok()).unwrap_or_default()
}

impl Firestore {
    async fn version_of(&self, document: &Document) -> PortResult<Option<FlowVersion>> {
        match self.long(document, DOCUMENT).await? {
            Some(json) => from_json("flow version", &json).map(Some),
            None => Ok(None),
        }
    }

    async fn small(
        &self,
        collection: &'static str,
        select: &'static [&'static str],
    ) -> PortResult<Vec<Document>> {
        let query = Query { collection, limit: FLOWS_MAX, select, ..Query::default() };
        self.client().all(query).await
    }
}

#[async_trait]
impl FlowStore for Firestore {
    async fn draft(&self, flow: &str) -> PortResult<Option<Draft>> {
        let found = self.client().one(DRAFTS, &key(flow)).await?;
        found.map(|document| self.read_back("draft", &document)).transpose()
    }

    async fn put_draft(&self, draft: &Draft) -> PortResult<()> {
        let refused = || conflict("the draft of flow", &draft.flow);
        let name = self.client().name(DRAFTS, &key(&draft.flow));
        let stored = self.client().get(std::slice::from_ref(&name), &[REVISION]).await?;
        let stored = stored.get(&name);
        let guard = match stored.and_then(|document| document.update_time) {
            None if draft.revision == 1 => Guard::Absent,
            Some(since) if stored.map(|it| whole(it, REVISION) + 1) == Some(draft.revision) => {
                Guard::Unchanged(since)
            }
            _ => return Err(refused()),
        };
        let document = Fields::default()
            .set("flow", text(&draft.flow))
            .set(REVISION, number("the revision", draft.revision)?)
            .set("updated_at", time(draft.updated_at))
            .set(DOCUMENT, text(to_json("the draft", draft)?))
            .document(name);
        match self.client().commit(vec![put(document, guard)]).await {
            Ok(_) => Ok(()),
            Err(Refusal::Guard) => Err(refused()),
            Err(Refusal::Port(error)) => Err(error),
        }
    }

    async fn publish(&self, version: &FlowVersion) -> PortResult<()> {
        let flow = &version.document.id;
        let refused = || conflict("version", &format!("{} of flow {flow}", version.version));
        let live = self.client().name(LIVE, &key(flow));
        let stored = self.client().get(std::slice::from_ref(&live), &[]).await?;
        let stored = stored.get(&live);
        // Publishing always makes the newest version live: it is the last one there is.
        let latest = stored.map_or(0, |document| whole(document, "version"));
        let guard = match stored.and_then(|document| document.update_time) {
            _ if latest + 1 != u64::from(version.version) => return Err(refused()),
            None => Guard::Absent,
            Some(since) => Guard::Unchanged(since),
        };
        let number = integer(i64::from(version.version));
        let owner = version_key(flow, version.version);
        let mut writes = Vec::new();
        let fields = Fields::default().set("flow", text(flow)).set("version", number.clone());
        let json = to_json("the version", version)?;
        let nothing = Fields::default();
        let fields = self.set_long(fields, &mut writes, &owner, DOCUMENT, &json, &nothing);
        writes.push(put(fields.document(self.client().name(VERSIONS, &owner)), Guard::Absent));
        let pointer = Fields::default()
            .set("flow", text(flow))
            .set("version", number)
            .set("published_at", time(version.published_at));
        writes.push(put(pointer.document(live), guard));
        match self.client().commit(writes).await {
            Ok(_) => Ok(()),
            Err(Refusal::Guard) => Err(refused()),
            Err(Refusal::Port(error)) => Err(error),
        }
    }

    async fn version(&self, flow: &str, version: u32) -> PortResult<Option<FlowVersion>> {
        match self.client().one(VERSIONS, &version_key(flow, version)).await? {
            Some(document) => self.version_of(&document).await,
            None => Ok(None),
        }
    }

    async fn versions(&self, flow: &str) -> PortResult<Vec<FlowVersion>> {
        let query = Query {
            collection: VERSIONS,
            equals: vec![("flow", text(flow))],
            limit: FLOWS_MAX,
            ..Query::default()
        };
        let mut found = Vec::new();
        for document in self.client().all(query).await? {
            found.extend(self.version_of(&document).await?);
        }
        found.sort_by_key(|version| std::cmp::Reverse(version.version));
        Ok(found)
    }

    async fn list_flows(&self) -> PortResult<Vec<FlowSummary>> {
        let mut flows: BTreeMap<String, FlowSummary> = BTreeMap::new();
        for document in self.small(DRAFTS, DRAFT_HEAD).await? {
            let flow = document.required("draft", "flow")?.to_owned();
            let summary = FlowSummary {
                flow: flow.clone(),
                draft_revision: Some(whole(&document, REVISION)),
                live: None,
                updated_at: moment(&document, "updated_at"),
            };
            flows.insert(flow, summary);
        }
        for document in self.small(LIVE, &[]).await? {
            let flow = document.required("live flow", "flow")?.to_owned();
            let published_at = moment(&document, "published_at");
            let summary = flows.entry(flow.clone()).or_insert(FlowSummary {
                flow,
                draft_revision: None,
                live: None,
                updated_at: published_at,
            });
            summary.live = u32::try_from(whole(&document, "version")).ok();
            summary.updated_at = summary.updated_at.max(published_at);
        }
        Ok(flows.into_values().collect())
    }

    async fn live(&self) -> PortResult<Vec<(String, u32)>> {
        let mut live = Vec::new();
        for document in self.small(LIVE, &[]).await? {
            let version = u32::try_from(whole(&document, "version")).unwrap_or_default();
            live.push((document.required("live flow", "flow")?.to_owned(), version));
        }
        live.sort();
        Ok(live)
    }
}
