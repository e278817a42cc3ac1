//! The end of a run: everything comes to rest, and then it must be as promised.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use engine::{ConversationId, Direction, Message, MessageState, Status, Task, TaskId, rebuild};
use ports::{
    Deliveries, FailureStore, MessageFilter, Page, PageOf, PortResult, Queries, TaskFilter, Timers,
    TurnStore, Warehouse,
};
use serde_json::{Map, Value};

use crate::dice::Dice;
use crate::gate::wait_for;
use crate::model::Model;
use crate::work::{Work, asked_for};
use crate::world::{CONNECTION, World};

/// Longer than a sweep waits, with all clocks as wrong as they can be.
const UNTIL_SWEPT: TimeDelta = TimeDelta::seconds(120);
/// Most times that time passes until nothing is left to come.
const ROUNDS_MAX: usize = 1_000;

type Verdict = Result<(), String>;

fn check(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

fn known<T>(answer: PortResult<T>) -> Result<T, String> {
    answer.map_err(|error| format!("the store does not answer: {error}"))
}

impl World {
    /// Lets everything end: what waits, what a crash left, and every timer.
    pub(crate) fn come_to_rest(&mut self, seed: u64) -> Verdict {
        let mut dice = Dice::new(!seed);
        for _ in 0..ROUNDS_MAX {
            self.drain(&mut dice)?;
            if self.unpublished()? > 0 {
                self.clock.advance(UNTIL_SWEPT);
                self.begin(Work::Sweep, 0);
                continue;
            }
            self.timers_are_set()?;
            let Some(due) = known(wait_for(self.store.next_due()))? else {
                return Ok(());
            };
            self.clock.set(due + TimeDelta::seconds(1));
        }
        Err("rest: there is always one more timer, or the outbox never empties".to_owned())
    }

    /// Whoever waits for a timer gets it: it is there as long as the wait is.
    fn timers_are_set(&self) -> Verdict {
        let set = known(wait_for(self.store.overdue(DateTime::<Utc>::MAX_UTC, 1_000)))?;
        for task in self.watched.model().tasks.values() {
            let Status::Waiting { step, entered, timers, .. } = &task.status else { continue };
            for name in timers {
                let id = format!("timer/{}/{}/{entered}/", task.id, name.as_str());
                check(set.iter().any(|timer| timer.id.starts_with(&id)), || {
                    format!("timers: {} waits in {step} for {name:?}, which is gone", task.id)
                })?;
            }
        }
        Ok(())
    }

    fn unpublished(&self) -> Result<usize, String> {
        let end = DateTime::<Utc>::MAX_UTC;
        Ok(known(wait_for(self.store.unpublished(end, 1_000)))?.len())
    }

    /// Everything that was promised.
    pub(crate) fn judge(&self) -> Verdict {
        let watched = self.watched.model();
        let model = &*watched;
        self.nothing_is_left()?;
        self.all_were_heard(model)?;
        replies(model)?;
        tasks(model)?;
        parties(model)?;
        self.echoes(model)?;
        self.store_equals(model)?;
        self.warehouse_equals(model)
    }

    fn nothing_is_left(&self) -> Verdict {
        let page = Page { limit: 1_000, cursor: None };
        let failures = known(wait_for(self.store.failures(None, None, &page)))?.items;
        check(failures.is_empty(), || format!("accepted: there are failures: {failures:?}"))?;
        Ok(())
    }

    fn all_were_heard(&self, model: &Model) -> Verdict {
        for person in &self.people {
            let conversation = ConversationId::of(CONNECTION, person.id);
            let heard = model.heard.get(&conversation).cloned().unwrap_or_default();
            check(heard == person.accepted, || {
                let accepted = &person.accepted;
                format!("accepted: {} said {accepted:?}, and heard was {heard:?}", person.id)
            })?;
        }
        let asked = model.tasks.values().filter(|task| task.contact.id.starts_with('a')).count();
        check(asked == self.asked, || {
            format!("once: {} tasks were asked for, and {asked} made", self.asked)
        })?;
        for request in 0..self.asked {
            let contact = asked_for(request);
            let one = model.tasks.values().any(|task| task.contact.id == contact);
            check(one, || format!("accepted: there is no task of {contact}"))?;
        }
        Ok(())
    }

    /// Everything is answered, in order, by one task that stays on its version.
    fn echoes(&self, model: &Model) -> Verdict {
        for person in self.people.iter().filter(|person| !person.has_a_party()) {
            let conversation = ConversationId::of(CONNECTION, person.id);
            let of_person = |message: &&Message| {
                message.conversation == conversation && message.direction == Direction::Out
            };
            let said = in_order(model.messages.values().filter(of_person));
            let versions: BTreeSet<&str> =
                said.iter().filter_map(|text| text.split([' ', ':']).nth(1)).collect();
            check(versions.len() <= 1, || {
                format!("versions: the task of {} spoke {versions:?}", person.id)
            })?;
            let version = versions.first().copied().unwrap_or("v1");
            let expected: Vec<String> =
                (0..person.accepted.len()).map(|n| format!("{n} {version}: m{n}")).collect();
            check(said == expected, || {
                format!("order: {} was answered {said:?} in place of {expected:?}", person.id)
            })?;
        }
        Ok(())
    }

    fn store_equals(&self, model: &Model) -> Verdict {
        let filter = TaskFilter::default();
        let stored = all(|page| wait_for(self.store.list_tasks(&filter, page)))?;
        let stored: BTreeMap<TaskId, Task> =
            stored.into_iter().map(|task| (task.id.clone(), task)).collect();
        check(stored == model.tasks, || "views: the list of tasks is not the model".into())?;
        let filter = MessageFilter::default();
        let messages = all(|page| wait_for(self.store.list_messages(&filter, page)))?;
        let ids = messages.iter().map(|message| &message.id);
        check(messages.len() == model.messages.len(), || {
            format!("views: {} of {} messages", ids.len(), model.messages.len())
        })?;
        for message in &messages {
            check(model.messages.get(&message.id) == Some(message), || {
                format!("views: {} is not as the model has it", message.id)
            })?;
        }
        for id in model.tasks.keys() {
            let history = known(wait_for(self.store.history(id, 0, 1_000)))?;
            check(model.history.get(id) == Some(&history), || {
                format!("views: the history of {id} is not the model")
            })?;
        }
        let conversations = all(|page| wait_for(self.store.list_conversations(None, None, page)))?;
        for conversation in &conversations {
            check(model.conversations.get(&conversation.id) == Some(conversation), || {
                format!("views: {} is not as the model has it", conversation.id)
            })?;
        }
        let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
        for task in model.tasks.values() {
            let key = (task.flow.clone(), task.status.name().to_owned());
            *counts.entry(key).or_default() += 1;
        }
        let counted = known(wait_for(self.store.task_counts()))?;
        let counted = counted.into_iter().filter(|(_, _, tasks)| *tasks > 0);
        let counted: BTreeMap<_, _> =
            counted.map(|(flow, status, tasks)| ((flow, status), tasks)).collect();
        check(counted == counts, || format!("views: counted {counted:?}, there are {counts:?}"))
    }

    fn warehouse_equals(&self, model: &Model) -> Verdict {
        let text = |row: &Map<String, Value>, column: &str| {
            row.get(column).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let number = |row: &Map<String, Value>, column: &str| {
            let value = row.get(column).cloned().unwrap_or_default();
            value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
        };
        let tasks: Vec<_> = model
            .tasks
            .values()
            .map(|task| (task.id.0.clone(), task.sequence, task.status.name().to_owned()))
            .collect();
        let messages: Vec<_> = model
            .messages
            .values()
            .map(|message| {
                (message.id.0.clone(), message.revision, message.state.name().to_owned())
            })
            .collect();
        let entries = model.history.values().flatten();
        let mut history: Vec<_> = entries
            .map(|entry| (entry.task.0.clone(), entry.sequence, entry.status.name().to_owned()))
            .collect();
        history.sort();
        for (table, key, status, expected) in [
            ("tasks", "task_id", "status", tasks),
            ("messages", "message_id", "state", messages),
            ("history", "task_id", "status_after", history),
        ] {
            let rows = self.current(table)?;
            let mut landed: Vec<_> = rows
                .iter()
                .map(|row| (text(row, key), number(row, "sequence"), text(row, status)))
                .collect();
            landed.sort();
            check(landed == expected, || {
                let missing: Vec<_> = expected.iter().filter(|row| !landed.contains(row)).collect();
                let more: Vec<_> = landed.iter().filter(|row| !expected.contains(row)).collect();
                format!("data: {table} lacks {missing:?} and has {more:?} too many")
            })?;
        }
        Ok(())
    }

    fn current(&self, table: &str) -> Result<Vec<Map<String, Value>>, String> {
        let found = schema::base_table(table);
        let schema = found.ok_or_else(|| format!("there is no table {table}"))?;
        let kept = Page { limit: 1_000, cursor: None };
        let kept = known(wait_for(self.store.quarantined(table, &kept)))?.items;
        check(kept.is_empty(), || format!("data: rows are in quarantine: {kept:?}"))?;
        all(|page| wait_for(self.store.rows(schema, true, page)))
    }
}

/// Whoever named a party got the sum of its errands, once.
fn parties(model: &Model) -> Verdict {
    let of_flow = |flow: &str| -> Vec<&Task> {
        model.tasks.values().filter(|task| task.flow == flow).collect()
    };
    for errand in of_flow("errand") {
        let expected = errand.vars.get("size").and_then(Value::as_i64).unwrap_or(0) * 10;
        let got = match &errand.status {
            Status::Completed { result, .. } => result.as_i64(),
            _ => None,
        };
        check(got == Some(expected), || format!("once: {} ended as {got:?}", errand.id))?;
    }
    for party in of_flow("party") {
        let said = said_by(model, &party.id);
        let is_named = party.vars.get("name").is_some_and(Value::is_string);
        let named = said.iter().filter(|text| text.ends_with("Ann: 60")).count();
        check(named == usize::from(is_named), || format!("once: a party said {said:?}"))?;
        let children = model
            .tasks
            .values()
            .filter(|task| task.parent.as_ref().is_some_and(|above| above.task == party.id));
        check(children.count() == if is_named { 3 } else { 0 }, || {
            format!("once: {} has the wrong number of children", party.id)
        })?;
    }
    Ok(())
}

/// All pages.
fn all<T>(mut list: impl FnMut(&Page) -> PortResult<PageOf<T>>) -> Result<Vec<T>, String> {
    let mut page = Page { limit: 1_000, cursor: None };
    let mut items = Vec::new();
    loop {
        let PageOf { items: more, next } = known(list(&page))?;
        items.extend(more);
        match next {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(items),
        }
    }
}

/// What a task said, in its order.
fn said_by(model: &Model, task: &TaskId) -> Vec<String> {
    let by_task = |message: &&Message| {
        message.task.as_ref() == Some(task) && message.direction == Direction::Out
    };
    in_order(model.messages.values().filter(by_task))
}

fn in_order<'a>(messages: impl Iterator<Item = &'a Message>) -> Vec<String> {
    let mut messages: Vec<&Message> = messages.collect();
    messages.sort_by_key(|message| (message.created_at, message.id.clone()));
    messages.iter().map(|message| message.content.as_plain_text()).collect()
}

/// Every reply went out, and everything heard was dealt with.
fn replies(model: &Model) -> Verdict {
    for message in model.messages.values() {
        let expected = match message.direction {
            Direction::In => MessageState::Processed,
            Direction::Out => MessageState::Sent,
        };
        let Message { id, state, .. } = message;
        check(*state == expected, || format!("replies: {id} came to rest as {}", state.name()))?;
        let was_sent = model.sent.contains_key(id);
        check(was_sent == (message.direction == Direction::Out), || {
            format!("replies: {id} is said to be sent, and was not")
        })?;
    }
    Ok(())
}

/// Tasks ended or wait for a reply, are open where they should be, and follow from their history.
fn tasks(model: &Model) -> Verdict {
    for task in model.tasks.values() {
        let Task { id, flow, status, .. } = task;
        let is_at_rest = status.has_ended() || flow == "echo" && status.name() == "waiting";
        check(is_at_rest, || format!("rest: {flow} {id} came to rest as {status:?}"))?;
        let history = model.history.get(id).map(Vec::as_slice).unwrap_or_default();
        check(rebuild(task, history) == *task, || {
            format!("gaps: {id} does not follow from its history")
        })?;
        let open = model
            .conversations
            .get(&task.conversation)
            .is_some_and(|found| found.open.iter().any(|one| one.task == *id));
        check(open != status.has_ended(), || {
            format!("views: {id} is {} and its conversation says otherwise", status.name())
        })?;
    }
    Ok(())
}
