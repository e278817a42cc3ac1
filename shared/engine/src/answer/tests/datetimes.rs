//! Dates with times. Now is Friday, 20 November 2026, 10:15 in Taipei (UTC+8, no summer time).

use super::super::Rejection::{
    Ambiguous, MissingTime, NoSuchDate, NotADateTime, TooEarly, TooLate,
};
use super::super::{Context, Expected, Rejection, parse};
use super::{check, read};

const DATE_TIME: Expected = Expected::DateTime { min: None, max: None };

type Row = (&'static str, Result<&'static str, Rejection>);

#[test]
fn times_alone_mean_the_next_such_time() {
    let rows: &[Row] = &[
        ("14:30", Ok("2026-11-20T06:30:00Z")),
        ("１４：３０", Ok("2026-11-20T06:30:00Z")),
        ("10:15", Ok("2026-11-20T02:15:00Z")),
        ("10:14", Ok("2026-11-21T02:14:00Z")),
        ("9:00", Ok("2026-11-21T01:00:00Z")),
        ("24:00", Ok("2026-11-20T16:00:00Z")),
        ("14:30:15", Ok("2026-11-20T06:30:15Z")),
        ("下午2點半", Ok("2026-11-20T06:30:00Z")),
        ("下午兩點三十分", Ok("2026-11-20T06:30:00Z")),
        ("下午2:30", Ok("2026-11-20T06:30:00Z")),
        ("下午两点一刻", Ok("2026-11-20T06:15:00Z")),
        ("十四點三十分", Ok("2026-11-20T06:30:00Z")),
        ("早上9點", Ok("2026-11-21T01:00:00Z")),
        ("晚上8點", Ok("2026-11-20T12:00:00Z")),
        ("晚上12點", Ok("2026-11-20T16:00:00Z")),
        ("凌晨2點", Ok("2026-11-20T18:00:00Z")),
        ("中午12點", Ok("2026-11-20T04:00:00Z")),
        ("中午", Ok("2026-11-20T04:00:00Z")),
        ("午後2時", Ok("2026-11-20T06:00:00Z")),
        ("午後2時半", Ok("2026-11-20T06:30:00Z")),
        ("14時30分", Ok("2026-11-20T06:30:00Z")),
        ("午前11時", Ok("2026-11-20T03:00:00Z")),
        ("2pm", Ok("2026-11-20T06:00:00Z")),
        ("2 PM", Ok("2026-11-20T06:00:00Z")),
        ("2:30 p.m.", Ok("2026-11-20T06:30:00Z")),
        ("12am", Ok("2026-11-20T16:00:00Z")),
        ("12pm", Ok("2026-11-20T04:00:00Z")),
        ("noon", Ok("2026-11-20T04:00:00Z")),
        ("at 3 in the afternoon", Ok("2026-11-20T07:00:00Z")),
        ("6 in the evening", Ok("2026-11-20T10:00:00Z")),
        ("9 at night", Ok("2026-11-20T13:00:00Z")),
        ("3點", Err(Ambiguous)),
        ("3 o'clock", Err(Ambiguous)),
        ("上午12點", Err(Ambiguous)),
        ("25:00", Err(NotADateTime)),
        ("14:60", Err(NotADateTime)),
        ("14:5", Err(NotADateTime)),
        ("13am", Err(NotADateTime)),
        ("24:30", Err(NotADateTime)),
    ];
    check(&DATE_TIME, rows);
}

#[test]
fn dates_with_times() {
    let rows: &[Row] = &[
        ("明天下午三點", Ok("2026-11-21T07:00:00Z")),
        ("明天下午3點半", Ok("2026-11-21T07:30:00Z")),
        ("明天14:00", Ok("2026-11-21T06:00:00Z")),
        ("11/30 14:00", Ok("2026-11-30T06:00:00Z")),
        ("11/30 下午2:00", Ok("2026-11-30T06:00:00Z")),
        ("11月30日14時", Ok("2026-11-30T06:00:00Z")),
        ("11月30日の午後2時", Ok("2026-11-30T06:00:00Z")),
        ("11/30(一) 14:00", Ok("2026-11-30T06:00:00Z")),
        ("下週一早上9點", Ok("2026-11-23T01:00:00Z")),
        ("星期三 下午5點", Ok("2026-11-25T09:00:00Z")),
        ("来週の月曜日の午前10時", Ok("2026-11-23T02:00:00Z")),
        ("今晚8點", Ok("2026-11-20T12:00:00Z")),
        ("今晚七點半", Ok("2026-11-20T11:30:00Z")),
        ("tonight at 8", Ok("2026-11-20T12:00:00Z")),
        ("tomorrow at 3pm", Ok("2026-11-21T07:00:00Z")),
        ("3pm tomorrow", Ok("2026-11-21T07:00:00Z")),
        ("2pm on Nov 30", Ok("2026-11-30T06:00:00Z")),
        ("Nov 30, 2026 2:00 PM", Ok("2026-11-30T06:00:00Z")),
        ("next monday 14:00", Ok("2026-11-23T06:00:00Z")),
        ("tomorrow morning at 9", Ok("2026-11-21T01:00:00Z")),
        ("tomorrow at noon", Ok("2026-11-21T04:00:00Z")),
        ("民國115年11月30日 14:00", Ok("2026-11-30T06:00:00Z")),
        ("3天後下午兩點", Ok("2026-11-23T06:00:00Z")),
        ("in 3 days at 14:00", Ok("2026-11-23T06:00:00Z")),
        ("11/30 24:00", Ok("2026-11-30T16:00:00Z")),
        ("明天", Err(MissingTime)),
        ("11/30", Err(MissingTime)),
        ("明天早上", Err(MissingTime)),
        ("明天3點", Err(Ambiguous)),
        ("2/30 14:00", Err(NoSuchDate)),
        ("tonight 9am", Err(Ambiguous)),
        ("hello", Err(NotADateTime)),
    ];
    check(&DATE_TIME, rows);
}

#[test]
fn machine_forms_and_durations() {
    let rows: &[Row] = &[
        ("2026-11-30T14:30:00+08:00", Ok("2026-11-30T06:30:00Z")),
        ("2026-11-30T14:30:00Z", Ok("2026-11-30T14:30:00Z")),
        ("2026-11-30T14:30:00.250Z", Ok("2026-11-30T14:30:00Z")),
        ("2026-11-30T14:30-0500", Ok("2026-11-30T19:30:00Z")),
        ("2026-11-30 14:30 UTC", Ok("2026-11-30T14:30:00Z")),
        ("2026-11-30T14:30", Ok("2026-11-30T06:30:00Z")),
        ("2026-11-30 14:30:00", Ok("2026-11-30T06:30:00Z")),
        ("2026-11-30T14:30+99:00", Err(NotADateTime)),
        ("9999-12-31T23:59:59-12:00", Err(NoSuchDate)),
        ("0001-01-01T00:00:00+08:00", Err(NoSuchDate)),
        ("2小時後", Ok("2026-11-20T04:15:00Z")),
        ("2時間後", Ok("2026-11-20T04:15:00Z")),
        ("30分鐘後", Ok("2026-11-20T02:45:00Z")),
        ("半小時後", Ok("2026-11-20T02:45:00Z")),
        ("1個半小時後", Ok("2026-11-20T03:45:00Z")),
        ("in 2 hours", Ok("2026-11-20T04:15:00Z")),
        ("in half an hour", Ok("2026-11-20T02:45:00Z")),
        ("30 minutes from now", Ok("2026-11-20T02:45:00Z")),
        ("now", Ok("2026-11-20T02:15:00Z")),
    ];
    check(&DATE_TIME, rows);
}

#[test]
fn bounds_are_told_in_local_time() {
    let time = |text: &str| text.parse().expect("a time");
    let bounded = Expected::DateTime {
        min: Some(time("2026-11-20T02:15:00Z")),
        max: Some(time("2026-11-30T16:00:00Z")),
    };
    assert_eq!(read(&bounded, "10:15"), Ok("2026-11-20T02:15:00Z".into()));
    assert_eq!(read(&bounded, "今天 10:14"), Err(TooEarly { min: "2026-11-20 10:15".into() }));
    assert_eq!(read(&bounded, "12/1 00:01"), Err(TooLate { max: "2026-12-01 00:00".into() }));
}

#[test]
fn summer_time() {
    let now = "2026-03-01T12:00:00Z".parse().expect("a time");
    let in_zone = |text: &str, zone| parse(&DATE_TIME, text, &[], &Context { now, zone });
    let new_york = chrono_tz::America::New_York;
    // 8 March 2026: 02:00 becomes 03:00.
    assert_eq!(in_zone("2026-03-08 01:59", new_york), Ok("2026-03-08T06:59:00Z".into()));
    assert_eq!(in_zone("2026-03-08 02:30", new_york), Ok("2026-03-08T07:30:00Z".into()));
    assert_eq!(in_zone("2026-03-08 03:00", new_york), Ok("2026-03-08T07:00:00Z".into()));
    // 1 November 2026: 01:30 comes twice; the first is meant.
    assert_eq!(in_zone("2026-11-01 01:30", new_york), Ok("2026-11-01T05:30:00Z".into()));
    // Samoa had no 30 December 2011.
    let apia = chrono_tz::Pacific::Apia;
    assert_eq!(in_zone("2011-12-30 12:00", apia), Ok("2011-12-30T22:00:00Z".into()));
    assert_eq!(in_zone("2011-12-31 12:00", apia), Ok("2011-12-30T22:00:00Z".into()));
}
