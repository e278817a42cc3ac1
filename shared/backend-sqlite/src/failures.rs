//! `FailureStore`: what went wrong for good.

use async_trait::async_trait;
use ports::{Envelope, Failure, FailureKind, FailureState, FailureStore, Page, PageOf, PortResult};
use rusqlite::Connection;

use crate::cursor::{self, List};
use crate::error::{Outcome, conflict, to_text};
use crate::open::Sqlite;
use crate::order::micros;
use crate::queries::scan::{self, Index, Terms};
use crate::queue;
use crate::turn::document;
use crate::writer::Group;

const INDEXES: &[Index] = &[
    ("failures_state_kind", &["state", "kind"]),
    ("failures_state", &["state"]),
    ("failures_kind", &["kind"]),
    ("failures_at", &[]),
];

/// Writes a failure, whatever is stored.
pub(crate) fn write(group: &Group<'_>, failure: &Failure, text: &str) -> Outcome<()> {
    let sql = "INSERT INTO failures (id, kind, state, at, document) VALUES (?1, ?2, ?3, ?4, ?5) \
               ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, state = excluded.state, \
               at = excluded.at, document = excluded.document";
    let row = (&failure.id, failure.kind.name(), failure.state.name(), micros(failure.at), text);
    group.conn.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

fn list(
    conn: &Connection,
    state: Option<FailureState>,
    kind: Option<FailureKind>,
    page: &Page,
) -> Outcome<PageOf<Failure>> {
    let limit = page.checked_limit()?;
    let start = cursor::start(page, List::Failures)?;
    let mut terms = Terms::default();
    let state = state.map(|state| ("state", state.name().to_owned()));
    let kind = kind.map(|kind| ("kind", kind.name().to_owned()));
    let equals = state.into_iter().chain(kind).collect();
    let index = scan::choose(INDEXES, equals, &mut terms).unwrap_or("failures_at");
    if let Some(start) = start {
        let (value, key) = (terms.value(start.value), terms.value(start.key));
        terms.walk.push(format!("(at, seq) < ({value}, {key})"));
    }
    let sql = format!(
        "SELECT at, seq, 1 FROM failures INDEXED BY {index} WHERE {} ORDER BY at DESC, seq DESC",
        terms.walk(),
    );
    let found = scan::walk(conn, &sql, &terms.values, limit, scan::any)?;
    let document = "SELECT document FROM failures WHERE seq = ?1";
    scan::page(conn, "failure", document, found, List::Failures)
}

#[async_trait]
impl FailureStore for Sqlite {
    async fn failure(&self, id: &str) -> PortResult<Option<Failure>> {
        let id = id.to_owned();
        let sql = "SELECT document FROM failures WHERE id = ?1";
        self.inner.readers.read(move |conn| document(conn, "failure", sql, id)).await
    }

    async fn put_failure(&self, failure: &Failure) -> PortResult<()> {
        let (failure, text) = (failure.clone(), to_text("the failure", failure)?);
        self.inner.writer.write(move |group| write(group, &failure, &text)).await
    }

    async fn settle_failure(
        &self,
        failure: &Failure,
        from: FailureState,
        envelopes: &[Envelope],
    ) -> PortResult<()> {
        queue::check(envelopes)?;
        let (failure, text) = (failure.clone(), to_text("the failure", failure)?);
        let (envelopes, now) = (envelopes.to_vec(), micros(self.inner.clock.now()));
        let settle = move |group: &mut Group<'_>| {
            let sql = "UPDATE failures SET kind = ?2, state = ?3, at = ?4, document = ?5 \
                       WHERE id = ?1 AND state = ?6";
            let (kind, state) = (failure.kind.name(), failure.state.name());
            let row = (&failure.id, kind, state, micros(failure.at), &text, from.name());
            if group.conn.prepare_cached(sql)?.execute(row)? == 0 {
                return Err(conflict("failure", &failure.id));
            }
            envelopes.iter().try_for_each(|envelope| queue::enqueue(group, envelope, now))
        };
        self.inner.writer.write(settle).await
    }

    async fn failures(
        &self,
        state: Option<FailureState>,
        kind: Option<FailureKind>,
        page: &Page,
    ) -> PortResult<PageOf<Failure>> {
        let page = page.clone();
        self.inner.readers.read(move |conn| list(conn, state, kind, &page)).await
    }
}
