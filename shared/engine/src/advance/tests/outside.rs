//! `call` and `wait`.

use flow::Backoff;
use flow::step::{Auth, Retry};
use indexmap::IndexMap;

use super::*;
use crate::effect::CallRequest;

const CALL: &str = "
start: call
vars: {days: {type: integer, default: 3}}
steps:
  call:
    type: call
    connection: hr
    request:
      method: POST
      url: 'https://hr.example.com/{{ contact.id }}'
      query: {days: '{{ days }}'}
      headers: {X-Trace: '{{ task.id }}'}
      json: {days: '{{ days }}'}
      auth: {secret: hr-token}
    timeout: 30s
    retry: {times: 5, backoff: 2s..10m}
    into: answer
    next: decided
    on_error: broken
  decided: {type: end, outcome: '{{ answer.status }}', result: '{{ answer.body }}'}
  broken: {type: end, outcome: '{{ answer.error }}'}
";

fn called(run: &mut Run) -> CallId {
    match run.go(start()).effects.as_slice() {
        [Effect::Call(call)] => call.id.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_goes_out_rendered_and_the_task_waits() {
    let mut run = Run::of(CALL);
    let id = run.call(1);
    let request = CallRequest {
        id: id.clone(),
        method: "POST".into(),
        url: "https://hr.example.com/u-42".into(),
        query: IndexMap::from([("days".into(), "3".into())]),
        headers: IndexMap::from([("x-trace".into(), "task_1".into())]),
        json: Some(json!({"days": 3})),
        body: None,
        auth: Some(Auth { secret: "hr-token".into(), header: None }),
        connection: Some("hr".into()),
        timeout: Span::seconds(30),
        retry: Retry {
            times: 5,
            backoff: Backoff { first: Span::seconds(2), longest: Span::seconds(600) },
        },
    };
    let status = run.waits("call", Wait::Call { call: id });
    let effects = vec![Effect::Call(Box::new(request))];
    run.takes(start(), status, Expected { steps: &["call"], effects, ..Expected::default() });
}

#[test]
fn any_status_is_an_answer() {
    let mut run = Run::of(CALL);
    let id = called(&mut run);
    let status = Status::Completed { outcome: "503".into(), result: json!([1]) };
    let vars = Some(json!({"answer": {"status": 503, "headers": {}, "body": [1]}}));
    let steps = &["call>next", "decided"];
    let expected = Expected { steps, vars, ..Expected::default() };
    run.takes(answered(&id, 503, json!([1])), status, expected);
}

#[test]
fn no_answer_is_an_error() {
    let mut run = Run::of(CALL);
    let call = called(&mut run);
    let result = CallResult::Failed { reason: "timed out".into() };
    let vars = Some(json!({"answer": {"error": "timed out"}}));
    let steps = &["call>on_error", "broken"];
    let expected = Expected { steps, vars, ..Expected::default() };
    run.takes(EventBody::Answered { call, result }, completed("timed out"), expected);
}

#[test]
fn an_error_without_a_way_out_fails_the_task_and_a_retry_calls_again() {
    let mut run = Run::of(
        "
start: call
steps:
  call: {type: call, request: {url: 'https://example.com'}, next: done}
  done: {type: end}
",
    );
    let call = called(&mut run);
    let result = CallResult::Failed { reason: "no route".into() };
    let steps = &["call>failed"];
    run.takes(
        EventBody::Answered { call: call.clone(), result },
        failed("call", "the call failed: no route"),
        Expected { steps, ..Expected::default() },
    );
    let again = run.call(1);
    let status = run.waits("call", Wait::Call { call: again.clone() });
    let entry = run.go(retry());
    assert_eq!(entry.status, status);
    assert!(matches!(entry.effects.as_slice(), [Effect::Call(is)] if is.id == again));
    assert_eq!(run.refuses(answered(&call, 200, json!(null))), Refused::Stale);
}

#[test]
fn the_answer_of_another_call_is_stale() {
    let run = Run::started(CALL);
    assert_eq!(run.refuses(answered(&CallId::from("call_x"), 200, json!(1))), Refused::Stale);
}

fn waiting_flow(wait: &str) -> String {
    format!(
        "
start: wait
zone: Asia/Taipei
vars: {{for: {{type: string, default: 2h}}, day: {{type: date, default: 2026-03-01}}}}
steps:
  wait: {{type: wait, {wait}, next: done}}
  done: {{type: end}}
  late: {{type: end, outcome: late}}
"
    )
}

#[test]
fn a_wait_ends_at_its_time() {
    for (wait, until) in [
        ("for: 1h 30m", "2026-01-05T02:30:00Z"),
        ("for: '{{ for }}'", "2026-01-05T03:00:00Z"),
        ("until: '{{ day }}'", "2026-02-28T16:00:00Z"),
        ("until: '2026-01-06T09:00:00+08:00'", "2026-01-06T01:00:00Z"),
        // A time in the past goes through the timer as well.
        ("until: '2020-01-01'", "2026-01-05T01:00:00Z"),
        ("for: 0s", "2026-01-05T01:00:00Z"),
    ] {
        let mut run = Run::of(&waiting_flow(wait));
        let until = time(until);
        let status = run.waits_with("wait", Wait::Timer { until }, &[TimerName::Due]);
        let effects = vec![Effect::SetTimer { name: TimerName::Due, entered: 1, due: until }];
        run.takes(start(), status, Expected { steps: &["wait"], effects, ..Expected::default() });
        run.now = until;
        let expected = Expected { steps: &["wait>next", "done"], ..Expected::default() };
        run.takes(fires(TimerName::Due, 1), completed("completed"), expected);
    }
}

#[test]
fn a_day_without_a_midnight_begins_an_hour_later() {
    let flow = waiting_flow("until: '2022-03-27'").replace("Asia/Taipei", "Asia/Beirut");
    let at = time("2022-03-26T12:00:00Z");
    let mut run = Run::with(&flow, NewTask { at, ..new_task() });
    run.go(start());
    let Status::Waiting { on: Wait::Timer { until }, .. } = run.task.status else { panic!() };
    assert_eq!(until, time("2022-03-26T22:00:00Z"));
}

#[test]
fn a_time_that_is_none_fails_the_task() {
    for (wait, reason) in [
        (
            "until: soon",
            "`until` gives \"soon\"; write a date or a time such as 2026-11-30T09:00:00Z",
        ),
        (
            "until: '2099-01-01'",
            "`until` gives 2098-12-31 16:00:00 UTC, which is more than ten years \
             ahead",
        ),
        (
            "for: '{{ day }}'",
            "`2026-03-01` is not a duration; write a number and a unit, such as 20s, 15m, 24h, 7d \
             or 1h 30m",
        ),
    ] {
        let run = Run::started(&waiting_flow(wait));
        assert_eq!(run.failed_with(), ("wait", reason));
    }
}

const EVENT: &str = "
start: wait
vars: {order: {type: string, default: A-1}}
steps:
  wait:
    type: wait
    event: {type: order.paid, key: '{{ order }}'}
    into: paid
    timeout: {after: 3d, next: late}
    next: done
  done: {type: end, outcome: '{{ paid.by }}'}
  late: {type: end, outcome: late}
";

fn comes(event_type: &str, key: &str) -> EventBody {
    let (event_type, key) = (event_type.into(), key.into());
    EventBody::External { event_type, key, data: json!({"by": "card"}) }
}

#[test]
fn a_wait_for_an_event_takes_its_data() {
    let mut run = Run::of(EVENT);
    let on = Wait::Event { kind: "order.paid".into(), key: "A-1".into() };
    let status = run.waits_with("wait", on, &[TimerName::Timeout]);
    let effects = vec![run.set_timer(TimerName::Timeout, "3d")];
    run.takes(start(), status, Expected { steps: &["wait"], effects, ..Expected::default() });
    for other in [comes("order.paid", "A-2"), comes("order.sent", "A-1")] {
        let refused = Refused::NotAwaited { waiting_for: "event", event: "external" };
        assert_eq!(run.refuses(other), refused);
    }
    run.takes(
        comes("order.paid", "A-1"),
        completed("card"),
        Expected {
            steps: &["wait>next", "done"],
            vars: Some(json!({"paid": {"by": "card"}})),
            effects: vec![cancels(TimerName::Timeout, 1)],
            ..Expected::default()
        },
    );
}

#[test]
fn an_event_that_does_not_come_times_out() {
    let mut run = Run::started(EVENT);
    let expected = Expected { steps: &["wait>timeout", "late"], ..Expected::default() };
    run.takes(fires(TimerName::Timeout, 1), completed("late"), expected);
}

#[test]
fn an_event_needs_a_key() {
    for key in [String::new(), "k".repeat(501)] {
        let mut run = Run::of(EVENT);
        run.go(start_with(json!({"order": key})));
        assert_eq!(run.failed_with(), ("wait", "the key of an awaited event has 1 to 500 bytes"));
    }
}
