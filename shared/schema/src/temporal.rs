//! Dates and times: strict reading, one way of writing.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};

use crate::numeric::is_digits;

/// Why a text is no date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTemporal {
    /// Not of the expected form.
    Syntax,
    /// Of the form, and no such day or time exists, or it is outside the years 1 to 9999.
    Range,
}

/// `YYYY-MM-DD`
pub(crate) fn date(text: &str) -> Result<NaiveDate, NotTemporal> {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(NotTemporal::Syntax);
    };
    let year = i32::try_from(digits(year, 4)?).map_err(|_| NotTemporal::Syntax)?;
    let date = NaiveDate::from_ymd_opt(year, digits(month, 2)?, digits(day, 2)?);
    date.filter(|date| in_years(date.year())).ok_or(NotTemporal::Range)
}

/// `HH:MM[:SS[.f]]` with one to nine decimals, of which six are kept.
pub(crate) fn time(text: &str) -> Result<NaiveTime, NotTemporal> {
    let mut parts = text.split(':');
    let (Some(hour), Some(minute), seconds, None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(NotTemporal::Syntax);
    };
    let (second, micro) =
        match seconds.map(|seconds| seconds.split_once('.').unwrap_or((seconds, "0"))) {
            Some((second, fraction)) => (digits(second, 2)?, micros(fraction)?),
            None => (0, 0),
        };
    NaiveTime::from_hms_micro_opt(digits(hour, 2)?, digits(minute, 2)?, second, micro)
        .ok_or(NotTemporal::Range)
}

/// A date and a time with `T` or a space between them, and no zone.
pub(crate) fn date_time(text: &str) -> Result<NaiveDateTime, NotTemporal> {
    let (day, clock) = text.split_once(['T', ' ']).ok_or(NotTemporal::Syntax)?;
    Ok(NaiveDateTime::new(date(day)?, time(clock)?))
}

/// RFC 3339, in UTC and cut to microseconds. A leap second is the first of the next minute.
pub(crate) fn timestamp(text: &str) -> Result<DateTime<Utc>, NotTemporal> {
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|error| match error.kind() {
        chrono::format::ParseErrorKind::OutOfRange | chrono::format::ParseErrorKind::Impossible => {
            NotTemporal::Range
        }
        _ => NotTemporal::Syntax,
    })?;
    DateTime::from_timestamp_micros(parsed.timestamp_micros())
        .filter(|timestamp| in_years(timestamp.year()))
        .ok_or(NotTemporal::Range)
}

/// `2026-11-30T08:15:00`, always with six decimals, so that text sorts like time.
pub(crate) fn write_date_time(value: &NaiveDateTime) -> String {
    value.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// `08:15:00.000000`
pub(crate) fn write_time(value: NaiveTime) -> String {
    value.format("%H:%M:%S%.6f").to_string()
}

/// `2026-11-30T08:15:00.000000Z`
pub(crate) fn write_timestamp(value: &DateTime<Utc>) -> String {
    value.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn in_years(year: i32) -> bool {
    (1..=9999).contains(&year)
}

fn digits(text: &str, count: usize) -> Result<u32, NotTemporal> {
    if text.len() != count || !is_digits(text) {
        return Err(NotTemporal::Syntax);
    }
    text.parse().map_err(|_| NotTemporal::Syntax)
}

fn micros(fraction: &str) -> Result<u32, NotTemporal> {
    if !(1..=9).contains(&fraction.len()) || !is_digits(fraction) {
        return Err(NotTemporal::Syntax);
    }
    let six: String = fraction.chars().chain("00000".chars()).take(6).collect();
    six.parse().map_err(|_| NotTemporal::Syntax)
}

#[cfg(test)]
mod tests {
    use super::{
        NotTemporal, date, date_time, time, timestamp, write_date_time, write_time, write_timestamp,
    };

    #[test]
    fn dates_are_strict() {
        assert_eq!(date("2024-02-29").map(|date| date.to_string()), Ok("2024-02-29".to_owned()));
        assert_eq!(date("0001-01-01").map(|date| date.to_string()), Ok("0001-01-01".to_owned()));
        for text in ["2024-2-29", "2024/02/29", "24-02-29", "-2024-02-29", "+024-02-29", "", "今天"]
        {
            assert_eq!(date(text), Err(NotTemporal::Syntax), "{text}");
        }
        for text in ["2023-02-29", "2024-13-01", "2024-00-10", "0000-01-01"] {
            assert_eq!(date(text), Err(NotTemporal::Range), "{text}");
        }
    }

    #[test]
    fn times_have_six_decimals() {
        for (text, expected) in [
            ("08:15", "08:15:00.000000"),
            ("08:15:59", "08:15:59.000000"),
            ("23:59:59.5", "23:59:59.500000"),
            ("00:00:00.123456789", "00:00:00.123456"),
        ] {
            assert_eq!(time(text).map(write_time).as_deref(), Ok(expected));
        }
        for text in ["8:15", "08", "08:15:00.", "08:15:00.1234567890", "08:15:00Z", "0８:15"] {
            assert_eq!(time(text), Err(NotTemporal::Syntax), "{text}");
        }
        for text in ["24:00:00", "08:60:00", "08:15:60"] {
            assert_eq!(time(text), Err(NotTemporal::Range), "{text}");
        }
    }

    #[test]
    fn date_times_have_no_zone() {
        for text in ["2026-11-30T08:15:00", "2026-11-30 08:15"] {
            let read = date_time(text).map(|value| write_date_time(&value));
            assert_eq!(read.as_deref(), Ok("2026-11-30T08:15:00.000000"), "{text}");
        }
        assert_eq!(date_time("2026-11-30T08:15:00+08:00"), Err(NotTemporal::Syntax));
        assert_eq!(date_time("2026-11-30"), Err(NotTemporal::Syntax));
    }

    #[test]
    fn timestamps_are_utc_in_microseconds() {
        for (text, expected) in [
            ("2026-11-30T08:15:00+08:00", "2026-11-30T00:15:00.000000Z"),
            ("2026-11-30T08:15:00.123456789Z", "2026-11-30T08:15:00.123456Z"),
            ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            let read = timestamp(text).map(|value| write_timestamp(&value));
            assert_eq!(read.as_deref(), Ok(expected), "{text}");
        }
        for text in ["2026-11-30", "2026-11-30T08:15:00", "1700000000", "now"] {
            assert_eq!(timestamp(text), Err(NotTemporal::Syntax), "{text}");
        }
        for text in [
            "2026-13-30T08:15:00Z",
            "2026-02-30T08:15:00Z",
            "9999-12-31T23:59:59-01:00",
            "0000-12-31T00:00:00Z",
        ] {
            assert_eq!(timestamp(text), Err(NotTemporal::Range), "{text}");
        }
    }
}
