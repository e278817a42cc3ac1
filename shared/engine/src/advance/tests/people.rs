//! `handoff`, and what operators may do.

use super::*;

const HANDOFF: &str = "
start: human
vars: {reason: {type: string, default: ill}}
steps:
  human:
    type: handoff
    queue: hr
    text: A colleague will answer you
    summary: 'Leave of {{ contact.name }}: {{ reason }}'
    resolutions: [approved, refused]
    into: decision
    timeout: {after: 2d, next: late}
    next: done
  done: {type: end, outcome: '{{ decision.resolution }}'}
  late: {type: end, outcome: late}
";

fn human(queue: &str, assignee: Option<&str>) -> Wait {
    Wait::Human { queue: queue.into(), assignee: assignee.map(str::to_owned) }
}

fn resolve(resolution: &str) -> EventBody {
    let note = Some("ok".into());
    by_operator(OperatorAction::Resolve { resolution: resolution.into(), note })
}

fn assign(queue: Option<&str>, assignee: Option<&str>) -> EventBody {
    let (queue, assignee) = (queue.map(str::to_owned), assignee.map(str::to_owned));
    by_operator(OperatorAction::Assign { queue, assignee })
}

fn operator_says(text: &str) -> EventBody {
    by_operator(OperatorAction::Say { content: Content::text(text) })
}

#[test]
fn a_handoff_tells_both_sides_and_waits() {
    let mut run = Run::of(HANDOFF);
    let effects = vec![
        run.send(1, "A colleague will answer you"),
        Effect::Assign {
            queue: "hr".into(),
            assignee: None,
            summary: Some("Leave of Mei: ill".into()),
        },
        run.set_timer(TimerName::Timeout, "2d"),
    ];
    let status = run.waits_with("human", human("hr", None), &[TimerName::Timeout]);
    run.takes(start(), status, Expected { steps: &["human"], effects, ..Expected::default() });
}

#[test]
fn messages_flow_both_ways_until_it_is_resolved() {
    let mut run = Run::started(HANDOFF);
    run.later("1m");
    let status = run.still(human("hr", None));
    let input = Some(json!("Hello?"));
    run.takes(says("Hello?"), status.clone(), Expected { input, ..Expected::default() });
    let said = Effect::Send {
        id: run.message(1),
        content: Content::text("One moment"),
        by: Some("ana".into()),
    };
    let expected = Expected { effects: vec![said], ..Expected::default() };
    run.takes(operator_says("One moment"), status, expected);
    run.takes(
        resolve("approved"),
        completed("approved"),
        Expected {
            steps: &["human>next", "done"],
            vars: Some(json!({
                "decision": {"resolution": "approved", "note": "ok", "by": "ana"},
            })),
            effects: vec![cancels(TimerName::Timeout, 1)],
            ..Expected::default()
        },
    );
}

#[test]
fn a_handoff_is_assigned_and_moved() {
    let mut run = Run::started(HANDOFF);
    for (body, queue, assignee) in [
        (assign(None, Some("ana")), "hr", Some("ana")),
        (assign(Some("it"), None), "it", None),
        (assign(Some("hr"), Some("bo")), "hr", Some("bo")),
    ] {
        let effect = Effect::Assign {
            queue: queue.into(),
            assignee: assignee.map(str::to_owned),
            summary: None,
        };
        let status = run.still(human(queue, assignee));
        run.takes(body, status, Expected { effects: vec![effect], ..Expected::default() });
    }
}

#[test]
fn what_does_not_fit_a_handoff_is_refused() {
    let run = Run::started(HANDOFF);
    let why = "`maybe` is not a resolution of this step; use one of approved, refused";
    assert_eq!(run.refuses(resolve("maybe")), Refused::Invalid(why.into()));
    let why = "the message is empty; write a text";
    assert_eq!(run.refuses(operator_says(" ")), Refused::Invalid(why.into()));
}

#[test]
fn nobody_resolves_it() {
    let mut run = Run::started(HANDOFF);
    let expected = Expected { steps: &["human>timeout", "late"], ..Expected::default() };
    run.takes(fires(TimerName::Timeout, 1), completed("late"), expected);
}

const ASK: &str = "
start: ask
timeout: {after: 7d, outcome: gone}
vars: {name: {type: string}}
steps:
  ask: {type: ask, text: Name?, into: name, remind: {after: 1h, text: Well?}, next: done}
  done: {type: end}
";

#[test]
fn cancelling_clears_all_timers_and_tells_the_parent() {
    let mut run = Run::with(ASK, NewTask { parent: Some(parent()), ..new_task() });
    run.go(start());
    let tell = Effect::TellParent {
        parent: parent(),
        completed: false,
        outcome: "cancelled".into(),
        result: Value::Null,
    };
    let effects = vec![cancels(TimerName::Remind, 1), cancels(TimerName::Expiry, 0), tell];
    let steps = &["ask>cancelled"];
    run.takes(cancel(), cancelled(), Expected { steps, effects, ..Expected::default() });
    assert_eq!(run.task.ended_at, Some(run.now));
}

#[test]
fn a_task_that_has_not_begun_can_be_cancelled() {
    let mut run = Run::of(ASK);
    run.takes(cancel(), cancelled(), Expected::default());
}

#[test]
fn a_whole_task_expires() {
    let mut run = Run::of(ASK);
    let effects =
        vec![run.expiry("7d"), run.send(1, "Name?"), run.set_timer(TimerName::Remind, "1h")];
    let status = run.waits_with("ask", reply(), &[TimerName::Remind]);
    run.takes(start(), status, Expected { steps: &["ask"], effects, ..Expected::default() });
    run.later("7d");
    let effects = vec![cancels(TimerName::Remind, 1)];
    let expected = Expected { steps: &["ask>expired"], effects, ..Expected::default() };
    let status = Status::Expired { outcome: "gone".into() };
    run.takes(fires(TimerName::Expiry, 0), status, expected);
    assert_eq!(run.refuses(fires(TimerName::Expiry, 0)), Refused::Ended("expired"));
}

#[test]
fn expiry_cancels_children_and_tells_the_parent() {
    let flow = "
start: child
timeout: {after: 1h}
steps:
  child: {type: start, flow: hotel, next: done}
  done: {type: end}
";
    let mut run = Run::with(flow, NewTask { parent: Some(parent()), ..new_task() });
    let id = run.child(1);
    run.go(start());
    let tell = Effect::TellParent {
        parent: parent(),
        completed: false,
        outcome: "expired".into(),
        result: Value::Null,
    };
    let effects = vec![Effect::CancelTask { id }, tell];
    let expected = Expected { steps: &["child>expired"], effects, ..Expected::default() };
    let status = Status::Expired { outcome: "expired".into() };
    run.takes(fires(TimerName::Expiry, 0), status, expected);
}

#[test]
fn a_retry_enters_the_failed_step_again_with_a_new_clock() {
    let mut run = Run::of(
        "
start: first
timeout: {after: 7d}
vars: {rows: {type: any}, reprompts: {type: integer}}
steps:
  first: {type: say, text: Hello, next: ask}
  ask: {type: ask, text: How many?, into: reprompts, reprompt: {times: 0}, next: done}
  done: {type: end}
",
    );
    run.go(start());
    let entry = run.go(says("x"));
    assert_eq!(entry.effects, vec![cancels(TimerName::Expiry, 0)]);
    assert_eq!(run.failed_with().0, "ask");
    assert_eq!(run.task.ended_at, Some(run.now));
    run.later("1d");
    let effects = vec![run.expiry("7d"), run.send(1, "How many?")];
    let status = run.waits("ask", reply());
    run.takes(retry(), status, Expected { steps: &["ask"], effects, ..Expected::default() });
    assert_eq!(run.task.ended_at, None);
    let expected = Expected {
        steps: &["ask>next", "done"],
        vars: Some(json!({"reprompts": 2})),
        input: Some(json!("2")),
        effects: vec![cancels(TimerName::Expiry, 0)],
        ..Expected::default()
    };
    run.takes(says("2"), completed("completed"), expected);
}

fn migrate() -> EventBody {
    by_operator(OperatorAction::Migrate { version: 4 })
}

#[test]
fn a_waiting_task_moves_to_another_version() {
    let mut run = Run::started(ASK);
    run.flow = flow_of(
        "
start: hello
timeout: {after: 3d, outcome: gone}
vars: {name: {type: any}, age: {type: integer, default: 18}}
steps:
  hello: {type: say, text: Hi, next: ask}
  ask: {type: ask, text: Your name?, into: name, next: done}
  done: {type: end, outcome: '{{ name }} {{ age }}'}
",
    );
    run.later("1h");
    let due = run.task.created_at + span("3d");
    let effects = vec![Effect::SetTimer { name: TimerName::Expiry, entered: 0, due }];
    let (status, vars) = (run.task.status.clone(), Some(json!({"age": 18})));
    let expected = Expected { vars, effects, version: Some(4), ..Expected::default() };
    run.takes(migrate(), status, expected);
    // The reminder of the old version has no text in the new one.
    assert_eq!(run.refuses(fires(TimerName::Remind, 1)), Refused::StaleTimer);
    let entry = run.go(says("Mei"));
    assert_eq!(entry.status, completed("Mei 18"));
    let timers = vec![cancels(TimerName::Remind, 1), cancels(TimerName::Expiry, 0)];
    assert_eq!(entry.effects, timers);
}

#[test]
fn a_version_without_a_timeout_takes_the_old_one_back() {
    let mut run = Run::started(ASK);
    run.flow = flow_of(&ASK.replace("timeout: {after: 7d, outcome: gone}\n", ""));
    let entry = run.go(migrate());
    assert_eq!(entry.effects, vec![cancels(TimerName::Expiry, 0)]);
    assert_eq!(run.refuses(fires(TimerName::Expiry, 0)), Refused::StaleTimer);
}

#[test]
fn a_version_that_does_not_fit_is_refused() {
    for (flow, why) in [
        (
            ASK.replace("start: ask", "start: other").replace("  ask:", "  other:"),
            "it has no step `ask`",
        ),
        (
            ASK.replace(
                "{type: ask, text: Name?, into: name, remind: {after: 1h, text: Well?}",
                "{type: say, text: Hi",
            ),
            "its step `ask` is a `say` there",
        ),
        (ASK.replace("name: {type: string}", "name: {type: integer}"), "`name` is a integer there"),
        (
            ASK.replace(
                "vars: {",
                &format!("vars: {{big: {{default: {}, type: any}}, ", "x".repeat(400_000)),
            ),
            "with the defaults of its variables the task is too large",
        ),
    ] {
        let mut run = Run::of(
            &ASK.replace("name: {type: string}", "name: {type: string}, more: {type: any}"),
        );
        run.go(start_with(json!({"name": "Mei", "more": "y".repeat(200_000)})));
        run.flow = flow_of(&flow);
        let refused = Refused::CannotMigrate { version: 4, why: why.into() };
        assert_eq!(run.refuses(migrate()), refused);
    }
}
