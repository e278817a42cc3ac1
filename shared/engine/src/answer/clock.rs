//! Times of day: 14:30, 下午2點半, 午後2時, 2pm.

use super::Rejection;
use super::scan::Scan;

/// A part of the day that says which twelve hours are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    /// a.m.: 12 is midnight.
    Am,
    /// 上午, 午前: 12 is noon to some and midnight to others.
    Forenoon,
    /// p.m., 下午, 午後.
    Pm,
    /// 凌晨.
    Dawn,
    /// 早上, 朝, in the morning.
    Morning,
    /// 中午, 昼, noon.
    Noon,
    /// 傍晚, 夕方.
    Dusk,
    /// 晚上, 夜, in the evening, tonight.
    Evening,
    /// 半夜, 深夜, at night.
    Night,
}

const PERIODS: &[(&str, Period)] = &[
    ("上午", Period::Forenoon),
    ("午前", Period::Forenoon),
    ("下午", Period::Pm),
    ("午後", Period::Pm),
    ("凌晨", Period::Dawn),
    ("清晨", Period::Morning),
    ("早上", Period::Morning),
    ("早晨", Period::Morning),
    ("朝", Period::Morning),
    ("中午", Period::Noon),
    ("正午", Period::Noon),
    ("お昼", Period::Noon),
    ("昼", Period::Noon),
    ("傍晚", Period::Dusk),
    ("夕方", Period::Dusk),
    ("晚上", Period::Evening),
    ("晚間", Period::Evening),
    ("夜晚", Period::Evening),
    ("半夜", Period::Night),
    ("深夜", Period::Night),
    ("夜", Period::Evening),
    ("a.m.", Period::Am),
    ("a.m", Period::Am),
    ("am", Period::Am),
    ("p.m.", Period::Pm),
    ("p.m", Period::Pm),
    ("pm", Period::Pm),
    ("morning", Period::Morning),
    ("afternoon", Period::Pm),
    ("evening", Period::Evening),
    ("night", Period::Night),
    ("noon", Period::Noon),
];

/// A time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    hour: u32,
    minute: u32,
    second: u32,
    /// Written as a 24-hour clock (14:30, 14時, 09點); else 3點 may be morning or afternoon.
    is_24_hour: bool,
}

/// A time of day; `days` is 1 for 24:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeOfDay {
    pub(super) days: i64,
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
}

/// A part of the day at the start of `scan`.
pub(super) fn period(scan: Scan<'_>) -> Option<(Period, Scan<'_>)> {
    let mut after = scan;
    let period = after.one_of(PERIODS)?;
    Some((period, after))
}

/// A time at the start of `scan`; a bare hour only where `hour_alone` says that one is expected.
pub(super) fn clock(scan: Scan<'_>, hour_alone: bool) -> Option<(Clock, Scan<'_>)> {
    with_colon(scan).or_else(|| han(scan)).or_else(|| english(scan, hour_alone))
}

/// 14:30, 14:30:15, 14:30:15.250.
fn with_colon(scan: Scan<'_>) -> Option<(Clock, Scan<'_>)> {
    let mut after = scan;
    let hour = after.digits(2)?.value;
    after.eat(":").then_some(())?;
    let minute = after.digits(2).filter(|digits| digits.length == 2)?.value;
    let mut second = 0;
    let mut longer = after;
    if longer.eat(":") {
        second = longer.digits(2).filter(|digits| digits.length == 2)?.value;
        after = longer;
        if longer.eat_any(&[".", ","]) && longer.digits(9).is_some() {
            after = longer;
        }
    }
    Some((Clock { hour, minute, second, is_24_hour: true }, after))
}

/// 2點半, 兩點一刻, 十四點三十分, 14時30分.
fn han(scan: Scan<'_>) -> Option<(Clock, Scan<'_>)> {
    let mut after = scan;
    let has_zero = scan.0.starts_with('0');
    let hour = after.count(2)?;
    after.space();
    let is_24_hour = if after.eat("時") {
        // 3時間 is a duration.
        (!after.next_is(|c| c == '間')).then_some(true)?
    } else {
        after.eat("點").then_some(has_zero || hour > 12)?
    };
    after.eat_any(&["鐘", "整"]);
    after.space();
    let mut second = 0;
    let minute = if after.eat("半") {
        30
    } else if after.eat("一刻") {
        15
    } else if after.eat("三刻") {
        45
    } else {
        let mut longer = after;
        let minute = longer.count(2).filter(|_| !longer.next_is(|c| matches!(c, '/' | '月' | ':')));
        if minute.is_some() {
            after = longer;
            after.space();
            after.eat("分");
            let mut longer = after;
            if let Some(value) = longer.count(2).filter(|_| longer.eat("秒")) {
                second = value;
                after = longer;
            }
        }
        minute.unwrap_or(0)
    };
    Some((Clock { hour, minute, second, is_24_hour }, after))
}

/// 2 o'clock, and the 2 of 2pm.
fn english(scan: Scan<'_>, hour_alone: bool) -> Option<(Clock, Scan<'_>)> {
    let mut after = scan;
    let hour = after.count_or_word(2)?;
    let mut longer = after;
    longer.space();
    if longer.eat_any(&["o'clock", "oclock", "o’clock"]) {
        after = longer;
    } else if !hour_alone {
        // 2pm, 2 in the afternoon, 9 at night.
        longer.eat_any(&["in the", "at"]);
        longer.space();
        period(longer)?;
    }
    Some((Clock { hour, minute: 0, second: 0, is_24_hour: false }, after))
}

impl Clock {
    /// The time of day that is meant, given the part of the day, if one was named.
    pub(super) fn resolve(self, period: Option<Period>) -> Result<TimeOfDay, Rejection> {
        if self.minute > 59 || self.second > 59 || self.hour > 24 {
            return Err(Rejection::NotADateTime);
        }
        let hour = match period {
            Some(period) => period.hour(self.hour)?,
            None if self.is_24_hour || self.hour == 0 || self.hour >= 12 => self.hour,
            None => return Err(Rejection::Ambiguous),
        };
        if hour < 24 {
            return Ok(TimeOfDay { days: 0, hour, minute: self.minute, second: self.second });
        }
        // 24:00 ends a day; 晚上12點半 is half past midnight.
        let is_end = self.hour == 12 || (self.minute == 0 && self.second == 0);
        let end = TimeOfDay { days: 1, hour: 0, minute: self.minute, second: self.second };
        if is_end { Ok(end) } else { Err(Rejection::NotADateTime) }
    }
}

impl Period {
    /// The hour 0–24 that `hour` means in this part of the day.
    fn hour(self, hour: u32) -> Result<u32, Rejection> {
        let is_afternoon = match (self, hour) {
            (Self::Am | Self::Dawn, 12) => return Ok(0),
            (Self::Evening | Self::Night, 12) => return Ok(24),
            (Self::Am | Self::Forenoon | Self::Morning, 0..=11)
            | (Self::Pm, 12..=23)
            | (Self::Dawn, 0..=6)
            | (Self::Noon, 11..=15)
            | (Self::Dusk, 15..=20)
            | (Self::Evening, 17..=24)
            | (Self::Night, 0..=4 | 19..=24) => false,
            (Self::Pm, 0..=11)
            | (Self::Noon, 1..=3)
            | (Self::Dusk, 3..=8)
            | (Self::Evening, 5..=11)
            | (Self::Night, 7..=11) => true,
            (Self::Forenoon | Self::Morning, 12)
            | (Self::Evening, 0..=4)
            | (Self::Night, 5 | 6) => return Err(Rejection::Ambiguous),
            _ => return Err(Rejection::NotADateTime),
        };
        Ok(if is_afternoon { hour.saturating_add(12) } else { hour })
    }

    /// The time that the part of the day names by itself: only noon does.
    pub(super) fn alone(self) -> Option<TimeOfDay> {
        (self == Self::Noon).then_some(TimeOfDay { days: 0, hour: 12, minute: 0, second: 0 })
    }
}
