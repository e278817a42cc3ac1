//! Every kind of problem is found, with its place and a fix; a good flow has none.

use super::*;
use crate::parse::parse;

/// The example of the design, which must pass as it stands.
const LEAVE: &str = include_str!("leave_request_example.yaml");

fn problems(text: &str) -> Vec<String> {
    let flow = match parse(text) {
        Ok(parsed) => parsed.flow,
        Err(problems) => return problems.iter().map(ToString::to_string).collect(),
    };
    check(&flow, &Alone).iter().map(ToString::to_string).collect()
}

#[test]
fn the_example_of_the_design_has_no_problem() {
    assert_eq!(problems(LEAVE), Vec::<String>::new());
}

#[test]
fn all_problems_come_at_once_with_path_and_fix() {
    let found = problems(
        r#"
flow: Bad_Id
start: helo
zone: Mars/Olympus
vars: {days: {type: integer, default: many}, unused: {type: string}, input: {type: string}}
triggers:
  - {on: schedule, cron: "99 * * * *"}
  - {on: keyword, any: []}
steps:
  hello: {type: say, text: "{{ dayz }} {{ input }}", next: ask}
  ask: {type: ask, text: "{{", into: days, expect: {type: date}, next: loop1}
  loop1: {type: set, vars: {days: text}, next: loop2}
  loop2: {type: set, vars: {nope: 1}, next: loop1}
  island: {type: end}
"#,
    );
    let text = found.join("\n");
    for part in [
        "/flow: `Bad_Id` is not a flow id",
        "/start: there is no step `helo`; did you mean `hello`?",
        "/zone: `Mars/Olympus` is not a time zone",
        "/vars/days/default: the default of `days` is not of type integer",
        "/vars/input: `input` already means something",
        "/triggers/0: `99 * * * *` is not a schedule",
        "/triggers/1/any: the trigger has no keyword",
        "/steps/hello/text: the variable `dayz` is not declared; did you mean `days`?",
        "/steps/ask/text: ",
        "/steps/ask/expect: the answer is a date, but `days` is declared as integer",
        "/steps/loop1/vars/days: `days` is declared as integer; this is not",
        "/steps/loop2/vars/nope: the variable `nope` is not declared",
        "warning at /vars/unused: the variable `unused` is never read",
    ] {
        assert!(text.contains(part), "missing: {part}\nin:\n{text}");
    }
}

#[test]
fn the_graph_is_checked() {
    let found = problems(
        r"
flow: graph
start: a
vars: {n: {type: integer, default: 0}}
steps:
  a: {type: branch, cases: [{if: n > 1, next: b}], else: e}
  b: {type: set, vars: {n: '{{ n + 1 }}'}, next: c}
  c: {type: set, vars: {n: 2}, next: b}
  e: {type: end}
  island: {type: end}
",
    );
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn five_slips_in_one_file_are_five_problems_with_lines() {
    let found = problems(
        r"flow: slips
start: a
steps:
  a: {type: sey, text: Hi, next: b}
  b: {type: ask, txt: Hi, into: x, remind: {after: soon, text: x}, next: c}
  c: {type: end, outcom: done}
tests: 3
colour: red
",
    );
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn limits_and_combinations_are_checked() {
    let found = problems(
        r#"
flow: limits
start: a
vars: {x: {type: string}}
steps:
  a:
    type: ask
    text: "{{ x }}"
    into: x
    expect: {type: string, pattern: "(a)\\1"}
    reprompt: {times: 101}
    next: b
  b: {type: wait, for: 2h, until: "{{ now() }}", timeout: {after: 1s, next: c}, next: c}
  c:
    type: call
    request: {url: "https://example.com", json: {}, body: x}
    timeout: 10m
    retry: {times: 21}
    next: d
  d: {type: ask, text: pick, into: x, expect: {type: choice}, next: e}
  e: {type: end}
"#,
    );
    let text = found.join("\n");
    for part in [
        "/steps/a/expect/pattern: the pattern is not a regular expression",
        "/steps/a/reprompt/times: reprompt.times: 101 is not between 0 and 100",
        "/steps/b: `wait` needs exactly one of",
        "/steps/b/timeout: only a wait for an event can time out",
        "/steps/c/timeout: a call may take 1s to 5m",
        "/steps/c/retry/times",
        "/steps/c/request/body: a request has `json` or `body`, not both",
        "/steps/d/choices: a choice needs `choices`",
    ] {
        assert!(text.contains(part), "missing: {part}\nin:\n{text}");
    }
}

/// Nothing exists around this one.
struct Empty;

impl Surroundings for Empty {
    fn flow(&self, _: &str) -> Lookup {
        Lookup::Missing(vec!["booking".into()])
    }

    fn queue(&self, _: &str) -> Lookup {
        Lookup::Missing(vec!["hr".into()])
    }

    fn connection(&self, _: &str) -> Lookup {
        Lookup::Missing(vec![])
    }

    fn secret(&self, _: &str) -> Lookup {
        Lookup::Missing(vec![])
    }

    fn table(&self, _: &str) -> Lookup {
        Lookup::Found
    }

    fn row_problems(&self, _: &str, row: &IndexMap<String, Shape>) -> Vec<RowProblem> {
        row.iter()
            .map(|(column, shape)| RowProblem {
                column: column.clone(),
                message: format!("{shape:?}"),
                fix: None,
            })
            .collect()
    }
}

#[test]
fn what_a_flow_names_must_be_there() {
    let flow = parse(LEAVE).unwrap().flow;
    let found: Vec<String> = check(&flow, &Empty).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn yaml_and_json_are_the_same_document() {
    let from_yaml = parse(LEAVE).unwrap().flow;
    let json = serde_json::to_string_pretty(&from_yaml).unwrap();
    assert_eq!(parse(&json).unwrap().flow, from_yaml);
}

#[test]
fn the_json_schema_admits_every_step() {
    let schema = crate::json_schema::flow_schema();
    let variants = schema.pointer("/$defs/Step/oneOf").and_then(Value::as_array).unwrap();
    assert_eq!(variants.len(), crate::step::StepKind::NAMES.len());
    for variant in variants {
        assert!(variant.pointer("/properties/label").is_some(), "{variant}");
    }
}

proptest::proptest! {
    #[test]
    fn no_document_panics(text in "\\PC{0,300}") {
        let _ = problems(&text);
    }

    #[test]
    fn a_damaged_document_does_not_panic(at in 0usize..2_000, by in "\\PC{0,3}") {
        let mut text: Vec<char> = LEAVE.chars().collect();
        let at = at.min(text.len() - 1);
        text.splice(at..=at, by.chars());
        let _ = problems(&text.into_iter().collect::<String>());
    }
}
