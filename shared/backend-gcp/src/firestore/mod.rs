//! Firestore: the state of tasks and conversations, what administrators keep, timers.
//!
//! A turn is one batched read and one commit. Of one message with one reply the commit writes
//! five documents: the conversation, the task, both messages, and the event – which is the key
//! that makes a repeated delivery a duplicate, the row of history and the outbox in one.
//!
//! Guards are update times. The store remembers those of documents that this process has read or
//! written lately, with their revisions, so that a commit needs no read of its own; what it does
//! not know it reads first.
//!
//! | module | holds |
//! |---|---|
//! | `client`, `value`, `keys`, `query` | calls, fields, names, questions |
//! | `indexes` | the indexes those questions need |
//! | `documents` | domain values as documents |
//! | `long` | texts that do not fit one document |
//! | `known` | revisions and update times of what was read |
//! | `turn`, `commit` | `TurnStore` |
//! | `outbox` | what the sweeper publishes, timers |
//! | `lists`, `search`, `cursor` | `Queries` |
//! | `flows`, `config`, `failures`, `quarantine` | what administrators keep |

mod client;
mod commit;
mod config;
mod cursor;
mod documents;
mod examine;
mod failures;
mod flows;
mod indexes;
mod keys;
mod known;
mod lists;
mod long;
mod outbox;
mod quarantine;
mod query;
mod search;
mod turn;
mod value;

use std::sync::Arc;

use chrono::TimeDelta;
use firestore::{FirestoreDb, FirestoreDbOptions};
use gcloud_sdk::google_cloud_auth::credentials::anonymous;
use ports::{Clock, PortError, PortResult};

use crate::alarms::Alarms;
use crate::config::Config;
use client::Client;
use known::Known;

pub use indexes::document as indexes_document;

/// The document store: `TurnStore`, `Queries`, `FlowStore`, `ConfigStore`, `FailureStore` and
/// `Timers` on one database. Clones share it.
#[derive(Clone)]
pub struct Firestore {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    known: Known,
    alarms: Alarms,
    clock: Arc<dyn Clock>,
    /// How long history and conversations without open tasks are kept; none is for good.
    history_kept: Option<TimeDelta>,
    conversations_kept: Option<TimeDelta>,
}

impl std::fmt::Debug for Firestore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Firestore").finish_non_exhaustive()
    }
}

impl Firestore {
    /// Opens the connection. Nothing is read yet.
    pub async fn connect(
        config: &Config,
        alarms: Alarms,
        clock: Arc<dyn Clock>,
    ) -> PortResult<Self> {
        let mut options = FirestoreDbOptions::new(config.project.clone())
            .with_database_id(config.database.clone());
        options.firebase_api_url.clone_from(&config.endpoints.firestore);
        let db = if config.endpoints.firestore.is_some() {
            FirestoreDb::with_options_auth(options, anonymous::Builder::new().build()).await
        } else {
            FirestoreDb::with_options(options).await
        };
        let days = |days: Option<u32>| days.map(|days| TimeDelta::days(i64::from(days)));
        Ok(Self {
            inner: Arc::new(Inner {
                client: Client::new(db.map_err(PortError::backend)?),
                known: Known::default(),
                alarms,
                clock,
                history_kept: days(config.history_kept_days),
                conversations_kept: days(config.conversations_kept_days),
            }),
        })
    }

    fn client(&self) -> &Client {
        &self.inner.client
    }
}
