//! `start` and `each`: child tasks, and what they give back.

use flow::StepKind;
use flow::step::{Assignments, Each, Start, StartMode};
use serde_json::{Value, json};

use super::Refused;
use super::talk::plain;
use super::walk::{Next, StepError, Walk};
use crate::effect::Effect;
use crate::ids::TaskId;
use crate::task::{Batch, Parent, Status, Vars, Wait};
use crate::transition::Transition;

/// Most items of an `each`.
const ITEMS_MAX: usize = 1_000;
/// Deepest nesting of tasks that start tasks.
const DEPTH_MAX: u32 = 16;

impl Walk<'_> {
    pub(super) fn start(&mut self, start: &Start) -> Result<Next, StepError> {
        let waits = start.mode == StartMode::Wait;
        let child = self.child(&start.flow, &start.vars, start.contact.as_ref(), waits)?;
        if waits {
            return Ok(Next::Wait(Wait::Child { child }, Vec::new()));
        }
        if let Some(into) = &start.into {
            self.assign(into, json!({ "task": child, "outcome": null, "result": null }))?;
        }
        Ok(Next::Go(start.next.clone(), "next".into()))
    }

    fn child(
        &mut self,
        flow: &str,
        vars: &Assignments,
        contact: Option<&String>,
        waits: bool,
    ) -> Result<TaskId, StepError> {
        let depth = self.task.parent.as_ref().map_or(0, |parent| parent.depth) + 1;
        if depth > DEPTH_MAX {
            return Err(format!("tasks start tasks {DEPTH_MAX} deep; flatten the flows"));
        }
        let mut values = Vars::new();
        for (name, value) in vars {
            values.insert(name.clone(), self.evaluate(value)?);
        }
        let contact = match contact {
            Some(source) => Some(self.render(source)?).filter(|id| !id.trim().is_empty()),
            None => None,
        };
        let part = self.part();
        let id = TaskId::derive(self.event.at, &self.event.id, &part);
        self.effects.push(Effect::StartTask {
            id: id.clone(),
            flow: flow.to_owned(),
            vars: values,
            contact,
            parent: Parent {
                task: self.task.id.clone(),
                conversation: self.task.conversation.clone(),
                waits,
                depth,
            },
        });
        Ok(id)
    }

    /// The one child of a `start` ended.
    pub(super) fn child_ended(
        mut self,
        step: &str,
        child: &TaskId,
        completed: bool,
        outcome: &str,
        result: &Value,
    ) -> Transition {
        let flow = self.flow;
        let Some(StepKind::Start(start)) = flow.steps.get(step).map(|step| &step.kind) else {
            return self.lost_step(step);
        };
        if let Some(into) = &start.into
            && let Err(reason) = self.assign(into, ended(child, outcome, result))
        {
            return self.fail(Some(step.to_owned()), reason);
        }
        if completed {
            return self.leave_to(start.next.clone(), "next");
        }
        if let Some(target) = &start.on_error {
            return self.leave_to(target.clone(), "on_error");
        }
        let reason = format!("the child `{}` ended as {outcome}", start.flow);
        self.fail(Some(step.to_owned()), reason)
    }

    pub(super) fn each(&mut self, each: &Each) -> Result<Next, StepError> {
        let items = match self.evaluate(&each.items)? {
            Value::Array(items) if items.len() <= ITEMS_MAX => items,
            Value::Array(items) => {
                return Err(format!("`items` has {} items; at most {ITEMS_MAX}", items.len()));
            }
            other => return Err(format!("`items` must be of type list, not {}", plain(&other))),
        };
        if items.is_empty() {
            if let Some(into) = &each.into {
                self.assign(into, json!([]))?;
            }
            return Ok(Next::Go(each.next.clone(), "next".into()));
        }
        let mut batch = Batch {
            results: vec![None; items.len()],
            items,
            next: 0,
            open: Vec::new(),
            failed: false,
        };
        self.fill(each, &mut batch)?;
        Ok(Next::Wait(Wait::Children(batch), Vec::new()))
    }

    /// Starts children until as many run as may, or no item is left; or none, with the reason.
    fn fill(&mut self, each: &Each, batch: &mut Batch) -> Result<(), StepError> {
        let before = self.effects.len();
        self.start_children(each, batch).inspect_err(|_| self.effects.truncate(before))
    }

    fn start_children(&mut self, each: &Each, batch: &mut Batch) -> Result<(), StepError> {
        while batch.open.len() < each.parallel.clamp(1, 50) as usize {
            let Some(item) = batch.items.get(batch.next).cloned() else { break };
            self.extra.insert("item".into(), item);
            self.extra.insert("index".into(), json!(batch.next));
            let child = self.child(&each.flow, &each.vars, each.contact.as_ref(), true);
            self.extra.clear();
            batch.open.push((batch.next, child?));
            batch.next += 1;
        }
        Ok(())
    }

    /// One child of an `each` ended: the next one starts, or the step is done.
    pub(super) fn one_of_children_ended(
        mut self,
        step: &str,
        batch: &Batch,
        child: &TaskId,
        completed: bool,
        outcome: &str,
        result: &Value,
    ) -> Result<Transition, Refused> {
        let flow = self.flow;
        let Some(StepKind::Each(each)) = flow.steps.get(step).map(|step| &step.kind) else {
            return Ok(self.lost_step(step));
        };
        let mut batch = batch.clone();
        let Some(place) = batch.open.iter().position(|(_, open)| open == child) else {
            return Err(Refused::Stale);
        };
        let (index, _) = batch.open.remove(place);
        if let Some(slot) = batch.results.get_mut(index) {
            *slot = Some(ended(child, outcome, result));
        }
        batch.failed |= !completed;
        if let Err(reason) = self.fill(each, &mut batch) {
            return Ok(self.fail(Some(step.to_owned()), reason));
        }
        if !batch.open.is_empty() {
            if let Status::Waiting { on, .. } = &mut self.task.status {
                *on = Wait::Children(batch);
            }
            return Ok(self.finish());
        }
        let failed = batch.failed;
        let results: Vec<Value> =
            batch.results.into_iter().map(Option::unwrap_or_default).collect();
        if let Some(into) = &each.into
            && let Err(reason) = self.assign(into, Value::Array(results))
        {
            return Ok(self.fail(Some(step.to_owned()), reason));
        }
        match &each.on_error {
            Some(target) if failed => Ok(self.leave_to(target.clone(), "on_error")),
            _ => Ok(self.leave_to(each.next.clone(), "next")),
        }
    }
}

fn ended(child: &TaskId, outcome: &str, result: &Value) -> Value {
    json!({ "task": child, "outcome": outcome, "result": result })
}
