//! The contract suites of the ports on Google Cloud, against the emulators, and under faults.
//!
//! `emulators run -- cargo nextest run -p backend-gcp` starts what they need. Every test has a
//! project of its own, so that they do not see each other.

use crate::place::backend;

ports_contract::contract_tests!(
    backend, turn_store, queries, flows, config, failures, warehouse, secrets
);
// All but `no_change_is_lost`: two hundred writers of one document are some 40,000 calls of the
// emulator, two minutes; twelve say the same.
ports_contract::__cases!(
    backend,
    concurrency: one_wins_per_revision,
    no_change_of_few_is_lost,
    an_event_takes_effect_once_at_once,
    conversations_do_not_disturb_each_other,
    a_bad_neighbour_does_no_harm,
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
