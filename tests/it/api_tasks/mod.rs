//! `/v1/tasks`: starting, talking, looking, acting.

mod idempotency;
mod life;
mod migrate;
mod operator;
mod search;
