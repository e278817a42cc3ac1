//! Integration tests, in one binary.

mod api_tasks;
mod children;
mod crate_graph;
mod demo;
mod events;
mod routing;
mod talk;
mod tidy;
mod wire;
