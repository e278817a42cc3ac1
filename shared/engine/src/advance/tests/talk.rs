//! `say` and `ask`.

use flow::{Attachment, AttachmentKind};

use super::*;

const HELLO: &str = "
start: hello
vars: {name: {type: string}}
steps:
  hello:
    type: say
    text: {en: 'Hello {{ contact.name }}', zh-TW: '{{ contact.name }} 您好'}
    messages: [{image: 'https://example.com/{{ task.version }}.png'}, {text: Bye}]
    choices: [Again, {label: Stop, value: 1}]
    next: done
  done: {type: end}
";

fn with_choices(text: &str, labels: &[&str]) -> Content {
    let choices = labels
        .iter()
        .map(|label| OfferedChoice { label: (*label).into(), payload: (*label).into() });
    Content { choices: choices.collect(), ..Content::text(text) }
}

#[test]
fn say_sends_its_messages_in_order_and_goes_on() {
    let mut run = Run::of(HELLO);
    let image = Attachment {
        kind: AttachmentKind::Image,
        url: "https://example.com/3.png".into(),
        name: None,
        mime: None,
        bytes: None,
    };
    let picture = Content { attachments: vec![image], ..Content::default() };
    let last = with_choices("Bye", &["Again", "Stop"]);
    let effects = vec![
        run.send(1, "Hello Mei"),
        Effect::Send { id: run.message(2), content: picture, by: None },
        Effect::Send { id: run.message(3), content: last, by: None },
    ];
    let steps = &["hello>next", "done"];
    run.takes(start(), completed("completed"), Expected { steps, effects, ..Expected::default() });
}

#[test]
fn a_text_is_in_the_language_of_the_task() {
    let new = NewTask { lang: Some(Lang::zh_tw()), ..new_task() };
    let mut run = Run::with(HELLO, new);
    let entry = run.go(start());
    assert!(
        matches!(&entry.effects[0], Effect::Send { content, .. } if content.text == "Mei 您好")
    );
}

#[test]
fn a_message_that_comes_out_empty_is_not_sent() {
    let mut run = Run::of(
        "
start: hello
steps:
  hello: {type: say, text: '{% if contact.lang %}Hi{% endif %} ', next: done}
  done: {type: end}
",
    );
    let steps = &["hello>next", "done"];
    run.takes(start(), completed("completed"), Expected { steps, ..Expected::default() });
}

#[test]
fn an_address_that_is_none_fails_the_task() {
    let mut run = Run::of(
        "
start: hello
steps:
  hello: {type: say, file: 'file:///etc/passwd', next: done}
  done: {type: end}
",
    );
    let reason = "an image or file needs an address that begins with https://";
    let steps = &["hello"];
    run.takes(start(), failed("hello", reason), Expected { steps, ..Expected::default() });
}

const ASK: &str = "
start: ask
label: 'Leave {{ days or 0 }}'
vars: {days: {type: integer}}
steps:
  ask:
    type: ask
    text: How many days?
    into: days
    expect: {type: integer, min: 1, max: '{{ 15 * 2 }}'}
    reprompt: {times: 1, text: '“{{ input }}” is no number of days', then: human}
    remind: {after: 24h, text: Still there?, times: 2}
    timeout: {after: 7d, next: late}
    next: done
  human: {type: end, outcome: human}
  late: {type: end, outcome: late}
  done: {type: end}
";

const TIMERS: [TimerName; 2] = [TimerName::Remind, TimerName::Timeout];

#[test]
fn ask_sends_the_prompt_and_waits() {
    let mut run = Run::of(ASK);
    let effects = vec![
        run.send(1, "How many days?"),
        run.set_timer(TimerName::Remind, "24h"),
        run.set_timer(TimerName::Timeout, "7d"),
    ];
    let status = run.waits_with("ask", reply(), &TIMERS);
    let label = Some("Leave 0");
    run.takes(start(), status, Expected { steps: &["ask"], effects, label, ..Expected::default() });
}

#[test]
fn an_answer_is_converted_and_leads_on() {
    let mut run = Run::started(ASK);
    run.takes(
        says("３天"),
        completed("completed"),
        Expected {
            steps: &["ask>next", "done"],
            vars: Some(json!({"days": 3})),
            input: Some(json!("３天")),
            label: Some("Leave 3"),
            effects: vec![cancels(TimerName::Remind, 1), cancels(TimerName::Timeout, 1)],
            ..Expected::default()
        },
    );
}

#[test]
fn an_answer_that_does_not_fit_is_asked_for_again_and_then_led_elsewhere() {
    let mut run = Run::started(ASK);
    let (status, effects) =
        (run.still(reply_after(1, 0, &[])), vec![run.send(1, "“99” is no number of days")]);
    let input = Some(json!("99"));
    run.takes(says("99"), status, Expected { input, effects, ..Expected::default() });
    run.takes(
        says("soon"),
        completed("human"),
        Expected {
            steps: &["ask>reprompt/then", "human"],
            input: Some(json!("soon")),
            effects: vec![cancels(TimerName::Remind, 1), cancels(TimerName::Timeout, 1)],
            ..Expected::default()
        },
    );
}

#[test]
fn without_a_way_out_the_fourth_bad_answer_fails_the_task() {
    let mut run = Run::started(
        "
start: ask
vars: {days: {type: integer}}
steps:
  ask: {type: ask, text: Days?, into: days, next: done}
  done: {type: end}
",
    );
    for invalid in 1..=3 {
        let status = run.still(reply_after(invalid, 0, &[]));
        let effects = vec![run.send(1, "Please enter one number, such as 3.")];
        let input = (invalid == 1).then(|| json!("x"));
        run.takes(says("x"), status, Expected { input, effects, ..Expected::default() });
    }
    let reason = "no fitting answer after 4 tries: Please enter one number, such as 3.";
    let steps = &["ask>failed"];
    run.takes(says("x"), failed("ask", reason), Expected { steps, ..Expected::default() });
}

#[test]
fn reminders_come_so_often_and_no_more() {
    let mut run = Run::started(ASK);
    run.later("24h");
    let again =
        Effect::SetTimer { name: TimerName::Remind, entered: 1, due: run.now + span("24h") };
    let (status, effects) =
        (run.still(reply_after(0, 1, &[])), vec![run.send(1, "Still there?"), again]);
    run.takes(fires(TimerName::Remind, 1), status, Expected { effects, ..Expected::default() });
    run.later("24h");
    let Status::Waiting { step, since, entered, .. } = run.task.status.clone() else { panic!() };
    let timers = vec![TimerName::Timeout];
    let status = Status::Waiting { step, since, entered, timers, on: reply_after(0, 2, &[]) };
    let effects = vec![run.send(1, "Still there?")];
    run.takes(fires(TimerName::Remind, 1), status, Expected { effects, ..Expected::default() });
    assert_eq!(run.refuses(fires(TimerName::Remind, 1)), Refused::StaleTimer);
}

#[test]
fn a_timeout_leads_elsewhere_and_takes_the_reminder_back() {
    let mut run = Run::started(ASK);
    run.later("7d");
    let effects = vec![cancels(TimerName::Remind, 1)];
    let steps = &["ask>timeout", "late"];
    let expected = Expected { steps, effects, ..Expected::default() };
    run.takes(fires(TimerName::Timeout, 1), completed("late"), expected);
}

#[test]
fn the_timer_of_an_earlier_wait_is_stale() {
    let run = Run::started(ASK);
    for name in TIMERS {
        assert_eq!(run.refuses(fires(name, 0)), Refused::StaleTimer);
        assert_eq!(run.refuses(fires(name, 2)), Refused::StaleTimer);
    }
    assert_eq!(run.refuses(fires(TimerName::Due, 1)), Refused::StaleTimer);
    assert_eq!(run.refuses(fires(TimerName::Expiry, 0)), Refused::StaleTimer);
}

const PICK: &str = "
start: ask
vars: {meal: {type: any}}
steps:
  ask:
    type: ask
    text: Which?
    into: meal
    expect: {type: choice}
    choices: [{label: {en: Rice, ja: ごはん}, value: {id: 7}}, Noodles]
    next: done
  done: {type: end}
";

fn rice_and_noodles(invalid: u32) -> Wait {
    let offered = vec![
        Offered { label: "Rice".into(), value: json!({"id": 7}) },
        Offered { label: "Noodles".into(), value: json!("Noodles") },
    ];
    Wait::Reply { invalid, reminded: 0, offered }
}

#[test]
fn choices_are_offered_with_buttons_that_name_the_wait() {
    let mut run = Run::of(PICK);
    let effects = vec![run.send_choices(1, "Which?", 1, &["Rice", "Noodles"])];
    let status = run.waits("ask", rice_and_noodles(0));
    run.takes(start(), status, Expected { steps: &["ask"], effects, ..Expected::default() });
}

#[test]
fn a_choice_is_taken_by_press_by_label_and_by_number() {
    for (body, input) in
        [(presses(1, 0), "Rice"), (says(" rice "), " rice "), (says("1"), "1"), (says("①"), "①")]
    {
        let mut run = Run::started(PICK);
        let expected = Expected {
            steps: &["ask>next", "done"],
            vars: Some(json!({"meal": {"id": 7}})),
            input: Some(json!(input)),
            ..Expected::default()
        };
        run.takes(body, completed("completed"), expected);
    }
}

#[test]
fn a_press_of_another_question_is_stale() {
    let mut run = Run::started(PICK);
    assert_eq!(run.refuses(presses(0, 0)), Refused::StaleChoice);
    assert_eq!(run.refuses(presses(1, 2)), Refused::StaleChoice);
    run.go(presses(1, 1));
    assert_eq!(run.refuses(presses(1, 1)), Refused::Ended("completed"));
}

#[test]
fn buttons_of_a_reprompt_belong_to_the_same_wait() {
    let mut run = Run::started(PICK);
    let text = "Please choose one of the options, by name or number.";
    let effects = vec![run.send_choices(1, text, 1, &["Rice", "Noodles"])];
    let (status, input) = (run.still(rice_and_noodles(1)), Some(json!("soup")));
    run.takes(says("soup"), status, Expected { input, effects, ..Expected::default() });
    let vars = Some(json!({"meal": "Noodles"}));
    let (steps, input) = (&["ask>next", "done"][..], Some(json!("Noodles")));
    let expected = Expected { steps, vars, input, ..Expected::default() };
    run.takes(presses(1, 1), completed("completed"), expected);
}

#[test]
fn a_press_where_several_may_be_chosen_is_a_list_of_one() {
    let several = |min: u32| {
        Run::started(&format!(
            "
start: ask
vars: {{meals: {{type: list}}}}
steps:
  ask:
    type: ask
    text: Which?
    into: meals
    expect: {{type: choice, several: true, min: {min}}}
    choices: [Rice, Noodles]
    next: done
  done: {{type: end}}
"
        ))
    };
    let mut run = several(1);
    run.go(presses(1, 1));
    assert_eq!(run.task.vars["meals"], json!(["Noodles"]));
    let mut run = several(2);
    let entry = run.go(presses(1, 1));
    let text = "Please choose at least 2.";
    assert!(matches!(&entry.effects[0], Effect::Send { content, .. } if content.text == text));
    run.go(says("1, 2"));
    assert_eq!(run.task.vars["meals"], json!(["Rice", "Noodles"]));
}

#[test]
fn a_label_of_emoji_alone_counts_as_it_is_written() {
    let flow = "
start: ask
vars: {mood: {type: string}}
steps:
  ask:
    type: ask
    text: How was it?
    into: mood
    choices: [{label: 👍, value: good}, {label: 👎, value: bad}]
    next: done
  done: {type: end}
";
    for (said, value) in [("👎", "bad"), ("👍", "good"), (" 👎 ", "bad"), ("2", "bad"), ("!", "!")]
    {
        let mut run = Run::started(flow);
        run.go(says(said));
        assert_eq!(run.task.vars["mood"], json!(value), "{said}");
    }
}

#[test]
fn a_number_is_the_answer_where_numbers_are_asked_for() {
    let flow = "
start: ask
vars: {days: {type: integer}}
steps:
  ask: {type: ask, text: Days?, into: days, choices: [5, 10], next: done}
  done: {type: end}
";
    for (said, days) in [("2", 2), ("10", 10)] {
        let mut run = Run::started(flow);
        run.go(says(said));
        assert_eq!(run.task.vars["days"], json!(days));
    }
}

#[test]
fn choices_may_be_computed() {
    let mut run = Run::of(
        "
start: ask
vars:
  slots: {type: list, default: [{label: Mon, value: 1}, Tue, 3, {label: Wed}]}
  slot: {type: any}
steps:
  ask:
    {type: ask, text: When?, into: slot, expect: {type: choice}, choices: '{{ slots }}', next: done}
  done: {type: end}
",
    );
    let entry = run.go(start());
    let on = Wait::Reply {
        invalid: 0,
        reminded: 0,
        offered: [("Mon", json!(1)), ("Tue", json!("Tue")), ("3", json!(3)), ("Wed", json!("Wed"))]
            .map(|(label, value)| Offered { label: label.into(), value })
            .to_vec(),
    };
    assert!(matches!(entry.status, Status::Waiting { on: is, .. } if is == on));
}

#[test]
fn choices_that_are_no_list_fail_the_task() {
    for (default, reason) in [
        ("text", "`choices` must give a list"),
        ("[{value: 1}]", "a computed choice needs a `label`"),
    ] {
        let run = Run::started(&format!(
            "
start: ask
vars: {{slots: {{type: any, default: {default}}}, slot: {{type: any}}}}
steps:
  ask:
    type: ask
    text: When?
    into: slot
    expect: {{type: choice}}
    choices: '{{{{ slots }}}}'
    next: done
  done: {{type: end}}
"
        ));
        assert_eq!(run.failed_with(), ("ask", reason));
    }
}

#[test]
fn who_comes_back_is_asked_again() {
    let mut run = Run::started(PICK);
    run.later("1h");
    let effects = vec![run.send_choices(1, "Which?", 1, &["Rice", "Noodles"])];
    let status = run.still(rice_and_noodles(0));
    run.takes(EventBody::Focused, status, Expected { effects, ..Expected::default() });
}

#[test]
fn a_file_is_an_answer() {
    let mut run = Run::started(
        "
start: ask
vars: {photo: {type: file}}
steps:
  ask: {type: ask, text: Photo?, into: photo, expect: {type: file, types: [image/]}, next: done}
  done: {type: end}
",
    );
    let photo = Attachment {
        kind: AttachmentKind::Image,
        url: "https://example.com/a.jpg".into(),
        name: Some("a.jpg".into()),
        mime: Some("image/jpeg".into()),
        bytes: Some(9),
    };
    let content = Content { attachments: vec![photo], ..Content::default() };
    run.takes(
        replies(content, None),
        completed("completed"),
        Expected {
            steps: &["ask>next", "done"],
            vars: Some(json!({"photo": {
                "url": "https://example.com/a.jpg", "name": "a.jpg",
                "mime": "image/jpeg", "bytes": 9,
            }})),
            input: Some(json!("")),
            ..Expected::default()
        },
    );
}

#[test]
fn a_bound_that_is_none_fails_the_task_with_the_reason() {
    let mut run = Run::started(
        "
start: ask
vars: {day: {type: date}}
steps:
  ask: {type: ask, text: Day?, into: day, expect: {type: date, min: '{{ 3 }}'}, next: done}
  done: {type: end}
",
    );
    let reason = "`expect.min` gives 3, which does not fit the type";
    let steps = &["ask>failed"];
    run.takes(says("x"), failed("ask", reason), Expected { steps, ..Expected::default() });
}
