//! The contract suites of every port on this backend, in both ways of delivery and under faults.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use backend_sqlite::{DeliveryMode, Options, Sqlite};
use ports_contract::{Backend, Reopen, Standing};

fn open(path: PathBuf, delivery: DeliveryMode) -> Backend {
    let options = Options { delivery, ..Options::new(Arc::new(Standing)) };
    let sqlite = Arc::new(Sqlite::open(&path, options).unwrap());
    let reopen: Reopen = Arc::new(move || {
        let path = path.clone();
        Box::pin(async move { open(path, delivery) })
    });
    Backend {
        turns: sqlite.clone(),
        queries: sqlite.clone(),
        flows: sqlite.clone(),
        config: sqlite.clone(),
        failures: sqlite.clone(),
        bus: sqlite.clone(),
        deliveries: Some(sqlite.clone()),
        timers: sqlite.clone(),
        warehouse: sqlite.clone(),
        secrets: sqlite,
        reopen: Some(reopen),
        keep: None,
    }
}

fn in_new_directory(delivery: DeliveryMode) -> Backend {
    let directory = tempfile::tempdir().unwrap();
    let mut backend = open(directory.path().join("chatflow.db"), delivery);
    backend.keep = Some(Arc::new(directory));
    backend
}

mod transactional {
    use super::*;

    async fn make() -> Backend {
        in_new_directory(DeliveryMode::Transactional)
    }

    ports_contract::contract_tests!(make);
    ports_contract::contract_tests_faulty!(make);
}

mod published {
    use super::*;

    async fn make() -> Backend {
        in_new_directory(DeliveryMode::Published)
    }

    ports_contract::contract_tests!(make);
    ports_contract::contract_tests_faulty!(make);
}
