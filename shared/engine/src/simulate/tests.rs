//! Simulations: scripts that fit, scripts that do not, and the tests of a flow.

use flow::{Flow, FlowTest, Lang, Span, TestLine};
use serde_json::{Value, json};

use super::*;

const LEAVE: &str = "
flow: leave
zone: Asia/Taipei
triggers:
  - {on: keyword, any: [leave], vars: {reason: 'said {{ input }}'}}
vars:
  days: {type: integer}
  reason: {type: string, default: none}
  names: {type: list, default: [a, b, c]}
start: ask
timeout: {after: 30d}
steps:
  ask:
    type: ask
    text: How many days?
    into: days
    choices: [1, 2]
    remind: {after: 1h, text: Still there?, times: 3}
    timeout: {after: 1d, next: late}
    next: call
  call:
    type: call
    request: {method: POST, url: 'https://hr.example.com', json: {days: '{{ days }}'}}
    into: answer
    on_error: human
    next: check
  check: {type: branch, cases: [{if: answer.status == 201, next: pay}], else: human}
  pay: {type: wait, event: {type: paid, key: '{{ contact.id }}'}, into: paid, next: team}
  team: {type: each, items: '{{ names }}', flow: tell, parallel: 2, into: told, next: land}
  land: {type: record, table: leaves, row: {days: '{{ days }}'}, next: tell}
  tell: {type: notify, to: boss, text: '{{ days }} days', next: rest}
  rest: {type: wait, for: 2h, next: done}
  human: {type: handoff, queue: hr, text: A colleague will help, into: decided, next: done}
  late: {type: say, text: Too late, next: done}
  done: {type: end, outcome: '{{ \"late\" if days is none else \"completed\" }}'}
";

fn leave() -> Flow {
    flow_of(LEAVE)
}

fn flow_of(text: &str) -> Flow {
    flow::parse(text).unwrap_or_else(|problems| panic!("{problems:?}")).flow
}

fn script(lines: Value) -> Vec<TestLine> {
    serde_json::from_value(lines).unwrap()
}

fn run(lines: Value) -> SimulationReport {
    simulate(&leave(), &script(lines), Options::default())
}

fn spoken(report: &SimulationReport) -> Vec<String> {
    let line = |line: &Line| {
        let who = match line.who {
            Who::User => ">",
            Who::Bot => "<",
            Who::System => "-",
        };
        format!("{who} {}", line.text)
    };
    report.transcript.iter().map(line).collect()
}

#[test]
fn a_whole_flow_runs_without_io() {
    let report = run(json!([
        {"bot": "How many"},
        {"user": "3"},
        {"answer": {"status": 201, "body": {"ok": true}}},
        {"event": {"data": {"by": "card"}}},
        {"children": {"outcome": "told", "result": 7}},
        {"after": "2h"},
    ]));
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(
        spoken(&report),
        [
            "< How many days?",
            "> 3",
            "- calls POST https://hr.example.com",
            "- the call is answered with 201",
            "- event paid for simulation",
            "- starts tell",
            "- starts tell",
            "- the children end: told",
            "- starts tell",
            "- a row for leaves",
            "- tells boss: 3 days",
            "- 2h later",
            "- the flow has ended (completed)",
        ]
    );
    let path: Vec<String> = report
        .path
        .iter()
        .map(|step| format!("{} {}", step.step, step.left_by.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(
        path,
        [
            "ask next",
            "call next",
            "check cases/0",
            "pay next",
            "team next",
            "land next",
            "tell next",
            "rest next",
            "done -",
        ]
    );
    assert_eq!(report.task.vars["told"].as_array().map(Vec::len), Some(3));
    assert_eq!(report.task.vars["told"][2]["result"], json!(7));
    let at = report.transcript[0].at;
    assert_eq!(at.to_rfc3339(), "2026-01-05T01:00:00+00:00");
    let row = json!({"days": 3}).as_object().cloned().unwrap();
    assert_eq!(report.records, vec![Landed { table: "leaves".into(), row, at }]);
    let content = Content::text("3 days");
    let told = Notified { connection: None, to: "boss".into(), content, at };
    assert_eq!(report.notifications, vec![told]);
    assert_eq!(report.open, Open::default());
    assert_eq!(report.task.status.outcome(), Some("completed"));
}

#[test]
fn the_same_script_gives_the_same_report_in_json_too() {
    let lines = json!([{"user": "leave"}, {"user": "2"}, {"call_fails": "no route"}]);
    let report = run(lines.clone());
    assert_eq!(report, run(lines));
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<SimulationReport>(&json).unwrap(), report);
}

#[test]
fn timers_fire_in_order_when_they_fall_due() {
    let report =
        run(json!([{"after": "90m"}, {"bot": "Still"}, {"after": "30m"}, {"after": "22h"}]));
    assert_eq!(report.problems, Vec::<String>::new());
    let at: Vec<(String, i64)> = report
        .transcript
        .iter()
        .map(|line| (line.text.clone(), (line.at - report.task.created_at).num_minutes()))
        .collect();
    let at: Vec<(&str, i64)> = at.iter().map(|(text, at)| (text.as_str(), *at)).collect();
    assert_eq!(
        at,
        [
            ("How many days?", 0),
            ("1h 30m later", 0),
            ("Still there?", 60),
            ("30m later", 90),
            ("Still there?", 120),
            ("22h later", 120),
            ("Still there?", 180),
            ("Too late", 1_440),
            ("the flow has ended (late)", 1_440),
        ]
    );
    assert_eq!(report.open, Open::default());
}

#[test]
fn what_is_open_is_told() {
    let report = run(json!([{"user": "2"}]));
    assert_eq!(
        report.open.call.as_ref().map(|call| call.json.clone()),
        Some(Some(json!({"days": 2})))
    );
    let names: Vec<TimerName> = report.open.timers.iter().map(|timer| timer.name).collect();
    assert_eq!(names, [TimerName::Expiry]);
    let report = run(json!([
        {"user": "2"}, {"answer": {"status": 201}}, {"event": {}},
    ]));
    let flows: Vec<&str> = report.open.children.iter().map(|child| child.flow.as_str()).collect();
    assert_eq!(flows, ["tell", "tell"]);
    assert!(report.open.children.iter().all(|child| child.waits));
}

#[test]
fn a_first_line_that_is_a_keyword_starts_the_flow() {
    let report = run(json!([{"user": "Leave!"}, {"bot": "How many"}, {"user": "2"}]));
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.task.vars["reason"], json!("said Leave!"));
    assert_eq!(report.task.trigger.as_deref(), Some("leave"));
    assert_eq!(report.task.vars["days"], json!(2));
}

#[test]
fn a_person_resolves_a_handoff() {
    let report = run(json!([
        {"user": "2"}, {"call_fails": "no route"}, {"bot": "A colleague"}, {"user": "Hello?"},
        {"resolve": {"resolution": "approved", "note": "ok"}},
    ]));
    assert_eq!(report.problems, Vec::<String>::new());
    let by = json!({"resolution": "approved", "note": "ok", "by": "simulation"});
    assert_eq!(report.task.vars["decided"], by);
}

#[test]
fn lines_that_do_not_fit_say_what_to_add() {
    let to_human = json!([{"user": "2"}, {"call_fails": "x"}]);
    for (before, line, problem) in [
        (
            json!([]),
            json!({"answer": {"status": 200}}),
            "line 1 (`answer: 200`): the flow is waiting for a reply, not for an answer: \
                add `user:` before this line",
        ),
        (
            json!([{"user": "2"}]),
            json!({"user": "hi"}),
            "line 2 (`user: hi`): the flow is waiting for a call, not for a reply: add \
                `answer:` before this line",
        ),
        (json!([{"user": "2"}]), json!({"call_fails": ""}), ""),
        (
            json!([{"user": "2"}, {"answer": {"status": 201}}]),
            json!({"children": {"outcome": "x"}}),
            "line 3 (`children: x`): the flow is waiting for an event, not for children: \
                add `event:` before this line",
        ),
        (
            json!([{"user": "2"}, {"answer": {"status": 201}}, {"event": {}}]),
            json!({"event": {}}),
            "line 4 (`event`): the flow is waiting for child flows, not for an event: add \
                `children:` before this line",
        ),
        (
            to_human.clone(),
            json!({"call_fails": "again"}),
            "line 3 (`call_fails: again`): the flow is waiting for a person, not for an \
                answer: add `resolve:` before this line",
        ),
        (
            json!([{"after": "1d"}]),
            json!({"user": "2"}),
            "line 2 (`user: 2`): the flow has ended (late): remove this line, or change \
                what comes before it",
        ),
        (
            json!([]),
            json!({"bot": "Hello"}),
            "line 1 (`bot: Hello`): the flow says “How many days?”, not “Hello”",
        ),
        (
            json!([{"bot": "How"}]),
            json!({"bot": "days"}),
            "line 2 (`bot: days`): the flow says nothing more here; it waits for a reply",
        ),
        (
            json!([{"after": "1d"}, {"user": "x"}]),
            json!({"bot": "x"}),
            "line 2 (`user: x`): the flow has ended (late): remove this line, or change \
                what comes before it",
        ),
    ] {
        let mut lines = before.as_array().cloned().unwrap();
        lines.push(line);
        let expected: Vec<&str> =
            Some(problem).filter(|text| !text.is_empty()).into_iter().collect();
        assert_eq!(run(Value::Array(lines)).problems, expected);
    }
}

#[test]
fn a_refused_line_leaves_no_trace() {
    let flow = flow_of(
        "
flow: hand
start: human
steps:
  human: {type: handoff, queue: hr, resolutions: [yes, no], next: done}
  done: {type: end}
",
    );
    let mut simulation = Simulation::new(&flow, 7, Options::default());
    assert_eq!(simulation.resolve("yes", None), Err(SimulationError::NotStarted));
    simulation.start().unwrap();
    let (task, lines) = (simulation.task().clone(), simulation.transcript().len());
    assert_eq!(task.version, 7);
    let Err(SimulationError::Refused(_)) = simulation.resolve("maybe", None) else { panic!() };
    assert_eq!((simulation.task(), simulation.transcript().len()), (&task, lines));
    simulation.resolve("yes", None).unwrap();
    assert_eq!(simulation.user("x", None), Err(SimulationError::Ended("completed".into())));
}

#[test]
fn a_button_is_pressed_by_its_payload() {
    let flow = leave();
    let mut simulation = Simulation::new(&flow, 1, Options::default());
    simulation.start().unwrap();
    let payload = simulation.transcript()[0].choices[1].payload.clone();
    let stale = payload.replace(":1:1", ":9:1");
    let refused = SimulationError::Refused(Refused::StaleChoice);
    assert_eq!(simulation.user("2", Some(&stale)), Err(refused));
    simulation.user("2", Some(&payload)).unwrap();
    assert_eq!(simulation.task().vars["days"], json!(2));
}

#[test]
fn options_set_the_stage() {
    let flow = flow_of(
        "
flow: hello
start: hi
vars: {n: {type: integer}}
steps:
  hi:
    type: say
    text: {en: 'Hi {{ contact.name }} {{ n }}', zh-TW: '{{ contact.name }} 好 {{ today() }}'}
    next: call
  call: {type: call, request: {url: 'https://example.com'}, next: done}
  done: {type: end}
",
    );
    let contact = Contact { id: "u".into(), name: Some("美".into()), lang: None };
    let options = Options {
        lang: Some(Lang::zh_tw()),
        contact: Some(contact),
        now: "2027-02-03T00:00:00Z".parse().unwrap(),
        ..Options::default()
    };
    let report = simulate(&flow, &script(json!([{"answer": {"status": 204}}])), options);
    assert_eq!(
        spoken(&report),
        [
            "< 美 好 2027-02-03",
            "- 呼叫 GET https://example.com",
            "- 呼叫得到回應 204",
            "- 流程結束（completed）"
        ]
    );
    let vars = json!({"m": 1}).as_object().cloned().unwrap();
    let report = simulate(&flow, &[], Options { vars, ..Options::default() });
    let problem = "start: `m` is not a variable of the flow; did you mean `n`?";
    assert_eq!(report.problems, [problem]);
    for now in ["+200000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
        let options = Options { now: now.parse().unwrap(), ..Options::default() };
        let problem = "start: `now` must lie between the years 1970 and 9000";
        assert_eq!(simulate(&flow, &[], options).problems, [problem]);
    }
    let options: Options = serde_json::from_value(json!({"lang": "ja"})).unwrap();
    assert_eq!(options, Options { lang: Some(Lang("ja".into())), ..Options::default() });
}

#[test]
fn a_simulation_is_bounded() {
    let lines = vec![TestLine::After(Span::seconds(1)); LINES_MAX + 1];
    let report = simulate(&leave(), &lines, Options::default());
    assert_eq!(report.problems, ["the script has 1001 lines; at most 1000 are run: split it"]);
    let flow = flow_of(
        "
flow: spin
start: wait
steps:
  wait: {type: wait, for: 0s, next: again}
  again: {type: branch, cases: [{if: '1 > 2', next: done}], else: wait}
  done: {type: end}
",
    );
    let report = simulate(&flow, &script(json!([{"after": "1s"}])), Options::default());
    let [problem] = report.problems.as_slice() else { panic!("{:?}", report.problems) };
    assert!(problem.contains("the simulation stops after"), "{problem}");
    assert!(problem.contains("look for a loop in the flow"), "{problem}");
}

fn test_of(value: Value) -> FlowTest {
    serde_json::from_value(value).unwrap()
}

#[test]
fn the_tests_of_a_flow_run() {
    let mut flow = leave();
    flow.tests = vec![
        test_of(json!({
            "name": "late", "script": [{"after": "1d"}, {"bot": "Still"}, {"bot": "Still"},
            {"bot": "Still"}, {"bot": "Too late"}], "outcome": "late",
            "expect_vars": {"days": null},
        })),
        test_of(json!({
            "name": "wrong", "vars": {"reason": "ill"}, "script": [{"user": "2"}],
            "outcome": "completed", "expect_vars": {"days": 2.0, "reason": "well", "nope": 1},
        })),
        test_of(json!({"name": "bad line", "script": [{"event": {}}], "outcome": "completed"})),
        test_of(json!({"name": "other end", "script": [{"after": "1d"}], "outcome": "completed"})),
        test_of(json!({
            "name": "fails", "script": [{"user": "x"}, {"user": "x"}, {"user": "x"}, {"user": "x"}],
        })),
        test_of(json!({
            "name": "is meant to fail", "outcome": "failed",
            "script": [{"user": "x"}, {"user": "x"}, {"user": "x"}, {"user": "x"}],
        })),
    ];
    let reports = run_tests(&flow);
    let told: Vec<(&str, bool, Vec<&str>)> = reports
        .iter()
        .map(|r| (r.name.as_str(), r.passed, r.problems.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        told,
        [
            ("late", true, vec![]),
            (
                "wrong",
                false,
                vec![
                    "the flow has not ended: it waits for a call at `call`; add `answer:`, or \
                     leave `outcome` out",
                    "the variable `reason` is \"ill\"; the test expects \"well\"",
                    "there is no variable `nope`; the test expects 1",
                ]
            ),
            (
                "bad line",
                false,
                vec![
                    "line 1 (`event`): the flow is waiting for a reply, not for an event: add \
                     `user:` before this line"
                ]
            ),
            ("other end", false, vec!["the flow ended as `late`; the test expects `completed`"]),
            (
                "fails",
                false,
                vec![
                    "the flow failed at `ask`: no fitting answer after 4 tries: Please enter one \
                     number, such as 3."
                ]
            ),
            ("is meant to fail", true, vec![]),
        ]
    );
    assert_eq!(reports[0], run_test(&flow, &flow.tests[0]));
}
