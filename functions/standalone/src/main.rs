//! The `chatflow` program.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// What one thread makes another frees: requests, and what they have written. The allocator of
/// the C library takes its locks for that; this one spares a third of the processor's time.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    standalone::cli::main()
}
