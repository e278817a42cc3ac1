//! Integers and numbers, with the units people put beside them.

use serde_json::{Number, Value};

use super::Rejection;
use super::normal::{bare, han, plain, strip_word_start};
use super::numerals::{self, Amount};

/// The largest float below which every whole number is exact: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

pub(super) fn parse_integer(
    text: &str,
    min: Option<i64>,
    max: Option<i64>,
) -> Result<Value, Rejection> {
    let value = amount(text)?.to_i64()?;
    if let Some(min) = min.filter(|min| value < *min) {
        return Err(Rejection::TooSmall { min: min.to_string() });
    }
    if let Some(max) = max.filter(|max| value > *max) {
        return Err(Rejection::TooLarge { max: max.to_string() });
    }
    Ok(value.into())
}

pub(super) fn parse_number(
    text: &str,
    min: Option<f64>,
    max: Option<f64>,
) -> Result<Value, Rejection> {
    let value = match scientific(text) {
        Some(value) => value?,
        None => amount(text)?.to_f64()?,
    };
    if let Some(min) = min.filter(|min| value < *min) {
        return Err(Rejection::TooSmall { min: min.to_string() });
    }
    if let Some(max) = max.filter(|max| value > *max) {
        return Err(Rejection::TooLarge { max: max.to_string() });
    }
    if value.fract() == 0.0
        && value.abs() <= EXACT_MAX
        && let Ok(whole) = format!("{value:.0}").parse::<i64>()
    {
        return Ok(whole.into());
    }
    Number::from_f64(value).map(Value::Number).ok_or(Rejection::OutOfRange)
}

/// `1.5e3`, which no person but many a script types.
fn scientific(text: &str) -> Option<Result<f64, Rejection>> {
    let text = plain(text);
    let is_written_so = text.contains('e')
        && text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'))
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
    let value: f64 = is_written_so.then(|| text.parse().ok())??;
    Some(if value.is_finite() { Ok(value) } else { Err(Rejection::OutOfRange) })
}

/// The one number of `text`.
fn amount(text: &str) -> Result<Amount, Rejection> {
    let folded = han(&plain(text));
    let mut rest = without_lead(bare(&folded));
    let (sign, unsigned) = sign(rest);
    rest = without_lead(unsigned);
    let (mut amount, after) = match numerals::leading(rest)? {
        Some(found) => found,
        None => half(rest).ok_or(Rejection::NotANumber)?,
    };
    amount.negative =
        sign && amount.whole.bytes().chain(amount.fraction.bytes()).any(|b| b != b'0');
    let after = add_half(&mut amount, after.trim_start());
    if is_units(after) {
        return Ok(amount);
    }
    let has_another = after.chars().any(char::is_numeric)
        || after
            .split(|c: char| !c.is_ascii_alphabetic())
            .any(|word| numerals::leading_word(word).is_some_and(|(_, rest)| rest.is_empty()));
    Err(if has_another { Rejection::Ambiguous } else { Rejection::NotANumber })
}

/// Takes off words that announce a number without changing it.
fn without_lead(text: &str) -> &str {
    let mut text = text.trim_start();
    while let Some(rest) = LEADS.iter().find_map(|lead| strip_word_start(text, lead)) {
        text = rest.trim_start();
    }
    text
}

fn sign(text: &str) -> (bool, &str) {
    const MINUS: &[&str] = &["-", "負", "マイナス", "minus", "negative", "零下"];
    const PLUS: &[&str] = &["+", "正", "プラス", "plus"];
    if let Some(rest) = MINUS.iter().find_map(|sign| strip_word_start(text, sign)) {
        return (true, rest.trim_start());
    }
    (false, PLUS.iter().find_map(|sign| strip_word_start(text, sign)).unwrap_or(text))
}

/// 半天, 半小時.
fn half(text: &str) -> Option<(Amount, &str)> {
    let rest = text.strip_prefix('半')?;
    Some((Amount { negative: false, whole: "0".into(), fraction: "5".into() }, rest))
}

/// 兩天半, 一個半小時: adds the half and answers the units around it.
fn add_half<'a>(amount: &mut Amount, after: &'a str) -> &'a str {
    if !amount.fraction.is_empty() {
        return after;
    }
    let (found, rest) = match after.strip_suffix('半') {
        Some(units) if is_units(units) => (true, units),
        _ => after
            .strip_prefix("個半")
            .or_else(|| after.strip_prefix('半'))
            .map_or((false, after), |units| (true, units)),
    };
    if found {
        amount.fraction.push('5');
    }
    rest
}

/// Whether `text` consists of units and politeness only.
fn is_units(text: &str) -> bool {
    let mut text = bare(text.trim());
    // Units do not nest deeper than 個工作天; two politenesses may follow.
    for _ in 0..6 {
        if text.is_empty() {
            return true;
        }
        let unit = UNITS.iter().filter_map(|unit| strip_word_start(text, unit));
        match unit.min_by_key(|rest| rest.len()) {
            Some(rest) => text = rest.trim_start_matches([' ', '.']),
            None => return false,
        }
    }
    text.is_empty()
}

const LEADS: &[&str] = &[
    "總共",
    "一共",
    "全部",
    "合計",
    "共",
    "就",
    "要",
    "我要",
    "想要",
    "大人",
    "全部で",
    "合計で",
    "nt$",
    "us$",
    "hk$",
    "$",
    "¥",
    "€",
    "£",
    "元",
    "ntd",
    "twd",
    "usd",
    "jpy",
    "rmb",
    "it's",
    "it is",
    "there are",
    "there will be",
    "we are",
    "just",
    "only",
    "for",
    "total",
    "a total of",
    "a party of",
    "party of",
    "table for",
    "a table for",
    "i need",
    "i want",
    "make it",
];

/// What may follow a number. A list, not "anything": `3 or so`, `3以上`, `3k` must not become 3.
const UNITS: &[&str] = &[
    // Chinese and Japanese counters, in the folded forms of `normal::han`.
    "個",
    "位",
    "人",
    "名",
    "天",
    "日",
    "年",
    "月",
    "週",
    "個月",
    "ヶ月",
    "か月",
    "ヵ月",
    "カ月",
    "星期",
    "禮拜",
    "個星期",
    "個禮拜",
    "週間",
    "日間",
    "年間",
    "時間",
    "小時",
    "鐘頭",
    "分",
    "分鐘",
    "分間",
    "秒",
    "秒鐘",
    "秒間",
    "工作天",
    "工作日",
    "營業日",
    "次",
    "回",
    "度",
    "遍",
    "張",
    "份",
    "件",
    "間",
    "晚",
    "夜",
    "泊",
    "歲",
    "才",
    "元",
    "塊",
    "塊錢",
    "圓",
    "台幣",
    "圜",
    "本",
    "冊",
    "台",
    "輛",
    "部",
    "支",
    "枝",
    "盒",
    "包",
    "袋",
    "箱",
    "瓶",
    "罐",
    "碗",
    "盤",
    "杯",
    "組",
    "套",
    "雙",
    "對",
    "條",
    "隻",
    "匹",
    "頭",
    "棵",
    "朵",
    "顆",
    "粒",
    "片",
    "枚",
    "把",
    "座",
    "桌",
    "席",
    "室",
    "房",
    "部屋",
    "戶",
    "家",
    "所",
    "公斤",
    "公克",
    "克",
    "斤",
    "公里",
    "公分",
    "公尺",
    "米",
    "坪",
    "級",
    "層",
    "樓",
    "階",
    "號",
    "番",
    "頁",
    "字",
    "題",
    "項",
    "種",
    "股",
    "人份",
    "人前",
    "名様",
    "様",
    "大人",
    "小孩",
    "成人",
    "つ",
    "こ",
    "ヶ",
    "点",
    "點",
    "星",
    "kg",
    "g",
    "km",
    "cm",
    "mm",
    "公升",
    "毫升",
    "ml",
    "gb",
    "mb",
    "°c",
    "℃",
    // English.
    "day",
    "days",
    "night",
    "nights",
    "week",
    "weeks",
    "month",
    "months",
    "year",
    "years",
    "years old",
    "hour",
    "hours",
    "hr",
    "hrs",
    "minute",
    "minutes",
    "min",
    "mins",
    "second",
    "seconds",
    "person",
    "persons",
    "people",
    "guest",
    "guests",
    "adult",
    "adults",
    "child",
    "children",
    "kid",
    "kids",
    "passenger",
    "passengers",
    "traveler",
    "travelers",
    "traveller",
    "travellers",
    "ticket",
    "tickets",
    "seat",
    "seats",
    "room",
    "rooms",
    "table",
    "tables",
    "bed",
    "beds",
    "bag",
    "bags",
    "item",
    "items",
    "piece",
    "pieces",
    "pcs",
    "unit",
    "units",
    "copy",
    "copies",
    "time",
    "times",
    "star",
    "stars",
    "dollar",
    "dollars",
    "bucks",
    "yen",
    "euro",
    "euros",
    "usd",
    "twd",
    "ntd",
    "jpy",
    "rmb",
    "working",
    "business",
    "of us",
    "in total",
    "total",
    "only",
    "as well",
];
