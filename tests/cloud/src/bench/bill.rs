//! What one message with one reply costs at Google, function by function.

use emulators::proxy::Counts;
use serde::Serialize;

use super::settle;
use crate::System;
use crate::load::{self, Replies, Talk};
use crate::proxies::Service;
use crate::system::FUNCTIONS;

/// People who talk while calls are counted, one after the other.
const CONTACTS: usize = 25;

/// What a function asks of Google for one turn, on average.
#[derive(Debug, Serialize)]
pub(super) struct Bill {
    pub(super) name: &'static str,
    /// Calls to all services.
    pub(super) calls: f64,
    /// Bytes of their requests and answers.
    pub(super) bytes: f64,
    /// Documents that Firestore bills as read: asked for by name, or found by a query.
    pub(super) reads: f64,
    /// Documents that Firestore bills as written or deleted.
    pub(super) writes: f64,
    /// Messages published to Pub/Sub.
    pub(super) published: f64,
    /// Requests to the Storage Write API.
    pub(super) appends: f64,
    /// Calls to Cloud Tasks.
    pub(super) alarms: f64,
}

/// Sends every function through proxies, has people talk, and counts.
pub(super) async fn measure(
    system: &mut System,
    replies: &Replies,
    messages: usize,
) -> anyhow::Result<Vec<Bill>> {
    for (name, _) in FUNCTIONS {
        system.put_proxies_before(name).await?;
    }
    let talk =
        |name: &str, contacts| Talk { name: name.to_owned(), contacts, messages, at_once: 1 };
    // Connections, schemas and versions are read once by each instance, not for each turn.
    load::talk(system, replies, &talk("bill-warm", 2)).await?;
    settle(system).await?;
    system.proxies.values().for_each(crate::proxies::Proxies::reset);
    let talked = load::talk(system, replies, &talk("bill", CONTACTS)).await?;
    settle(system).await?;
    Ok(FUNCTIONS.into_iter().map(|(name, _)| bill(system, name, talked.turns)).collect())
}

fn bill(system: &System, name: &'static str, turns: usize) -> Bill {
    let of = |service| system.proxies.get(name).map(|it| it.counts(service)).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let each = |count: u64| count as f64 / turns as f64;
    let calls = |counts: &Counts| counts.0.values().map(|path| path.calls).sum::<u64>();
    let (firestore, pubsub) = (of(Service::Firestore), of(Service::Pubsub));
    let all: Vec<Counts> = Service::ALL.into_iter().map(of).collect();
    let bytes = |counts: &Counts| {
        counts.0.values().map(|path| path.request_bytes + path.response_bytes).sum::<u64>()
    };
    Bill {
        name,
        calls: each(all.iter().map(calls).sum()),
        bytes: each(all.iter().map(bytes).sum()),
        reads: each(firestore.documents_asked() + firestore.of("RunQuery").documents),
        writes: each(firestore.writes()),
        published: each(pubsub.published()),
        appends: each(of(Service::StorageWrite).of("AppendRows").items),
        alarms: each(calls(&of(Service::Tasks))),
    }
}
