//! Days by their distance: today, in three days, next Monday.

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};

use super::Rejection;
use super::calendar::Found;
use super::clock::Period;
use super::scan::Scan;

/// A hundred years; more is a typing error.
const DAYS_MAX: u32 = 36_525;

type DayWord = (&'static str, (i32, Option<Period>));

/// Days by name, and the part of the day where the name says it.
const DAY_WORDS: &[DayWord] = &[
    ("大後天", (3, None)),
    ("後天", (2, None)),
    ("明天", (1, None)),
    ("明早", (1, Some(Period::Morning))),
    ("明晚", (1, Some(Period::Evening))),
    ("今天", (0, None)),
    ("今早", (0, Some(Period::Morning))),
    ("今晚", (0, Some(Period::Evening))),
    ("大前天", (-3, None)),
    ("前天", (-2, None)),
    ("昨天", (-1, None)),
    ("當天", (0, None)),
    ("本日", (0, None)),
    ("今日", (0, None)),
    ("今朝", (0, Some(Period::Morning))),
    ("今夜", (0, Some(Period::Evening))),
    ("明々後日", (3, None)),
    ("明明後日", (3, None)),
    ("明後日", (2, None)),
    ("明日", (1, None)),
    ("明朝", (1, Some(Period::Morning))),
    ("後日", (2, None)),
    ("一昨日", (-2, None)),
    ("昨日", (-1, None)),
    ("きょう", (0, None)),
    ("あした", (1, None)),
    ("しあさって", (3, None)),
    ("あさって", (2, None)),
    ("あす", (1, None)),
    ("きのう", (-1, None)),
    ("おととい", (-2, None)),
    ("the day after tomorrow", (2, None)),
    ("day after tomorrow", (2, None)),
    ("tomorrow", (1, None)),
    ("tommorow", (1, None)),
    ("tomorow", (1, None)),
    ("tmrw", (1, None)),
    ("tmr", (1, None)),
    ("today", (0, None)),
    ("tonight", (0, Some(Period::Evening))),
    ("yesterday", (-1, None)),
];

/// A day by its name at the start of `scan`.
pub(super) fn day_word(
    scan: Scan<'_>,
    today: NaiveDate,
) -> Option<(Result<NaiveDate, Rejection>, Option<Period>, Scan<'_>)> {
    let mut after = scan;
    let (days, period) = after.one_of(DAY_WORDS)?;
    Some((shift(today, i64::from(days)), period, after))
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

const UNITS: &[(&str, Unit)] = &[
    ("個星期", Unit::Week),
    ("個禮拜", Unit::Week),
    ("星期", Unit::Week),
    ("禮拜", Unit::Week),
    ("週間", Unit::Week),
    ("週", Unit::Week),
    ("weeks", Unit::Week),
    ("week", Unit::Week),
    ("天", Unit::Day),
    ("日間", Unit::Day),
    ("日", Unit::Day),
    ("days", Unit::Day),
    ("day", Unit::Day),
    ("個月", Unit::Month),
    ("ヶ月", Unit::Month),
    ("か月", Unit::Month),
    ("ヵ月", Unit::Month),
    ("カ月", Unit::Month),
    ("months", Unit::Month),
    ("month", Unit::Month),
    ("年", Unit::Year),
    ("years", Unit::Year),
    ("year", Unit::Year),
];

const LATER: &[&str] = &["之後", "以後", "過後", "後", "from now", "from today", "later"];
const EARLIER: &[&str] = &["之前", "以前", "前", "ago"];

/// 3天後, 3日後, in 3 days, two weeks from now, 3天前.
pub(super) fn distance(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    let mut after = scan;
    let has_in = after.eat("in");
    after.space();
    let count = if after.eat_any(&["an", "a"]) { 1 } else { after.count_or_word(5)? };
    after.space();
    let unit = after.one_of(UNITS)?;
    let end = after;
    after.space();
    let sign = if after.eat_any(LATER) {
        1
    } else if after.eat_any(EARLIER) {
        -1
    } else {
        has_in.then_some(())?;
        after = end;
        1
    };
    Some((move_by(today, unit, count, sign), after))
}

fn move_by(today: NaiveDate, unit: Unit, count: u32, sign: i64) -> Result<NaiveDate, Rejection> {
    if count > DAYS_MAX {
        return Err(Rejection::NoSuchDate);
    }
    let months = |count: u32| {
        let months = Months::new(count);
        let date = if sign < 0 {
            today.checked_sub_months(months)
        } else {
            today.checked_add_months(months)
        };
        date.filter(|date| (1..=9999).contains(&date.year())).ok_or(Rejection::NoSuchDate)
    };
    match unit {
        Unit::Day => shift(today, i64::from(count).saturating_mul(sign)),
        Unit::Week => shift(today, i64::from(count).saturating_mul(7).saturating_mul(sign)),
        Unit::Month => months(count),
        Unit::Year => months(count.saturating_mul(12)),
    }
}

/// `date` moved by `days`, within the years 1–9999.
pub(super) fn shift(date: NaiveDate, days: i64) -> Result<NaiveDate, Rejection> {
    let distance = Days::new(days.unsigned_abs());
    let moved =
        if days < 0 { date.checked_sub_days(distance) } else { date.checked_add_days(distance) };
    moved.filter(|date| (1..=9999).contains(&date.year())).ok_or(Rejection::NoSuchDate)
}

const ENGLISH_DAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Mon),
    ("tuesday", Weekday::Tue),
    ("wednesday", Weekday::Wed),
    ("thursday", Weekday::Thu),
    ("friday", Weekday::Fri),
    ("saturday", Weekday::Sat),
    ("sunday", Weekday::Sun),
    ("mon", Weekday::Mon),
    ("tues", Weekday::Tue),
    ("tue", Weekday::Tue),
    ("weds", Weekday::Wed),
    ("wed", Weekday::Wed),
    ("thurs", Weekday::Thu),
    ("thur", Weekday::Thu),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];

const CHINESE_DAYS: &[(&str, Weekday)] = &[
    ("一", Weekday::Mon),
    ("二", Weekday::Tue),
    ("三", Weekday::Wed),
    ("四", Weekday::Thu),
    ("五", Weekday::Fri),
    ("六", Weekday::Sat),
    ("日", Weekday::Sun),
    ("天", Weekday::Sun),
];

const CHINESE_DIGIT_DAYS: &[(&str, Weekday)] = &[
    ("1", Weekday::Mon),
    ("2", Weekday::Tue),
    ("3", Weekday::Wed),
    ("4", Weekday::Thu),
    ("5", Weekday::Fri),
    ("6", Weekday::Sat),
];

const JAPANESE_DAYS: &[(&str, Weekday)] = &[
    ("月", Weekday::Mon),
    ("火", Weekday::Tue),
    ("水", Weekday::Wed),
    ("木", Weekday::Thu),
    ("金", Weekday::Fri),
    ("土", Weekday::Sat),
    ("日", Weekday::Sun),
];

/// Weeks beside this week. 下週 is the calendar week after this one, from its Monday.
const CHINESE_WEEKS: &[(&str, i64)] =
    &[("下下", 2), ("下", 1), ("這", 0), ("本", 0), ("上上", -2), ("上", -1)];

const JAPANESE_WEEKS: &[(&str, i64)] =
    &[("再來週", 2), ("來週", 1), ("今週", 0), ("先週", -1), ("先々週", -2)];

/// A weekday of a named week at the start of `scan`: 下週一, 来週の月曜日, next monday.
pub(super) fn weekday_of_week(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    chinese_week(scan, today)
        .or_else(|| japanese_week(scan, today))
        .or_else(|| english_week(scan, today))
}

fn chinese_week(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    let mut after = scan;
    let weeks = after.one_of(CHINESE_WEEKS)?;
    after.eat("個");
    let day = chinese_weekday(&mut after)?;
    Some((in_week(today, weeks, day), after))
}

fn japanese_week(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    let mut after = scan;
    if after.eat_any(&["次の", "今度の"]) {
        let day = japanese_weekday(&mut after)?;
        let date = shift(today, 1).and_then(|tomorrow| next(tomorrow, day));
        return Some((date, after));
    }
    let weeks = after.one_of(JAPANESE_WEEKS)?;
    after.eat("の");
    after.space();
    let day = after.one_of(JAPANESE_DAYS)?;
    after.eat_any(&["曜日", "曜"]);
    Some((in_week(today, weeks, day), after))
}

fn english_week(scan: Scan<'_>, today: NaiveDate) -> Found<'_> {
    let mut after = scan;
    let is_next = after.eat("next");
    let is_this = !is_next && after.eat_any(&["this coming", "this", "coming"]);
    after.space();
    if is_next && after.eat("week") {
        after.eat("on");
        after.space();
        let day = after.one_of(ENGLISH_DAYS)?;
        return Some((in_week(today, 1, day), after));
    }
    let day = after.one_of(ENGLISH_DAYS)?;
    let end = after;
    after.space();
    let has_week = !is_next && !is_this && after.eat_any(&["of next week", "next week"]);
    if !has_week {
        after = end;
    }
    if is_next || has_week {
        return Some((in_week(today, 1, day), after));
    }
    is_this.then(|| (next(today, day), after))
}

/// A weekday by itself at the start of `scan`: 星期三, 月曜日, monday, (月).
pub(super) fn weekday(scan: Scan<'_>) -> Option<(Weekday, Scan<'_>)> {
    let mut after = scan;
    if after.eat("(") {
        let day = after.one_of(JAPANESE_DAYS).or_else(|| after.one_of(CHINESE_DAYS));
        if let Some(day) = day
            && after.eat(")")
        {
            return Some((day, after));
        }
    }
    after = scan;
    let day =
        chinese_weekday(&mut after).or_else(|| japanese_weekday(&mut after)).or_else(|| {
            after.one_of(ENGLISH_DAYS).inspect(|_| {
                after.eat(".");
            })
        })?;
    Some((day, after))
}

fn chinese_weekday(scan: &mut Scan<'_>) -> Option<Weekday> {
    let mut after = *scan;
    after.eat_any(&["週", "星期", "禮拜"]).then_some(())?;
    let day = after.one_of(CHINESE_DAYS).or_else(|| {
        let day = after.one_of(CHINESE_DIGIT_DAYS)?;
        (!after.next_is(|c| c.is_ascii_digit() || c == ':')).then_some(day)
    })?;
    *scan = after;
    Some(day)
}

fn japanese_weekday(scan: &mut Scan<'_>) -> Option<Weekday> {
    let mut after = *scan;
    let day = after.one_of(JAPANESE_DAYS)?;
    after.eat_any(&["曜日", "曜"]).then_some(())?;
    *scan = after;
    Some(day)
}

/// The day of the calendar week `weeks` after the one of `today`; weeks start on Monday.
fn in_week(today: NaiveDate, weeks: i64, day: Weekday) -> Result<NaiveDate, Rejection> {
    let from_monday = i64::from(day.num_days_from_monday());
    let days = from_monday - i64::from(today.weekday().num_days_from_monday());
    shift(today, weeks.saturating_mul(7).saturating_add(days))
}

/// The next such weekday, `from` included.
pub(super) fn next(from: NaiveDate, day: Weekday) -> Result<NaiveDate, Rejection> {
    let ahead =
        i64::from(day.num_days_from_monday()) - i64::from(from.weekday().num_days_from_monday());
    shift(from, ahead.rem_euclid(7))
}
