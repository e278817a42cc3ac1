//! What a conversation remembers: numbers, the focus, and where it returns to.

use super::*;
use crate::routing::FocusChange;

fn numbers(conversation: &Conversation) -> Vec<(&str, u32)> {
    conversation.open.iter().map(|open| (open.task.as_str(), open.number)).collect()
}

fn ended(name: &str) -> Task {
    let mut task = task(name, None, 9);
    task.status = Status::Completed { outcome: "done".into(), result: serde_json::Value::Null };
    task
}

#[test]
fn a_task_is_opened_changed_and_closed() {
    let mut conversation = conversation();
    assert_eq!(conversation.reflect(&task("a", for_reply(&["Yes！"]), 3), true), FocusChange::None);
    let open = OpenTask {
        task: id("a"),
        number: 1,
        flow: "booking".into(),
        label: "Task a".into(),
        trigger: None,
        waiting_for: Some("reply".into()),
        since: at(3),
        offered: vec!["yes".into()],
    };
    assert_eq!(conversation.open, vec![open.clone()]);
    assert_eq!(conversation.focus, Some(id("a")));
    let mut moved = task("a", for_call(), 5);
    moved.label = "Three days".into();
    conversation.reflect(&moved, false);
    let changed = OpenTask {
        label: "Three days".into(),
        waiting_for: Some("call".into()),
        since: at(5),
        offered: vec![],
        ..open
    };
    assert_eq!(conversation.open, vec![changed]);
    conversation.candidates = vec![id("a")];
    assert_eq!(conversation.reflect(&ended("a"), true), FocusChange::None);
    assert_eq!((&conversation.open, &conversation.focus), (&vec![], &None));
    assert_eq!(conversation.candidates, vec![]);
}

#[test]
fn numbers_stay_and_begin_again_when_all_is_done() {
    let mut conversation = with(&[("a", for_reply(&[])), ("b", for_call()), ("c", for_call())]);
    assert_eq!(numbers(&conversation), [("task_a", 1), ("task_b", 2), ("task_c", 3)]);
    conversation.reflect(&ended("b"), false);
    conversation.reflect(&task("d", None, 4), false);
    assert_eq!(numbers(&conversation), [("task_a", 1), ("task_c", 3), ("task_d", 4)]);
    assert_eq!(conversation.numbered(3).map(|open| open.task.clone()), Some(id("c")));
    assert_eq!(conversation.numbered(2), None);
    for name in ["a", "c", "d"] {
        conversation.reflect(&ended(name), false);
    }
    conversation.reflect(&task("e", None, 5), false);
    assert_eq!(numbers(&conversation), [("task_e", 1)]);
}

#[test]
fn the_focus_goes_to_the_first_task_and_to_one_that_takes_it() {
    let mut conversation = with(&[("a", for_reply(&[])), ("b", for_reply(&[]))]);
    assert_eq!(conversation.focus, Some(id("a")));
    conversation.reflect(&task("b", for_reply(&[]), 5), true);
    assert_eq!(conversation.focus, Some(id("b")));
    conversation.reflect(&task("a", for_reply(&[]), 6), false);
    assert_eq!(conversation.focus, Some(id("b")));
}

#[test]
fn the_focus_returns_to_the_task_that_waited_longest() {
    let mut conversation = conversation();
    for (name, on, since) in [
        ("a", for_reply(&[]), 9),
        ("b", for_call(), 1),
        ("c", for_reply(&[]), 5),
        ("d", for_reply(&[]), 5),
        ("e", for_human(), 0),
    ] {
        conversation.reflect(&task(name, on, since), false);
    }
    assert_eq!(conversation.reflect(&ended("a"), false), FocusChange::Returned(id("c")));
    assert_eq!(conversation.focus, Some(id("c")));
    // The end of a task out of focus moves nothing.
    assert_eq!(conversation.reflect(&ended("d"), false), FocusChange::None);
    // Where none waits for a reply, nobody has the focus, and nobody asks again.
    assert_eq!(conversation.reflect(&ended("c"), false), FocusChange::None);
    assert_eq!(conversation.focus, None);
    // The next task that speaks gets it.
    conversation.reflect(&task("b", for_reply(&[]), 9), false);
    assert_eq!(conversation.focus, Some(id("b")));
}

#[test]
fn a_contact_keeps_what_a_channel_leaves_out() {
    let mut conversation = conversation();
    let lang = Some(flow::Lang::zh_tw());
    conversation.learn(&Contact { id: "x".into(), name: Some("Mei".into()), lang: lang.clone() });
    conversation.learn(&Contact { id: "x".into(), name: None, lang: None });
    let contact = Contact { id: "u-42".into(), name: Some("Mei".into()), lang };
    assert_eq!(conversation.contact, contact);
}

#[test]
fn only_a_reply_makes_a_conversation_busy() {
    assert!(with(&[("a", for_call()), ("b", for_reply(&[]))]).is_busy());
    assert!(!with(&[("a", for_call()), ("b", for_human())]).is_busy());
}
