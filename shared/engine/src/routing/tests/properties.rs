//! Whatever comes, there is one route, and it leads to something that is there.

use proptest::prelude::*;

use super::*;

fn waits() -> impl Strategy<Value = Option<Wait>> {
    prop_oneof![
        3 => proptest::collection::vec("[a-c任務]{0,2}", 0..3).prop_map(|labels| {
            Some(for_reply(&labels.iter().map(String::as_str).collect::<Vec<_>>()))
        }),
        1 => Just(Some(for_call())),
        1 => Just(Some(for_human())),
        1 => Just(None),
    ]
}

fn conversations() -> impl Strategy<Value = Conversation> {
    let tasks = proptest::collection::vec((waits(), 0..9i64, any::<bool>()), 0..6);
    (tasks, any::<bool>(), 0..4usize).prop_map(|(tasks, focused, candidates)| {
        let mut conversation = conversation();
        for (number, (on, since, focus)) in tasks.into_iter().enumerate() {
            let mut task = task(&number.to_string(), on, since);
            task.trigger = focus.then(|| "flow0".into());
            conversation.reflect(&task, focus);
        }
        if !focused {
            conversation.focus = None;
        }
        conversation.candidates =
            conversation.open.iter().rev().take(candidates).map(|open| open.task.clone()).collect();
        conversation
    })
}

fn messages() -> impl Strategy<Value = Incoming> {
    let said = prop_oneof![
        "\\PC{0,20}",
        "[a-c]{0,2}",
        "[0-9#]{0,3}",
        "(/|任務|切換|cf1:|pick:|task_[0-9]|:[0-9]){0,5}",
    ];
    let payload = proptest::option::weighted(
        0.4,
        prop_oneof!["cf1:task_[0-9]:[0-9]{1,20}:[0-9]{1,20}", "cf1:pick:task_[0-9]", "\\PC{0,20}",],
    );
    let names = proptest::option::weighted(0.1, "task_[0-9]".prop_map(TaskId));
    let event = proptest::option::weighted(0.2, Just("e".to_owned()));
    (said, payload, names, event).prop_map(|(text, payload, names, event_type)| Incoming {
        text,
        payload,
        names,
        event_type,
    })
}

fn triggers() -> impl Strategy<Value = Vec<Trigger>> {
    use WhenBusy::{Ignore, Interrupt, Queue};
    let busy = proptest::sample::select(vec![Interrupt, Queue, Ignore]);
    let open = proptest::sample::select(vec![WhenOpen::Start, WhenOpen::Switch]);
    let one = ("[a-c]{0,2}", busy, open, any::<bool>()).prop_map(|(word, busy, open, by_event)| {
        if by_event { event("e", busy) } else { keyword(&word, busy, open, None) }
    });
    proptest::collection::vec(one, 0..4)
}

proptest! {
    #[test]
    fn there_is_always_a_route_to_something_that_is_there(
        conversation in conversations(),
        message in messages(),
        triggers in triggers(),
        default in proptest::option::of(Just("menu")),
    ) {
        let names: Vec<String> = (0..triggers.len()).map(|at| format!("flow{at}")).collect();
        let entries: Vec<EntryPoint<'_>> = triggers
            .iter()
            .zip(&names)
            .map(|(trigger, flow)| EntryPoint { flow, index: 0, trigger })
            .collect();
        let first = route(&conversation, &message, &entries, default);
        prop_assert_eq!(&first, &route(&conversation, &message, &entries, default));
        match first {
            Route::Task { task, rule, pressed, focus } => {
                let open = conversation.find(&task);
                prop_assert!(open.is_some() || message.names.as_ref() == Some(&task));
                prop_assert!(pressed.is_none() || rule == Rule::Named);
                prop_assert_eq!(focus, !matches!(rule, Rule::Focused | Rule::OnlyWaiting));
                if rule != Rule::Named {
                    prop_assert!(open.is_some_and(OpenTask::takes_messages));
                }
            }
            Route::Start { flow, trigger, .. } => {
                let known = trigger.is_some() && names.contains(&flow);
                prop_assert!(known || (trigger.is_none() && Some(flow.as_str()) == default));
            }
            Route::Queue { flow, .. } => {
                prop_assert!(names.contains(&flow) && conversation.is_busy());
            }
            Route::AskWhich(tasks) => {
                prop_assert!(tasks.len() > 1);
                for task in tasks {
                    prop_assert!(conversation.find(&task).is_some_and(OpenTask::waits_for_reply));
                }
            }
            Route::Chosen(task) => prop_assert!(conversation.candidates.contains(&task)),
            Route::Unrouted(_) => prop_assert!(default.is_none()),
            Route::Command(_) | Route::StaleButton => {}
        }
    }

    #[test]
    fn a_payload_reads_as_it_was_written(
        name in "[a-z0-9]{1,32}",
        entered in any::<u64>(),
        index in any::<usize>(),
    ) {
        let task = id(&name);
        let read = super::super::read_payload(&payload(&task, entered, index));
        prop_assert_eq!(read, Some((task, Pressed { entered, index })));
    }

    #[test]
    fn the_focus_is_an_open_task(
        steps in proptest::collection::vec((0..5u8, waits(), any::<bool>(), 0..9i64), 0..40),
    ) {
        let mut conversation = conversation();
        for (name, on, flag, since) in steps {
            let mut task = task(&name.to_string(), on, since);
            if flag && since > 4 {
                task.status = Status::Cancelled { reason: "x".into() };
            }
            conversation.reflect(&task, flag);
            prop_assert!(conversation.focus.is_none() || conversation.focused().is_some());
            let mut numbers: Vec<u32> = conversation.open.iter().map(|open| open.number).collect();
            prop_assert!(numbers.is_sorted());
            numbers.dedup();
            prop_assert_eq!(numbers.len(), conversation.open.len());
        }
    }
}
