//! Written dates: numeric, Chinese and Japanese, English months.

use chrono::{Datelike, NaiveDate};

use super::scan::{Digits, Scan};
use super::{Rejection, era};

/// What a reader found: a date or why there is none, and what follows.
pub(super) type Found<'a> = Option<(Result<NaiveDate, Rejection>, Scan<'a>)>;

const MONTHS: &[(&str, u32)] = &[
    ("january", 1),
    ("february", 2),
    ("march", 3),
    ("april", 4),
    ("may", 5),
    ("june", 6),
    ("july", 7),
    ("august", 8),
    ("september", 9),
    ("october", 10),
    ("november", 11),
    ("december", 12),
    ("jan", 1),
    ("feb", 2),
    ("mar", 3),
    ("apr", 4),
    ("jun", 6),
    ("jul", 7),
    ("aug", 8),
    ("sept", 9),
    ("sep", 9),
    ("oct", 10),
    ("nov", 11),
    ("dec", 12),
];

/// Years beside this year, by name.
const YEAR_WORDS: &[(&str, i32)] =
    &[("今年", 0), ("本年", 0), ("明年", 1), ("來年", 1), ("後年", 2), ("去年", -1), ("昨年", -1)];

/// Months beside this month, by name.
const MONTH_WORDS: &[(&str, i32)] = &[
    ("這個月", 0),
    ("這月", 0),
    ("本月", 0),
    ("今月", 0),
    ("下下個月", 2),
    ("下個月", 1),
    ("下月", 1),
    ("再來月", 2),
    ("來月", 1),
    ("上個月", -1),
    ("先月", -1),
    ("月底", 0),
    ("月末", 0),
];

/// A written date at the start of `scan`, folded by [`super::normal::han`].
pub(super) fn date(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    era::date(scan)
        .or_else(|| han_date(scan, today))
        .or_else(|| month_word(scan, today))
        .or_else(|| compact(scan))
        .or_else(|| numeric(scan, today))
        .or_else(|| english(scan, today))
        .or_else(|| day_only(scan, today))
}

/// The day `day` of `month` of `year`, within the years 1–9999 that the result can hold.
pub(super) fn ymd(year: i32, month: u32, day: u32) -> Result<NaiveDate, Rejection> {
    NaiveDate::from_ymd_opt(year, month, day)
        .filter(|date| (1..=9999).contains(&date.year()))
        .ok_or(Rejection::NoSuchDate)
}

/// The day `day` of the month `months` after the one of `today`.
pub(super) fn day_of_month(
    today: NaiveDate,
    months: i32,
    day: u32,
) -> Result<NaiveDate, Rejection> {
    let month0 = i32::try_from(today.month0()).ok();
    let count = today.year().checked_mul(12).zip(month0).and_then(|(n, m)| n.checked_add(m));
    let count = count.and_then(|n| n.checked_add(months)).ok_or(Rejection::NoSuchDate)?;
    let month0 = u32::try_from(count.rem_euclid(12)).map_err(|_| Rejection::NoSuchDate)?;
    ymd(count.div_euclid(12), month0.saturating_add(1), day)
}

/// The last day of the month `months` after the one of `today`.
fn last_of_month(today: NaiveDate, months: i32) -> Result<NaiveDate, Rejection> {
    (28..=31)
        .rev()
        .find_map(|day| day_of_month(today, months, day).ok())
        .ok_or(Rejection::NoSuchDate)
}

/// The next such day, today included. Eight years ahead, for 29 February around 2100.
fn next_month_day(today: NaiveDate, month: u32, day: u32) -> Result<NaiveDate, Rejection> {
    (0..=8)
        .filter_map(|years| ymd(today.year().checked_add(years)?, month, day).ok())
        .find(|date| *date >= today)
        .ok_or(Rejection::NoSuchDate)
}

/// 2026年11月30日, 115年11月30日, 明年3月1日, 11月30號.
fn han_date(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    let mut after = scan;
    let year = han_year(&mut after, today);
    if year.is_some() {
        after.eat_any(&["的", "の"]);
        after.space();
    } else {
        after = scan;
    }
    let month = after.count(2)?;
    after.space();
    after.eat("月").then_some(())?;
    after.space();
    if after.eat_any(&["底", "末"]) {
        let first = match year {
            Some(year) => year.and_then(|year| ymd(year, month, 1)),
            None => next_month_day(today, month, 28),
        };
        return Some((first.and_then(|first| last_of_month(first, 0)), after));
    }
    let day = after.count(2)?;
    after.space();
    after.eat_any(&["日", "號"]);
    let date = match year {
        Some(year) => year.and_then(|year| ymd(year, month, day)),
        None => next_month_day(today, month, day),
    };
    Some((date, after))
}

fn han_year(scan: &mut Scan<'_>, today: NaiveDate) -> Option<Result<i32, Rejection>> {
    if let Some(years) = scan.one_of(YEAR_WORDS) {
        return Some(today.year().checked_add(years).ok_or(Rejection::NoSuchDate));
    }
    let before = *scan;
    let value = scan.count(4)?;
    let length = before.0.len().saturating_sub(scan.0.len());
    scan.space();
    scan.eat("年").then_some(())?;
    let is_full = value >= 1000 || (length == 4 && before.next_is(|c| c.is_ascii_digit()));
    Some(if is_full {
        i32::try_from(value).map_err(|_| Rejection::NoSuchDate)
    } else {
        era::short_year(value, length)
    })
}

/// 下個月3號, 来月3日, 下個月底, 月底.
fn month_word(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    let mut after = scan;
    let is_end = ["月底", "月末"].iter().any(|word| scan.0.starts_with(word));
    let months = after.one_of(MONTH_WORDS)?;
    if is_end || after.eat_any(&["底", "末"]) {
        return Some((last_of_month(today, months), after));
    }
    after.eat_any(&["的", "の"]);
    after.space();
    let day = after.count(2)?;
    after.eat_any(&["日", "號"]);
    Some((day_of_month(today, months, day), after))
}

/// 20261130 and the Minguo form 1151130.
fn compact(scan: Scan<'_>) -> Found<'_> {
    let mut after = scan;
    let digits = after.digits(8).filter(|digits| digits.length >= 7)?;
    let (month, day) = (digits.value / 100 % 100, digits.value % 100);
    let year = digits.value / 10_000;
    let year = if digits.length == 8 {
        i32::try_from(year).map_err(|_| Rejection::NoSuchDate)
    } else {
        era::short_year(year, 3)
    };
    Some((year.and_then(|year| ymd(year, month, day)), after))
}

/// 2026-11-30, 2026/11/30, 2026.11.30, 115/11/30, 11/30/2026, 11/30.
fn numeric(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    let mut after = scan;
    let first = after.digits(4)?;
    let separator = date_separator(&mut after)?;
    let second = after.digits(2)?;
    let mut longer = after;
    let third = date_separator(&mut longer)
        .filter(|found| *found == separator)
        .and_then(|_| longer.digits(4));
    let date = if let Some(third) = third {
        after = longer;
        three_parts(first, second, third)
    } else {
        (first.length <= 2).then_some(())?;
        let (month, day) = month_first(first.value, second.value);
        next_month_day(today, month, day)
    };
    after.eat_any(&["日", "號"]);
    Some((date, after))
}

/// One of `/`, `-` and `.`; the slash may have spaces around it.
fn date_separator(scan: &mut Scan<'_>) -> Option<char> {
    let mut spaced = *scan;
    spaced.space();
    if spaced.eat("/") {
        spaced.space();
        *scan = spaced;
        return Some('/');
    }
    scan.eat_char(|c| matches!(c, '-' | '.'))
}

fn three_parts(first: Digits, second: Digits, third: Digits) -> Result<NaiveDate, Rejection> {
    let known = |year: u32| i32::try_from(year).map_err(|_| Rejection::NoSuchDate);
    match (first.length, third.length) {
        (4, 1 | 2) => ymd(known(first.value)?, second.value, third.value),
        (1 | 2, 4) => {
            let (month, day) = month_first(first.value, second.value);
            ymd(known(third.value)?, month, day)
        }
        // 11/30/26: only the American order fits.
        (1 | 2, 2) if first.value <= 12 && second.value > 12 => {
            ymd(known(third.value)?.saturating_add(2000), first.value, second.value)
        }
        (2 | 3, 1 | 2) => {
            ymd(era::short_year(first.value, first.length)?, second.value, third.value)
        }
        (1, 1 | 2) => Err(Rejection::Ambiguous),
        _ => Err(Rejection::NoSuchDate),
    }
}

/// Month and day in the order of Taiwan, Japan and the United States, unless it cannot be.
fn month_first(first: u32, second: u32) -> (u32, u32) {
    if first > 12 { (second, first) } else { (first, second) }
}

/// 30 Nov 2026, Nov 30, November 30th, 2026, 30th of November, 2026 Nov 30.
fn english(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    let mut after = scan;
    if let Some(year) = english_year(&mut after) {
        after.eat_any(&["-", ","]);
        after.space();
        let month = english_month(&mut after)?;
        let day = english_day(&mut after)?;
        return Some((ymd(year, month, day), after));
    }
    after = scan;
    let (month, day) = if let Some(month) = english_month(&mut after) {
        (month, english_day(&mut after)?)
    } else {
        let day = english_day(&mut after)?;
        after.eat_any(&["-", "/"]);
        after.space();
        after.eat("of");
        after.space();
        (english_month(&mut after)?, day)
    };
    let mut longer = after;
    longer.eat_any(&[",", "-", "/", "."]);
    longer.space();
    let date = if let Some(year) = english_year(&mut longer) {
        after = longer;
        ymd(year, month, day)
    } else {
        next_month_day(today, month, day)
    };
    Some((date, after))
}

fn english_month(scan: &mut Scan<'_>) -> Option<u32> {
    let month = scan.one_of(MONTHS)?;
    scan.eat_any(&[".", "-", "/"]);
    scan.space();
    scan.eat("the");
    scan.space();
    Some(month)
}

fn english_day(scan: &mut Scan<'_>) -> Option<u32> {
    let day = scan.digits(2)?.value;
    let mut longer = *scan;
    if longer.eat_char(|c| c.is_ascii_alphabetic()).is_some() {
        // 30th; in 2pm no day is found.
        let has_ending = ["st", "nd", "rd", "th"].iter().any(|ending| scan.0.starts_with(ending));
        let rest = scan.0.get(2..).filter(|_| has_ending)?;
        scan.0 = rest;
    } else if scan.next_is(|c| c == ':') {
        return None;
    }
    Some(day)
}

/// A year of four digits in a range that no time of day such as 1430 falls into.
fn english_year(scan: &mut Scan<'_>) -> Option<i32> {
    let digits = scan.digits(4).filter(|digits| (1900..=2200).contains(&digits.value))?;
    scan.space();
    i32::try_from(digits.value).ok()
}

/// 30號, 30日, 30th: the next such day, today included.
fn day_only(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    let mut after = scan;
    after.eat("the");
    after.space();
    let mut han = after;
    let day = han.count(2).filter(|_| han.eat_any(&["日", "號"]));
    let day = if let Some(day) = day {
        if ["後", "前", "間", "以"].iter().any(|word| han.0.starts_with(word)) {
            return None;
        }
        after = han;
        day
    } else {
        let before = after.digits(2).map(|_| after)?;
        after = scan;
        after.eat("the");
        after.space();
        let day = english_day(&mut after)?;
        // The ending is what makes it a day.
        (after.0.len() < before.0.len()).then_some(day)?
    };
    let date = (0..=12)
        .filter_map(|months| day_of_month(today, months, day).ok())
        .find(|date| *date >= today)
        .ok_or(Rejection::NoSuchDate);
    Some((date, after))
}
