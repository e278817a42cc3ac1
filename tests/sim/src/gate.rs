//! Await points that a run decides: every call of a port stops once before it and once behind.
//!
//! Between the two the call is done while the thread waits, so that the threads of the store have
//! no say in what comes first. A handler that is dropped at the first has not called; at the
//! second it has, and never heard the answer.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use async_trait::async_trait;
use channels::Connection;
use chrono::{DateTime, Utc};
use engine::{
    Conversation, ConversationId, EventId, HistoryEntry, Message, MessageId, Task, TaskId,
};
use ports::{
    ApiKey, Bus, Commit, ConfigStore, Draft, Envelope, Failure, FailureKind, FailureState,
    FailureStore, FlowStore, FlowSummary, FlowVersion, IdempotentAnswer, MessageFilter, Page,
    PageOf, PortResult, QuarantinedRow, Queries, Queue, Receipt, RefusedRow, Secret, Secrets,
    TaskFilter, Timers, Turn, TurnStore, Warehouse,
};
use ports_contract::Backend;
use schema::{Row, Table};
use serde_json::{Map, Value};

/// Every port of a backend, each call between two await points.
pub struct Gate {
    inner: Backend,
}

impl Gate {
    /// Stands before `inner`.
    pub fn new(inner: Backend) -> Arc<Self> {
        Arc::new(Self { inner })
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The future's output; the thread waits for it.
pub(crate) fn wait_for<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

async fn pass<F: Future + Send>(call: F) -> F::Output {
    futures::pending!();
    let answer = wait_for(call);
    futures::pending!();
    answer
}

macro_rules! gated {
    ($port:ident by $field:ident {
        $(fn $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*
    }) => {
        #[async_trait]
        impl $port for Gate {
            $(async fn $name(&self, $($argument: $kind),*) -> PortResult<$answer> {
                pass(self.inner.$field.$name($($argument),*)).await
            })*
        }
    };
}

gated!(TurnStore by turns {
    fn turn(event: Option<&EventId>, conversation: &ConversationId, tasks: &[TaskId]) -> Turn;
    fn tasks(ids: &[TaskId]) -> Vec<Task>;
    fn messages(ids: &[MessageId]) -> Vec<Message>;
    fn commit(commit: Commit) -> Receipt;
    fn mark_published(ids: &[String]) -> ();
    fn unpublished(before: DateTime<Utc>, limit: usize) -> Vec<Envelope>;
    fn awaiting(kind: &str, key: &str, limit: usize) -> Vec<(TaskId, ConversationId)>;
    fn kept_answer(key: &str, now: DateTime<Utc>) -> Option<IdempotentAnswer>;
    fn forget(events_before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> u64;
});

gated!(Queries by queries {
    fn list_tasks(filter: &TaskFilter, page: &Page) -> PageOf<Task>;
    fn list_messages(filter: &MessageFilter, page: &Page) -> PageOf<Message>;
    fn history(task: &TaskId, after: u64, limit: usize) -> Vec<HistoryEntry>;
    fn list_conversations(
        connection: Option<&str>, contact: Option<&str>, page: &Page
    ) -> PageOf<Conversation>;
    fn task_counts() -> Vec<(String, String, u64)>;
    fn ping() -> ();
});

gated!(FlowStore by flows {
    fn draft(flow: &str) -> Option<Draft>;
    fn put_draft(draft: &Draft) -> ();
    fn publish(version: &FlowVersion) -> ();
    fn version(flow: &str, version: u32) -> Option<FlowVersion>;
    fn versions(flow: &str) -> Vec<FlowVersion>;
    fn list_flows() -> Vec<FlowSummary>;
    fn live() -> Vec<(String, u32)>;
});

gated!(ConfigStore by config {
    fn connection(id: &str) -> Option<Connection>;
    fn put_connection(connection: &Connection) -> ();
    fn connections() -> Vec<Connection>;
    fn key(id: &str) -> Option<ApiKey>;
    fn put_key(key: &ApiKey) -> ();
    fn keys() -> Vec<ApiKey>;
    fn queues() -> Vec<Queue>;
    fn put_queue(queue: &Queue) -> ();
    fn table(id: &str) -> Option<Table>;
    fn put_table(table: &Table) -> ();
    fn tables() -> Vec<Table>;
});

gated!(FailureStore by failures {
    fn failure(id: &str) -> Option<Failure>;
    fn put_failure(failure: &Failure) -> ();
    fn settle_failure(failure: &Failure, from: FailureState, envelopes: &[Envelope]) -> ();
    fn failures(
        state: Option<FailureState>, kind: Option<FailureKind>, page: &Page
    ) -> PageOf<Failure>;
});

gated!(Bus by bus {
    fn publish(envelopes: &[Envelope]) -> ();
});

gated!(Timers by timers {
    fn timer(id: &str) -> Option<Envelope>;
    fn overdue(before: DateTime<Utc>, limit: usize) -> Vec<Envelope>;
    fn alarm(timer: &Envelope) -> ();
    fn done(ids: &[String]) -> ();
});

gated!(Warehouse by warehouse {
    fn ensure(table: &Table) -> ();
    fn append(table: &Table, rows: &[Row]) -> Vec<RefusedRow>;
    fn rows(table: &Table, current: bool, page: &Page) -> PageOf<Map<String, Value>>;
    fn count(table: &Table, current: bool) -> u64;
    fn quarantine(rows: &[QuarantinedRow]) -> ();
    fn quarantined(table: &str, page: &Page) -> PageOf<QuarantinedRow>;
    fn release(ids: &[String]) -> ();
});

gated!(Secrets by secrets {
    fn secret(name: &str) -> Option<Secret>;
    fn put_secret(name: &str, value: &Secret) -> ();
    fn secret_names() -> Vec<String>;
});
