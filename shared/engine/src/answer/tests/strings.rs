//! Strings, patterns, hints and messages.

use insta::assert_snapshot;
use serde_json::json;

use super::super::Rejection::{Empty, PatternMismatch, TextTooLong, TextTooShort};
use super::super::{
    AnswerLang, ChoiceOption, Expected, PatternError, Rejection, compile_pattern, describe,
};
use super::read;

fn string(pattern: Option<&str>, min_length: Option<u32>, max_length: Option<u32>) -> Expected {
    let pattern = pattern.map(|pattern| compile_pattern(pattern).expect("a valid pattern"));
    Expected::String { pattern, min_length, max_length }
}

#[test]
fn strings_stay_as_typed() {
    let any = string(None, None, None);
    assert_eq!(read(&any, "  Ａ  b \n"), Ok("Ａ  b".into()));
    assert_eq!(read(&any, " \u{3000}"), Err(Empty));
    assert_eq!(read(&string(None, Some(0), None), ""), Ok("".into()));
    assert_eq!(read(&any, &"字".repeat(20_000)), Ok("字".repeat(20_000).into()));
    let bounded = string(None, Some(2), Some(3));
    assert_eq!(read(&bounded, "請"), Err(TextTooShort { min: 2 }));
    assert_eq!(read(&bounded, "請假單"), Ok("請假單".into()));
    assert_eq!(read(&bounded, "請假單子"), Err(TextTooLong { max: 3 }));
    assert_eq!(read(&bounded, "👍👍👍"), Ok("👍👍👍".into()));
}

#[test]
fn patterns_match_the_whole_text() {
    let id = string(Some("[A-Z][12][0-9]{8}|none"), None, None);
    assert_eq!(read(&id, "A123456789"), Ok("A123456789".into()));
    assert_eq!(read(&id, "none"), Ok("none".into()));
    assert_eq!(read(&id, "xA123456789"), Err(PatternMismatch));
    assert_eq!(read(&id, "A1234567890"), Err(PatternMismatch));
    assert_eq!(read(&id, "A123456789\nx"), Err(PatternMismatch));
    let alternatives = string(Some("a|ab"), None, None);
    assert_eq!(read(&alternatives, "ab"), Ok("ab".into()));
    let verbose = string(Some("(?x) [0-9]+ # digits"), None, None);
    assert_eq!(read(&verbose, "12"), Ok("12".into()));
    let multi_line = string(Some("(?m)^a$"), None, None);
    assert_eq!(read(&multi_line, "a\na"), Err(PatternMismatch));
    // Compiled elsewhere, not anchored.
    let pattern = regex::Regex::new("[0-9]+").ok();
    let loose = Expected::String { pattern, min_length: None, max_length: None };
    assert_eq!(read(&loose, "12a"), Err(PatternMismatch));
}

#[test]
fn patterns_are_bounded() {
    let error = |pattern: &str| compile_pattern(pattern).expect_err("a refused pattern");
    assert_eq!(error(&"a".repeat(1001)), PatternError::TooLong);
    assert!(compile_pattern(&"a".repeat(1000)).is_ok());
    assert_eq!(error("(a{100}){1000}"), PatternError::TooBig);
    assert!(matches!(error("a)|(b"), PatternError::Invalid { .. }));
    assert!(matches!(error("("), PatternError::Invalid { .. }));
    assert!(matches!(error(r"(a)\1"), PatternError::Invalid { .. }));
    assert!(compile_pattern(r"\p{Han}{2,10}").is_ok());
    assert!(compile_pattern(r"[\w.-]+").is_ok());
}

#[test]
fn other_kinds_refuse_long_text() {
    let integer = Expected::Integer { min: None, max: None };
    assert_eq!(read(&integer, &"1".repeat(10_001)), Err(TextTooLong { max: 10_000 }));
    assert_eq!(read(&integer, &"1".repeat(10_000)), Err(Rejection::OutOfRange));
    assert_eq!(read(&integer, &"\u{FDFA}".repeat(10_000)), Err(Rejection::NotANumber));
}

#[test]
fn languages_of_tags() {
    assert_eq!(AnswerLang::from_tag("zh-TW"), AnswerLang::ZhTw);
    assert_eq!(AnswerLang::from_tag("zh_CN"), AnswerLang::ZhTw);
    assert_eq!(AnswerLang::from_tag("JA-jp"), AnswerLang::Ja);
    assert_eq!(AnswerLang::from_tag("fr"), AnswerLang::En);
}

/// One of each kind, in every language.
#[test]
fn hints() {
    let option = |label: &str| ChoiceOption { label: label.into(), value: json!(1) };
    let kinds = [
        string(None, None, Some(20)),
        Expected::Integer { min: Some(1), max: Some(30) },
        Expected::Number { min: Some(0.5), max: None },
        Expected::Boolean,
        Expected::Date { min: None, max: None },
        Expected::Date { min: "2026-11-20".parse().ok(), max: None },
        Expected::DateTime { min: None, max: None },
        Expected::Email,
        Expected::Phone { region: None },
        Expected::Choice {
            options: vec![option("A"), option("B")],
            several: false,
            min: None,
            max: None,
        },
        Expected::File { types: vec!["image/".into()], max_bytes: Some(1_572_864) },
    ];
    let hints: Vec<String> = [AnswerLang::En, AnswerLang::ZhTw, AnswerLang::Ja]
        .into_iter()
        .flat_map(|lang| kinds.iter().map(move |kind| describe(kind, lang)))
        .collect();
    assert_snapshot!(hints.join("\n"), @"
    Please type at most 20 characters.
    Please enter a whole number from 1 to 30.
    Please enter a number, 0.5 or more.
    Please answer yes or no.
    Please enter a date such as 2026-11-30.
    Please enter a date, 2026-11-20 or later.
    Please enter a date and time such as 2026-11-30 14:30.
    Please enter an e-mail address such as name@example.com.
    Please enter a phone number.
    Please choose one, by name or number:
    1. A
    2. B
    Please attach a file of this type: image/ (at most 1.5 MB).
    請輸入最多 20 個字。
    請輸入 1 到 30 的整數。
    請輸入 0.5 以上的數字。
    請回答「是」或「否」。
    請輸入日期，例如 2026-11-30。
    請輸入 2026-11-20 或之後的日期。
    請輸入日期和時間，例如 2026-11-30 14:30。
    請輸入電子郵件地址，例如 name@example.com。
    請輸入電話號碼。
    請選一項，輸入名稱或編號：
    1. A
    2. B
    請傳送一個檔案，類型：image/（最大 1.5 MB）。
    20文字以内で入力してください。
    1〜30の整数を入力してください。
    0.5以上の数字を入力してください。
    「はい」か「いいえ」で答えてください。
    日付を入力してください（例：2026-11-30）。
    2026-11-20以降の日付を入力してください。
    日時を入力してください（例：2026-11-30 14:30）。
    メールアドレスを入力してください（例：name@example.com）。
    電話番号を入力してください。
    名前か番号で1つ選んでください：
    1. A
    2. B
    ファイルを送ってください（種類：image/、最大1.5 MB）。
    ");
}

#[test]
fn messages() {
    let rejections = [
        Rejection::TooSmall { min: "1".into() },
        Rejection::TooEarly { min: "2026-11-20".into() },
        Rejection::NotADate,
        Rejection::FileTooLarge { max_bytes: 2048 },
    ];
    let messages: Vec<String> = [AnswerLang::En, AnswerLang::ZhTw, AnswerLang::Ja]
        .into_iter()
        .flat_map(|lang| rejections.iter().map(move |rejection| rejection.message(lang)))
        .collect();
    assert_snapshot!(messages.join("\n"), @"
    That is too small: 1 or more, please.
    That is too early: 2026-11-20 or later, please.
    Please enter a date such as 2026-11-30.
    That file is too large: at most 2 KB, please.
    數字太小了，請輸入 1 以上的數字。
    時間太早了，請選 2026-11-20 或之後。
    請輸入日期，例如 2026-11-30。
    檔案太大了，最大 2 KB。
    小さすぎます。1以上で入力してください。
    早すぎます。2026-11-20以降にしてください。
    日付を入力してください（例：2026-11-30）。
    ファイルが大きすぎます。最大2 KBです。
    ");
}
