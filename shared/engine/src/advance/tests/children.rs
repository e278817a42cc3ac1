//! `start` and `each`.

use super::*;
use crate::task::Batch;

const START: &str = "
start: child
vars: {city: {type: string, default: Taipei}}
steps:
  child:
    type: start
    flow: hotel
    vars: {where: '{{ city }}', nights: 2}
    contact: 'boss-{{ contact.id }}'
    into: booked
    next: done
    on_error: broken
  done: {type: end, result: '{{ booked.result }}'}
  broken: {type: end, outcome: '{{ booked.outcome }}'}
";

/// The parent that a child of the task under test gets.
fn this(waits: bool) -> Parent {
    Parent {
        task: TaskId::from("task_1"),
        conversation: ConversationId::of("demo", "u-42"),
        waits,
        depth: 1,
    }
}

fn starts(id: TaskId, vars: Value, contact: Option<&str>, waits: bool) -> Effect {
    let (flow, contact) = ("hotel".into(), contact.map(str::to_owned));
    Effect::StartTask { id, flow, vars: object(vars), contact, parent: this(waits) }
}

#[test]
fn a_child_starts_and_the_task_waits_for_it() {
    let mut run = Run::of(START);
    let id = run.child(1);
    let vars = json!({"where": "Taipei", "nights": 2});
    let effects = vec![starts(id.clone(), vars, Some("boss-u-42"), true)];
    let status = run.waits("child", Wait::Child { child: id.clone() });
    run.takes(start(), status, Expected { steps: &["child"], effects, ..Expected::default() });
    run.takes(
        child_ends(&id, "booked", json!("H-7")),
        Status::Completed { outcome: "completed".into(), result: json!("H-7") },
        Expected {
            steps: &["child>next", "done"],
            vars: Some(json!({"booked": {"task": id, "outcome": "booked", "result": "H-7"}})),
            ..Expected::default()
        },
    );
}

#[test]
fn a_child_that_does_not_complete_is_an_error() {
    for outcome in ["failed", "cancelled", "expired"] {
        let mut run = Run::of(START);
        let id = run.child(1);
        run.go(start());
        let vars = Some(json!({"booked": {"task": id, "outcome": outcome, "result": null}}));
        let steps = &["child>on_error", "broken"];
        let expected = Expected { steps, vars, ..Expected::default() };
        run.takes(child_ends(&id, outcome, Value::Null), completed(outcome), expected);
    }
}

#[test]
fn an_error_of_a_child_without_a_way_out_fails_the_task() {
    let mut run = Run::of(&START.replace("    on_error: broken\n", ""));
    let id = run.child(1);
    run.go(start());
    run.go(child_ends(&id, "failed", Value::Null));
    assert_eq!(run.failed_with(), ("child", "the child `hotel` ended as failed"));
}

#[test]
fn the_end_of_another_child_is_stale() {
    let run = Run::started(START);
    let other = TaskId::from("task_other");
    assert_eq!(run.refuses(child_ends(&other, "booked", Value::Null)), Refused::Stale);
}

#[test]
fn a_detached_child_is_not_waited_for() {
    let mut run = Run::of(
        "
start: child
steps:
  child: {type: start, flow: hotel, mode: detach, contact: ' ', into: booked, next: done}
  done: {type: end}
",
    );
    let id = run.child(1);
    let vars = Some(json!({"booked": {"task": id, "outcome": null, "result": null}}));
    let effects = vec![starts(id, json!({}), None, false)];
    let steps = &["child>next", "done"];
    let expected = Expected { steps, vars, effects, ..Expected::default() };
    run.takes(start(), completed("completed"), expected);
}

#[test]
fn tasks_start_tasks_only_so_deep() {
    let deep = Parent { depth: 16, waits: false, ..parent() };
    let mut run = Run::with(START, NewTask { parent: Some(deep), ..new_task() });
    run.go(start());
    assert_eq!(run.failed_with(), ("child", "tasks start tasks 16 deep; flatten the flows"));
}

const EACH: &str = "
start: each
vars: {cities: {type: list, default: [Taipei, Tokyo, Osaka]}}
steps:
  each:
    type: each
    items: '{{ cities }}'
    flow: hotel
    vars: {where: '{{ item }}', place: '{{ index + 1 }}'}
    parallel: 2
    into: booked
    next: done
    on_error: broken
  done: {type: end}
  broken: {type: end, outcome: broken}
";

fn batch(next: usize, open: Vec<(usize, TaskId)>, results: Vec<Option<Value>>) -> Batch {
    let items = vec![json!("Taipei"), json!("Tokyo"), json!("Osaka")];
    Batch { items, next, open, results, failed: false }
}

fn result(task: &TaskId, outcome: &str, result: &Value) -> Value {
    json!({"task": task, "outcome": outcome, "result": result})
}

/// A run in which the first two children have been started.
fn two_started() -> (Run, TaskId, TaskId) {
    let mut run = Run::of(EACH);
    let (first, second) = (run.child(1), run.child(2));
    let effects = vec![
        starts(first.clone(), json!({"where": "Taipei", "place": 1}), None, true),
        starts(second.clone(), json!({"where": "Tokyo", "place": 2}), None, true),
    ];
    let open = vec![(0, first.clone()), (1, second.clone())];
    let status = run.waits("each", Wait::Children(batch(2, open, vec![None; 3])));
    run.takes(start(), status, Expected { steps: &["each"], effects, ..Expected::default() });
    (run, first, second)
}

#[test]
fn each_runs_so_many_at_a_time_and_collects_in_item_order() {
    let (mut run, first, second) = two_started();
    // The second ends first; the third takes its place.
    let third = run.child(1);
    let booked = result(&second, "booked", &json!(2));
    let open = vec![(0, first.clone()), (2, third.clone())];
    let status = run.still(Wait::Children(batch(3, open, vec![None, Some(booked.clone()), None])));
    let effects = vec![starts(third.clone(), json!({"where": "Osaka", "place": 3}), None, true)];
    let expected = Expected { effects, ..Expected::default() };
    run.takes(child_ends(&second, "booked", json!(2)), status, expected);

    let osaka = result(&third, "booked", &json!(3));
    let results = vec![None, Some(booked.clone()), Some(osaka.clone())];
    let status = run.still(Wait::Children(batch(3, vec![(0, first.clone())], results)));
    run.takes(child_ends(&third, "booked", json!(3)), status, Expected::default());
    assert_eq!(run.refuses(child_ends(&third, "booked", json!(3))), Refused::Stale);

    let taipei = result(&first, "full", &Value::Null);
    let vars = Some(json!({"booked": [taipei, booked, osaka]}));
    let steps = &["each>next", "done"];
    let expected = Expected { steps, vars, ..Expected::default() };
    run.takes(child_ends(&first, "full", Value::Null), completed("completed"), expected);
}

#[test]
fn one_child_that_fails_leads_to_on_error_after_all_have_ended() {
    let (mut run, first, second) = two_started();
    let third = run.child(1);
    run.go(child_ends(&first, "failed", Value::Null));
    run.go(child_ends(&second, "booked", Value::Null));
    let entry = run.go(child_ends(&third, "booked", Value::Null));
    assert_eq!(entry.status, completed("broken"));
    let steps: Vec<String> = entry.steps.iter().map(shown).collect();
    assert_eq!(steps, ["each>on_error", "broken"]);
}

#[test]
fn without_on_error_a_failed_child_leads_on() {
    let mut run = Run::of(&EACH.replace("    on_error: broken\n", ""));
    let (first, second) = (run.child(1), run.child(2));
    run.go(start());
    let third = run.child(1);
    for child in [first, second, third] {
        run.go(child_ends(&child, "failed", Value::Null));
    }
    assert_eq!(run.task.status, completed("completed"));
}

#[test]
fn no_item_is_no_child() {
    let mut run = Run::of(EACH);
    let vars = Some(json!({"cities": [], "booked": []}));
    let steps = &["each>next", "done"];
    let expected = Expected { steps, vars, ..Expected::default() };
    run.takes(start_with(json!({"cities": []})), completed("completed"), expected);
}

#[test]
fn items_are_a_list_of_at_most_a_thousand() {
    let mut run = Run::of(&EACH.replace("'{{ cities }}'", "'{{ contact.name }}'"));
    run.go(start());
    assert_eq!(run.failed_with(), ("each", "`items` must be of type list, not Mei"));
    let mut run = Run::of(EACH);
    run.go(start_with(json!({"cities": vec![1; 1_001]})));
    assert_eq!(run.failed_with(), ("each", "`items` has 1001 items; at most 1000"));
}

#[test]
fn a_child_that_cannot_be_started_leaves_no_other_running() {
    // The first transition starts none at all.
    let flow = EACH.replace("{{ index + 1 }}", "{{ 1 / (1 - index) }}");
    let mut run = Run::of(&flow);
    let entry = run.go(start());
    assert_eq!((run.failed_with().0, entry.effects), ("each", vec![]));
    // A later one cancels those that run.
    let flow = EACH.replace("{{ index + 1 }}", "{{ 1 / (2 - index) }}");
    let mut run = Run::of(&flow);
    let (first, second) = (run.child(1), run.child(2));
    run.go(start());
    let entry = run.go(child_ends(&first, "booked", Value::Null));
    assert_eq!(run.failed_with().0, "each");
    assert_eq!(entry.effects, vec![Effect::CancelTask { id: second }]);
}

#[test]
fn cancelling_a_task_cancels_its_children() {
    let (mut run, first, second) = two_started();
    let effects = vec![Effect::CancelTask { id: first }, Effect::CancelTask { id: second }];
    let steps = &["each>cancelled"];
    run.takes(cancel(), cancelled(), Expected { steps, effects, ..Expected::default() });

    let mut run = Run::of(START);
    let id = run.child(1);
    run.go(start());
    let effects = vec![Effect::CancelTask { id }];
    let steps = &["child>cancelled"];
    run.takes(cancel(), cancelled(), Expected { steps, effects, ..Expected::default() });
}

#[test]
fn results_that_outgrow_the_task_fail_it_and_cancel_the_rest() {
    let (mut run, first, second) = two_started();
    let entry = run.go(child_ends(&first, "booked", json!("x".repeat(300 * 1024))));
    assert_eq!(entry.effects, vec![Effect::CancelTask { id: second }]);
    let reason = "the items, results or choices of the step outgrew 256 KB; use fewer or smaller \
                  ones";
    assert_eq!(run.failed_with(), ("each", reason));
}
