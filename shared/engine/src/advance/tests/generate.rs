//! Random flows that are well formed, and random things that happen to them.

use proptest::prelude::*;

use super::*;
use crate::task::Batch;

/// One thing that happens, before it is known what the task waits for.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Start(u8),
    Say(String),
    Press {
        index: usize,
        stale: bool,
    },
    Fire {
        name: TimerName,
        stale: bool,
    },
    Answer {
        status: u16,
        body: Value,
        fails: bool,
        stale: bool,
    },
    External {
        data: Value,
        stale: bool,
    },
    ChildEnds {
        place: usize,
        completed: bool,
        result: Value,
        stale: bool,
    },
    Focus,
    Operate(OperatorAction),
    /// Whatever the task waits for comes, so that runs get far.
    Fitting(u8),
}

const TEMPLATES: [&str; 12] = [
    "plain",
    "{{ a + 1 }}",
    "{{ a }}",
    "{{ b }}",
    "Hi {{ contact.id }} {{ b }}",
    "{{ l }}",
    "{{ l|length }}",
    "{{ today() }}",
    "{{ now() }}",
    "{{ any }}",
    "{{ missing }}",
    "{{ a / 0 }}",
];

fn template() -> impl Strategy<Value = Value> {
    // Most are harmless, or few tasks would get anywhere.
    prop_oneof![
        8 => (0..10usize).prop_map(|at| json!(TEMPLATES[at])),
        1 => (0..TEMPLATES.len()).prop_map(|at| json!(TEMPLATES[at])),
        3 => (-2..100i64).prop_map(|number| json!(number)),
    ]
}

fn id(at: usize) -> String {
    format!("s{at}")
}

/// Where a step of a flow of `size` steps leads: mostly on, at times back.
fn target(at: usize, size: usize) -> impl Strategy<Value = usize> {
    prop_oneof![12 => at + 1..size, 1 => 0..size]
}

fn text() -> impl Strategy<Value = String> {
    let some = ["3", "yes", "2026-11-30", "A", "２", "x", "", "1, 2", "請假", "mei@example.com"];
    prop_oneof![
        4 => proptest::sample::select(some.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
    ]
}

fn choices() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!([])),
        Just(json!(["A", "B"])),
        Just(json!([{"label": "A", "value": 1}, 2, "x"])),
        Just(json!("{{ l }}")),
    ]
}

fn var() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["a", "b", "l", "d", "any"])
}

/// Mostly one that takes any value.
fn assigned() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("any"), 1 => var()]
}

fn ask(at: usize, size: usize) -> impl Strategy<Value = Value> {
    let expect = proptest::sample::select(vec![
        json!(null),
        json!({"type": "integer", "min": 1, "max": "{{ 5 }}"}),
        json!({"type": "string", "min_length": 1}),
        json!({"type": "choice"}),
        json!({"type": "choice", "several": true}),
        json!({"type": "date"}),
    ]);
    let exits = (target(at, size), target(at, size), target(at, size), 0..3u32);
    let extras = (any::<bool>(), any::<bool>(), any::<bool>());
    (template(), var(), expect, choices(), exits, extras).prop_map(
        |(prompt, into, expect, choices, (next, then, late, times), (reprompt, remind, out))| {
            let mut step = json!({
                "type": "ask", "text": prompt.to_string(), "into": into, "choices": choices,
                "next": id(next), "expect": expect,
            });
            if reprompt {
                step["reprompt"] = json!({"times": times, "text": "?", "then": id(then)});
            }
            if remind {
                step["remind"] = json!({"after": "1h", "text": "Well?", "times": times.max(1)});
            }
            if out {
                step["timeout"] = json!({"after": "2h", "next": id(late)});
            }
            step
        },
    )
}

fn outside(at: usize, size: usize) -> impl Strategy<Value = Value> {
    prop_oneof![
        (template(), target(at, size), proptest::option::of(target(at, size))).prop_map(
            |(body, next, error)| json!({
                "type": "call", "request": {"url": "https://example.com", "json": body},
                "into": "answer", "next": id(next), "on_error": error.map(id),
            })
        ),
        (target(at, size), proptest::sample::select(vec!["1h", "0s", "{{ b }}"]))
            .prop_map(|(next, span)| json!({"type": "wait", "for": span, "next": id(next)})),
        (target(at, size), target(at, size)).prop_map(|(next, late)| json!({
            "type": "wait", "event": {"type": "paid", "key": "k-{{ a }}"}, "into": "paid",
            "timeout": {"after": "1d", "next": id(late)}, "next": id(next),
        })),
        (target(at, size), template()).prop_map(|(next, to)| json!({
            "type": "notify", "to": to.to_string(), "text": "Hi", "next": id(next),
        })),
        (target(at, size), template()).prop_map(|(next, value)| json!({
            "type": "record", "table": "t", "row": {"x": value}, "next": id(next),
        })),
        (target(at, size), target(at, size), template()).prop_map(|(next, late, text)| json!({
            "type": "handoff", "queue": "hr", "text": text.to_string(), "into": "decided",
            "timeout": {"after": "1d", "next": id(late)}, "next": id(next),
        })),
    ]
}

fn children(at: usize, size: usize) -> impl Strategy<Value = Value> {
    prop_oneof![
        (target(at, size), proptest::option::of(target(at, size)), any::<bool>(), template())
            .prop_map(|(next, error, waits, value)| json!({
                "type": "start", "flow": "other", "mode": if waits { "wait" } else { "detach" },
                "vars": {"x": value}, "into": "child", "next": id(next),
                "on_error": error.map(id),
            })),
        (target(at, size), proptest::option::of(target(at, size)), 1..4u32, template()).prop_map(
            |(next, error, parallel, value)| json!({
                "type": "each", "items": "{{ l }}", "flow": "other", "parallel": parallel,
                "vars": {"x": "{{ item }}", "y": value}, "into": "children", "next": id(next),
                "on_error": error.map(id),
            })
        ),
    ]
}

fn step(at: usize, size: usize) -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => (template(), choices(), target(at, size)).prop_map(|(text, choices, next)| json!({
            "type": "say", "text": text.to_string(), "next": id(next),
            "choices": if choices.is_array() { choices } else { json!([]) },
        })),
        3 => ask(at, size),
        1 => (assigned(), template(), target(at, size)).prop_map(|(name, value, next)| json!({
            "type": "set", "vars": {name: value}, "next": id(next),
        })),
        1 => (target(at, size), target(at, size)).prop_map(|(case, other)| json!({
            "type": "branch", "cases": [{"if": "a > 0", "next": id(case)}], "else": id(other),
        })),
        4 => outside(at, size),
        2 => children(at, size),
    ]
}

/// A flow of two to eight steps, the last of which is an end.
pub(super) fn flows() -> impl Strategy<Value = Flow> {
    (2..8usize)
        .prop_flat_map(|size| {
            let steps: Vec<_> = (0..size - 1).map(|at| step(at, size).boxed()).collect();
            (steps, template(), any::<bool>(), 0..2i64)
        })
        .prop_map(|(steps, result, expires, a)| {
            let mut all = serde_json::Map::new();
            let last = steps.len();
            for (at, step) in steps.into_iter().enumerate() {
                all.insert(id(at), step);
            }
            all.insert(id(last), json!({"type": "end", "result": result}));
            let flow = json!({
                "flow": "random", "start": "s0", "steps": all, "label": "{{ a }} {{ b }}",
                "timeout": if expires { json!({"after": "7d"}) } else { Value::Null },
                "vars": {
                    "a": {"type": "integer", "default": a},
                    "b": {"type": "string", "default": "1h"},
                    "l": {"type": "list", "default": [1, "two", {"label": "3"}]},
                    "d": {"type": "date"},
                    "any": {"type": "any"},
                },
            });
            flow::from_value(flow).unwrap_or_else(|problems| panic!("{problems:?}"))
        })
}

fn timer() -> impl Strategy<Value = TimerName> {
    use TimerName::{Due, Expiry, Remind, Timeout};
    proptest::sample::select(vec![Due, Remind, Timeout, Expiry])
}

fn action() -> impl Strategy<Value = OperatorAction> {
    prop_oneof![
        1 => Just(OperatorAction::Cancel { reason: "no".into() }),
        4 => Just(OperatorAction::Retry),
        2 => proptest::option::of("[a-z]{0,3}")
            .prop_map(|queue| OperatorAction::Assign { queue, assignee: None }),
        2 => text().prop_map(|said| OperatorAction::Say { content: Content::text(said) }),
        2 => text().prop_map(|resolution| OperatorAction::Resolve { resolution, note: None }),
        2 => (1..9u32).prop_map(|version| OperatorAction::Migrate { version }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let rarely = || proptest::bool::weighted(0.1);
    prop_oneof![
        1 => (0..4u8).prop_map(Act::Start),
        4 => text().prop_map(Act::Say),
        2 => (0..4usize, rarely()).prop_map(|(index, stale)| Act::Press { index, stale }),
        2 => (timer(), rarely()).prop_map(|(name, stale)| Act::Fire { name, stale }),
        2 => (200..600u16, template(), any::<bool>(), rarely()).prop_map(
            |(status, body, fails, stale)| Act::Answer { status, body, fails, stale }
        ),
        2 => (template(), rarely()).prop_map(|(data, stale)| Act::External { data, stale }),
        3 => (0..4usize, any::<bool>(), template(), rarely()).prop_map(
            |(place, completed, result, stale)| Act::ChildEnds { place, completed, result, stale }
        ),
        1 => Just(Act::Focus),
        2 => action().prop_map(Act::Operate),
        12 => any::<u8>().prop_map(Act::Fitting),
    ]
}

/// What happens, each with the minutes that pass before; the clock may go backwards.
pub(super) fn acts() -> impl Strategy<Value = Vec<(Act, i64)>> {
    let minutes = prop_oneof![9 => 0..300i64, 1 => -300..0i64];
    proptest::collection::vec((act(), minutes), 1..40).prop_map(|mut acts| {
        acts.insert(0, (Act::Start(0), 0));
        acts
    })
}

/// The event that an act is for a task as it stands.
pub(super) fn body(task: &Task, act: &Act) -> EventBody {
    let entered = match &task.status {
        Status::Waiting { entered, .. } => *entered,
        _ => 0,
    };
    match act {
        Act::Start(variant) => start_with(match variant {
            1 => json!({"a": "7"}),
            2 => json!({"a": "many"}),
            3 => json!({"unknown": 1}),
            _ => json!({}),
        }),
        Act::Say(text) => says(text),
        Act::Press { index, stale } => presses(entered + u64::from(*stale), *index),
        Act::Fire { name: TimerName::Expiry, .. } => fires(TimerName::Expiry, 0),
        Act::Fire { name, stale } => fires(*name, entered + u64::from(*stale)),
        Act::Answer { status, body, fails, stale } => {
            let call = match &task.status {
                Status::Waiting { on: Wait::Call { call }, .. } if !stale => call.clone(),
                _ => CallId::from("call_other"),
            };
            let headers = Vars::new();
            let result = if *fails {
                CallResult::Failed { reason: "no route".into() }
            } else {
                CallResult::Answer { status: *status, headers, body: body.clone() }
            };
            EventBody::Answered { call, result }
        }
        Act::External { data, stale } => {
            let key = match &task.status {
                Status::Waiting { on: Wait::Event { key, .. }, .. } if !stale => key.clone(),
                _ => "other".into(),
            };
            EventBody::External { event_type: "paid".into(), key, data: data.clone() }
        }
        Act::ChildEnds { place, completed, result, stale } => {
            let open = task.open_children();
            let child = open.get(*place).or(open.first()).filter(|_| !stale).cloned();
            EventBody::ChildEnded {
                child: child.unwrap_or_else(|| TaskId::from("task_other")),
                completed: *completed,
                outcome: if *completed { "completed" } else { "failed" }.into(),
                result: result.clone(),
            }
        }
        Act::Focus => EventBody::Focused,
        Act::Operate(action) => by_operator(action.clone()),
        Act::Fitting(choice) => fitting(task, *choice),
    }
}

fn fitting(task: &Task, choice: u8) -> EventBody {
    let with = |act| body(task, &act);
    let stale = false;
    let Status::Waiting { on, timers, .. } = &task.status else { return retry() };
    if let (Some(name), true) = (timers.get(usize::from(choice % 4)), choice.is_multiple_of(5)) {
        return with(Act::Fire { name: *name, stale });
    }
    match on {
        Wait::Reply { offered, .. } if !offered.is_empty() => {
            with(Act::Press { index: usize::from(choice) % offered.len(), stale })
        }
        Wait::Reply { .. } => says(["3", "2026-11-30", "yes"][usize::from(choice) % 3]),
        Wait::Timer { .. } => with(Act::Fire { name: TimerName::Due, stale }),
        Wait::Call { .. } => {
            with(Act::Answer { status: 200, body: json!({"ok": 1}), fails: choice > 200, stale })
        }
        Wait::Event { .. } => with(Act::External { data: json!({"n": 1}), stale }),
        Wait::Child { .. } | Wait::Children(Batch { .. }) => with(Act::ChildEnds {
            place: usize::from(choice % 3),
            completed: choice < 200,
            result: json!(choice),
            stale,
        }),
        Wait::Human { .. } => {
            by_operator(OperatorAction::Resolve { resolution: "ok".into(), note: None })
        }
    }
}
