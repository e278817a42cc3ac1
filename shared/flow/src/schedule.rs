//! When a schedule trigger fires.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// Why a schedule is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The five fields do not parse, or never come true.
    #[error(
        "`{0}` is not a schedule: {1}; write five fields, such as `0 9 * * 1` for Mondays at nine"
    )]
    Cron(String, String),
    /// The zone has no entry in the time zone database.
    #[error("`{0}` is not a time zone; use a name such as Asia/Taipei")]
    Zone(String),
}

/// The time zone of that name; UTC where there is none.
pub fn zone(name: Option<&str>) -> Result<Tz, ScheduleError> {
    name.map_or(Ok(Tz::UTC), |name| {
        name.parse().map_err(|_| ScheduleError::Zone(name.chars().take(60).collect()))
    })
}

fn parse(cron: &str) -> Result<Cron, ScheduleError> {
    let error = |why: String| ScheduleError::Cron(cron.chars().take(60).collect(), why);
    if cron.len() > 100 {
        return Err(error("it is longer than 100 characters".into()));
    }
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(cron)
        .map_err(|why| error(why.to_string()))
}

/// The first time after `after` at which the schedule fires.
pub fn next_after(
    cron: &str,
    zone_name: Option<&str>,
    after: DateTime<Utc>,
) -> Result<DateTime<Utc>, ScheduleError> {
    let local = after.with_timezone(&zone(zone_name)?);
    let next = parse(cron)?
        .find_next_occurrence(&local, false)
        .map_err(|why| ScheduleError::Cron(cron.chars().take(60).collect(), why.to_string()))?;
    Ok(next.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mondays_at_nine_in_taipei() {
        let after = "2026-11-22T10:00:00Z".parse().unwrap();
        let next = next_after("0 9 * * 1", Some("Asia/Taipei"), after).unwrap();
        assert_eq!(next.to_rfc3339(), "2026-11-23T01:00:00+00:00");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        let after = "2026-11-22T10:00:00Z".parse().unwrap();
        for bad in ["", "* * *", "0 25 * * *", "* * * * * *", "0 0 31 2 *"] {
            assert!(next_after(bad, None, after).is_err(), "{bad}");
        }
        assert!(matches!(
            next_after("0 9 * * 1", Some("Mars/Olympus"), after),
            Err(ScheduleError::Zone(_))
        ));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(cron in "[0-9*/,\\-LW#? A-Z]{0,24}") {
            let _ = next_after(&cron, None, DateTime::UNIX_EPOCH);
        }
    }
}
