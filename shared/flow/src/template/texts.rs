//! Filters on text.
#![expect(clippy::needless_pass_by_value, reason = "the engine hands named arguments over")]

use minijinja::value::{DynObject, Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, HtmlEscape, State};
use unicode_segmentation::UnicodeSegmentation;

use super::VALUE_BYTES_MAX;
use super::catalog::Builder;
use super::error::unusable;
use super::json::{from_value, to_value};
use super::run::{Bounded, CALL, ELEMENT, Run};

const INDENT_MAX: usize = 64;
const JSON_INDENT_MAX: usize = 8;
/// Finding the borders of characters costs this much more than copying them.
const GRAPHEMES: usize = 15;
/// Formatting byte by byte costs this much more than copying.
const BYTEWISE: usize = 8;

pub(super) fn register(builder: &mut Builder) {
    builder.filter("upper", upper);
    builder.filter("lower", lower);
    builder.filter("title", title);
    builder.filter("capitalize", capitalize);
    builder.filter("trim", trim);
    builder.filter("replace", replace);
    builder.filter("split", split);
    builder.filter("lines", lines);
    builder.filter("indent", indent);
    builder.filter("truncate", truncate);
    builder.filter("mask", mask);
    builder.filter("escape", escape);
    builder.filter("e", escape);
    builder.filter("urlencode", urlencode);
    builder.filter("string", string);
    builder.filter("tojson", tojson);
    builder.filter("fromjson", fromjson);
    builder.filter("default", default);
    builder.filter("d", default);
}

fn upper(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let text = run.text(value)?.to_uppercase();
    run.made(text)
}

fn lower(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let text = run.text(value)?.to_lowercase();
    run.made(text)
}

fn title(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let text = run.text(value)?;
    run.charge(text.len().saturating_mul(BYTEWISE))?;
    let mut out = String::new();
    let mut starts_word = true;
    for character in text.chars() {
        if character.is_whitespace() || matches!(character, '-' | '(' | '{' | '[' | '<') {
            out.push(character);
            starts_word = true;
        } else if starts_word {
            out.extend(character.to_uppercase());
            starts_word = false;
        } else {
            out.extend(character.to_lowercase());
        }
    }
    run.made(out)
}

fn capitalize(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let text = run.text(value)?;
    let mut characters = text.chars();
    let mut out = String::new();
    if let Some(first) = characters.next() {
        out.extend(first.to_uppercase());
        out.push_str(&characters.as_str().to_lowercase());
    }
    run.made(out)
}

/// `trim` takes white space off both ends, `trim("xy")` these characters.
fn trim(state: &State, value: &Value, characters: Option<&Value>) -> Result<Value, Error> {
    const CHARACTERS_MAX: usize = 64;
    let run = Run::of(state)?;
    let text = run.text(value)?;
    let Some(characters) = characters else { return run.made(text.trim().to_owned()) };
    let characters: Vec<char> = run.text(characters)?.chars().collect();
    if characters.len() > CHARACTERS_MAX {
        return Err(unusable(format!("`trim` takes up to {CHARACTERS_MAX} characters")));
    }
    run.made(text.trim_matches(characters.as_slice()).to_owned())
}

/// `replace(old, new, count)`: all, or the first `count`.
fn replace(
    state: &State,
    value: &Value,
    old: &Value,
    new: &Value,
    count: Option<usize>,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let (text, old, new) = (run.text(value)?, run.text(old)?, run.text(new)?);
    if old.is_empty() {
        return Err(unusable("`replace` needs a text to look for"));
    }
    let mut out = Bounded::new(VALUE_BYTES_MAX);
    let mut end = 0;
    for (start, found) in text.match_indices(old.as_ref()).take(count.unwrap_or(usize::MAX)) {
        run.charge(ELEMENT)?;
        out.push(text.get(end..start).unwrap_or_default())?;
        out.push(new.as_ref())?;
        end = start + found.len();
    }
    out.push(text.get(end..).unwrap_or_default())?;
    run.made(out.text)
}

/// `split` at white space, `split(",")` at a separator, `split(",", 1)` at most once.
fn split(
    state: &State,
    value: &Value,
    separator: Option<&Value>,
    times: Option<usize>,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let text = run.text(value)?;
    let times = times.unwrap_or(usize::MAX);
    match separator {
        None if times == usize::MAX => pieces(&run, text.split_whitespace()),
        None => pieces(&run, text.splitn(times.saturating_add(1), char::is_whitespace)),
        Some(separator) => {
            let separator = run.text(separator)?;
            if separator.is_empty() {
                return Err(unusable("`split` needs a separator, or none for white space"));
            }
            pieces(&run, text.splitn(times.saturating_add(1), separator.as_ref()))
        }
    }
}

fn lines(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let text = run.text(value)?;
    pieces(&run, text.lines())
}

fn pieces<'t>(run: &Run, parts: impl Iterator<Item = &'t str>) -> Result<Value, Error> {
    let mut list = Vec::new();
    for part in parts {
        run.charge(ELEMENT + part.len())?;
        list.push(Value::from(part));
    }
    run.list(list)
}

/// `indent(4)`: every line but the first; `indent(4, true)`: every line.
fn indent(
    state: &State,
    value: &Value,
    width: Option<usize>,
    first: Option<bool>,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let width = width.unwrap_or(4);
    if width > INDENT_MAX {
        return Err(unusable(format!("`indent` goes up to {INDENT_MAX} spaces")));
    }
    let text = run.text(value)?;
    let mut out = Bounded::new(VALUE_BYTES_MAX);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n')?;
        }
        if !line.trim().is_empty() && (index > 0 || first.unwrap_or(false)) {
            out.push(format_args!("{:width$}", ""))?;
        }
        out.push(line)?;
    }
    run.made(out.text)
}

/// `truncate(30)`: at most 30 characters, the mark of omission included.
///
/// Counts what people see as characters (grapheme clusters): a Chinese character, a Latin letter
/// and an emoji of several code points are one each, and none of them is ever cut in two. That is
/// not the width on a screen, where a Chinese character takes two columns.
fn truncate(
    state: &State,
    value: &Value,
    length: Option<usize>,
    end: Option<&Value>,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let text = run.text(value)?;
    run.charge(text.len().saturating_mul(GRAPHEMES))?;
    let length = length.unwrap_or(30);
    if text.graphemes(true).nth(length).is_none() {
        return run.made(text.into_owned());
    }
    let end = match end {
        Some(end) => run.text(end)?.into_owned(),
        None => "…".to_owned(),
    };
    let kept = length.saturating_sub(end.graphemes(true).count());
    let room = length.saturating_sub(kept);
    let mut out: String = text.graphemes(true).take(kept).collect();
    out.extend(end.graphemes(true).take(room));
    run.made(out)
}

/// `mask`: all but the last 4 characters become `*`; a text that short becomes `*` entirely.
fn mask(state: &State, value: &Value, keep: Option<usize>) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let text = run.text(value)?;
    run.charge(text.len().saturating_mul(GRAPHEMES))?;
    let length = text.graphemes(true).count();
    let keep = keep.unwrap_or(4);
    let hidden = if length > keep { length - keep } else { length };
    let mut out = "*".repeat(hidden);
    out.extend(text.graphemes(true).skip(hidden));
    run.made(out)
}

/// For HTML and XML.
fn escape(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let mut out = Bounded::new(VALUE_BYTES_MAX);
    out.push(HtmlEscape(&run.text(value)?))?;
    run.made(out.text)
}

/// Percent-encodes a text, or a mapping as a query string. Letters, digits and `-._~/` stay.
fn urlencode(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let mut out = Bounded::new(VALUE_BYTES_MAX);
    if value.kind() != ValueKind::Map {
        percent_encode(&run, value, &mut out)?;
        return run.made(out.text);
    }
    let pairs = value.as_object().and_then(DynObject::try_iter_pairs);
    for (name, item) in pairs.into_iter().flatten() {
        if item.is_none() {
            continue;
        }
        if !out.text.is_empty() {
            out.push('&')?;
        }
        percent_encode(&run, &name, &mut out)?;
        out.push('=')?;
        percent_encode(&run, &item, &mut out)?;
    }
    run.made(out.text)
}

fn percent_encode(run: &Run, value: &Value, out: &mut Bounded) -> Result<(), Error> {
    let text = run.text(value)?;
    run.charge(text.len().saturating_mul(BYTEWISE))?;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte))?;
        } else {
            out.push(format_args!("%{byte:02X}"))?;
        }
    }
    Ok(())
}

fn string(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let text = run.text(value)?.into_owned();
    run.made(text)
}

/// `tojson` on one line, `tojson(2)` indented.
fn tojson(
    state: &State,
    value: &Value,
    indent: Option<usize>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let indent = match indent {
        Some(indent) => indent,
        None => kwargs.get::<Option<usize>>("indent")?.unwrap_or(0),
    };
    kwargs.assert_all_used()?;
    if indent > JSON_INDENT_MAX {
        return Err(unusable(format!("`tojson` indents by up to {JSON_INDENT_MAX} spaces")));
    }
    run.weigh(value)?;
    let json = from_value(value)?;
    let compact = json.to_string();
    run.charge(compact.len())?;
    if indent == 0 {
        return run.made(compact);
    }
    // Every level of nesting moves a line by `indent`; so this bounds the text before it is made.
    run.charge(compact.len().saturating_mul(indent).saturating_mul(super::VALUE_DEPTH_MAX / 8))?;
    let spaces = " ".repeat(indent);
    let format = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, format);
    serde::Serialize::serialize(&json, &mut serializer)
        .map_err(|error| unusable(format!("cannot be written as JSON: {error}")))?;
    let text = String::from_utf8(out).map_err(|_| unusable("cannot be written as JSON"))?;
    run.made(text)
}

fn fromjson(state: &State, value: &Value) -> Result<Value, Error> {
    let run = Run::of(state)?;
    let text = run.text(value)?;
    // Parsed JSON takes up to 36 times the bytes of its text (`[0,0,…]`).
    run.charge(text.len().saturating_mul(36).saturating_add(CALL))?;
    let json: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| unusable(format!("the text is not JSON: {error}")))?;
    to_value(&run, &json)
}

/// `default(other)` for an undefined value, `default(other, true)` for null, empty and false also.
fn default(value: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let (other, boolean) = match args.as_slice() {
        [] => (None, None),
        [other] => (Some(other), None),
        [other, boolean] => (Some(other), Some(boolean.is_true())),
        _ => return Err(unusable("`default` takes a value, and whether empty counts as missing")),
    };
    let boolean = match boolean {
        Some(boolean) => boolean,
        None => kwargs.get::<Option<bool>>("boolean")?.unwrap_or(false),
    };
    kwargs.assert_all_used()?;
    if value.is_undefined() || (boolean && !value.is_true()) {
        return Ok(other.cloned().unwrap_or_else(|| Value::from("")));
    }
    Ok(value)
}
