//! The contract suites of the ports on Google Cloud, against the emulators, and under faults.
//!
//! `emulators run -- cargo nextest run -p backend-gcp` starts what they need. Every test has a
//! project of its own, so that they do not see each other.

use crate::place::backend;

ports_contract::contract_tests!(
    backend,
    turn_store,
    concurrency,
    queries,
    flows,
    config,
    failures,
    warehouse,
    secrets
);
// "Keeps the count across restarts" is about deliveries, which Pub/Sub pushes; the `bus` group is
// in `bus`, where a test reads them by pull.
ports_contract::__cases!(
    backend,
    restart: a_commit_survives,
    administration_survives,
    event_keys_survive,
);
ports_contract::contract_tests_faulty!(backend, turn_store, concurrency);
