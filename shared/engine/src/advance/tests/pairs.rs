//! Every pair of a state and an event: taken, with the state it leads to, or refused, with why.

use super::*;

/// A flow with a step for every wait.
const FLOW: &str = "
start: reply
timeout: {after: 7d, outcome: gone}
vars: {name: {type: string}, to: {type: string, default: reply}}
steps:
  reply:
    type: ask
    text: Name?
    into: name
    remind: {after: 1h, text: Well?}
    timeout: {after: 2h, next: late}
    next: done
  timer: {type: wait, for: 2h, next: done}
  call: {type: call, request: {url: 'https://example.com'}, next: done}
  event: {type: wait, event: {type: paid, key: k}, timeout: {after: 2h, next: late}, next: done}
  child: {type: start, flow: other, next: done}
  children: {type: each, items: [1, 2], flow: other, next: done}
  human: {type: handoff, queue: hr, timeout: {after: 2h, next: late}, next: done}
  bad: {type: say, text: '{{ 1 / 0 }}', next: done}
  late: {type: end, outcome: late}
  done: {type: end}
";

const WAITS: [&str; 7] = ["reply", "timer", "call", "event", "child", "children", "human"];

/// The states, by name, each reached by real events.
fn states() -> Vec<(&'static str, Run)> {
    let started_at =
        |step: &str| Run::started(&FLOW.replace("start: reply", &format!("start: {step}")));
    let ended = |body: EventBody| {
        let mut run = Run::started(FLOW);
        run.go(body);
        run
    };
    let mut states = vec![("running", Run::of(FLOW))];
    states.extend(WAITS.map(|wait| (wait, started_at(wait))));
    states.push(("completed", ended(says("Mei"))));
    states.push(("failed", started_at("bad")));
    states.push(("cancelled", ended(cancel())));
    states.push(("expired", ended(fires(TimerName::Expiry, 0))));
    states
}

/// Every event, with what the task waits for where it waits for such a thing.
fn events(task: &Task) -> Vec<(String, EventBody)> {
    let (call, child) = match &task.status {
        Status::Waiting { on: Wait::Call { call }, .. } => (call.clone(), None),
        _ => (CallId::from("call_other"), task.open_children().first().cloned()),
    };
    let child = child.unwrap_or_else(|| TaskId::from("task_other"));
    let operator = [
        OperatorAction::Cancel { reason: "no longer needed".into() },
        OperatorAction::Retry,
        OperatorAction::Assign { queue: None, assignee: Some("ana".into()) },
        OperatorAction::Say { content: Content::text("Hi") },
        OperatorAction::Resolve { resolution: "ok".into(), note: None },
        OperatorAction::Migrate { version: 4 },
    ];
    let mut events = vec![
        start(),
        says("Mei"),
        presses(1, 0),
        answered(&call, 200, json!(1)),
        answered(&CallId::from("call_x"), 200, json!(1)),
        EventBody::External { event_type: "paid".into(), key: "k".into(), data: json!(1) },
        EventBody::External { event_type: "paid".into(), key: "x".into(), data: json!(1) },
        child_ends(&child, "completed", json!(1)),
        child_ends(&child, "failed", json!(1)),
        child_ends(&TaskId::from("task_x"), "completed", json!(1)),
        EventBody::Focused,
    ];
    events.extend(operator.map(by_operator));
    let names = [
        "started",
        "reply",
        "press",
        "answer",
        "answer of another",
        "event",
        "event of another",
        "child",
        "child failed",
        "child of another",
        "focused",
    ];
    let mut named: Vec<(String, EventBody)> = Vec::new();
    for (at, body) in events.into_iter().enumerate() {
        named.push((
            names.get(at).map_or_else(|| covered(&body).into(), |name| (*name).into()),
            body,
        ));
    }
    for name in [TimerName::Due, TimerName::Remind, TimerName::Timeout, TimerName::Expiry] {
        let entered = u64::from(name != TimerName::Expiry);
        named.push((name.as_str().to_owned(), fires(name, entered)));
        named.push((format!("{} of another", name.as_str()), fires(name, 9)));
    }
    named
}

/// Fails to compile when a kind of event is added, so that it gets its row here.
fn covered(body: &EventBody) -> &'static str {
    match body {
        EventBody::Started { .. }
        | EventBody::Reply { .. }
        | EventBody::Timer { .. }
        | EventBody::Answered { .. }
        | EventBody::External { .. }
        | EventBody::ChildEnded { .. }
        | EventBody::Focused => body.name(),
        EventBody::Operator { action, .. } => match action {
            OperatorAction::Cancel { .. } => "cancel",
            OperatorAction::Retry => "retry",
            OperatorAction::Assign { .. } => "assign",
            OperatorAction::Say { .. } => "say",
            OperatorAction::Resolve { .. } => "resolve",
            OperatorAction::Migrate { .. } => "migrate",
        },
    }
}

fn outcome(run: &Run, body: EventBody) -> String {
    let event = run.event(body);
    match advance(&run.flow, &run.task, &event, run.now) {
        Err(refused) => format!("{refused:?}"),
        Ok(transition) => {
            let effects = transition.entry.effects.iter().map(|effect| {
                let json = serde_json::to_value(effect).unwrap();
                json["effect"].as_str().unwrap().to_owned()
            });
            let effects: Vec<String> = effects.collect();
            let status = &transition.task.status;
            let to = match status {
                Status::Waiting { step, entered, on, .. } => {
                    let same = if *entered == run.next() { "enters" } else { "stays at" };
                    format!("{same} {step} for {}", on.name())
                }
                ended => format!("{} as {}", ended.name(), ended.outcome().unwrap_or_default()),
            };
            format!("{to} [{}]", effects.join(" "))
        }
    }
}

#[test]
fn every_pair_of_state_and_event_has_its_answer() {
    let mut table = String::new();
    for (state, run) in states() {
        table.extend([state, "\n"]);
        // Events with the same answer share a line.
        let mut lines: indexmap::IndexMap<String, Vec<String>> = indexmap::IndexMap::new();
        for (name, body) in events(&run.task) {
            lines.entry(outcome(&run, body)).or_default().push(name);
        }
        for (answer, names) in lines {
            table.extend(["  ", &answer, "\n    ", &names.join(", "), "\n"]);
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_states_are_all_there_are() {
    let names: Vec<&str> = states().iter().map(|(_, run)| run.task.status.name()).collect();
    for status in ["running", "waiting", "completed", "failed", "cancelled", "expired"] {
        assert!(names.contains(&status));
    }
    let waits: Vec<String> =
        states().iter().filter_map(|(_, run)| run.task.status.step().map(str::to_owned)).collect();
    assert_eq!(waits[..7], WAITS);
}
