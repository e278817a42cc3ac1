//! YAML to JSON with the position of every value, so that a problem has a line and a column.

#![expect(
    clippy::result_large_err,
    reason = "one problem per document; boxing it would save nothing"
)]

use std::collections::HashMap;

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, Span as YamlSpan};
use serde_json::{Map, Value};

use crate::problem::{Problem, escape_pointer};

/// The longest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 512 * 1024;
/// The deepest nesting of a document.
pub const DOCUMENT_DEPTH_MAX: usize = 48;

/// Where each value stands: JSON pointer → (line, column), both from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(HashMap<String, (usize, usize)>);

impl Positions {
    /// Gives a problem the line and column of its value, or of the nearest one above it.
    pub fn locate(&self, mut problem: Problem) -> Problem {
        let mut pointer = problem.pointer.as_str();
        loop {
            if let Some((line, column)) = self.0.get(pointer) {
                problem.line = Some(*line);
                problem.column = Some(*column);
                return problem;
            }
            match pointer.rfind('/') {
                Some(at) => pointer = pointer.get(..at).unwrap_or_default(),
                None => return problem,
            }
        }
    }
}

enum Open {
    Sequence(String, Vec<Value>),
    Mapping(String, Map<String, Value>, Option<String>),
}

#[derive(Default)]
struct Loader {
    open: Vec<Open>,
    root: Option<Value>,
    positions: Positions,
}

/// Reads one YAML document (YAML 1.2, core schema, no anchors).
pub fn parse(text: &str) -> Result<(Value, Positions), Problem> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(Problem::error(
            "",
            format!("the document has more than {DOCUMENT_BYTES_MAX} bytes"),
        )
        .fix("split it into several flows"));
    }
    let mut loader = Loader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            // The scanner looks ahead, so its own limit on nesting comes before ours.
            let mut problem = if error.info().contains("recursion limit") {
                too_deep(String::new())
            } else {
                Problem::error("", format!("this is not YAML: {}", error.info()))
            };
            problem.line = Some(error.marker().line());
            problem.column = Some(error.marker().col() + 1);
            problem
        })?;
        loader.event(event, span)?;
    }
    match loader.root {
        Some(value) => Ok((value, loader.positions)),
        None => Err(Problem::error("", "the document is empty")
            .fix("start with `flow: my-flow` and `steps:`")),
    }
}

impl Loader {
    fn event(&mut self, event: Event<'_>, span: YamlSpan) -> Result<(), Problem> {
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(_) => Err(at(
                Problem::error(
                    "",
                    "anchors and aliases (`&x`, `*x`) are not part of a flow document",
                )
                .fix("write the value out where it is used"),
                span,
            )),
            Event::Scalar(text, style, _, tag) => {
                if self.awaits_key() {
                    return self.key(text.into_owned(), span);
                }
                let scalar = Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref());
                let value = match scalar {
                    Some(Scalar::Null) => Value::Null,
                    Some(Scalar::Boolean(flag)) => Value::Bool(flag),
                    Some(Scalar::Integer(number)) => Value::from(number),
                    Some(Scalar::FloatingPoint(number)) => serde_json::Number::from_f64(*number)
                        .map(Value::Number)
                        .ok_or_else(|| {
                            at(Problem::error("", "NaN and infinity are not JSON numbers"), span)
                        })?,
                    Some(Scalar::String(text)) => Value::String(text.into_owned()),
                    None => {
                        return Err(at(
                            Problem::error("", "this YAML tag does not fit its value"),
                            span,
                        ));
                    }
                };
                let pointer = self.next_pointer();
                self.mark(pointer, span);
                self.value(value, span)
            }
            Event::SequenceStart(..) => {
                let pointer = self.enter(span)?;
                self.open.push(Open::Sequence(pointer, Vec::new()));
                Ok(())
            }
            Event::MappingStart(..) => {
                let pointer = self.enter(span)?;
                self.open.push(Open::Mapping(pointer, Map::new(), None));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let value = match self.open.pop() {
                    Some(Open::Sequence(_, items)) => Value::Array(items),
                    Some(Open::Mapping(_, map, _)) => Value::Object(map),
                    None => return Ok(()),
                };
                self.value(value, span)
            }
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Mapping(_, _, None)))
    }

    fn key(&mut self, key: String, span: YamlSpan) -> Result<(), Problem> {
        if let Some(Open::Mapping(pointer, map, slot)) = self.open.last_mut() {
            if map.contains_key(&key) {
                let pointer = format!("{pointer}/{}", escape_pointer(&key));
                return Err(at(
                    Problem::error(pointer, format!("`{key}` stands here twice"))
                        .fix("keep one of them"),
                    span,
                ));
            }
            *slot = Some(key);
        }
        // The key's own place is what a person looks for; the value's refines nothing.
        let pointer = self.next_pointer();
        self.mark(pointer, span);
        Ok(())
    }

    fn next_pointer(&self) -> String {
        match self.open.last() {
            Some(Open::Sequence(pointer, items)) => format!("{pointer}/{}", items.len()),
            Some(Open::Mapping(pointer, _, Some(key))) => {
                format!("{pointer}/{}", escape_pointer(key))
            }
            Some(Open::Mapping(pointer, _, None)) => pointer.clone(),
            None => String::new(),
        }
    }

    fn mark(&mut self, pointer: String, span: YamlSpan) {
        self.positions.0.entry(pointer).or_insert((span.start.line(), span.start.col() + 1));
    }

    fn enter(&mut self, span: YamlSpan) -> Result<String, Problem> {
        if self.awaits_key() {
            return Err(at(Problem::error("", "a key must be text"), span));
        }
        let pointer = self.next_pointer();
        if self.open.len() >= DOCUMENT_DEPTH_MAX {
            return Err(at(too_deep(pointer), span));
        }
        self.mark(pointer.clone(), span);
        Ok(pointer)
    }

    fn value(&mut self, value: Value, span: YamlSpan) -> Result<(), Problem> {
        match self.open.last_mut() {
            Some(Open::Sequence(_, items)) => items.push(value),
            Some(Open::Mapping(_, map, key)) => {
                if let Some(key) = key.take() {
                    map.insert(key, value);
                }
            }
            None if self.root.is_none() => self.root = Some(value),
            None => {
                return Err(at(
                    Problem::error("", "there is more than one document in this file")
                        .fix("keep one flow per file"),
                    span,
                ));
            }
        }
        Ok(())
    }
}

fn too_deep(pointer: String) -> Problem {
    Problem::error(pointer, format!("nested deeper than {DOCUMENT_DEPTH_MAX} levels"))
        .fix("flatten it")
}

fn at(mut problem: Problem, span: YamlSpan) -> Problem {
    problem.line = Some(span.start.line());
    problem.column = Some(span.start.col() + 1);
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_types_and_places() {
        let (value, positions) = parse("on: {a: 1, b: [x, \"2\"]}\nlong: 7d\n").unwrap();
        assert_eq!(value, serde_json::json!({"on": {"a": 1, "b": ["x", "2"]}, "long": "7d"}));
        let problem = positions.locate(Problem::error("/long/deeper", "x"));
        assert_eq!((problem.line, problem.column), (Some(2), Some(1)));
    }

    #[test]
    fn what_a_flow_must_not_hold_is_refused() {
        let message = |text: &str| parse(text).unwrap_err().message;
        assert!(message("a: &x 1\nb: *x\n").contains("anchors"));
        assert!(message("a: 1\na: 2\n").contains("twice"));
        assert!(message("a: 1\n---\nb: 2\n").contains("more than one"));
        assert!(message("a: .nan\n").contains("NaN"));
        assert!(message(&"[".repeat(100)).contains("deeper"));
        assert!(message(&"[".repeat(10_000)).contains("deeper"));
        assert!(message(&"- ".repeat(100)).contains("deeper"));
        assert!(message(&"- ".repeat(10_000)).contains("deeper"));
        assert!(message("").contains("empty"));
        assert!(message("a: [1\n").contains("not YAML"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn yaml_like_text_does_not_panic(text in "[a-c:\\-\\[\\]{},&*!|>'\"# \n\t0-9.]{0,120}") {
            let _ = parse(&text);
        }
    }
}
