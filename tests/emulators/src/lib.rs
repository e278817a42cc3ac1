//! What stands in for Google Cloud on one machine.
//!
//! | module | stands in for |
//! |---|---|
//! | [`run`], [`process`] | starting everything on free ports, and stopping it whatever happens |
//! | [`pubsub`] | Pub/Sub with push: ordering, tokens, redelivery, dead letters, faults on demand |
//! | [`tasks`] | Cloud Tasks |
//! | [`secrets`] | Secret Manager |
//! | [`tokens`] | Google's signing keys |
//! | [`proxy`] | a proxy that counts what goes to Firestore and Pub/Sub, and fails on demand |

mod discovery;
pub mod installed;
pub mod official;
pub mod process;
pub mod proxy;
pub mod pubsub;
mod rest;
pub mod run;
pub mod secrets;
pub mod tasks;
pub mod tokens;
