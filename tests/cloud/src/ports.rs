//! Ports that nobody else takes: functions are killed and started again at the same address, and
//! systems run side by side.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context as _;

/// Where blocks lie: below the ports that the system gives to whoever connects.
const FIRST: u16 = 20_000;
const END: u16 = 32_000;
/// Ports of a block; the first is held as a sign that the block is taken.
const BLOCK: u16 = 32;
/// Those of a block that go to one function each; the others go round among instances.
const FIXED: u16 = 16;

/// A block of ports, ours until this is dropped.
#[derive(Debug)]
pub struct Ports {
    /// Bound as long as the block is taken.
    _sign: TcpListener,
    first: u16,
    given: u16,
}

impl Ports {
    /// Takes a free block.
    ///
    /// # Errors
    /// Where all are taken.
    pub fn take() -> anyhow::Result<Self> {
        let blocks = (END - FIRST) / BLOCK;
        // Processes begin at different blocks, so that they seldom meet.
        let begin = u16::try_from(std::process::id() % u32::from(blocks)).unwrap_or_default();
        (0..blocks)
            .map(|block| FIRST + (begin + block) % blocks * BLOCK)
            .find_map(|first| {
                let sign = bind(first)?;
                let is_free = (first + 1..first + BLOCK).all(|port| bind(port).is_some());
                is_free.then_some(Self { _sign: sign, first, given: 0 })
            })
            .context("no ports are free from 20000 to 32000; stop what holds them")
    }

    /// A port for good.
    ///
    /// # Errors
    /// Where the block has no more.
    pub fn fixed(&mut self) -> anyhow::Result<u16> {
        self.given += 1;
        anyhow::ensure!(self.given < FIXED, "a system has at most {} functions", FIXED - 1);
        Ok(self.first + self.given)
    }

    /// A port for a while: it comes round again after a dozen others.
    pub fn passing(&self, number: u32) -> u16 {
        let round = u16::try_from(number % u32::from(BLOCK - FIXED)).unwrap_or_default();
        self.first + FIXED + round
    }
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_come_back() {
        let (mut one, two) = (Ports::take().unwrap(), Ports::take().unwrap());
        assert!(one.first.abs_diff(two.first) >= BLOCK);
        let ports: Vec<u16> = (1..FIXED).map(|_| one.fixed().unwrap()).collect();
        assert!(one.fixed().is_err());
        assert!(!ports.contains(&one.passing(0)) && one.passing(0) != one.passing(1));
        assert_eq!(one.passing(0), one.passing(u32::from(BLOCK - FIXED)));
        let first = one.first;
        drop(one);
        assert!(bind(first).is_some());
    }
}
