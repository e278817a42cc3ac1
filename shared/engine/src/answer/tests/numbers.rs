//! Integers, numbers, booleans.

use super::super::Rejection::{
    Ambiguous, Empty, NotABoolean, NotANumber, NotWhole, OutOfRange, TooLarge, TooSmall,
};
use super::super::{Expected, Rejection};
use super::{check, read};

const INTEGER: Expected = Expected::Integer { min: None, max: None };
const NUMBER: Expected = Expected::Number { min: None, max: None };

type Row<T> = (&'static str, Result<T, Rejection>);

#[test]
fn integers_in_digits() {
    let rows: &[Row<i64>] = &[
        ("3", Ok(3)),
        (" 12 ", Ok(12)),
        ("１２", Ok(12)),
        ("1,234", Ok(1234)),
        ("１，２３４", Ok(1234)),
        ("1,234,567", Ok(1_234_567)),
        ("007", Ok(7)),
        ("3.0", Ok(3)),
        ("-5", Ok(-5)),
        ("－５", Ok(-5)),
        ("−5", Ok(-5)),
        ("ー５", Ok(-5)),
        ("+5", Ok(5)),
        ("負五", Ok(-5)),
        ("マイナス3", Ok(-3)),
        ("minus 3", Ok(-3)),
        ("-0", Ok(0)),
        ("③", Ok(3)),
        ("9223372036854775807", Ok(i64::MAX)),
        ("-9223372036854775808", Ok(i64::MIN)),
        ("9223372036854775808", Err(OutOfRange)),
        ("99999999999999999999999999999999999999999999", Err(OutOfRange)),
        ("3.5", Err(NotWhole)),
        ("3²", Err(Ambiguous)),
        ("½", Err(Ambiguous)),
        ("12,34", Err(Ambiguous)),
        ("3,4", Err(Ambiguous)),
        ("1.2.3", Err(NotANumber)),
        ("--3", Err(NotANumber)),
        ("\u{200B}3\u{FE0F}", Ok(3)),
    ];
    check(&INTEGER, rows);
}

#[test]
fn integers_in_chinese_and_japanese_numerals() {
    let rows: &[Row<i64>] = &[
        ("零", Ok(0)),
        ("〇", Ok(0)),
        ("三", Ok(3)),
        ("十", Ok(10)),
        ("十五", Ok(15)),
        ("二十", Ok(20)),
        ("廿三", Ok(23)),
        ("兩", Ok(2)),
        ("两", Ok(2)),
        ("壹", Ok(1)),
        ("貳拾", Ok(20)),
        ("弐拾", Ok(20)),
        ("贰佰", Ok(200)),
        ("一百零五", Ok(105)),
        ("一百二十三", Ok(123)),
        ("百五十", Ok(150)),
        ("三千", Ok(3000)),
        ("三千零五", Ok(3005)),
        ("二千二十六", Ok(2026)),
        ("二〇二六", Ok(2026)),
        ("二○二六", Ok(2026)),
        ("1萬", Ok(10_000)),
        ("1万2000", Ok(12_000)),
        ("1.5萬", Ok(15_000)),
        ("三點五萬", Ok(35_000)),
        ("一億二千萬", Ok(120_000_000)),
        ("1億2,000万", Ok(120_000_000)),
        ("兩萬零三百", Ok(20_300)),
        ("九百二十二京", Err(NotANumber)),
        ("一兆", Ok(1_000_000_000_000)),
        // 3500 in Chinese, 3005 in Japanese.
        ("三千五", Err(Ambiguous)),
        ("1萬2", Err(Ambiguous)),
        // Three or four; twenty or thirty; some ten.
        ("三四天", Err(Ambiguous)),
        ("二三十", Err(Ambiguous)),
        ("十幾", Err(NotANumber)),
        ("一百零", Err(NotANumber)),
        ("百千", Err(NotANumber)),
        ("十十", Err(NotANumber)),
        ("萬萬", Err(NotANumber)),
        ("三點五", Err(NotWhole)),
    ];
    check(&INTEGER, rows);
}

#[test]
fn integers_with_units() {
    let rows: &[Row<i64>] = &[
        ("3 天", Ok(3)),
        ("3天", Ok(3)),
        ("３天。", Ok(3)),
        ("三天", Ok(3)),
        ("兩個人", Ok(2)),
        ("两个人", Ok(2)),
        ("3人", Ok(3)),
        ("3人です", Ok(3)),
        ("三名様でお願いします", Ok(3)),
        ("2泊", Ok(2)),
        ("5個工作天", Ok(5)),
        ("3天吧", Ok(3)),
        ("3位，謝謝", Ok(3)),
        ("總共4位", Ok(4)),
        ("我要兩張", Ok(2)),
        ("3個月", Ok(3)),
        ("3ヶ月", Ok(3)),
        ("NT$1,200", Ok(1200)),
        ("500元", Ok(500)),
        ("¥3,000", Ok(3000)),
        ("3 days", Ok(3)),
        ("3 days please", Ok(3)),
        ("Three", Ok(3)),
        ("three people", Ok(3)),
        ("twelve", Ok(12)),
        ("for 3 people", Ok(3)),
        ("It's just 2.", Ok(2)),
        ("ふたりです", Ok(2)),
        ("みっつ", Ok(3)),
        ("2泊3日", Err(Ambiguous)),
        ("3 or 4", Err(Ambiguous)),
        ("three or four", Err(Ambiguous)),
        ("3-4", Err(Ambiguous)),
        ("3~4天", Err(Ambiguous)),
        ("2大人1小孩", Err(Ambiguous)),
        ("3以上", Err(NotANumber)),
        ("3k", Err(NotANumber)),
        ("50%", Err(NotANumber)),
        ("not 3", Err(NotANumber)),
        ("many", Err(NotANumber)),
        ("thirteen", Err(NotANumber)),
        ("半天", Err(NotWhole)),
        ("兩天半", Err(NotWhole)),
        ("天", Err(NotANumber)),
        ("   ", Err(Empty)),
    ];
    check(&INTEGER, rows);
}

#[test]
fn integer_ranges() {
    let days = Expected::Integer { min: Some(1), max: Some(30) };
    let rows: &[Row<i64>] = &[
        ("1", Ok(1)),
        ("三十", Ok(30)),
        ("0", Err(TooSmall { min: "1".into() })),
        ("31天", Err(TooLarge { max: "30".into() })),
    ];
    check(&days, rows);
}

#[test]
fn numbers() {
    let rows: &[Row<f64>] = &[
        ("3.5", Ok(3.5)),
        ("３．５", Ok(3.5)),
        ("1,234.5", Ok(1234.5)),
        ("三點二五", Ok(3.25)),
        ("半天", Ok(0.5)),
        ("兩天半", Ok(2.5)),
        ("一個半小時", Ok(1.5)),
        ("-0.25", Ok(-0.25)),
        ("2.5e-3", Ok(0.0025)),
        ("1e999", Err(OutOfRange)),
        ("nan", Err(NotANumber)),
        ("inf", Err(NotANumber)),
        ("3,5", Err(Ambiguous)),
        ("3.14159265358979323846264338327950288419716939937510", Ok(std::f64::consts::PI)),
    ];
    check(&NUMBER, rows);
    let whole: &[Row<i64>] =
        &[("3.0", Ok(3)), ("1e3", Ok(1000)), ("-0", Ok(0)), ("九億", Ok(900_000_000))];
    check(&NUMBER, whole);
    let bounded = Expected::Number { min: Some(0.5), max: Some(2.5) };
    assert_eq!(read(&bounded, "0.4"), Err(TooSmall { min: "0.5".into() }));
    assert_eq!(read(&bounded, "2.6"), Err(TooLarge { max: "2.5".into() }));
}

#[test]
fn booleans() {
    let yes = [
        "yes",
        "Y",
        "OK",
        "ＯＫ",
        "sure",
        "true",
        "1",
        "Yes!",
        "yes please",
        "Yes, sure",
        "no problem",
        "是",
        "是的",
        "好",
        "好喔",
        "對",
        "对",
        "可以",
        "要",
        "沒問題",
        "没问题",
        "はい",
        "ええ",
        "はい、お願いします",
        "👍",
        "👍🏻",
        "👍🏽",
        "⭕",
        "○",
        "好的，謝謝",
    ];
    for text in yes {
        assert_eq!(read(&Expected::Boolean, text), Ok(true.into()), "{text}");
    }
    let no = [
        "no",
        "N",
        "nope",
        "false",
        "0",
        "No thanks",
        "no, thank you",
        "否",
        "不",
        "不要",
        "不行",
        "不對",
        "不用了",
        "沒有",
        "没有",
        "いいえ",
        "いや",
        "違います",
        "だめです",
        "👎",
        "❌",
        "×",
        "不用，謝謝",
    ];
    for text in no {
        assert_eq!(read(&Expected::Boolean, text), Ok(false.into()), "{text}");
    }
    for text in
        ["maybe", "yes no", "好不好", "要不要", "大丈夫です", "2", "yes but later", "please"]
    {
        assert_eq!(read(&Expected::Boolean, text), Err(NotABoolean), "{text}");
    }
}
