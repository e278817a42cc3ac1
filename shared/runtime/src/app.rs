//! What every use case needs: the ports, the catalog, the limits.

use std::sync::Arc;
use std::time::Duration;

use engine::{ConversationId, TaskId};
use ports::{Bus, Clock, Secrets, Store, Timers, Warehouse};
use tokio::sync::broadcast;

use crate::catalog::CatalogCache;
use crate::egress::Egress;
use crate::turn::FocusHints;

/// Bounds of the runtime. Everything that could grow has one.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most attempts to commit one event against others before it is delivered again.
    pub conflicts_max: u32,
    /// Most attempts to send one reply.
    pub send_attempts_max: u32,
    /// The first wait between attempts to send; it doubles up to `send_backoff_max`.
    pub send_backoff_first: Duration,
    /// The longest wait between attempts to send.
    pub send_backoff_max: Duration,
    /// How long one attempt to send may take.
    pub send_timeout: Duration,
    /// Largest answer of a call, in bytes.
    pub call_response_bytes_max: usize,
    /// How long the catalog of live flows and connections is trusted.
    pub catalog_ttl: Duration,
    /// How long event ids are remembered: a repeated delivery within it has no effect.
    pub events_kept: Duration,
    /// How long answers to requests with an idempotency key are kept.
    pub answers_kept: Duration,
    /// How old an unpublished envelope must be before the sweeper takes it.
    pub sweep_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            conflicts_max: 50,
            send_attempts_max: 8,
            send_backoff_first: Duration::from_secs(1),
            send_backoff_max: Duration::from_secs(300),
            send_timeout: Duration::from_secs(15),
            call_response_bytes_max: 256 * 1024,
            catalog_ttl: Duration::from_secs(1),
            events_kept: Duration::from_secs(7 * 24 * 3600),
            answers_kept: Duration::from_secs(24 * 3600),
            sweep_after: Duration::from_secs(10),
        }
    }
}

/// A line for the terminal of the local server: a reply of a connection that replies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalLine {
    /// The connection.
    pub connection: String,
    /// The contact.
    pub contact: String,
    /// What is said.
    pub text: String,
}

/// Something changed: those who watch look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The conversation.
    pub conversation: ConversationId,
    /// The tasks.
    pub tasks: Vec<TaskId>,
}

/// Where terminal lines go.
pub type Terminal = Arc<dyn Fn(&TerminalLine) + Send + Sync>;

/// What an [`App`] is made from.
pub struct AppParts {
    /// Tasks, conversations, flows, failures.
    pub store: Arc<dyn Store>,
    /// Envelopes.
    pub bus: Arc<dyn Bus>,
    /// Timers that wait.
    pub timers: Arc<dyn Timers>,
    /// Rows.
    pub warehouse: Arc<dyn Warehouse>,
    /// Secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The way out.
    pub egress: Egress,
    /// Bounds.
    pub limits: Limits,
    /// The terminal.
    pub terminal: Terminal,
}

/// The running system, as its functions see it. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) parts: Arc<AppParts>,
    pub(crate) catalog: Arc<CatalogCache>,
    pub(crate) focus: Arc<FocusHints>,
    changes: broadcast::Sender<Change>,
}

/// Changes that may be waiting for a slow watcher; beyond them it looks at everything again.
const CHANGES_BUFFERED: usize = 1_024;

impl App {
    /// Puts the parts together.
    pub fn new(parts: AppParts) -> Self {
        let (changes, _) = broadcast::channel(CHANGES_BUFFERED);
        Self {
            parts: Arc::new(parts),
            catalog: Arc::new(CatalogCache::default()),
            focus: Arc::new(FocusHints::default()),
            changes,
        }
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        &*self.parts.store
    }

    /// The bus.
    pub fn bus(&self) -> &dyn Bus {
        &*self.parts.bus
    }

    /// Timers that wait.
    pub fn timers(&self) -> &dyn Timers {
        &*self.parts.timers
    }

    /// The warehouse.
    pub fn warehouse(&self) -> &dyn Warehouse {
        &*self.parts.warehouse
    }

    /// The secrets.
    pub fn secrets(&self) -> &dyn Secrets {
        &*self.parts.secrets
    }

    /// The time.
    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.parts.clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    /// Changes from now on, in this process.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub(crate) fn changed(&self, change: Change) {
        // Nobody watching is no error.
        let _ = self.changes.send(change);
    }
}
