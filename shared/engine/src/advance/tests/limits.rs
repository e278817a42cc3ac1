//! Everything is bounded, and ends with a reason.

use super::*;
use crate::task::VARS_BYTES_MAX;

const LOOP: &str = "
start: more
timeout: {after: 1d}
vars: {n: {type: integer, default: 0}}
steps:
  more: {type: set, vars: {n: '{{ n + 1 }}'}, next: again}
  again: {type: branch, cases: [{if: n < 1000000, next: more}], else: done}
  done: {type: end}
";

#[test]
fn a_loop_without_a_wait_fails_the_task() {
    let mut run = Run::of(LOOP);
    let entry = run.go(start());
    assert_eq!(entry.steps.len(), 1_000);
    assert_eq!((entry.effects, entry.vars_changed), (vec![], Vars::new()));
    let reason = "1000 steps ran without waiting; the flow loops, at `more` among others";
    assert_eq!(run.failed_with(), ("more", reason));
    assert_eq!(run.task.vars["n"], json!(0));
}

#[test]
fn a_loop_that_sends_reaches_nobody() {
    let mut run = Run::of(
        "
start: ask
timeout: {after: 1d}
vars: {name: {type: string}}
steps:
  ask: {type: ask, text: Name?, into: name, remind: {after: 1h, text: Well?}, next: hello}
  hello: {type: say, messages: [{text: a}, {text: b}, {text: c}], next: hello}
  done: {type: end}
",
    );
    run.go(start());
    let entry = run.go(says("Mei"));
    let cleared = vec![cancels(TimerName::Remind, 1), cancels(TimerName::Expiry, 0)];
    assert_eq!((entry.effects, entry.vars_changed), (cleared, Vars::new()));
    let reason = "more than 1000 effects in one go; add a wait";
    assert_eq!(run.failed_with(), ("ask", reason));
    assert_eq!(run.task.vars["name"], Value::Null);
}

const GROW: &str = "
start: ask
vars: {text: {type: string, default: x}, name: {type: string}, a: {type: any}, b: {type: any}}
steps:
  ask: {type: ask, text: Name?, into: name, next: grow}
  grow: {type: set, vars: {a: '{{ text }}', b: '{{ [a, text] }}'}, next: hello}
  hello: {type: say, text: Hi, next: done}
  done: {type: end}
";

#[test]
fn variables_that_outgrow_the_task_fail_it_and_stay_as_they_were() {
    let mut run = Run::of(GROW);
    run.go(start_with(json!({"text": "y".repeat(150_000)})));
    let before = run.task.vars.clone();
    let entry = run.go(says("Mei"));
    let reason = "the variables outgrew 512 KB; keep large data elsewhere and store its address";
    assert_eq!(run.failed_with(), ("ask", reason));
    assert_eq!((entry.effects, entry.vars_changed), (vec![], Vars::new()));
    assert_eq!(run.task.vars, before);
    run.go(retry());
    assert_eq!(run.task.status.waiting_for(), Some("reply"));
}

#[test]
fn variables_too_large_at_the_start_fail_the_task() {
    let mut run = Run::of(GROW);
    run.go(start_with(json!({"text": "y".repeat(VARS_BYTES_MAX)})));
    let reason = "the variables outgrew 512 KB; keep large data elsewhere and store its address";
    assert_eq!(run.failed_with(), ("ask", reason));
    assert_eq!(run.task.vars["text"], json!("x"));
}

#[test]
fn just_below_the_limit_is_fine() {
    let mut run = Run::of(GROW);
    run.go(start_with(json!({"text": "y".repeat(VARS_BYTES_MAX - 100)})));
    assert_eq!(run.task.status.waiting_for(), Some("reply"));
}

#[test]
fn an_answer_of_a_call_that_is_too_large_fails_the_task() {
    let mut run = Run::of(
        "
start: call
steps:
  call: {type: call, request: {url: 'https://example.com'}, into: answer, next: done}
  done: {type: end}
",
    );
    let id = run.call(1);
    run.go(start());
    run.go(answered(&id, 200, json!("z".repeat(VARS_BYTES_MAX))));
    assert_eq!(run.failed_with().0, "call");
    assert!(run.failed_with().1.starts_with("the variables outgrew 512 KB"));
}

#[test]
fn a_clock_that_goes_backwards_stands_still() {
    let mut run = Run::started(GROW);
    let before = run.now;
    run.now = time("2020-01-01T00:00:00Z");
    run.go(says("Mei"));
    assert_eq!(run.task.updated_at, before);
    assert_eq!(run.history[1].at, before);
    run.now = before;
    assert!(run.task.created_at <= run.task.updated_at);
}

#[test]
fn the_end_of_time_is_no_panic() {
    let mut run = Run::of(
        "
start: wait
timeout: {after: 7d}
steps:
  wait: {type: wait, for: 2h, next: done}
  done: {type: end}
",
    );
    run.now = DateTime::<Utc>::MAX_UTC;
    let entry = run.go(start());
    let due = DateTime::<Utc>::MAX_UTC;
    let timers = vec![
        Effect::SetTimer { name: TimerName::Expiry, entered: 0, due },
        Effect::SetTimer { name: TimerName::Due, entered: 1, due },
    ];
    assert_eq!(entry.effects, timers);
}

#[test]
fn a_reason_and_a_label_have_a_length() {
    let mut run = Run::of(
        "
start: each
label: '{{ text }}'
vars: {text: {type: string, default: x}}
steps:
  each: {type: each, items: '{{ text }}', flow: other, next: done}
  done: {type: end}
",
    );
    run.go(start_with(json!({"text": "界".repeat(5_000)})));
    assert_eq!(run.failed_with().1.chars().count(), 1_000);
    assert_eq!(run.task.label.chars().count(), 100);
}

#[test]
fn a_label_that_cannot_be_computed_stays() {
    let mut run = Run::of(
        "
start: done
label: '{{ 1 / n }}'
vars: {n: {type: integer, default: 0}}
steps:
  done: {type: end}
",
    );
    run.takes(
        start(),
        completed("completed"),
        Expected { steps: &["done"], ..Expected::default() },
    );
    assert_eq!(run.task.label, "Test");
}

#[test]
fn a_step_that_is_gone_fails_the_task_and_its_children_are_cancelled() {
    let mut run = Run::of(
        "
start: child
steps:
  child: {type: start, flow: hotel, next: done}
  done: {type: end}
",
    );
    let child = run.child(1);
    run.go(start());
    run.flow = flow_of("start: done\nsteps: {done: {type: end}}");
    let entry = run.go(child_ends(&child, "booked", Value::Null));
    assert_eq!(run.failed_with(), ("", "step `child` is missing from version 3"));
    assert_eq!(entry.effects, vec![]);
    run.go(retry());
    assert_eq!(run.task.status, completed("completed"));
}
