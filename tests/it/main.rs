//! Integration tests, in one binary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod api_flows;
mod api_settings;
mod api_tasks;
mod backup;
mod bad_input;
mod bench;
mod calls;
mod children;
mod commands;
mod crate_graph;
mod crowd;
mod demo;
mod events;
mod failures;
mod faults;
mod kept;
mod landing;
mod openapi;
mod overload;
mod partner;
mod process;
mod program;
mod promises;
mod release;
mod replay;
mod replies;
mod routing;
mod stream;
mod tail;
mod talk;
mod tidy;
mod timers;
mod transfer;
mod webhook;
mod wire;
