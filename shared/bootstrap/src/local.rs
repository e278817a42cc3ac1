//! The local system: everything on one SQLite file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backend_sqlite::{OpenError, Options, Pages, Sqlite, Told};
use ports::{Clock, Deliveries};
use runtime::app::Terminal;
use runtime::egress::{Egress, EgressConfig, EgressSetupError};
use runtime::{App, AppParts, Limits};

pub use backend_sqlite::{Aspect, Copied, CopyError, Finding, Report, VerifyError};

/// The name of the file in the data directory.
pub const FILE: &str = "chatflow.db";

/// Why the local system cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The data directory.
    #[error("the data directory {path} cannot be used; choose another with --data")]
    Directory {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The data file.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The HTTP client.
    #[error(transparent)]
    Egress(#[from] EgressSetupError),
}

/// The local system.
#[derive(Clone)]
pub struct Local {
    /// What the functions see.
    pub app: App,
    /// The receiving end of the bus.
    pub deliveries: Arc<dyn Deliveries>,
    sqlite: Sqlite,
}

impl Local {
    /// Opens the data directory, which is made where it is not there.
    pub fn open(
        directory: &Path,
        clock: Arc<dyn Clock>,
        limits: Limits,
        terminal: Terminal,
    ) -> Result<Self, LocalError> {
        std::fs::create_dir_all(directory).map_err(|source| LocalError::Directory {
            path: directory.display().to_string(),
            source,
        })?;
        let sqlite = Sqlite::open(&directory.join(FILE), Options::new(clock.clone()))?;
        Self::on(sqlite, clock, limits, terminal)
    }

    /// The system on a store that is open already.
    pub fn on(
        sqlite: Sqlite,
        clock: Arc<dyn Clock>,
        limits: Limits,
        terminal: Terminal,
    ) -> Result<Self, LocalError> {
        let shared = Arc::new(sqlite.clone());
        let app = App::new(AppParts {
            store: shared.clone(),
            bus: shared.clone(),
            timers: shared.clone(),
            warehouse: shared.clone(),
            secrets: shared.clone(),
            clock,
            egress: Egress::new(&EgressConfig::default())?,
            limits,
            terminal,
        });
        Ok(Self { app, deliveries: shared, sqlite })
    }

    /// Writes what is left and closes the file.
    pub async fn close(&self) {
        self.sqlite.close().await;
    }
}

/// The data file of a directory.
pub fn data_file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// Copies the data file of a local server, which may be running, into a new file.
pub fn back_up(directory: &Path, to: &Path, pages: Pages<'_>) -> Result<Copied, CopyError> {
    backend_sqlite::back_up(&data_file(directory), to, pages)
}

/// Makes a data directory of a backup, where there is none or an empty one.
pub fn restore(from: &Path, directory: &Path, pages: Pages<'_>) -> Result<Copied, CopyError> {
    backend_sqlite::restore(from, &data_file(directory), pages)
}

/// Checks everything in a data file, which a server may have open.
pub fn verify(file: &Path, told: Told<'_>) -> Result<Report, VerifyError> {
    backend_sqlite::verify(file, &runtime::stored::Written, told)
}
