//! Dates and times: functions and filters.
//!
//! Dates are texts such as `2026-11-30`, times are texts such as `2026-11-30T09:00:00+08:00`; they
//! compare in the order of time as they are. Filters also read `2026/11/30`, and times without an
//! offset, which are in the zone of the scope.

use std::fmt::Write as _;

use chrono::format::{Item, StrftimeItems};
use chrono::{
    DateTime, Datelike as _, Duration, FixedOffset, NaiveDate, NaiveDateTime, SecondsFormat,
    TimeZone as _,
};
use chrono_tz::Tz;
use minijinja::value::Value;
use minijinja::{Error, State};

use super::catalog::Builder;
use super::error::unusable;
use super::run::{Run, kind_name};

const TEXT_BYTES_MAX: usize = 64;
const FORMAT_BYTES_MAX: usize = 128;
const DAYS_MAX: i64 = 366 * 1_000;

pub(super) fn register(builder: &mut Builder) {
    builder.function("now", "\u{1}now", now);
    builder.function("today", "\u{1}today", today);
    builder.function("date", "\u{1}date", to_date);
    builder.function("days_between", "\u{1}days_between", days_between);
    builder.filter("date", date);
    builder.filter("datetime", datetime);
    builder.filter("add_days", add_days);
    builder.filter("weekday", weekday);
}

/// A date, or a point in time with the offset it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Date(NaiveDate),
    Time(DateTime<FixedOffset>),
}

impl Moment {
    fn read(value: &Value, zone: Tz) -> Result<Self, Error> {
        let Some(text) = value.as_str() else {
            let kind = kind_name(value);
            return Err(unusable(format!("a date is a text such as 2026-11-30, not a {kind}")));
        };
        let text = text.trim();
        let moment = if text.len() > TEXT_BYTES_MAX { None } else { Self::parse(text, zone) };
        moment.filter(|moment| (1..=9999).contains(&moment.year())).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            unusable(format!(
                "`{shown}` is not a date: write 2026-11-30 or 2026-11-30T09:00:00+08:00"
            ))
        })
    }

    fn parse(text: &str, zone: Tz) -> Option<Self> {
        for format in ["%Y-%m-%d", "%Y/%m/%d"] {
            if let Ok(date) = NaiveDate::parse_from_str(text, format) {
                return Some(Self::Date(date));
            }
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Some(Self::Time(time));
        }
        for format in
            ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        {
            if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
                return in_zone(time, zone).map(|time| Self::Time(time.fixed_offset()));
            }
        }
        None
    }

    fn year(self) -> i32 {
        match self {
            Self::Date(date) => date.year(),
            Self::Time(time) => time.year(),
        }
    }

    /// The day in `zone`.
    fn day(self, zone: Tz) -> NaiveDate {
        match self {
            Self::Date(date) => date,
            Self::Time(time) => time.with_timezone(&zone).date_naive(),
        }
    }

    fn write(self) -> String {
        match self {
            Self::Date(date) => date.to_string(),
            Self::Time(time) => time.to_rfc3339_opts(SecondsFormat::Secs, false),
        }
    }
}

/// The first time on the clocks of `zone`; none in the hour that clocks skip in spring.
fn in_zone(time: NaiveDateTime, zone: Tz) -> Option<DateTime<Tz>> {
    zone.from_local_datetime(&time).earliest()
}

fn now(state: &State) -> Result<String, Error> {
    let run = Run::of(state)?;
    Ok(run.now.with_timezone(&run.zone).to_rfc3339_opts(SecondsFormat::Secs, false))
}

fn today(state: &State) -> Result<String, Error> {
    let run = Run::of(state)?;
    Ok(run.now.with_timezone(&run.zone).date_naive().to_string())
}

/// `date("2026/11/30")`: the day as `2026-11-30`.
fn to_date(state: &State, value: &Value) -> Result<String, Error> {
    let zone = Run::of(state)?.zone;
    Ok(Moment::read(value, zone)?.day(zone).to_string())
}

/// `days_between(a, b)`: days from `a` to `b`, negative when `b` is before `a`.
fn days_between(state: &State, from: &Value, to: &Value) -> Result<i64, Error> {
    let zone = Run::of(state)?.zone;
    let from = Moment::read(from, zone)?.day(zone);
    let to = Moment::read(to, zone)?.day(zone);
    Ok(to.signed_duration_since(from).num_days())
}

/// `date("%Y/%m/%d")`: a day in a format of strftime, `%Y-%m-%d` without one.
fn date(state: &State, value: &Value, format: Option<&str>) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let moment = Moment::read(value, run.zone)?;
    run.made(formatted(moment, format.unwrap_or("%Y-%m-%d"), run.zone)?)
}

/// `datetime("%m/%d %H:%M", "Asia/Tokyo")`: `%Y-%m-%d %H:%M` in the scope's zone without.
fn datetime(
    state: &State,
    value: &Value,
    format: Option<&str>,
    zone: Option<&str>,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let moment = Moment::read(value, run.zone)?;
    let zone = match zone {
        None => run.zone,
        Some(name) => name.parse().map_err(|_| {
            unusable("the time zone is unknown: write a name such as \"Asia/Taipei\"")
        })?,
    };
    run.made(formatted(moment, format.unwrap_or("%Y-%m-%d %H:%M"), zone)?)
}

fn formatted(moment: Moment, format: &str, zone: Tz) -> Result<String, Error> {
    let wrong = || unusable("the date format is wrong: write it like \"%Y-%m-%d %H:%M\"");
    if format.len() > FORMAT_BYTES_MAX {
        return Err(unusable(format!("a date format has up to {FORMAT_BYTES_MAX} bytes")));
    }
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    if items.contains(&Item::Error) {
        return Err(wrong());
    }
    let mut out = String::new();
    let written = match moment {
        Moment::Date(date) => {
            let midnight = date.and_time(chrono::NaiveTime::MIN);
            write!(out, "{}", midnight.format_with_items(items.iter()))
        }
        Moment::Time(time) => {
            write!(out, "{}", time.with_timezone(&zone).format_with_items(items.iter()))
        }
    };
    written.map_err(|_| wrong())?;
    Ok(out)
}

/// `add_days(3)`, `add_days(-1)`: the same time of day on the clocks of the scope's zone.
fn add_days(state: &State, value: &Value, days: i64) -> Result<Value, Error> {
    let run = Run::of(state)?;
    if days.unsigned_abs() > DAYS_MAX.unsigned_abs() {
        return Err(unusable(format!("`add_days` goes up to {DAYS_MAX} days")));
    }
    let days = Duration::days(days);
    let moved = match Moment::read(value, run.zone)? {
        Moment::Date(date) => date.checked_add_signed(days).map(Moment::Date),
        Moment::Time(time) => time
            .with_timezone(&run.zone)
            .naive_local()
            .checked_add_signed(days)
            .and_then(|local| in_zone(local, run.zone))
            .map(|time| Moment::Time(time.fixed_offset())),
    };
    let moved = moved
        .filter(|moment| (1..=9999).contains(&moment.year()))
        .ok_or_else(|| unusable("`add_days` leads to a time that does not exist"))?;
    run.made(moved.write())
}

/// `weekday`: 1 for Monday to 7 for Sunday; `weekday("en")` and `weekday("zh-TW")` are names.
fn weekday(state: &State, value: &Value, language: Option<&str>) -> Result<Value, Error> {
    let zone = Run::of(state)?.zone;
    let day = Moment::read(value, zone)?.day(zone).weekday();
    let index = usize::try_from(day.num_days_from_monday()).unwrap_or(0);
    let names = match language {
        None => return Ok(Value::from(day.number_from_monday())),
        Some("en") => ENGLISH,
        Some("zh-TW" | "zh") => CHINESE,
        Some(_) => return Err(unusable("`weekday` speaks \"en\" and \"zh-TW\"")),
    };
    Ok(names.get(index).map_or(Value::UNDEFINED, |name| Value::from(*name)))
}

const ENGLISH: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const CHINESE: [&str; 7] = ["星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"];
