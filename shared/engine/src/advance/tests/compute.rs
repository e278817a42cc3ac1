//! `set`, `branch`, `record`, `notify`, `end`, and templates that go wrong.

use super::*;

#[test]
fn set_assigns_in_order_with_types() {
    let mut run = Run::of(
        "
start: set
vars:
  a: {type: integer, default: 1}
  b: {type: string}
  c: {type: number}
  d: {type: any}
steps:
  set:
    type: set
    vars: {a: '{{ a + 1 }}', b: '{{ a }}', c: '{{ \"2.5\" }}', d: {list: ['{{ a }}', x]}}
    next: done
  done: {type: end, outcome: '{{ b }} done', result: {a: '{{ a }}'}}
",
    );
    let status = Status::Completed { outcome: "2 done".into(), result: json!({"a": 2}) };
    let vars = Some(json!({"a": 2, "b": "2", "c": 2.5, "d": {"list": [2, "x"]}}));
    let steps = &["set>next", "done"];
    run.takes(start(), status, Expected { steps, vars, ..Expected::default() });
}

#[test]
fn a_value_of_another_type_fails_the_task() {
    let mut run = Run::of(
        "
start: set
vars: {a: {type: integer}, b: {type: any, default: many}}
steps:
  set: {type: set, vars: {a: '{{ b }}'}, next: done}
  done: {type: end}
",
    );
    let reason = "`a` is declared as integer, but got \"many\"";
    run.takes(start(), failed("set", reason), Expected { steps: &["set"], ..Expected::default() });
}

const BRANCH: &str = "
start: which
vars: {n: {type: integer}}
steps:
  which:
    type: branch
    cases: [{if: n > 10, next: many}, {if: n > 5, next: some}]
    else: few
  many: {type: end, outcome: many}
  some: {type: end, outcome: some}
  few: {type: end, outcome: few}
";

#[test]
fn the_first_true_case_wins() {
    for (n, steps, outcome) in [
        (11, &["which>cases/0", "many"], "many"),
        (6, &["which>cases/1", "some"], "some"),
        (5, &["which>else", "few"], "few"),
    ] {
        let mut run = Run::of(BRANCH);
        let vars = Some(json!({"n": n}));
        let expected = Expected { steps, vars, ..Expected::default() };
        run.takes(start_with(json!({"n": n})), completed(outcome), expected);
    }
}

#[test]
fn a_condition_that_cannot_be_computed_fails_the_task() {
    let run = Run::started(&BRANCH.replace("n > 10", "n + 1 > 10"));
    let (step, reason) = run.failed_with();
    assert_eq!(step, "which");
    assert!(reason.starts_with("`if: n + 1 > 10`: "), "{reason}");
}

#[test]
fn record_lands_a_row_and_notify_tells_somebody() {
    let mut run = Run::of(
        "
start: land
vars: {days: {type: integer, default: 3}}
steps:
  land:
    type: record
    table: leaves
    row: {who: '{{ contact.id }}', days: '{{ days }}', ok: true}
    next: tell
  tell:
    type: notify
    connection: slack
    to: '#{{ contact.name }}'
    text: '{{ days }} days'
    next: also
  also: {type: notify, to: boss, text: Hi, next: done}
  done: {type: end}
",
    );
    let row = object(json!({"who": "u-42", "days": 3, "ok": true}));
    let effects = vec![
        Effect::Record { id: run.row(1), table: "leaves".into(), row },
        Effect::Notify {
            id: run.message(2),
            connection: Some("slack".into()),
            to: "#Mei".into(),
            content: Content::text("3 days"),
        },
        Effect::Notify {
            id: run.message(3),
            connection: None,
            to: "boss".into(),
            content: Content::text("Hi"),
        },
    ];
    let steps = &["land>next", "tell>next", "also>next", "done"];
    run.takes(start(), completed("completed"), Expected { steps, effects, ..Expected::default() });
}

#[test]
fn nobody_to_tell_fails_the_task() {
    let run = Run::started(
        "
start: tell
vars: {who: {type: string, default: ''}}
steps:
  tell: {type: notify, to: ' {{ who }}', text: Hi, next: done}
  done: {type: end}
",
    );
    assert_eq!(run.failed_with(), ("tell", "`to` is empty; name whom to tell"));
}

#[test]
fn a_template_that_cannot_be_computed_fails_the_task_with_its_reason() {
    for step in [
        "{type: say, text: '{{ n / 0 }}', next: done}",
        "{type: say, text: '{{ contact.nmae }}', next: done}",
        "{type: set, vars: {n: '{{ missing }}'}, next: done}",
        "{type: record, table: t, row: {a: '{{ missing }}'}, next: done}",
        "{type: notify, to: '{{ missing }}', text: Hi, next: done}",
        "{type: call, request: {url: 'https://x/{{ missing }}'}, next: done}",
        "{type: wait, for: '{{ missing }}', next: done}",
        "{type: start, flow: other, vars: {a: '{{ missing }}'}, next: done}",
        "{type: each, items: '{{ missing }}', flow: other, next: done}",
        "{type: handoff, queue: hr, summary: '{{ missing }}', next: done}",
        "{type: ask, text: '{{ missing }}', into: n, next: done}",
        "{type: end, outcome: '{{ missing }}'}",
        "{type: end, result: {a: '{{ missing }}'}}",
    ] {
        let mut run = Run::of(&format!(
            "
start: bad
vars: {{n: {{type: integer, default: 1}}}}
steps:
  bad: {step}
  done: {{type: end}}
"
        ));
        let entry = run.go(start());
        assert_eq!(run.failed_with().0, "bad", "{step}");
        assert!(!run.failed_with().1.is_empty(), "{step}");
        assert_eq!(entry.effects, vec![], "{step}");
    }
}

#[test]
fn the_end_tells_a_parent_that_waits() {
    let flow = "
start: done
steps:
  done: {type: end, outcome: fine, result: 7}
";
    let new = NewTask { parent: Some(parent()), ..new_task() };
    let mut run = Run::with(flow, new);
    let effects = vec![Effect::TellParent {
        parent: parent(),
        completed: true,
        outcome: "fine".into(),
        result: json!(7),
    }];
    let status = Status::Completed { outcome: "fine".into(), result: json!(7) };
    run.takes(start(), status, Expected { steps: &["done"], effects, ..Expected::default() });

    let detached = Parent { waits: false, ..parent() };
    let mut run = Run::with(flow, NewTask { parent: Some(detached), ..new_task() });
    assert_eq!(run.go(start()).effects, vec![]);
}

#[test]
fn a_failure_tells_a_parent_that_waits() {
    let new = NewTask { parent: Some(parent()), ..new_task() };
    let mut run = Run::with(
        "
start: bad
steps:
  bad: {type: say, text: '{{ 1 / 0 }}', next: done}
  done: {type: end}
",
        new,
    );
    let entry = run.go(start());
    let reason = run.failed_with().1;
    let tell = Effect::TellParent {
        parent: parent(),
        completed: false,
        outcome: "failed".into(),
        result: json!({"reason": reason}),
    };
    assert_eq!(entry.effects, vec![tell]);
}

const START: &str = "
start: done
vars: {days: {type: integer}, reason: {type: string, default: none}}
steps:
  done: {type: end, outcome: '{{ reason }}'}
";

#[test]
fn the_variables_of_a_start_are_checked_and_converted() {
    let mut run = Run::of(START);
    let body = EventBody::Started {
        vars: object(json!({"days": "3", "reason": true})),
        input: json!("請假"),
    };
    run.takes(
        body,
        completed("true"),
        Expected {
            steps: &["done"],
            vars: Some(json!({"days": 3, "reason": "true"})),
            input: Some(json!("請假")),
            ..Expected::default()
        },
    );
    let run = Run::of(START);
    let refused = run.refuses(start_with(json!({"dayz": 3, "days": "many", "x": 1})));
    let Refused::Invalid(why) = refused else { panic!("{refused:?}") };
    let first = "`dayz` is not a variable of the flow; did you mean `days`?; `days` must be ";
    assert!(why.starts_with(first), "{why}");
    assert!(why.ends_with("; `x` is not a variable of the flow"), "{why}");
}
