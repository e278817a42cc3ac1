//! What the numbers were measured on: they say nothing without it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

/// Syncs of the disk that are timed.
const SYNCS: usize = 200;

/// A machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// The processor, as it names itself.
    pub processor: String,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// The kernel.
    pub kernel: String,
    /// Tasks that ran or waited to, on average over the minute before the measurement.
    pub load_before: f64,
    /// The median of 200 appends of 4 KiB with a sync each, in milliseconds: no durable commit
    /// is faster.
    pub sync_p50_millis: f64,
    /// The second-slowest of a hundred of them.
    pub sync_p99_millis: f64,
}

impl Machine {
    /// This machine, with its disk under `data`.
    ///
    /// # Errors
    /// Where a file cannot be written there.
    pub fn of(data: &Path) -> anyhow::Result<Self> {
        let proc = |name: &str| fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let memory = field(&proc("meminfo"), "MemTotal").unwrap_or_default();
        let kibibytes = memory.split(' ').next().and_then(|number| number.parse::<u64>().ok());
        let load = proc("loadavg");
        let syncs = syncs(data)?;
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            processor: field(&proc("cpuinfo"), "model name").unwrap_or_default(),
            memory_bytes: kibibytes.unwrap_or_default() * 1_024,
            kernel: proc("sys/kernel/osrelease").trim().to_owned(),
            load_before: load.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default(),
            sync_p50_millis: syncs.get(SYNCS / 2).copied().unwrap_or_default(),
            sync_p99_millis: syncs.get(SYNCS * 99 / 100).copied().unwrap_or_default(),
        })
    }
}

/// How long syncs take, in milliseconds, sorted.
fn syncs(data: &Path) -> anyhow::Result<Vec<f64>> {
    let mut file = fs::File::create(data.join("syncs"))?;
    let mut millis = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        millis.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    millis.sort_by(f64::total_cmp);
    Ok(millis)
}
