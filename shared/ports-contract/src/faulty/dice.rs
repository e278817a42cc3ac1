//! A small generator of numbers: the same seed gives the same ones on every machine.

/// Xorshift64*.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Begins at this seed; every seed is a good one.
    pub(super) fn new(seed: u64) -> Self {
        // One step of SplitMix64, so that near seeds give far numbers.
        let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((mixed ^ (mixed >> 31)).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }

    /// A number below `end`; 0 where `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or_default()
    }

    /// A number from 0 to 999.
    pub(super) fn per_mille(&mut self) -> u16 {
        u16::try_from(self.below(1_000)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_decides_every_number() {
        let roll = |seed| {
            let mut dice = Dice::new(seed);
            [(); 6].map(|()| dice.per_mille())
        };
        assert_eq!(roll(7), roll(7));
        assert_ne!(roll(7), roll(8));
        assert_ne!(roll(0), roll(u64::MAX));
    }

    #[test]
    fn numbers_are_spread() {
        let mut dice = Dice::new(1);
        let mut tenths = [0_u32; 10];
        for _ in 0..10_000 {
            tenths[usize::from(dice.per_mille() / 100)] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1_150).contains(count)), "{tenths:?}");
        assert_eq!(dice.below(0), 0);
    }
}
