//! From text or JSON to a typed flow, reporting every problem at once.

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::document::{Flow, FlowTest, FlowTimeout, Trigger, Var};
use crate::problem::{Problem, escape_pointer, nearest};
use crate::step::{Step, StepKind};
use crate::yaml::{self, Positions};

/// Most steps of a flow.
pub const STEPS_MAX: usize = 500;

/// The fields of a flow document.
const FIELDS: [&str; 11] = [
    "flow",
    "name",
    "description",
    "label",
    "zone",
    "triggers",
    "vars",
    "start",
    "timeout",
    "steps",
    "tests",
];

/// A flow with the places of its values in the text it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The flow.
    pub flow: Flow,
    /// Where each value stood.
    pub positions: Positions,
}

/// Reads a flow from YAML or JSON text.
pub fn parse(text: &str) -> Result<Parsed, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (value, positions) = if text.trim_start().starts_with('{') {
        match serde_json::from_str::<Value>(text) {
            Ok(value) => (value, Positions::default()),
            // Flow-style YAML starts with a brace as well; where neither fits, JSON's word counts.
            Err(error) => yaml::parse(text).map_err(|_| vec![json_problem(&error)])?,
        }
    } else {
        yaml::parse(text).map_err(|problem| vec![problem])?
    };
    match from_value(value) {
        Ok(flow) => Ok(Parsed { flow, positions }),
        Err(problems) => Err(problems.into_iter().map(|p| positions.locate(p)).collect()),
    }
}

fn json_problem(error: &serde_json::Error) -> Problem {
    let mut problem = Problem::error("", format!("this is not JSON: {error}"));
    problem.line = Some(error.line());
    problem.column = Some(error.column());
    problem
}

/// Reads a flow from JSON.
pub fn from_value(value: Value) -> Result<Flow, Vec<Problem>> {
    let Value::Object(mut map) = value else {
        return Err(vec![
            Problem::error("", "a flow document is an object")
                .fix("start with `flow: my-flow` and `steps:`"),
        ]);
    };
    let mut reader = Reader { problems: Vec::new() };
    let steps = reader.steps(map.remove("steps"));
    let triggers = reader.list::<Trigger>(&mut map, "triggers");
    let tests = reader.list::<FlowTest>(&mut map, "tests");
    let vars = reader.map::<Var>(&mut map, "vars");
    let id = reader.required::<String>(&mut map, "flow");
    let start = reader.required::<String>(&mut map, "start");
    let name = reader.optional(&mut map, "name");
    let description = reader.optional(&mut map, "description");
    let label = reader.optional(&mut map, "label");
    let zone = reader.optional(&mut map, "zone");
    let timeout = reader.optional::<FlowTimeout>(&mut map, "timeout");
    for key in map.keys() {
        reader.problems.push(
            Problem::error(
                format!("/{}", escape_pointer(key)),
                format!("a flow has no field `{key}`"),
            )
            .suggest(key, FIELDS),
        );
    }
    match (id, start, steps) {
        (Some(id), Some(start), Some(steps)) if reader.problems.is_empty() => Ok(Flow {
            id,
            name,
            description,
            label,
            zone,
            triggers,
            vars,
            start,
            timeout,
            steps,
            tests,
        }),
        _ => Err(reader.problems),
    }
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn required<T: DeserializeOwned>(
        &mut self,
        map: &mut Map<String, Value>,
        key: &str,
    ) -> Option<T> {
        if !map.contains_key(key) {
            let fix = match key {
                "flow" => "add an id: `flow: my-flow`",
                _ => "add the first step's id: `start: hello`",
            };
            self.problems.push(Problem::error("", format!("`{key}` is missing")).fix(fix));
            return None;
        }
        self.optional(map, key)
    }

    fn optional<T: DeserializeOwned>(
        &mut self,
        map: &mut Map<String, Value>,
        key: &str,
    ) -> Option<T> {
        let value = map.remove(key).filter(|value| !value.is_null())?;
        self.value(value, &format!("/{key}"))
    }

    fn list<T: DeserializeOwned>(&mut self, map: &mut Map<String, Value>, key: &str) -> Vec<T> {
        match map.remove(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .filter_map(|(index, item)| self.value(item, &format!("/{key}/{index}")))
                .collect(),
            Some(_) => {
                self.problems.push(Problem::error(format!("/{key}"), format!("`{key}` is a list")));
                Vec::new()
            }
        }
    }

    fn map<T: DeserializeOwned>(
        &mut self,
        map: &mut Map<String, Value>,
        key: &str,
    ) -> IndexMap<String, T> {
        match map.remove(key) {
            None | Some(Value::Null) => IndexMap::new(),
            Some(Value::Object(entries)) => entries
                .into_iter()
                .filter_map(|(name, item)| {
                    let pointer = format!("/{key}/{}", escape_pointer(&name));
                    self.value(item, &pointer).map(|item| (name, item))
                })
                .collect(),
            Some(_) => {
                self.problems
                    .push(Problem::error(format!("/{key}"), format!("`{key}` is an object")));
                IndexMap::new()
            }
        }
    }

    fn steps(&mut self, value: Option<Value>) -> Option<IndexMap<String, Step>> {
        match value {
            Some(Value::Object(entries)) if entries.len() > STEPS_MAX => {
                self.problems.push(
                    Problem::error("/steps", format!("more than {STEPS_MAX} steps"))
                        .fix("move a part into a flow of its own and `start` it"),
                );
                None
            }
            Some(Value::Object(entries)) => {
                let mut steps = IndexMap::new();
                for (id, value) in entries {
                    let pointer = format!("/steps/{}", escape_pointer(&id));
                    if let Some(step) = self.step(value, &pointer) {
                        steps.insert(id, step);
                    }
                }
                Some(steps)
            }
            Some(_) => {
                self.problems.push(Problem::error("/steps", "`steps` is an object: id → step"));
                None
            }
            None => {
                self.problems.push(
                    Problem::error("", "`steps` is missing")
                        .fix("add `steps:` with at least one step of type `end`"),
                );
                None
            }
        }
    }

    fn step(&mut self, value: Value, pointer: &str) -> Option<Step> {
        let Value::Object(mut map) = value else {
            self.problems
                .push(Problem::error(pointer, "a step is an object").fix("give it a `type`"));
            return None;
        };
        let before = self.problems.len();
        let label = map.remove("label").filter(|v| !v.is_null());
        let label = label.and_then(|value| self.value(value, &format!("{pointer}/label")));
        let note = map.remove("note").filter(|v| !v.is_null());
        let note = note.and_then(|value| self.value(value, &format!("{pointer}/note")));
        let kind = match map.remove("type") {
            Some(Value::String(kind)) => self.kind(&kind, Value::Object(map), pointer),
            Some(_) => {
                self.problems.push(Problem::error(format!("{pointer}/type"), "`type` is a text"));
                None
            }
            None => {
                self.problems.push(
                    Problem::error(pointer, "the step has no `type`")
                        .fix(format!("use one of {}", StepKind::NAMES.join(", "))),
                );
                None
            }
        };
        let step = Step { label, note, kind: kind? };
        (self.problems.len() == before).then_some(step)
    }

    fn kind(&mut self, kind: &str, rest: Value, pointer: &str) -> Option<StepKind> {
        Some(match kind {
            "say" => StepKind::Say(self.value(rest, pointer)?),
            "ask" => StepKind::Ask(Box::new(self.value(rest, pointer)?)),
            "set" => StepKind::Set(self.value(rest, pointer)?),
            "branch" => StepKind::Branch(self.value(rest, pointer)?),
            "call" => StepKind::Call(Box::new(self.value(rest, pointer)?)),
            "wait" => StepKind::Wait(self.value(rest, pointer)?),
            "start" => StepKind::Start(self.value(rest, pointer)?),
            "each" => StepKind::Each(self.value(rest, pointer)?),
            "handoff" => StepKind::Handoff(self.value(rest, pointer)?),
            "notify" => StepKind::Notify(self.value(rest, pointer)?),
            "record" => StepKind::Record(self.value(rest, pointer)?),
            "end" => StepKind::End(self.value(rest, pointer)?),
            other => {
                let problem = Problem::error(
                    format!("{pointer}/type"),
                    format!("there is no step type `{other}`"),
                );
                self.problems.push(match nearest(other, StepKind::NAMES) {
                    Some(name) => problem.fix(format!("did you mean `{name}`?")),
                    None => problem.fix(format!("use one of {}", StepKind::NAMES.join(", "))),
                });
                return None;
            }
        })
    }

    /// Reads one value. A wrong field is reported and taken out, and the rest is read again, so
    /// that one step with five slips shows all five.
    fn value<T: DeserializeOwned>(&mut self, mut value: Value, pointer: &str) -> Option<T> {
        let before = self.problems.len();
        for _ in 0..32 {
            let error = match serde_path_to_error::deserialize::<_, T>(&value) {
                Ok(read) if self.problems.len() == before => return Some(read),
                Ok(_) => return None,
                Err(error) => error,
            };
            let path = pointer_of(error.path());
            let message = error.inner().to_string();
            let first = path.split('/').nth(1).map(crate::problem::unescape_pointer);
            let problem = Problem::error(format!("{pointer}{path}"), plain(&message));
            self.problems.push(with_suggestion(problem, &message));
            let removed = match (&mut value, first) {
                (Value::Object(map), Some(key)) => map.shift_remove(&key).is_some(),
                _ => false,
            };
            // A missing field has no path; what else is wrong shows once it is there.
            if !removed || message.starts_with("missing field") {
                return None;
            }
        }
        None
    }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{}", escape_pointer(key))),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// serde's messages with the words of the document in place of Rust's.
fn plain(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    message
        .replace("invalid type: ", "wrong type: ")
        .replace("a map", "an object")
        .replace("a sequence", "a list")
        .replace(
            "did not match any variant of untagged enum Text",
            "is neither a text nor texts by language",
        )
        .replace(
            "data did not match any variant of untagged enum Choices",
            "choices are a list or one template",
        )
        .replace(", expected one of", "; known are")
        .replace(", expected", "; expected")
}

fn with_suggestion(problem: Problem, message: &str) -> Problem {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match names.split_first() {
        Some((wrong, known)) if message.starts_with("unknown") => {
            problem.suggest(wrong, known.iter().copied())
        }
        _ => problem,
    }
}

impl<'de> serde::Deserialize<'de> for Flow {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        from_value(value).map_err(|problems| {
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            serde::de::Error::custom(all.join("; "))
        })
    }
}
