//! What holds for every text, number and date.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{ChoiceOption, Context, Expected, Region, compile_pattern, parse};
use super::{read, taipei};

fn every_kind() -> Vec<Expected> {
    let option = |label: &str, value| ChoiceOption { label: label.into(), value };
    let options = vec![
        option("1", json!(2)),
        option("和牛", json!("a")),
        option("", json!(null)),
        option("all, and", json!(true)),
    ];
    let choice = |several| Expected::Choice {
        options: options.clone(),
        several,
        min: Some(0),
        max: Some(2),
    };
    vec![
        Expected::String { pattern: None, min_length: Some(1), max_length: Some(50) },
        Expected::Integer { min: Some(-5), max: Some(i64::MAX) },
        Expected::Number { min: None, max: Some(1e9) },
        Expected::Boolean,
        Expected::Date { min: None, max: None },
        Expected::DateTime { min: None, max: None },
        Expected::Email,
        Expected::Phone { region: None },
        Expected::Phone { region: Some(Region::Tw) },
        Expected::Phone { region: Some(Region::Us) },
        choice(false),
        choice(true),
        Expected::File { types: vec![], max_bytes: None },
    ]
}

fn in_chinese(value: u64) -> String {
    const DIGITS: [&str; 10] = ["零", "一", "二", "三", "四", "五", "六", "七", "八", "九"];
    let digit = |n: u64| DIGITS[usize::try_from(n % 10).unwrap()];
    let group = |group: u64| {
        let mut text = String::new();
        let mut zero = false;
        for (unit, name) in [(1000, "千"), (100, "百"), (10, "十"), (1, "")] {
            let n = group / unit % 10;
            if n == 0 {
                zero = !text.is_empty();
                continue;
            }
            if zero {
                text.push('零');
                zero = false;
            }
            text.push_str(digit(n));
            text.push_str(name);
        }
        text
    };
    if value == 0 {
        return "零".into();
    }
    let mut text = String::new();
    let mut skipped = false;
    for (unit, name) in [(1_000_000_000_000, "兆"), (100_000_000, "億"), (10_000, "萬"), (1, "")]
    {
        let n = value / unit % 10_000;
        if n == 0 {
            skipped = !text.is_empty();
            continue;
        }
        if !text.is_empty() && (n < 1000 || skipped) {
            text.push('零');
        }
        skipped = false;
        text.push_str(&group(n));
        text.push_str(name);
    }
    text
}

fn full_width(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '!'..='~' => char::from_u32(u32::from(c) + 0xFEE0).unwrap(),
            other => other,
        })
        .collect()
}

fn with_separators(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, c) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    if value < 0 { format!("-{text}") } else { text }
}

fn any_date() -> impl Strategy<Value = NaiveDate> {
    (0u64..58_000).prop_map(|days| {
        NaiveDate::from_ymd_opt(1950, 1, 1).unwrap().checked_add_days(Days::new(days)).unwrap()
    })
}

/// Pieces that dates, times, numbers and choices are made of, in a senseless order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1", "12", "30", "2026", "115", "99999", "/", "-", ".", ":", ",", " ", "年", "月", "日",
        "號", "點", "時", "分", "半", "後", "前", "下", "週", "星期", "一", "三", "十", "百", "萬",
        "億", "零", "〇", "兩", "民國", "令和", "元", "r", "h", "nov", "30th", "of", "next",
        "monday", "in", "days", "tomorrow", "明天", "今晚", "下午", "pm", "am", "at", "(", ")",
        "+", "z", "t", "の", "と", "和", "第", "個", "全部", "1", "all", "and", "@", "a", "#",
        "分機", "負", "②", "½", "²", "ー", "👍🏻",
    ]);
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn never_panics(text in any::<String>(), seconds in -62_135_596_800i64..253_402_300_800) {
        let now = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap();
        for zone in [chrono_tz::Asia::Taipei, chrono_tz::America::New_York] {
            for kind in every_kind() {
                let _ = parse(&kind, &text, &[], &Context { now, zone });
            }
        }
    }

    #[test]
    fn never_panics_on_near_misses(text in soup(), edge in any::<bool>()) {
        let now = if edge { "9999-12-31T23:00:00Z" } else { "0001-01-01T01:00:00Z" };
        let edge = Context { now: now.parse().unwrap(), zone: chrono_tz::Pacific::Apia };
        for kind in every_kind() {
            let _ = parse(&kind, &text, &[], &edge);
            let _ = parse(&kind, &text, &[], &taipei());
        }
    }

    #[test]
    fn patterns_never_panic(pattern in any::<String>(), text in any::<String>()) {
        if let Ok(pattern) = compile_pattern(&pattern) {
            let kind =
                Expected::String { pattern: Some(pattern), min_length: None, max_length: None };
            let _ = read(&kind, &text);
        }
    }

    #[test]
    fn integers_come_back(value in any::<i64>()) {
        let kind = Expected::Integer { min: None, max: None };
        let wanted = Ok(Value::from(value));
        prop_assert_eq!(read(&kind, &value.to_string()), wanted.clone());
        prop_assert_eq!(read(&kind, &full_width(&value.to_string())), wanted.clone());
        prop_assert_eq!(read(&kind, &with_separators(value)), wanted.clone());
        prop_assert_eq!(read(&kind, &full_width(&with_separators(value))), wanted.clone());
        prop_assert_eq!(read(&kind, &format!("{value} 天")), wanted);
    }

    #[test]
    fn chinese_integers_come_back(
        value in prop_oneof![0u64..200_000, 0u64..10_000_000_000_000_000],
    ) {
        let kind = Expected::Integer { min: None, max: None };
        let text = in_chinese(value);
        prop_assert_eq!(read(&kind, &text), Ok(Value::from(value)), "{}", text);
        if value > 0 {
            let negative = -i64::try_from(value).unwrap();
            prop_assert_eq!(read(&kind, &format!("負{text}")), Ok(Value::from(negative)));
        }
    }

    #[test]
    fn numbers_come_back(value in -1e15f64..1e15) {
        let kind = Expected::Number { min: None, max: None };
        let read = read(&kind, &value.to_string()).unwrap();
        prop_assert_eq!(read.as_f64(), Some(value));
    }

    #[test]
    fn dates_come_back(date in any_date()) {
        let kind = Expected::Date { min: None, max: None };
        let wanted = Ok(Value::String(date.to_string()));
        let (year, month, day) = (date.year(), date.month(), date.day());
        let minguo = year - 1911;
        let han = |n: u32| in_chinese(n.into());
        let forms = [
            date.to_string(),
            full_width(&date.to_string()),
            date.format("%Y/%m/%d").to_string(),
            date.format("%Y%m%d").to_string(),
            date.format("%B %d, %Y").to_string(),
            date.format("%d %b %Y").to_string(),
            date.format("%A, %d %B %Y").to_string(),
            format!("{month}/{day}/{year}"),
            format!("{year}年{month}月{day}日"),
            format!("{year}年{}月{}號", han(month), han(day)),
            format!("民國{minguo}年{month}月{day}日"),
            format!("{minguo:03}/{month:02}/{day:02}"),
        ];
        for form in forms {
            prop_assert_eq!(read(&kind, &form), wanted.clone(), "{}", form);
        }
    }

    #[test]
    fn days_of_the_next_year_need_no_year(days in 0u64..365) {
        let kind = Expected::Date { min: None, max: None };
        let today = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let date = today.checked_add_days(Days::new(days)).unwrap();
        let wanted = Ok(Value::String(date.to_string()));
        for form in ["%m/%d", "%m月%d日", "%b %d", "%d %B"] {
            let text = date.format(form).to_string();
            prop_assert_eq!(read(&kind, &text), wanted.clone(), "{}", text);
        }
        prop_assert_eq!(read(&kind, &format!("{days}天後")), wanted.clone());
        prop_assert_eq!(read(&kind, &format!("in {days} days")), wanted);
    }

    #[test]
    fn moments_come_back(seconds in 0i64..4_102_444_800) {
        let kind = Expected::DateTime { min: None, max: None };
        let moment = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap();
        let wanted = Ok(Value::String(moment.format("%Y-%m-%dT%H:%M:%SZ").to_string()));
        prop_assert_eq!(read(&kind, &moment.to_rfc3339()), wanted.clone());
        // Taipei had summer time until 1979: a repeated hour has two moments.
        if seconds > 315_532_800 {
            let local = moment.with_timezone(&chrono_tz::Asia::Taipei);
            let text = local.format("%Y/%m/%d %H:%M:%S").to_string();
            prop_assert_eq!(read(&kind, &text), wanted);
        }
    }
}
