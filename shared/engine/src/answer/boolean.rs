//! Yes and no.

use serde_json::Value;

use super::Rejection;
use super::normal::{bare, han, plain};

pub(super) fn parse(text: &str) -> Result<Value, Rejection> {
    let plain = plain(text);
    // Before variants are folded: ○ and × are answers, 〇 would be a zero.
    if let Some(value) = mark(&plain) {
        return Ok(value.into());
    }
    let folded = han(&plain);
    let whole = bare(&folded);
    if let Some(value) = word(whole) {
        return Ok(value.into());
    }
    let mut answer = None;
    for piece in whole.split([' ', ',', '.', '、', '。', '!', '~', '-', ';']) {
        if piece.is_empty() || NEUTRAL.contains(&piece) {
            continue;
        }
        let value = word(bare(piece)).ok_or(Rejection::NotABoolean)?;
        if answer.is_some_and(|answer| answer != value) {
            return Err(Rejection::NotABoolean);
        }
        answer = Some(value);
    }
    answer.map(Value::Bool).ok_or(Rejection::NotABoolean)
}

fn mark(text: &str) -> Option<bool> {
    match text {
        "👍" | "👌" | "✅" | "⭕" | "🙆" | "🙆‍♂" | "🙆‍♀" | "☑" | "✔" | "○" | "◯" | "👍👍"
        | "🆗" => Some(true),
        "👎" | "❌" | "🙅" | "✖" | "❎" | "×" | "✕" | "✗" | "✘" | "🙅‍♂" | "🙅‍♀" => {
            Some(false)
        }
        _ => None,
    }
}

fn word(text: &str) -> Option<bool> {
    if let Some(value) = mark(text) {
        return Some(value);
    }
    if YES.contains(&text) {
        return Some(true);
    }
    NO.contains(&text).then_some(false)
}

const NEUTRAL: &[&str] = &["please", "thanks", "thank", "you", "謝謝", "it", "is", "well", "oh"];

const YES: &[&str] = &[
    "yes",
    "y",
    "yeah",
    "yep",
    "yup",
    "ya",
    "ok",
    "okay",
    "k",
    "sure",
    "true",
    "t",
    "1",
    "right",
    "correct",
    "of course",
    "absolutely",
    "definitely",
    "certainly",
    "agree",
    "agreed",
    "confirm",
    "confirmed",
    "fine",
    "no problem",
    "sounds good",
    "that's right",
    "that is right",
    "that's correct",
    "yes i do",
    "yes it is",
    "go ahead",
    "on",
    "是",
    "是的",
    "好",
    "好的",
    "好呀",
    "對",
    "對的",
    "對對",
    "要",
    "我要",
    "可以",
    "可",
    "行",
    "沒錯",
    "沒問題",
    "當然",
    "當然好",
    "同意",
    "確定",
    "確認",
    "正確",
    "有",
    "嗯",
    "嗯嗯",
    "需要",
    "願意",
    "真",
    "はい",
    "うん",
    "ええ",
    "そう",
    "もちろん",
    "オーケー",
    "オッケー",
    "okです",
    "了解",
    "了解しました",
    "承知しました",
    "お願い",
    "正しい",
    "問題ありません",
    "問題ない",
];

const NO: &[&str] = &[
    "no",
    "n",
    "nope",
    "nah",
    "false",
    "f",
    "0",
    "wrong",
    "incorrect",
    "not",
    "never",
    "no way",
    "disagree",
    "not really",
    "no i don't",
    "i don't",
    "off",
    "no thank",
    "否",
    "不",
    "不是",
    "不要",
    "不用",
    "不用了",
    "不對",
    "不好",
    "不行",
    "不可以",
    "不可",
    "不需要",
    "不了",
    "不同意",
    "不願意",
    "沒有",
    "沒",
    "錯",
    "免",
    "別",
    "先不要",
    "先不用",
    "假",
    "いいえ",
    "いえ",
    "いや",
    "ううん",
    "ちがう",
    "違う",
    "違います",
    "だめ",
    "ダメ",
    "駄目",
    "無理",
    "いらない",
    "いりません",
];
