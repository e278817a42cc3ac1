//! Bad input: a clear 4xx or a failed task with its reason; nothing lost, never a 500.

mod clock;
mod flows;
mod fuzz;
mod requests;
