//! One spelling for the many ways to type the same thing: width, case, spaces, dashes, variants.

use unicode_normalization::UnicodeNormalization;

/// Folds width (NFKC), case, dashes and white space, and drops invisible characters.
pub(super) fn plain(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let visible = text.chars().filter(|c| !is_invisible(*c));
    for c in visible {
        // NFKC would read 3² as 32.
        if is_raised_or_lowered(c) {
            folded.push('^');
        }
        folded.push(c);
    }
    let folded: String = folded.nfkc().flat_map(char::to_lowercase).map(dash).collect();
    let folded = long_vowel_marks_as_dashes(&folded);
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Folds Simplified, Japanese and financial variants of the characters that dates, numbers and
/// yes/no are written with, so that each vocabulary is spelled once, in Traditional forms.
pub(super) fn han(plain: &str) -> String {
    plain.chars().map(variant).collect()
}

/// `text` without the politeness and punctuation that people put around an answer. Takes text
/// folded by [`plain`], with or without [`han`]; never makes it empty.
pub(super) fn bare(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let shorter = TRAILING
            .iter()
            .find_map(|word| strip_word_end(text, word))
            .map_or(text, str::trim_end)
            .trim_start_matches(['「', '"', '\'', '“', '『']);
        if shorter.is_empty() || shorter.len() == text.len() {
            return text;
        }
        text = shorter;
    }
}

/// Strips `word` off the end; a Latin word only at a word boundary.
pub(super) fn strip_word_end<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.strip_suffix(word)?;
    let joined = word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && rest.ends_with(|c: char| c.is_ascii_alphanumeric());
    (!joined).then_some(rest)
}

/// Strips `word` off the start; a Latin word only at a word boundary.
pub(super) fn strip_word_start<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(word)?;
    let joined = word.ends_with(|c: char| c.is_ascii_alphanumeric())
        && rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    (!joined).then_some(rest)
}

/// Longer words first where one ends with another.
const TRAILING: &[&str] = &[
    "。",
    ".",
    "!",
    "?",
    ",",
    "、",
    "~",
    "」",
    "』",
    "”",
    "\"",
    "'",
    ";",
    "…",
    "でお願いします",
    "お願いします",
    "お願い致します",
    "をお願いします",
    "にします",
    "がいいです",
    "がいい",
    "でいいです",
    "ですね",
    "ですよ",
    "です",
    "谢谢",
    "謝謝",
    "感謝",
    "麻煩了",
    "拜託",
    "好了",
    "就好",
    "吧",
    "喔",
    "哦",
    "噢",
    "啦",
    "呢",
    "啊",
    "呀",
    "耶",
    "囉",
    "please",
    "pls",
    "thank you",
    "thanks",
    "thx",
];

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}'
        | '\u{FEFF}' | '\u{FE00}'..='\u{FE0F}' | '\u{AD}' | '\u{1F3FB}'..='\u{1F3FF}')
}

fn is_raised_or_lowered(c: char) -> bool {
    matches!(c, '²' | '³' | '¹' | '\u{2070}'..='\u{208E}')
}

fn dash(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2796}' | '\u{FE58}' => '-',
        '\u{301C}' | '\u{223C}' => '~',
        other => other,
    }
}

/// Japanese keyboards give `ー` for a dash: `090ー1234ー5678`. In words it stays.
fn long_vowel_marks_as_dashes(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let is_digit = |index: Option<usize>| {
        index.and_then(|i| characters.get(i)).is_some_and(char::is_ascii_digit)
    };
    characters
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let beside_digit = is_digit(i.checked_sub(1)) || is_digit(i.checked_add(1));
            if *c == 'ー' && beside_digit { '-' } else { *c }
        })
        .collect()
}

fn variant(c: char) -> char {
    match c {
        '两' => '兩',
        '万' => '萬',
        '亿' => '億',
        '点' => '點',
        '后' => '後',
        '这' => '這',
        '个' | '箇' => '個',
        '对' => '對',
        '时' => '時',
        '钟' | '鍾' => '鐘',
        '负' => '負',
        '号' => '號',
        '礼' => '禮',
        '间' => '間',
        '国' => '國',
        '华' => '華',
        '来' => '來',
        '周' => '週',
        '过' => '過',
        '岁' => '歲',
        '块' => '塊',
        '円' | '圆' => '圓',
        '张' => '張',
        '双' => '雙',
        '条' => '條',
        '只' => '隻',
        '无' => '無',
        '没' => '沒',
        '谢' => '謝',
        '请' => '請',
        '约' => '約',
        '总' => '總',
        '钱' => '錢',
        '层' => '層',
        '楼' => '樓',
        '确' => '確',
        '认' => '認',
        '问' => '問',
        '题' => '題',
        '当' => '當',
        '错' => '錯',
        '为' => '為',
        '选' => '選',
        '项' => '項',
        '种' => '種',
        '还' => '還',
        '与' => '與',
        '内' => '內',
        '转' => '轉',
        '机' => '機',
        '从' => '從',
        '们' => '們',
        '贰' | '弐' => '貳',
        '叁' | '参' | '叄' => '參',
        '陆' => '陸',
        '壱' => '壹',
        '臺' | '檯' => '台',
        '○' | '◯' => '〇',
        other => other,
    }
}
