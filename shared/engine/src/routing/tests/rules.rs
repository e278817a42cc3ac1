//! Each rule alone, and before the later ones.

use super::*;

/// A trigger of each kind on the same word, so that a later rule would fit as well.
fn leave(when_busy: WhenBusy) -> Vec<(&'static str, Trigger)> {
    vec![("leave", keyword("請假", when_busy, WhenOpen::Start, None))]
}

#[test]
fn rule_1_a_message_that_names_its_task() {
    let open = with(&[("a", for_reply(&[])), ("b", for_reply(&[]))]);
    // It comes before a command, a trigger that interrupts, and the focus.
    for said in ["/tasks", "請假", "3"] {
        let named = Incoming { names: Some(id("b")), ..text(said) };
        let route = routed(&open, &named, &leave(WhenBusy::Interrupt));
        assert_eq!(route, to("b", Rule::Named, true));
    }
    // The path of an API call may name a task that has ended: the caller is told so.
    let named = Incoming { names: Some(id("gone")), ..text("3") };
    assert_eq!(routed(&open, &named, &[]), to("gone", Rule::Named, true));
}

#[test]
fn rule_1_a_button_names_its_task() {
    let open = with(&[("a", for_reply(&[])), ("b", for_reply(&[]))]);
    let pressed = Some(Pressed { entered: 7, index: 2 });
    let route = Route::Task { task: id("b"), rule: Rule::Named, pressed, focus: true };
    let payload = payload(&id("b"), 7, 2);
    assert_eq!(routed(&open, &press(&payload, "/tasks"), &[]), route);
    // Channels without payloads send it as text.
    assert_eq!(routed(&open, &text(&payload), &[]), route);
}

#[test]
fn rule_1_a_button_of_a_task_that_is_not_open_is_stale() {
    let open = with(&[("a", for_reply(&[]))]);
    let old = press(&payload(&id("gone"), 7, 2), "Yes");
    assert_eq!(routed(&open, &old, &[]), Route::StaleButton);
    for not_ours in ["cf1:", "cf1:a:1:1", "cf1:task_a:x:1", "cf1:task_a:1:1:1", "Yes"] {
        let route = routed(&open, &press(not_ours, "Yes"), &[]);
        assert_eq!(route, to("a", Rule::Focused, false), "{not_ours}");
    }
}

#[test]
fn rule_2_a_command() {
    let open = with(&[("a", for_reply(&["任務"])), ("b", for_reply(&[]))]);
    for (said, command) in [
        ("/tasks", Command::List),
        ("切換 ２", Command::Switch { number: Some(2) }),
        ("狀態", Command::Status { number: None }),
        ("/CANCEL 1", Command::Cancel { number: Some(1) }),
        ("/new leave", Command::New { flow: Some("leave".into()) }),
        ("說明", Command::Help),
        ("/?", Command::Help),
    ] {
        // It comes before a trigger that interrupts, and the focus.
        let triggers = vec![("x", keyword(said, WhenBusy::Interrupt, WhenOpen::Start, None))];
        assert_eq!(routed(&open, &text(said), &triggers), Route::Command(command), "{said}");
    }
}

#[test]
fn rule_2_yields_to_a_label_that_the_focused_task_offers() {
    let said = text(" 任務！");
    let focused = to("a", Rule::Focused, false);
    let open = with(&[("a", for_reply(&["任務"])), ("b", for_reply(&[]))]);
    assert_eq!(routed(&open, &said, &[]), focused);
    // So does rule 3: typing a label is pressing its button.
    let open = with(&[("a", for_reply(&["請假", "加班"]))]);
    assert_eq!(routed(&open, &text("請假"), &leave(WhenBusy::Interrupt)), focused);
    // The labels of another task do not count, nor do those of a task that does not wait.
    let open = with(&[("a", for_reply(&[])), ("b", for_reply(&["任務"]))]);
    assert_eq!(routed(&open, &said, &[]), Route::Command(Command::List));
    // A label without a letter is nobody's command.
    let open = with(&[("a", for_reply(&["👍"]))]);
    assert_eq!(routed(&open, &text("👎"), &[]), focused);
}

#[test]
fn rule_3_a_trigger_that_interrupts() {
    let open = with(&[("a", for_reply(&[]))]);
    let triggers = leave(WhenBusy::Interrupt);
    let start = starts("leave", Rule::Interrupt);
    assert_eq!(routed(&open, &text("請假！"), &triggers), start);
    assert_eq!(routed(&conversation(), &text("請假"), &triggers), start);
    assert_eq!(routed(&open, &text("我要請假"), &triggers), to("a", Rule::Focused, false));
    // The first trigger that matches decides, and its place is told.
    let trigger = keyword("請假", WhenBusy::Interrupt, WhenOpen::Start, None);
    let entries = [
        EntryPoint { flow: "first", index: 4, trigger: &trigger },
        EntryPoint { flow: "second", index: 0, trigger: &trigger },
    ];
    let start = Route::Start { flow: "first".into(), trigger: Some(4), rule: Rule::Interrupt };
    assert_eq!(route(&open, &text("請假"), &entries, None), start);
}

#[test]
fn rule_3_an_event_type_beside_the_text() {
    let open = with(&[("a", for_reply(&[]))]);
    let message = Incoming { event_type: Some("hr.leave".into()), ..text("x") };
    let triggers = vec![("leave", event("hr.leave", WhenBusy::Interrupt))];
    assert_eq!(routed(&open, &message, &triggers), starts("leave", Rule::Interrupt));
    let triggers = vec![("leave", event("hr.other", WhenBusy::Interrupt))];
    assert_eq!(routed(&open, &message, &triggers), to("a", Rule::Focused, false));
}

#[test]
fn when_busy_queue_waits_for_the_conversation_to_be_free() {
    let triggers = leave(WhenBusy::Queue);
    let queue = Route::Queue { flow: "leave".into(), trigger: 0 };
    for busy in [
        with(&[("a", for_reply(&[]))]),
        with(&[("a", for_call()), ("b", for_reply(&[]))]),
        unfocused(&[("a", for_reply(&[])), ("b", for_reply(&[]))]),
    ] {
        assert_eq!(routed(&busy, &text("請假"), &triggers), queue);
    }
    for free in [conversation(), with(&[("a", for_call())])] {
        assert_eq!(routed(&free, &text("請假"), &triggers), starts("leave", Rule::Trigger));
    }
    // A person who has the focused task gets the message.
    let open = with(&[("a", for_human())]);
    assert_eq!(routed(&open, &text("請假"), &triggers), to("a", Rule::Focused, false));
}

#[test]
fn when_busy_ignore_leaves_the_message_to_the_waiting_task() {
    let triggers = leave(WhenBusy::Ignore);
    let open = with(&[("a", for_reply(&[]))]);
    assert_eq!(routed(&open, &text("請假"), &triggers), to("a", Rule::Focused, false));
    let open = with(&[("a", for_call()), ("b", for_reply(&[]))]);
    assert_eq!(routed(&open, &text("請假"), &triggers), to("b", Rule::OnlyWaiting, false));
    let open = unfocused(&[("a", for_reply(&[])), ("b", for_reply(&[]))]);
    let which = Route::AskWhich(vec![id("a"), id("b")]);
    assert_eq!(routed(&open, &text("請假"), &triggers), which);
    let open = with(&[("a", for_call())]);
    assert_eq!(routed(&open, &text("請假"), &triggers), starts("leave", Rule::Trigger));
}

#[test]
fn when_open_switch_goes_to_the_open_task_of_the_group() {
    let in_group = |group: &str, on| {
        let mut conversation = with(&[("a", for_reply(&[]))]);
        let mut other = task("b", on, 1);
        other.trigger = Some(group.into());
        conversation.reflect(&other, false);
        conversation
    };
    let triggers =
        |group, when_busy| vec![("booking", keyword("hotel", when_busy, WhenOpen::Switch, group))];
    let (any, hotel) = (triggers(None, WhenBusy::Interrupt), Some("hotel"));
    let open = in_group("booking", for_reply(&[]));
    assert_eq!(routed(&open, &text("Hotel"), &any), to("b", Rule::Interrupt, true));
    let open = in_group("booking/hotel", for_reply(&[]));
    let same = triggers(hotel, WhenBusy::Interrupt);
    assert_eq!(routed(&open, &text("Hotel"), &same), to("b", Rule::Interrupt, true));
    // Another group, or a task that takes no message now: a new one.
    let start = starts("booking", Rule::Interrupt);
    assert_eq!(routed(&open, &text("Hotel"), &any), start);
    assert_eq!(routed(&open, &text("Hotel"), &triggers(Some("taxi"), WhenBusy::Interrupt)), start);
    assert_eq!(routed(&in_group("booking/hotel", for_call()), &text("Hotel"), &same), start);
    // A person who has it takes messages; a trigger that queues switches as well.
    let open = in_group("booking/hotel", for_human());
    assert_eq!(routed(&open, &text("Hotel"), &same), to("b", Rule::Interrupt, true));
    let queues = triggers(hotel, WhenBusy::Queue);
    assert_eq!(routed(&open, &text("Hotel"), &queues), to("b", Rule::Trigger, true));
}

#[test]
fn rule_4_the_focused_task() {
    let open = with(&[("a", for_reply(&[])), ("b", for_reply(&[]))]);
    assert_eq!(routed(&open, &text("3"), &[]), to("a", Rule::Focused, false));
    let open = with(&[("a", for_human()), ("b", for_reply(&[]))]);
    assert_eq!(routed(&open, &text("3"), &[]), to("a", Rule::Focused, false));
}

#[test]
fn rule_5_the_only_other_task_that_waits() {
    let open = with(&[("a", for_call()), ("b", for_reply(&[])), ("c", for_human())]);
    assert_eq!(routed(&open, &text("3"), &[]), to("b", Rule::OnlyWaiting, false));
}

#[test]
fn rule_6_several_wait_and_the_person_is_asked() {
    let open = with(&[("a", for_call()), ("b", for_reply(&[])), ("c", for_reply(&[]))]);
    let which = Route::AskWhich(vec![id("b"), id("c")]);
    assert_eq!(route(&open, &text("3"), &[], Some("menu")), which);
    let many: Vec<String> = (0..15).map(|n| n.to_string()).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), for_reply(&[]))).collect();
    let Route::AskWhich(asked) = routed(&unfocused(&many), &text("3"), &[]) else { panic!() };
    assert_eq!(asked.len(), 10);
}

#[test]
fn rule_6_the_answer_is_a_place_a_label_or_a_press() {
    let mut open = unfocused(&[("a", for_reply(&[])), ("b", for_reply(&[]))]);
    open.candidates = vec![id("b"), id("a")];
    for (message, name) in [
        (text("1"), "b"),
        (text("#2"), "a"),
        (text("２"), "a"),
        (text("task B"), "b"),
        (press("cf1:pick:task_a", "Task a"), "a"),
    ] {
        assert_eq!(routed(&open, &message, &[]), Route::Chosen(id(name)), "{message:?}");
    }
    // Anything else is one more message to be kept.
    let which = Route::AskWhich(vec![id("a"), id("b")]);
    for said in ["0", "3", "task", "!"] {
        assert_eq!(routed(&open, &text(said), &[]), which, "{said}");
    }
    // A label that two tasks share tells nothing.
    for task in &mut open.open {
        task.label = "Same".into();
    }
    assert_eq!(routed(&open, &text("same"), &[]), which);
}

#[test]
fn an_old_press_of_which_one_still_switches() {
    let open = with(&[("a", for_reply(&[])), ("b", for_reply(&[]))]);
    let switch = Route::Command(Command::Switch { number: Some(2) });
    assert_eq!(routed(&open, &press("cf1:pick:task_b", "Task b"), &[]), switch);
    let old = press("cf1:pick:task_gone", "Task gone");
    assert_eq!(routed(&open, &old, &[]), Route::StaleButton);
}

#[test]
fn the_question_has_a_button_for_each_task() {
    let open = with(&[("a", for_reply(&[])), ("b", for_reply(&[]))]);
    let content = super::super::texts(None).which(&open, &[id("b"), id("a")]);
    assert_eq!(content.as_plain_text(), "Which task is this for?\n1. Task b\n2. Task a");
    assert_eq!(content.choices[0].payload, "cf1:pick:task_b");
}

#[test]
fn rule_7_a_trigger_then_the_default_flow_then_nowhere() {
    let open = with(&[("a", for_call())]);
    let triggers = leave(WhenBusy::Ignore);
    let route_to = |said: &str, default| route(&open, &text(said), &entries(&triggers), default);
    assert_eq!(route_to("請假", Some("menu")), starts("leave", Rule::Trigger));
    let menu = Route::Start { flow: "menu".into(), trigger: None, rule: Rule::DefaultFlow };
    assert_eq!(route_to("hello", Some("menu")), menu);
    let Route::Unrouted(why) = route_to("hello", None) else { panic!() };
    assert_eq!(
        why,
        "no open task waits for a reply, no trigger matches, and the connection has no default \
         flow"
    );
}

#[test]
fn rule_7_takes_the_first_trigger_whatever_it_does_when_busy() {
    let triggers = vec![
        ("first", keyword("hi", WhenBusy::Queue, WhenOpen::Start, None)),
        ("second", keyword("hi", WhenBusy::Ignore, WhenOpen::Start, None)),
    ];
    let start = starts("first", Rule::Trigger);
    assert_eq!(routed(&conversation(), &text("hi"), &triggers), start);
}

#[test]
fn a_schedule_is_no_trigger_for_messages() {
    let trigger = Trigger::Schedule {
        cron: "0 9 * * 1".into(),
        zone: None,
        contact: None,
        vars: indexmap::IndexMap::new(),
    };
    let route = routed(&conversation(), &text("0 9 * * 1"), &[("weekly", trigger)]);
    assert!(matches!(route, Route::Unrouted(_)));
}
