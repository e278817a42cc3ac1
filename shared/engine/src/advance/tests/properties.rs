//! What holds for every flow and everything that can happen to it.

use std::collections::HashSet;

use proptest::prelude::*;

use super::generate::{Act, acts, body, flows};
use super::*;
use crate::event::EventBody;

/// What is set going by effects and has not come to an end, as the world outside sees it.
#[derive(Default)]
struct World {
    ids: HashSet<String>,
    timers: HashSet<(TimerName, u64)>,
    children: HashSet<TaskId>,
}

impl World {
    /// Follows one transition, and holds it against what was going on before.
    fn follow(&mut self, entry: &HistoryEntry) {
        match &entry.event.body {
            EventBody::Timer { name, entered } => {
                assert!(self.timers.remove(&(*name, *entered)), "{name:?} fired and was not set");
            }
            EventBody::ChildEnded { child, .. } => assert!(self.children.remove(child)),
            _ => {}
        }
        for effect in &entry.effects {
            match effect {
                Effect::Send { id, .. } | Effect::Notify { id, .. } => self.unique(&id.0),
                Effect::Record { id, .. } => self.unique(&id.0),
                Effect::Call(call) => self.unique(&call.id.0),
                Effect::StartTask { id, parent, .. } => {
                    self.unique(&id.0);
                    if parent.waits {
                        self.children.insert(id.clone());
                    }
                }
                Effect::CancelTask { id } => assert!(self.children.remove(id), "{id} is not open"),
                Effect::SetTimer { name, entered, .. } => {
                    self.timers.insert((*name, *entered));
                }
                // Moving to a version without a timeout takes back what may have been set.
                Effect::CancelTimer { name: TimerName::Expiry, entered: 0 } => {
                    self.timers.remove(&(TimerName::Expiry, 0));
                }
                Effect::CancelTimer { name, entered } => {
                    assert!(self.timers.remove(&(*name, *entered)), "{name:?} was not set");
                }
                Effect::TellParent { .. } | Effect::Assign { .. } => {}
            }
        }
    }

    fn unique(&mut self, id: &str) {
        assert!(self.ids.insert(id.to_owned()), "{id} twice");
    }

    /// Nothing goes on that the task does not know of, and the other way round.
    fn agrees_with(&self, flow: &Flow, task: &Task) {
        let mut timers = HashSet::new();
        if let Status::Waiting { entered, timers: set, .. } = &task.status {
            timers.extend(set.iter().map(|name| (*name, *entered)));
            timers.extend(flow.timeout.as_ref().map(|_| (TimerName::Expiry, 0)));
        }
        assert_eq!(self.timers, timers, "timers");
        let children: HashSet<TaskId> = task.open_children().into_iter().collect();
        assert_eq!(self.children, children, "children");
    }
}

/// One task lives through everything, and every property is checked after every event.
fn live(flow: &Flow, acts: &[(Act, i64)]) -> Vec<HistoryEntry> {
    let new = NewTask { parent: Some(parent()), ..new_task() };
    let made = new.make(flow);
    let mut task = made.clone();
    let mut now = made.created_at;
    let mut world = World::default();
    let mut history: Vec<HistoryEntry> = Vec::new();
    let mut moments = Vec::new();
    for (number, (act, minutes)) in acts.iter().enumerate() {
        now += chrono::TimeDelta::minutes(*minutes);
        let id = EventId::of("random", &number.to_string());
        let event = Event { id, at: now, body: body(&task, act) };
        let before = task.clone();
        let transition = advance(flow, &task, &event, now);
        assert_eq!(transition, advance(&flow.clone(), &before, &event.clone(), now), "twice");
        let Ok(transition) = transition else { continue };
        let entry = &transition.entry;
        assert_eq!((entry.sequence, &entry.event), (before.sequence + 1, &event));
        assert_eq!(entry.sequence, transition.task.sequence);
        assert_ne!(transition.task.status, Status::Running);
        assert!(transition.task.updated_at >= before.updated_at);
        assert_eq!(transition.task.ended_at.is_some(), transition.task.status.has_ended());
        if before.status.has_ended() {
            let action = EventBody::Operator { by: "ana".into(), action: OperatorAction::Retry };
            assert_eq!(event.body, action, "only a retry moves a task that has ended");
            assert_eq!(before.status.name(), "failed");
        }
        let told = entry.effects.iter().any(|effect| matches!(effect, Effect::TellParent { .. }));
        assert_eq!(told, transition.task.status.has_ended(), "the parent learns of every end");
        assert!(entry.effects.len() <= super::super::EFFECTS_MAX + 2);
        world.follow(entry);
        world.agrees_with(flow, &transition.task);
        history.push(transition.entry);
        moments.push(now);
        task = transition.task;
        assert_eq!(rebuild(&made, &history), task, "the history tells the state");
    }
    stored_and_again(flow, &made, &task, &history, &moments);
    history
}

/// The history as it is stored tells the same, and its events alone lead to it again.
fn stored_and_again(
    flow: &Flow,
    made: &Task,
    task: &Task,
    history: &[HistoryEntry],
    moments: &[DateTime<Utc>],
) {
    let stored = serde_json::to_string(history).unwrap();
    let read: Vec<HistoryEntry> = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, history);
    let stored: Task = serde_json::from_str(&serde_json::to_string(task).unwrap()).unwrap();
    assert_eq!(rebuild(made, &read), stored);
    let mut again = made.clone();
    for (entry, now) in history.iter().zip(moments) {
        let transition = advance(flow, &again, &entry.event, *now).unwrap();
        assert_eq!(transition.entry, *entry, "running the history again");
        again = transition.task;
    }
    assert_eq!(again, *task);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_flow_lives_by_the_rules(flow in flows(), acts in acts()) {
        live(&flow, &acts);
    }
}

#[test]
fn random_flows_get_somewhere() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut left = std::collections::BTreeMap::new();
    for _ in 0..600 {
        let flow = flows().new_tree(&mut runner).unwrap().current();
        let acts = acts().new_tree(&mut runner).unwrap().current();
        for entry in live(&flow, &acts) {
            let name = |step: &str| flow.steps.get(step).map_or("none", |step| step.kind.name());
            for visit in entry.steps {
                let by = visit.left_by.unwrap_or_else(|| "stays".into());
                *left.entry(format!("{} {by}", name(&visit.step))).or_insert(0) += 1;
            }
        }
    }
    // The generator is worth something only while it reaches every exit of every step.
    for exit in [
        "say next",
        "ask next",
        "ask reprompt/then",
        "ask timeout",
        "ask cancelled",
        "ask failed",
        "ask expired",
        "set next",
        "branch cases/0",
        "branch else",
        "call next",
        "call on_error",
        "wait next",
        "wait timeout",
        "start next",
        "start on_error",
        "each next",
        "each on_error",
        "each cancelled",
        "handoff next",
        "handoff timeout",
        "notify next",
        "record next",
        "end stays",
    ] {
        assert!(left.contains_key(exit), "{exit} is never reached: {left:?}");
    }
}
