//! The hint that tells people what to type, where the flow's author gave none.

use super::rejection::size;
use super::{AnswerLang, ChoiceOption, Expected};

/// More options than this make a message nobody reads.
const OPTIONS_MAX: usize = 20;
/// The longest label shown, in characters.
const LABEL_CHARACTERS_MAX: usize = 60;

/// One sentence that says what to type, such as "Please enter a date such as 2026-11-30."; for a
/// choice, followed by the numbered options, one per line.
pub fn describe(expected: &Expected, lang: AnswerLang) -> String {
    match expected {
        Expected::String { min_length, max_length, .. } => {
            describe_string(range(*min_length, *max_length), lang)
        }
        Expected::Integer { min, max } => number(true, range(*min, *max), lang),
        Expected::Number { min, max } => number(false, range(*min, *max), lang),
        Expected::Boolean => match lang {
            AnswerLang::En => "Please answer yes or no.".into(),
            AnswerLang::ZhTw => "請回答「是」或「否」。".into(),
            AnswerLang::Ja => "「はい」か「いいえ」で答えてください。".into(),
        },
        Expected::Date { min, max } => date(range(*min, *max), lang),
        Expected::DateTime { .. } => match lang {
            AnswerLang::En => "Please enter a date and time such as 2026-11-30 14:30.".into(),
            AnswerLang::ZhTw => "請輸入日期和時間，例如 2026-11-30 14:30。".into(),
            AnswerLang::Ja => "日時を入力してください（例：2026-11-30 14:30）。".into(),
        },
        Expected::Email => match lang {
            AnswerLang::En => "Please enter an e-mail address such as name@example.com.".into(),
            AnswerLang::ZhTw => "請輸入電子郵件地址，例如 name@example.com。".into(),
            AnswerLang::Ja => "メールアドレスを入力してください（例：name@example.com）。".into(),
        },
        Expected::Phone { .. } => match lang {
            AnswerLang::En => "Please enter a phone number.".into(),
            AnswerLang::ZhTw => "請輸入電話號碼。".into(),
            AnswerLang::Ja => "電話番号を入力してください。".into(),
        },
        Expected::Choice { options, several, .. } => choice(options, *several, lang),
        Expected::File { types, max_bytes } => file(types, *max_bytes, lang),
    }
}

enum Range {
    Any,
    From(String),
    To(String),
    Between(String, String),
}

fn range<T: ToString>(min: Option<T>, max: Option<T>) -> Range {
    match (min.map(|min| min.to_string()), max.map(|max| max.to_string())) {
        (None, None) => Range::Any,
        (Some(min), None) => Range::From(min),
        (None, Some(max)) => Range::To(max),
        (Some(min), Some(max)) => Range::Between(min, max),
    }
}

fn describe_string(range: Range, lang: AnswerLang) -> String {
    match (lang, range) {
        (AnswerLang::En, Range::Any) => "Please type your answer.".into(),
        (AnswerLang::En, Range::From(min)) => format!("Please type at least {min} characters."),
        (AnswerLang::En, Range::To(max)) => format!("Please type at most {max} characters."),
        (AnswerLang::En, Range::Between(min, max)) => {
            format!("Please type {min} to {max} characters.")
        }
        (AnswerLang::ZhTw, Range::Any) => "請輸入您的回答。".into(),
        (AnswerLang::ZhTw, Range::From(min)) => format!("請輸入至少 {min} 個字。"),
        (AnswerLang::ZhTw, Range::To(max)) => format!("請輸入最多 {max} 個字。"),
        (AnswerLang::ZhTw, Range::Between(min, max)) => format!("請輸入 {min} 到 {max} 個字。"),
        (AnswerLang::Ja, Range::Any) => "回答を入力してください。".into(),
        (AnswerLang::Ja, Range::From(min)) => format!("{min}文字以上で入力してください。"),
        (AnswerLang::Ja, Range::To(max)) => format!("{max}文字以内で入力してください。"),
        (AnswerLang::Ja, Range::Between(min, max)) => {
            format!("{min}〜{max}文字で入力してください。")
        }
    }
}

fn number(is_whole: bool, range: Range, lang: AnswerLang) -> String {
    let noun = match (lang, is_whole) {
        (AnswerLang::En, true) => "a whole number",
        (AnswerLang::En, false) => "a number",
        (AnswerLang::ZhTw, true) => "整數",
        (AnswerLang::ZhTw, false) => "數字",
        (AnswerLang::Ja, true) => "整数",
        (AnswerLang::Ja, false) => "数字",
    };
    match (lang, range) {
        (AnswerLang::En, Range::Any) => format!("Please enter {noun}, such as 3."),
        (AnswerLang::En, Range::From(min)) => format!("Please enter {noun}, {min} or more."),
        (AnswerLang::En, Range::To(max)) => format!("Please enter {noun}, {max} or less."),
        (AnswerLang::En, Range::Between(min, max)) => {
            format!("Please enter {noun} from {min} to {max}.")
        }
        (AnswerLang::ZhTw, Range::Any) => format!("請輸入{noun}，例如 3。"),
        (AnswerLang::ZhTw, Range::From(min)) => format!("請輸入 {min} 以上的{noun}。"),
        (AnswerLang::ZhTw, Range::To(max)) => format!("請輸入 {max} 以下的{noun}。"),
        (AnswerLang::ZhTw, Range::Between(min, max)) => {
            format!("請輸入 {min} 到 {max} 的{noun}。")
        }
        (AnswerLang::Ja, Range::Any) => format!("{noun}を入力してください（例：3）。"),
        (AnswerLang::Ja, Range::From(min)) => format!("{min}以上の{noun}を入力してください。"),
        (AnswerLang::Ja, Range::To(max)) => format!("{max}以下の{noun}を入力してください。"),
        (AnswerLang::Ja, Range::Between(min, max)) => {
            format!("{min}〜{max}の{noun}を入力してください。")
        }
    }
}

fn date(range: Range, lang: AnswerLang) -> String {
    match (lang, range) {
        (AnswerLang::En, Range::Any) => "Please enter a date such as 2026-11-30.".into(),
        (AnswerLang::En, Range::From(min)) => format!("Please enter a date, {min} or later."),
        (AnswerLang::En, Range::To(max)) => format!("Please enter a date, {max} or earlier."),
        (AnswerLang::En, Range::Between(min, max)) => {
            format!("Please enter a date from {min} to {max}.")
        }
        (AnswerLang::ZhTw, Range::Any) => "請輸入日期，例如 2026-11-30。".into(),
        (AnswerLang::ZhTw, Range::From(min)) => format!("請輸入 {min} 或之後的日期。"),
        (AnswerLang::ZhTw, Range::To(max)) => format!("請輸入 {max} 或之前的日期。"),
        (AnswerLang::ZhTw, Range::Between(min, max)) => format!("請輸入 {min} 到 {max} 的日期。"),
        (AnswerLang::Ja, Range::Any) => "日付を入力してください（例：2026-11-30）。".into(),
        (AnswerLang::Ja, Range::From(min)) => format!("{min}以降の日付を入力してください。"),
        (AnswerLang::Ja, Range::To(max)) => format!("{max}以前の日付を入力してください。"),
        (AnswerLang::Ja, Range::Between(min, max)) => {
            format!("{min}〜{max}の日付を入力してください。")
        }
    }
}

fn choice(options: &[ChoiceOption], several: bool, lang: AnswerLang) -> String {
    let lead = match (lang, several) {
        (AnswerLang::En, false) => "Please choose one, by name or number:",
        (AnswerLang::En, true) => "Please choose one or more, such as 1, 2:",
        (AnswerLang::ZhTw, false) => "請選一項，輸入名稱或編號：",
        (AnswerLang::ZhTw, true) => "請選一項或多項，例如 1、2：",
        (AnswerLang::Ja, false) => "名前か番号で1つ選んでください：",
        (AnswerLang::Ja, true) => "1つ以上選んでください（例：1、2）：",
    };
    let mut text = lead.to_owned();
    for (index, option) in options.iter().take(OPTIONS_MAX).enumerate() {
        let mut label: String = option.label.chars().take(LABEL_CHARACTERS_MAX).collect();
        if label.len() < option.label.len() {
            label.push('…');
        }
        text.extend(["\n", &index.saturating_add(1).to_string(), ". ", &label]);
    }
    if options.len() > OPTIONS_MAX {
        text.push_str("\n…");
    }
    text
}

fn file(types: &[String], max_bytes: Option<u64>, lang: AnswerLang) -> String {
    let types = types.join(", ");
    let limit = max_bytes.map(size);
    match lang {
        AnswerLang::En => {
            let types = if types.is_empty() { types } else { format!(" of this type: {types}") };
            let limit = limit.map(|limit| format!(" (at most {limit})")).unwrap_or_default();
            format!("Please attach a file{types}{limit}.")
        }
        AnswerLang::ZhTw => {
            let types = if types.is_empty() { types } else { format!("，類型：{types}") };
            let limit = limit.map(|limit| format!("（最大 {limit}）")).unwrap_or_default();
            format!("請傳送一個檔案{types}{limit}。")
        }
        AnswerLang::Ja => {
            let types = if types.is_empty() { types } else { format!("種類：{types}") };
            let limit = limit.map(|limit| format!("最大{limit}")).unwrap_or_default();
            let notes: Vec<String> = [types, limit].into_iter().filter(|n| !n.is_empty()).collect();
            let notes = if notes.is_empty() {
                String::new()
            } else {
                format!("（{}）", notes.join("、"))
            };
            format!("ファイルを送ってください{notes}。")
        }
    }
}
