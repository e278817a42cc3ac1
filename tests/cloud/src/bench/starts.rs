//! How large a function is, how fast it starts, and what it holds while it has nothing to do.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use crate::system::FUNCTIONS;
use crate::{System, programs};

/// How long an instance may come to rest before its memory is looked at.
const REST: Duration = Duration::from_secs(1);

/// One function.
#[derive(Debug, Serialize)]
pub(super) struct Function {
    pub(super) name: &'static str,
    /// Of its program.
    pub(super) bytes: u64,
    /// From the start of its process to its first answer: the median, and the longest.
    pub(super) start_median_millis: f64,
    pub(super) start_max_millis: f64,
    /// The most that an instance held that had nothing to do.
    pub(super) resident_idle_bytes: u64,
    /// What the instance held that took part in everything.
    pub(super) resident_after_load_bytes: u64,
}

/// Starts each function so often, one instance at a time, beside the running system.
pub(super) async fn measure(system: &System, starts: u32) -> anyhow::Result<Vec<Function>> {
    let mut functions = Vec::new();
    for (name, _) in FUNCTIONS {
        let mut millis = Vec::new();
        let mut resident_idle_bytes = 0;
        for _ in 0..starts {
            let instance = system.one_more(name).await?;
            millis.push(instance.took.as_secs_f64() * 1000.0);
            tokio::time::sleep(REST).await;
            resident_idle_bytes = resident_idle_bytes.max(instance.process.resident_bytes());
        }
        millis.sort_by(f64::total_cmp);
        let program = programs::path(&format!("chatflow-{name}"))?;
        let bytes = program.metadata().with_context(|| format!("{}", program.display()))?.len();
        functions.push(Function {
            name,
            bytes,
            start_median_millis: millis.get(millis.len() / 2).copied().unwrap_or_default(),
            start_max_millis: millis.last().copied().unwrap_or_default(),
            resident_idle_bytes,
            resident_after_load_bytes: 0,
        });
    }
    Ok(functions)
}
