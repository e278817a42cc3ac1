//! Local time to moments, across the gaps and repetitions of daylight saving time.

use chrono::{DateTime, Datelike, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The moment at which clocks in `zone` show `local`. Of two such moments the earlier; in a gap
/// the time that clocks show which were not put forward (02:30 becomes 03:30). `None` outside the
/// years 1–9999.
pub(super) fn moment(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let moment = match zone.from_local_datetime(&local) {
        LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => moment.to_utc(),
        LocalResult::None => {
            // The longest gap, on islands that crossed the date line, is 24 hours.
            let before = local.checked_sub_signed(TimeDelta::try_hours(25)?)?;
            let offset = zone.from_local_datetime(&before).earliest()?.offset().fix();
            local.checked_sub_offset(offset)?.and_utc()
        }
    };
    (1..=9999).contains(&moment.year()).then_some(moment)
}
