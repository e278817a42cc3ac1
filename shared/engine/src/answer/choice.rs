//! Options, by label, value or number.

use serde_json::Value;

use super::normal::{bare, han, plain, strip_word_end, strip_word_start};
use super::scan::Scan;
use super::{ChoiceOption, Rejection};

pub(super) fn parse_one(text: &str, options: &[ChoiceOption]) -> Result<Value, Rejection> {
    let menu = Menu::new(options);
    let index = menu.find(&plain(text))?;
    options.get(index).map(|option| option.value.clone()).ok_or(Rejection::NotAChoice)
}

pub(super) fn parse_several(
    text: &str,
    options: &[ChoiceOption],
    min: Option<u32>,
    max: Option<u32>,
) -> Result<Value, Rejection> {
    let menu = Menu::new(options);
    let min = min.unwrap_or(1);
    let chosen = menu.find_several(text, min == 0)?;
    let count = chosen.iter().filter(|chosen| **chosen).count();
    if usize::try_from(min).is_ok_and(|min| count < min) {
        return Err(Rejection::TooFewChoices { min });
    }
    if let Some(max) = max
        && usize::try_from(max).is_ok_and(|max| count > max)
    {
        return Err(Rejection::TooManyChoices { max });
    }
    let values = options.iter().zip(chosen).filter(|(_, chosen)| *chosen);
    Ok(Value::Array(values.map(|(option, _)| option.value.clone()).collect()))
}

/// The options with everything they can be called, folded.
struct Menu<'a> {
    options: &'a [ChoiceOption],
    names: Vec<Names>,
    /// Bytes of the longest name with the words people put around it; longer text is no choice.
    bytes_max: usize,
}

/// Room for the words around a name: "I would like the … one, please".
const WORDS_BYTES_MAX: usize = 200;

struct Names {
    /// Label folded by width and case.
    plain: String,
    /// Label folded by variants too, so that 臺北 finds 台北.
    han: String,
    /// The value, if it is something one can type.
    value: Option<String>,
}

/// How sure a number is: `2` may be a value as well, 第二個 can only be a position.
struct Position {
    index: usize,
    is_explicit: bool,
}

impl<'a> Menu<'a> {
    fn new(options: &'a [ChoiceOption]) -> Self {
        let names = options.iter().map(|option| {
            let label = plain(&option.label);
            let value = match &option.value {
                Value::String(text) => Some(plain(text)),
                Value::Number(number) => Some(number.to_string()),
                Value::Bool(value) => Some(value.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => None,
            };
            Names { han: han(&label), plain: label, value: value.filter(|v| !v.is_empty()) }
        });
        let names: Vec<Names> = names.collect();
        let length =
            |names: &Names| names.plain.len().max(names.value.as_ref().map_or(0, String::len));
        let bytes_max = names.iter().map(length).max().unwrap_or(0).saturating_add(WORDS_BYTES_MAX);
        Self { options, names, bytes_max }
    }

    /// The option that `text`, folded by [`plain`], means.
    fn find(&self, text: &str) -> Result<usize, Rejection> {
        if text.len() > self.bytes_max {
            return Err(Rejection::NotAChoice);
        }
        if let Some(index) = self.find_exactly(text)? {
            return Ok(index);
        }
        let mut shorter = without_wish(bare(text));
        if shorter.len() == text.len() {
            shorter = bare(shorter);
        }
        self.find_exactly(shorter)?.ok_or(Rejection::NotAChoice)
    }

    /// By label, then by value or position, then by position and label together.
    fn find_exactly(&self, text: &str) -> Result<Option<usize>, Rejection> {
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(index) = self.label(text)? {
            return Ok(Some(index));
        }
        let value = self.only(|names| names.value.as_deref() == Some(text))?;
        let position = self.position(text);
        match (value, position) {
            (Some(value), Some(position)) if value != position.index => {
                // People see positions, buttons send values: never guess between the two.
                if position.is_explicit {
                    Ok(Some(position.index))
                } else {
                    Err(Rejection::Ambiguous)
                }
            }
            (Some(index), _) | (None, Some(Position { index, .. })) => Ok(Some(index)),
            (None, None) => self.numbered_label(text),
        }
    }

    fn label(&self, text: &str) -> Result<Option<usize>, Rejection> {
        if let Some(index) = self.only(|names| names.plain == text)? {
            return Ok(Some(index));
        }
        let folded = han(text);
        self.only(|names| names.han == folded)
    }

    /// The first option that passes, unless another with a different value passes too.
    fn only(&self, test: impl Fn(&Names) -> bool) -> Result<Option<usize>, Rejection> {
        let mut found = self.names.iter().enumerate().filter(|(_, names)| test(names));
        let Some((first, _)) = found.next() else { return Ok(None) };
        let value = |index: usize| self.options.get(index).map(|option| &option.value);
        if found.any(|(index, _)| value(index) != value(first)) {
            return Err(Rejection::Ambiguous);
        }
        Ok(Some(first))
    }

    /// `2`, `2.`, `(2)`, `no. 2`, 第二個, 2番, `second`; counted from 1.
    fn position(&self, text: &str) -> Option<Position> {
        let folded = han(text);
        let (number, is_explicit) =
            ordinal(&folded).map(|number| (number, true)).or_else(|| {
                let mut scan = Scan(&folded);
                let number = scan.count_or_word(4)?;
                scan.is_done().then_some((number, false))
            })?;
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        (index < self.options.len()).then_some(Position { index, is_explicit })
    }

    /// `1. Coffee`, as the numbered list shows it.
    fn numbered_label(&self, text: &str) -> Result<Option<usize>, Rejection> {
        let mut scan = Scan(text);
        let Some(number) = scan.digits(4) else { return Ok(None) };
        let label = scan.0.trim_start_matches(['.', ')', ':', '、', '-', ' ']);
        let index = usize::try_from(number.value).ok().and_then(|n| n.checked_sub(1));
        Ok(self.label(label)?.filter(|found| Some(*found) == index))
    }

    /// Which options `text` means, one flag each.
    fn find_several(&self, text: &str, may_be_none: bool) -> Result<Vec<bool>, Rejection> {
        let mut chosen = vec![false; self.options.len()];
        let choose = |chosen: &mut Vec<bool>, index: usize| {
            if let Some(flag) = chosen.get_mut(index) {
                *flag = true;
            }
        };
        let whole = plain(text);
        match self.find(&whole) {
            Ok(index) => {
                choose(&mut chosen, index);
                return Ok(chosen);
            }
            Err(Rejection::Ambiguous) => return Err(Rejection::Ambiguous),
            Err(_) => {}
        }
        let text = plain(&spread_enclosed(text));
        let wish = without_wish(bare(&text));
        if is_word_of(ALL, wish) || (wish == "both" && self.options.len() == 2) {
            return Ok(vec![true; self.options.len()]);
        }
        if may_be_none && is_word_of(NONE, wish) {
            return Ok(chosen);
        }
        let mut rest = wish.trim_start_matches(is_separator);
        // Room for repetitions and joining words; more is not a list of options.
        for _ in 0..self.options.len().saturating_mul(4).saturating_add(16) {
            if rest.is_empty() {
                break;
            }
            // A label may start with a joining word: 和牛.
            let after = match self.next(rest) {
                Ok((index, after)) => {
                    choose(&mut chosen, index);
                    after
                }
                Err(rejection) => strip_joiner(rest).ok_or(rejection)?,
            };
            rest = after.trim_start_matches(is_separator);
        }
        if !rest.is_empty() {
            return Err(Rejection::NotAChoice);
        }
        if chosen.contains(&true) { Ok(chosen) } else { Err(Rejection::NotAChoice) }
    }

    /// The option at the start of `text` and what follows it. The longest label wins, so that
    /// labels may contain separators.
    fn next<'t>(&self, text: &'t str) -> Result<(usize, &'t str), Rejection> {
        let named = self.names.iter().filter_map(|names| {
            let rest = strip_word_start(text, &names.plain).filter(|_| !names.plain.is_empty())?;
            (rest.is_empty() || rest.starts_with(is_separator) || strip_joiner(rest).is_some())
                .then_some((names.plain.as_str(), rest))
        });
        if let Some((label, rest)) = named.min_by_key(|(_, rest)| rest.len()) {
            return Ok((self.find(label)?, rest));
        }
        // No longer piece can be an option, so none is looked for.
        let window = text.get(..text.floor_char_boundary(self.bytes_max)).unwrap_or(text);
        let end = window.find(is_separator).unwrap_or(window.len());
        let words = HAN_JOINERS.iter().filter_map(|word| window.find(word));
        // `no. 2` and `option 2` hold a space; they are read up to the next other separator.
        let long = window.find(|c| is_separator(c) && c != ' ').unwrap_or(window.len());
        let ends = words.filter(|index| *index > 0).chain([end]).min();
        for end in [Some(long), ends].into_iter().flatten() {
            let (piece, rest) = text.split_at_checked(end).ok_or(Rejection::NotAChoice)?;
            match self.find(piece.trim()) {
                Ok(index) => return Ok((index, rest)),
                Err(Rejection::Ambiguous) => return Err(Rejection::Ambiguous),
                Err(_) => {}
            }
        }
        Err(Rejection::NotAChoice)
    }
}

const ALL: &[&str] = &[
    "全部",
    "全部都要",
    "都要",
    "全都要",
    "全選",
    "通通",
    "通通都要",
    "所有",
    "以上皆是",
    "全部選",
    "all",
    "all of them",
    "all of the above",
    "everything",
    "すべて",
    "全て",
    "ぜんぶ",
    "全部で",
];

const NONE: &[&str] = &[
    "都不要",
    "都沒有",
    "無",
    "沒有",
    "不要",
    "以上皆非",
    "none",
    "none of them",
    "nothing",
    "no",
    "なし",
    "無し",
    "ない",
    "ありません",
];

const HAN_JOINERS: &[&str] = &["以及", "還有", "还有", "和", "跟", "與", "与", "及", "と", "や"];

/// Words around a choice that only say that it is one.
const WISH_STARTS: &[&str] = &[
    "我想要",
    "我要",
    "我選擇",
    "我選",
    "我选",
    "選擇",
    "選",
    "选",
    "i would like",
    "i'd like",
    "i want",
    "i'll take",
    "i choose",
    "i'll have",
    "let's do",
    "the",
];
const WISH_ENDS: &[&str] = &["でいい", "を選びます", "にする", "one", "ones"];

const ORDINALS: &[(&str, u32)] = &[
    ("first", 1),
    ("second", 2),
    ("third", 3),
    ("fourth", 4),
    ("fifth", 5),
    ("sixth", 6),
    ("seventh", 7),
    ("eighth", 8),
    ("ninth", 9),
    ("tenth", 10),
];

fn is_word_of(words: &[&str], text: &str) -> bool {
    let folded = han(text);
    words.contains(&folded.as_str())
}

fn without_wish(text: &str) -> &str {
    let start = WISH_STARTS.iter().find_map(|word| strip_word_start(text, word));
    let text = start.map_or(text, str::trim_start);
    let end = WISH_ENDS.iter().find_map(|word| strip_word_end(text, word));
    match end.map(str::trim_end) {
        Some(rest) if !rest.is_empty() => rest,
        _ => text,
    }
}

/// A position said as one. `text` is folded by [`han`].
fn ordinal(text: &str) -> Option<u32> {
    if let Some((_, number)) = ORDINALS.iter().find(|(word, _)| *word == text) {
        return Some(*number);
    }
    let mut scan = Scan(text);
    let has_lead =
        scan.eat_any(&["第", "no.", "no", "number", "option", "choice", "選項", "#", "("]);
    scan.space();
    let number = scan.count_or_word(4)?;
    let has_tail = scan.eat_any(&[
        "個選項",
        "個",
        "項",
        "號",
        "番目",
        "番",
        "つ目",
        "つめ",
        "種",
        "位",
        "間",
        "家",
        "st",
        "nd",
        "rd",
        "th",
        ".",
        ")",
        "、",
        ":",
    ]);
    (scan.is_done() && (has_lead || has_tail)).then_some(number)
}

fn is_separator(c: char) -> bool {
    matches!(c, ',' | '、' | ';' | '/' | '&' | '+' | ' ' | '・' | '。' | '|')
}

fn strip_joiner(text: &str) -> Option<&str> {
    HAN_JOINERS.iter().chain(&["and"]).find_map(|word| strip_word_start(text, word))
}

/// Puts ①③ apart, which folding would make 13.
fn spread_enclosed(text: &str) -> String {
    let mut spread = String::with_capacity(text.len());
    for c in text.chars() {
        let is_enclosed = matches!(c, '①'..='⓿' | '❶'..='➓' | '㈠'..='㈩' | '㊀'..='㊉'
            | '㉑'..='㉟' | '㊱'..='㊿');
        spread.push(c);
        if is_enclosed {
            spread.push(' ');
        }
    }
    spread
}
