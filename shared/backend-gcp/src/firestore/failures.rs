//! `FailureStore`.

use async_trait::async_trait;
use gcloud_sdk::google::firestore::v1::{Document, Write};
use ports::{Envelope, Failure, FailureKind, FailureState, FailureStore, Page, PageOf, PortResult};

use super::Firestore;
use super::client::{Guard, Refusal, put};
use super::cursor::List;
use super::documents::DOCUMENT;
use super::keys::{FAILURES, key};
use super::query::Query;
use super::value::{Fields, Read, text, time, to_json};
use crate::error::conflict;

/// The field with the body of the failure's envelope: inside the JSON, quoted once more, it could
/// be larger than a document.
const BODY: &str = "body";

impl Firestore {
    pub(crate) fn failure_document(&self, failure: &Failure) -> PortResult<Document> {
        let mut without_body = failure.clone();
        let body = without_body.envelope.as_mut().map(|it| std::mem::take(&mut it.body));
        let fields = Fields::default()
            .set("state", text(failure.state.name()))
            .set("kind", text(failure.kind.name()))
            .set("at", time(failure.at))
            .set_some(BODY, body.map(text))
            .set(DOCUMENT, text(to_json("the failure", &without_body)?));
        Ok(fields.document(self.client().name(FAILURES, &key(&failure.id))))
    }
}

/// Puts the body back where it belongs.
fn with_body(mut failure: Failure, body: Option<&str>) -> Failure {
    if let (Some(envelope), Some(body)) = (&mut failure.envelope, body) {
        body.clone_into(&mut envelope.body);
    }
    failure
}

fn read(document: &Document) -> PortResult<Failure> {
    Ok(with_body(document.json("failure", DOCUMENT)?, document.text(BODY)))
}

#[async_trait]
impl FailureStore for Firestore {
    async fn failure(&self, id: &str) -> PortResult<Option<Failure>> {
        self.client().one(FAILURES, &key(id)).await?.as_ref().map(read).transpose()
    }

    async fn put_failure(&self, failure: &Failure) -> PortResult<()> {
        self.write(vec![put(self.failure_document(failure)?, Guard::Any)]).await
    }

    async fn settle_failure(
        &self,
        failure: &Failure,
        from: FailureState,
        envelopes: &[Envelope],
    ) -> PortResult<()> {
        let refused = || conflict("failure", &failure.id);
        let stored = self.client().one(FAILURES, &key(&failure.id)).await?;
        let since = stored
            .filter(|document| document.text("state") == Some(from.name()))
            .and_then(|document| document.update_time)
            .ok_or_else(refused)?;
        let mut writes: Vec<Write> =
            vec![put(self.failure_document(failure)?, Guard::Unchanged(since))];
        let at = failure.settled.as_ref().map_or(failure.at, |(_, at)| *at);
        for (place, envelope) in envelopes.iter().enumerate() {
            // The sweeper publishes them: it is the store that has settled the failure, and a
            // person's retry does not hurry.
            let outbox = self.outbox_document(envelope, at, &failure.id, place);
            writes.push(put(outbox, Guard::Any));
        }
        match self.client().commit(writes).await {
            Ok(_) => Ok(()),
            Err(Refusal::Guard) => Err(refused()),
            Err(Refusal::Port(error)) => Err(error),
        }
    }

    async fn failures(
        &self,
        state: Option<FailureState>,
        kind: Option<FailureKind>,
        page: &Page,
    ) -> PortResult<PageOf<Failure>> {
        let mut equals = Vec::new();
        equals.extend(state.map(|state| ("state", text(state.name()))));
        equals.extend(kind.map(|kind| ("kind", text(kind.name()))));
        let query =
            Query { collection: FAILURES, equals, order: Some(("at", true)), ..Query::default() };
        let found: PageOf<Failure> =
            self.page("failure", query, page, List::Failures, |_| true).await?;
        let names: Vec<String> = found
            .items
            .iter()
            .filter(|failure| failure.envelope.is_some())
            .map(|failure| self.client().name(FAILURES, &key(&failure.id)))
            .collect();
        let bodies = self.client().get(&names, &[BODY]).await?;
        let items = found.items.into_iter().map(|failure| {
            let name = self.client().name(FAILURES, &key(&failure.id));
            let body = bodies.get(&name).and_then(|document| document.text(BODY));
            with_body(failure, body)
        });
        Ok(PageOf { items: items.collect(), next: found.next })
    }
}
