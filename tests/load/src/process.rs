//! What a process used, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

/// Ticks of processor time in a second: the kernel's interface has this unit on every machine.
const TICKS_PER_SECOND: u64 = 100;

/// What a process used from its start until now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Processor time of all its threads, in user mode and in the kernel.
    pub cpu: Duration,
    /// Memory that is resident now, in bytes.
    pub resident_bytes: u64,
    /// The most that ever was.
    pub resident_bytes_peak: u64,
    /// Bytes it had written to disks.
    pub written_bytes: u64,
}

impl Usage {
    /// Of the process `pid`, `"self"` for this one.
    ///
    /// # Errors
    /// Where it has ended, or the kernel is none that has `/proc`.
    pub fn of(pid: &str) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))
        };
        let status = read("status")?;
        Ok(Self {
            cpu: cpu(&read("stat")?).context("the processor time of a process")?,
            resident_bytes: number(&status, "VmRSS:").unwrap_or_default() * 1_024,
            resident_bytes_peak: number(&status, "VmHWM:").unwrap_or_default() * 1_024,
            written_bytes: number(&read("io")?, "write_bytes:").unwrap_or_default(),
        })
    }
}

/// `utime` and `stime`, which are the 14th and 15th field; the second one, a name, may hold
/// spaces and brackets.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// The number after a name at the start of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_do_not_shift_the_fields() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 10 0 0 0 150 50 0 0 20 0 9 0";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu("7 (a"), None);
    }

    #[test]
    fn this_process_has_memory() {
        let usage = Usage::of("self").unwrap();
        assert!(usage.resident_bytes > 0 && usage.resident_bytes_peak >= usage.resident_bytes);
    }
}
