//! Years counted by eras: Minguo (民國) and the Japanese eras.

use chrono::NaiveDate;

use super::Rejection;
use super::calendar::{Found, ymd};
use super::scan::Scan;

/// An era with its first and last day as year, month, day.
#[derive(Debug)]
struct Era {
    /// The Gregorian year before its year 1.
    base: i32,
    first: (i32, u32, u32),
    last: (i32, u32, u32),
}

const REIWA: Era = Era { base: 2018, first: (2019, 5, 1), last: (9999, 12, 31) };
const HEISEI: Era = Era { base: 1988, first: (1989, 1, 8), last: (2019, 4, 30) };
const SHOWA: Era = Era { base: 1925, first: (1926, 12, 25), last: (1989, 1, 7) };
const TAISHO: Era = Era { base: 1911, first: (1912, 7, 30), last: (1926, 12, 25) };
const MEIJI: Era = Era { base: 1867, first: (1868, 1, 25), last: (1912, 7, 30) };
const MINGUO: Era = Era { base: 1911, first: (1912, 1, 1), last: (9999, 12, 31) };

const NAMES: &[(&str, &Era)] = &[
    ("令和", &REIWA),
    ("平成", &HEISEI),
    ("昭和", &SHOWA),
    ("大正", &TAISHO),
    ("明治", &MEIJI),
    ("中華民國", &MINGUO),
    ("民國", &MINGUO),
];

const LETTERS: &[(char, &Era)] =
    &[('r', &REIWA), ('h', &HEISEI), ('s', &SHOWA), ('t', &TAISHO), ('m', &MEIJI)];

/// 令和8年11月30日, R8.11.30, 民國115/11/30 at the start of `scan`.
pub(super) fn date(scan: Scan<'_>) -> Found<'_> {
    let mut scan = scan;
    let era = scan.one_of(NAMES).or_else(|| era_letter(&mut scan))?;
    scan.space();
    let year = if scan.eat("元") { 1 } else { scan.count(3)? };
    scan.space();
    if scan.eat("年") {
        scan.space();
        let month = scan.count(2)?;
        scan.space();
        scan.eat("月").then_some(())?;
        scan.space();
        let day = scan.count(2)?;
        scan.space();
        scan.eat_any(&["日", "號"]);
        return Some((era.date(year, month, day), scan));
    }
    let separator = scan.eat_char(|c| matches!(c, '/' | '-' | '.'))?;
    let month = scan.digits(2)?.value;
    scan.eat_char(|c| c == separator)?;
    let day = scan.digits(2)?.value;
    Some((era.date(year, month, day), scan))
}

/// The R of R8; without its number at once, it is the start of a word.
fn era_letter(scan: &mut Scan<'_>) -> Option<&'static Era> {
    let letter = scan.eat_char(|c| c.is_ascii_lowercase())?;
    let (_, era) = LETTERS.iter().find(|(known, _)| *known == letter)?;
    scan.next_is(|c| c.is_ascii_digit()).then_some(*era)
}

/// A year of two or three digits with no era: a Minguo year where nothing else is likely. 26 may
/// be 2026 as well.
pub(super) fn short_year(value: u32, length: usize) -> Result<i32, Rejection> {
    let is_minguo = (32..=199).contains(&value) || (value > 0 && value < 200 && length == 3);
    if is_minguo {
        return i32::try_from(value)
            .ok()
            .and_then(|year| year.checked_add(MINGUO.base))
            .ok_or(Rejection::NoSuchDate);
    }
    Err(if value < 100 { Rejection::Ambiguous } else { Rejection::NoSuchDate })
}

impl Era {
    fn date(&self, year: u32, month: u32, day: u32) -> Result<NaiveDate, Rejection> {
        let year = i32::try_from(year).ok().filter(|year| *year >= 1);
        let year =
            year.and_then(|year| year.checked_add(self.base)).ok_or(Rejection::NoSuchDate)?;
        let date = ymd(year, month, day)?;
        let first = ymd(self.first.0, self.first.1, self.first.2)?;
        let last = ymd(self.last.0, self.last.1, self.last.2)?;
        if (first..=last).contains(&date) { Ok(date) } else { Err(Rejection::NoSuchDate) }
    }
}
