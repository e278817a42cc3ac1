//! Texts of Chinese and English words: the same number gives the same text, and words are as
//! unevenly frequent as those of a language.

/// Common characters, the most common first; words are made of them.
const CHARACTERS: &str = "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得于著下自之年過\
發後作里用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它\
與長把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯\
月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何\
電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指克許統區保至隊形社便空決治展馬科司五基眼書非則聽白卻界達光\
放強即像難且權思王象完設式色路記南品住告類求據程北邊死張該交規萬取拉格望覺術領共確傳師觀清今切院讓識候帶導爭運笑飛風步改收\
請假餐訂票店價錢車站飯茶咖啡館預約謝謝取消確認";
/// English words people write to each other, the most common first; rarer ones are made up.
const ENGLISH: &str = "the to and a of i you it is in that for my on have be we are this me with \
not was so can will at your please would like need want book table hotel taxi train room day time \
order thanks leave tomorrow today help number address people night price cheap station restaurant \
change cancel check answer question meeting report system server error ticket friday monday invoice";
const BEGINNINGS: [&str; 16] = [
    "ba", "co", "de", "fi", "gu", "ha", "ki", "lo", "ma", "ne", "pa", "ri", "so", "ta", "ve", "wi",
];
const ENDINGS: [&str; 8] = ["n", "r", "st", "l", "ng", "m", "ck", "d"];

/// Words of each kind that there are.
const WORDS: usize = 8_000;

/// A small generator of numbers.
pub(crate) struct Dice(u64);

impl Dice {
    /// The numbers of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D)
    }

    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    /// A rank below `end`: the hundredth is a hundred times as seldom as the first.
    fn rank(&mut self, end: usize) -> usize {
        let octaves = usize::BITS - end.max(1).leading_zeros();
        let octave = self.below(usize::try_from(octaves).unwrap_or(1));
        let least = (1_usize << octave) - 1;
        (least + self.below(1 << octave)).min(end.saturating_sub(1))
    }
}

/// Kinds of words that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One character.
    Chinese1,
    /// Two characters.
    Chinese2,
    /// Four characters.
    Chinese4,
    /// A word of letters.
    English,
}

/// The words.
pub(crate) struct Words {
    characters: Vec<char>,
    english: Vec<&'static str>,
}

impl Words {
    /// All of them.
    pub(crate) fn new() -> Self {
        let characters = CHARACTERS.chars().filter(|c| !c.is_whitespace()).collect();
        Self { characters, english: ENGLISH.split_whitespace().collect() }
    }

    /// A word, the more frequent ones more often.
    pub(crate) fn any(&self, kind: Kind, dice: &mut Dice) -> String {
        match kind {
            Kind::Chinese1 => self.chinese(dice.rank(self.characters.len()), 1),
            Kind::Chinese2 => self.chinese(dice.rank(WORDS), 2),
            Kind::Chinese4 => self.chinese(dice.rank(WORDS), 4),
            Kind::English => self.english(dice.rank(WORDS)),
        }
    }

    /// The word of a rank, which decides its characters.
    fn chinese(&self, rank: usize, length: usize) -> String {
        if length == 1 {
            return self.characters.get(rank).copied().into_iter().collect();
        }
        let mut dice = Dice::new((rank * 8 + length) as u64);
        let mut any = || self.characters.get(dice.rank(self.characters.len())).copied();
        (0..length).filter_map(|_| any()).collect()
    }

    fn english(&self, rank: usize) -> String {
        if let Some(word) = self.english.get(rank) {
            return (*word).to_owned();
        }
        let mut dice = Dice::new(rank as u64);
        let mut word = String::new();
        for _ in 0..2 + rank % 2 {
            word.push_str(BEGINNINGS.get(dice.below(BEGINNINGS.len())).copied().unwrap_or("a"));
        }
        word.push_str(ENDINGS.get(dice.below(ENDINGS.len())).copied().unwrap_or("s"));
        word
    }

    /// A message: three of five are Chinese.
    pub(crate) fn text(&self, dice: &mut Dice) -> String {
        let mut text = String::new();
        if dice.below(5) < 3 {
            for word in 0..4 + dice.below(10) {
                let kind = match dice.below(6) {
                    0 => Kind::Chinese1,
                    1 => Kind::Chinese4,
                    _ => Kind::Chinese2,
                };
                if word % 5 == 4 {
                    text.push('，');
                }
                text.push_str(&self.any(kind, dice));
            }
            text.push('。');
        } else {
            for word in 0..5 + dice.below(12) {
                if word > 0 {
                    text.push(' ');
                }
                text.push_str(&self.any(Kind::English, dice));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_text() {
        let words = Words::new();
        let text = |seed| words.text(&mut Dice::new(seed));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
        let chinese = (0..100).filter(|seed| text(*seed).ends_with('。')).count();
        assert!((45..75).contains(&chinese), "{chinese}");
    }

    #[test]
    fn words_have_their_length_and_few_are_frequent() {
        let (words, mut dice) = (Words::new(), Dice::new(1));
        for (kind, length) in [(Kind::Chinese1, 1), (Kind::Chinese2, 2), (Kind::Chinese4, 4)] {
            let mut found: BTreeMap<String, usize> = BTreeMap::new();
            for _ in 0..10_000 {
                let word = words.any(kind, &mut dice);
                assert_eq!(word.chars().count(), length, "{word}");
                *found.entry(word).or_default() += 1;
            }
            let most = found.values().max().copied().unwrap_or_default();
            assert!(most > 400 && found.len() > 200, "{kind:?}: {most} of {}", found.len());
        }
    }
}
