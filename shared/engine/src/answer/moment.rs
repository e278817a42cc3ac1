//! Dates, and dates with times: the pieces of [`super::calendar`], [`super::days`] and
//! [`super::clock`] in any order.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, SecondsFormat, TimeDelta, Utc, Weekday};
use serde_json::Value;

use super::clock::{Clock, Period, TimeOfDay};
use super::normal::{bare, han, plain};
use super::scan::Scan;
use super::{Context, Rejection, calendar, clock, days, zoned};

/// Pieces and separators of one answer; more is not a date.
const PIECES_MAX: usize = 24;

pub(super) fn parse_date(
    text: &str,
    min: Option<NaiveDate>,
    max: Option<NaiveDate>,
    context: &Context,
) -> Result<Value, Rejection> {
    let folded = han(&plain(text));
    let today = context.today();
    let reading = Reading::of(bare(&folded), today).map_err(|e| e.or(Rejection::NotADate))?;
    let date = reading.date(today)?.ok_or(Rejection::NotADate)?;
    if let Some(min) = min.filter(|min| date < *min) {
        return Err(Rejection::TooEarly { min: min.to_string() });
    }
    if let Some(max) = max.filter(|max| date > *max) {
        return Err(Rejection::TooLate { max: max.to_string() });
    }
    Ok(Value::String(date.format("%Y-%m-%d").to_string()))
}

pub(super) fn parse_datetime(
    text: &str,
    min: Option<DateTime<Utc>>,
    max: Option<DateTime<Utc>>,
    context: &Context,
) -> Result<Value, Rejection> {
    let folded = han(&plain(text));
    let text = bare(&folded);
    let moment = match after_duration(text, context.now) {
        Some(moment) => moment?,
        None => Reading::of(text, context.today())
            .map_err(|e| e.or(Rejection::NotADateTime))?
            .moment(context)?,
    };
    let local = |moment: DateTime<Utc>| {
        moment.with_timezone(&context.zone).format("%Y-%m-%d %H:%M").to_string()
    };
    if let Some(min) = min.filter(|min| moment < *min) {
        return Err(Rejection::TooEarly { min: local(min) });
    }
    if let Some(max) = max.filter(|max| moment > *max) {
        return Err(Rejection::TooLate { max: local(max) });
    }
    Ok(Value::String(moment.to_rfc3339_opts(SecondsFormat::Secs, true)))
}

/// Why a text was not read.
enum Unread {
    /// It is no date or time at all.
    Unknown,
    /// It is one, but not a good one.
    Because(Rejection),
}

impl Unread {
    fn or(self, unknown: Rejection) -> Rejection {
        match self {
            Self::Unknown => unknown,
            Self::Because(rejection) => rejection,
        }
    }
}

/// The pieces found in an answer.
#[derive(Default)]
struct Reading {
    date: Option<NaiveDate>,
    weekday: Option<Weekday>,
    period: Option<Period>,
    clock: Option<Clock>,
    offset: Option<FixedOffset>,
}

impl Reading {
    fn of(text: &str, today: NaiveDate) -> Result<Self, Unread> {
        let mut reading = Self::default();
        let mut scan = Scan(text);
        for _ in 0..PIECES_MAX {
            let hour_alone = skip_separators(&mut scan) || reading.period.is_some();
            if scan.is_done() {
                return Ok(reading);
            }
            scan = reading.piece(scan, today, hour_alone)?;
        }
        Err(Unread::Unknown)
    }

    /// Reads one piece and answers what follows.
    fn piece<'a>(
        &mut self,
        scan: Scan<'a>,
        today: NaiveDate,
        hour_alone: bool,
    ) -> Result<Scan<'a>, Unread> {
        if self.date.is_none()
            && let Some((date, period, after)) = date(scan, today)
        {
            self.date = Some(date.map_err(Unread::Because)?);
            self.period = self.period.or(period);
            return Ok(after);
        }
        if self.weekday.is_none()
            && let Some((weekday, after)) = days::weekday(scan)
        {
            self.weekday = Some(weekday);
            return Ok(after);
        }
        if self.clock.is_none()
            && let Some((clock, after)) = clock::clock(scan, hour_alone)
        {
            self.clock = Some(clock);
            return Ok(after);
        }
        if let Some((period, after)) = clock::period(scan) {
            self.add_period(period)?;
            return Ok(after);
        }
        if self.clock.is_some()
            && self.offset.is_none()
            && let Some((offset, after)) = offset(scan)
        {
            self.offset = Some(offset);
            return Ok(after);
        }
        Err(Unread::Unknown)
    }

    /// `tonight at 8pm` names the part of the day twice; they must not contradict.
    fn add_period(&mut self, period: Period) -> Result<(), Unread> {
        let agrees = match self.period {
            None => true,
            Some(Period::Evening | Period::Night) => {
                matches!(period, Period::Pm | Period::Evening | Period::Night)
            }
            Some(Period::Morning) => matches!(period, Period::Am | Period::Forenoon),
            Some(Period::Pm) => matches!(period, Period::Evening | Period::Pm),
            Some(Period::Am | Period::Forenoon | Period::Dawn | Period::Noon | Period::Dusk) => {
                self.period == Some(period)
            }
        };
        if !agrees {
            return Err(Unread::Because(Rejection::Ambiguous));
        }
        self.period = Some(period);
        Ok(())
    }

    /// The day, if one was named. A weekday beside a date must fit it.
    fn date(&self, today: NaiveDate) -> Result<Option<NaiveDate>, Rejection> {
        match (self.date, self.weekday) {
            (Some(date), Some(weekday)) if date.weekday() != weekday => Err(Rejection::NoSuchDate),
            (Some(date), _) => Ok(Some(date)),
            (None, Some(weekday)) => days::next(today, weekday).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn time(&self) -> Result<TimeOfDay, Rejection> {
        match self.clock {
            Some(clock) => clock.resolve(self.period),
            None => self.period.and_then(Period::alone).ok_or(Rejection::MissingTime),
        }
    }

    fn moment(&self, context: &Context) -> Result<DateTime<Utc>, Rejection> {
        let today = context.today();
        let date = self.date(today)?;
        if date.is_none() && self.clock.is_none() && self.period.is_none() {
            return Err(Rejection::NotADateTime);
        }
        let time = self.time()?;
        if let Some(date) = date {
            return self.moment_on(date, time, context).ok_or(Rejection::NoSuchDate);
        }
        // The next such time. Yesterday for 24:00 and for offsets far east, the day after
        // tomorrow for offsets far west.
        (-1..=2)
            .filter_map(|day| {
                let date = days::shift(today, day).ok()?;
                self.moment_on(date, time, context)
            })
            .find(|moment| *moment >= context.now)
            .ok_or(Rejection::NoSuchDate)
    }

    fn moment_on(
        &self,
        date: NaiveDate,
        time: TimeOfDay,
        context: &Context,
    ) -> Option<DateTime<Utc>> {
        let date = days::shift(date, time.days).ok()?;
        let local = date.and_hms_opt(time.hour, time.minute, time.second)?;
        match self.offset {
            None => zoned::moment(local, context.zone),
            Some(offset) => {
                let moment = local.checked_sub_offset(offset)?.and_utc();
                (1..=9999).contains(&moment.year()).then_some(moment)
            }
        }
    }
}

fn date(
    scan: Scan<'_>,
    today: NaiveDate,
) -> Option<(Result<NaiveDate, Rejection>, Option<Period>, Scan<'_>)> {
    if let Some(found) = days::day_word(scan, today) {
        return Some(found);
    }
    let (date, after) = days::distance(scan, today)
        .or_else(|| days::weekday_of_week(scan, today))
        .or_else(|| calendar::date(scan, today))?;
    Some((date, None, after))
}

/// Skips what stands between pieces; answers whether an hour may follow with no sign of its own,
/// as after `at`.
fn skip_separators(scan: &mut Scan<'_>) -> bool {
    const WORDS: &[&str] = &[
        "的", "の", "に", "on", "in the", "in", "the", "from", "by", "從", "於", "在", "から",
        "開始", "起",
    ];
    let mut hour_follows = false;
    loop {
        let before = scan.0;
        scan.0 = scan.0.trim_start_matches([' ', ',', '、', ')']);
        // The T of ISO 8601 stands between digits, the parenthesis before a time of day.
        if scan.eat("at") || scan.eat("@") {
            hour_follows = true;
        } else if let Some(rest) = scan.0.strip_prefix(['t', '('])
            && rest.starts_with(|c: char| c.is_ascii_digit())
        {
            scan.0 = rest;
        } else {
            // `in 3 days` is a piece that starts with one of the words.
            let is_distance = days::distance(*scan, NaiveDate::default()).is_some();
            if !is_distance {
                scan.eat_any(WORDS);
            }
        }
        if scan.0.len() == before.len() {
            return hour_follows;
        }
    }
}

/// `Z`, `+08:00`, `+0800`, `UTC`.
fn offset(scan: Scan<'_>) -> Option<(FixedOffset, Scan<'_>)> {
    let mut after = scan;
    if after.eat_any(&["z", "utc", "gmt"]) && !after.next_is(|c| matches!(c, '+' | '-')) {
        return Some((FixedOffset::east_opt(0)?, after));
    }
    let sign = if after.eat_char(|c| matches!(c, '+' | '-'))? == '-' { -1 } else { 1 };
    let digits = after.digits(4)?;
    let (hours, minutes) = if digits.length == 4 {
        (digits.value / 100, digits.value % 100)
    } else {
        let minutes = if after.eat(":") { after.digits(2)?.value } else { 0 };
        (digits.value, minutes)
    };
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?.checked_mul(sign)?;
    Some((FixedOffset::east_opt(seconds)?, after))
}

const DURATION_UNITS: &[(&str, i64)] = &[
    ("個小時", 3600),
    ("小時", 3600),
    ("個鐘頭", 3600),
    ("時間", 3600),
    ("hours", 3600),
    ("hour", 3600),
    ("hrs", 3600),
    ("hr", 3600),
    ("分鐘", 60),
    ("分", 60),
    ("minutes", 60),
    ("minute", 60),
    ("mins", 60),
    ("min", 60),
];

/// 2小時後, 30分後, in 2 hours, half an hour from now, 現在.
fn after_duration(text: &str, now: DateTime<Utc>) -> Option<Result<DateTime<Utc>, Rejection>> {
    if matches!(text, "now" | "right now" | "現在" | "今" | "いま" | "馬上" | "立刻" | "今すぐ")
    {
        return Some(Ok(now));
    }
    let mut scan = Scan(text);
    let has_in = scan.eat("in");
    scan.space();
    let is_half = scan.eat_any(&["半", "half an", "half"]);
    scan.space();
    let count = if is_half || scan.eat_any(&["an", "a"]) { 1 } else { scan.count_or_word(5)? };
    scan.space();
    let has_half = scan.eat("個半");
    let unit = scan.one_of(DURATION_UNITS)?;
    let has_half = has_half || scan.eat("半");
    scan.space();
    let has_later = scan.eat_any(&["之後", "以後", "後", "from now", "later"]);
    if !scan.is_done() || !(has_in || has_later) {
        return None;
    }
    let whole = i64::from(count).saturating_mul(unit);
    let seconds = match (is_half, has_half) {
        (true, _) => unit / 2,
        (false, true) => whole.saturating_add(unit / 2),
        (false, false) => whole,
    };
    let moment = TimeDelta::try_seconds(seconds).and_then(|delta| now.checked_add_signed(delta));
    let moment = moment.filter(|moment| (1..=9999).contains(&moment.year()));
    Some(moment.ok_or(Rejection::NoSuchDate))
}
