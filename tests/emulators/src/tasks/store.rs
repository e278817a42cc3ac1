//! The queues and tasks that there are, and those that were.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Options;
use super::task::{Request, Retry, Task};
use crate::rest::{self, Refusal};

/// How long the name of a task that is gone stays taken.
const NAME_KEPT: TimeDelta = TimeDelta::hours(1);
/// How many names of tasks that are gone are remembered.
const NAMES_MAX: usize = 1_000_000;
/// How many queues there may be.
const QUEUES_MAX: usize = 1000;

/// What happened to tasks so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tasks created.
    pub created: u64,
    /// Requests sent.
    pub dispatched: u64,
    /// Tasks whose request was answered with 2xx.
    pub completed: u64,
    /// Attempts that failed and were or will be repeated.
    pub retried: u64,
    /// Tasks given up after their last attempt.
    pub given_up: u64,
    /// Tasks dropped by [`super::Server::lose_all`].
    pub lost: u64,
}

/// An attempt to make.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) name: String,
    pub(super) queue: String,
    pub(super) request: Request,
    pub(super) due: DateTime<Utc>,
    /// Attempts before this one.
    pub(super) before: u32,
    /// Answers before this one.
    pub(super) answered: u32,
    pub(super) last_answer: Option<u16>,
}

struct Queue {
    resource: Map<String, Value>,
    paused: bool,
    retry: Retry,
}

/// Everything, behind one lock.
pub(super) struct Store {
    options: Options,
    queues: BTreeMap<String, Queue>,
    tasks: BTreeMap<String, Task>,
    /// Tasks that wait, by when they are due.
    due: BTreeSet<(DateTime<Utc>, String)>,
    gone: HashMap<String, DateTime<Utc>>,
    gone_in_order: VecDeque<(DateTime<Utc>, String)>,
    pub(super) paused: bool,
    pub(super) counts: Counts,
}

impl Store {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            queues: BTreeMap::new(),
            tasks: BTreeMap::new(),
            due: BTreeSet::new(),
            gone: HashMap::new(),
            gone_in_order: VecDeque::new(),
            paused: false,
            counts: Counts::default(),
        }
    }

    fn found_queue(&mut self, name: &str) -> Result<&mut Queue, Refusal> {
        self.queues.get_mut(name).ok_or_else(|| Refusal::not_found("Queue does not exist."))
    }

    pub(super) fn create_queue(
        &mut self,
        name: &str,
        asked: Map<String, Value>,
    ) -> Result<Value, Refusal> {
        if self.queues.contains_key(name) {
            return Err(Refusal::exists("Queue already exists"));
        }
        self.put_queue(name, Map::new(), asked)
    }

    /// Changes a queue's fields, or creates the queue, as Google's `patch` does.
    pub(super) fn patch_queue(
        &mut self,
        name: &str,
        asked: Map<String, Value>,
    ) -> Result<Value, Refusal> {
        let old = self.queues.get(name).map(|queue| queue.resource.clone()).unwrap_or_default();
        self.put_queue(name, old, asked)
    }

    fn put_queue(
        &mut self,
        name: &str,
        old: Map<String, Value>,
        asked: Map<String, Value>,
    ) -> Result<Value, Refusal> {
        if self.queues.len() >= QUEUES_MAX {
            return Err(Refusal::exhausted(format!("the stand-in keeps {QUEUES_MAX} queues")));
        }
        let mut resource = old;
        resource.insert("name".into(), name.into());
        resource.entry("state").or_insert("RUNNING".into());
        let defaults = [
            (
                "rateLimits",
                json!({
                    "maxDispatchesPerSecond": 500, "maxBurstSize": 100,
                    "maxConcurrentDispatches": 1000,
                }),
            ),
            (
                "retryConfig",
                json!({
                    "maxAttempts": 100, "minBackoff": "0.100s", "maxBackoff": "3600s",
                    "maxDoublings": 16,
                }),
            ),
        ];
        for (field, default) in defaults {
            resource.entry(field).or_insert(default);
        }
        for (field, value) in asked {
            match (field.as_str(), resource.get_mut(&field), value) {
                ("name" | "state" | "purgeTime", ..) => {}
                (_, Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
                (_, _, value) => {
                    resource.insert(field, value);
                }
            }
        }
        let retry = Retry::default().with(resource.get("retryConfig"))?;
        let paused = resource.get("state").is_some_and(|state| state == "PAUSED");
        let answer = Value::Object(resource.clone());
        self.queues.insert(name.to_owned(), Queue { resource, paused, retry });
        Ok(answer)
    }

    pub(super) fn get_queue(&mut self, name: &str) -> Result<Value, Refusal> {
        Ok(Value::Object(self.found_queue(name)?.resource.clone()))
    }

    pub(super) fn queues_below<'a>(
        &'a self,
        parent: &'a str,
    ) -> impl Iterator<Item = (&'a String, Value)> {
        let begin = format!("{parent}/queues/");
        self.queues
            .range(begin.clone()..)
            .take_while(move |(name, _)| name.starts_with(&begin))
            .map(|(name, queue)| (name, Value::Object(queue.resource.clone())))
    }

    pub(super) fn pause_queue(&mut self, name: &str, paused: bool) -> Result<Value, Refusal> {
        let queue = self.found_queue(name)?;
        queue.paused = paused;
        let state = if paused { "PAUSED" } else { "RUNNING" };
        queue.resource.insert("state".into(), state.into());
        Ok(Value::Object(queue.resource.clone()))
    }

    pub(super) fn purge_queue(&mut self, name: &str) -> Result<Value, Refusal> {
        let queue = self.found_queue(name)?;
        queue.resource.insert("purgeTime".into(), rest::timestamp(rest::now()).into());
        let answer = Value::Object(queue.resource.clone());
        self.remove_tasks(name);
        Ok(answer)
    }

    pub(super) fn delete_queue(&mut self, name: &str) -> Result<(), Refusal> {
        self.found_queue(name)?;
        self.remove_tasks(name);
        self.queues.remove(name);
        Ok(())
    }

    fn remove_tasks(&mut self, queue: &str) {
        let names: Vec<String> = self.tasks_of(queue).map(|(name, _)| name.to_owned()).collect();
        for name in names {
            self.remove(&name);
        }
    }

    pub(super) fn create_task(
        &mut self,
        queue: &str,
        name: &str,
        asked: Map<String, Value>,
    ) -> Result<&Task, Refusal> {
        self.found_queue(queue)?;
        let now = rest::now();
        self.forget_names(now);
        if self.tasks.contains_key(name) {
            return Err(Refusal::exists("Requested entity already exists"));
        }
        if self.gone.contains_key(name) {
            return Err(Refusal::exists(
                "The task cannot be created because a task with this name existed too recently.",
            ));
        }
        if self.tasks.len() >= self.options.tasks_max {
            return Err(Refusal::exhausted(format!(
                "the stand-in keeps {} tasks",
                self.options.tasks_max
            )));
        }
        let task = Task::new(queue, name, asked)?;
        self.due.insert((task.due, name.to_owned()));
        self.counts.created += 1;
        Ok(self.tasks.entry(name.to_owned()).or_insert(task))
    }

    pub(super) fn get_task(&self, name: &str) -> Result<&Task, Refusal> {
        self.tasks.get(name).ok_or_else(|| {
            Refusal::not_found(if self.gone.contains_key(name) {
                "The task no longer exists, though a task with this name existed recently."
            } else {
                "The task does not exist."
            })
        })
    }

    pub(super) fn delete_task(&mut self, name: &str) -> Result<(), Refusal> {
        self.get_task(name)?;
        self.remove(name);
        Ok(())
    }

    /// Makes a task due at once.
    pub(super) fn run_task(&mut self, name: &str) -> Result<&Task, Refusal> {
        self.get_task(name)?;
        let now = rest::now();
        if let Some(task) = self.tasks.get_mut(name)
            && !task.running
        {
            self.due.remove(&(task.due, name.to_owned()));
            task.wait_until(now);
            self.due.insert((now, name.to_owned()));
        }
        self.get_task(name)
    }

    pub(super) fn tasks_of<'a>(
        &'a self,
        queue: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Task)> + use<'a> {
        let begin = format!("{queue}/tasks/");
        self.tasks.range(begin.clone()..).take_while(move |(name, _)| name.starts_with(&begin))
    }

    pub(super) fn all_tasks(&self) -> impl Iterator<Item = (&String, &Task)> {
        self.tasks.iter()
    }

    /// Drops every task and answers how many: their names stay taken.
    pub(super) fn lose_all(&mut self) -> usize {
        let names: Vec<String> = self.tasks.keys().cloned().collect();
        for name in &names {
            self.remove(name);
        }
        self.counts.lost += u64::try_from(names.len()).unwrap_or(u64::MAX);
        names.len()
    }

    fn remove(&mut self, name: &str) {
        if let Some(task) = self.tasks.remove(name) {
            self.due.remove(&(task.due, name.to_owned()));
            let until = rest::now() + NAME_KEPT;
            self.gone.insert(name.to_owned(), until);
            self.gone_in_order.push_back((until, name.to_owned()));
        }
    }

    fn forget_names(&mut self, now: DateTime<Utc>) {
        while self
            .gone_in_order
            .front()
            .is_some_and(|(until, _)| *until <= now || self.gone.len() > NAMES_MAX)
        {
            if let Some((_, name)) = self.gone_in_order.pop_front() {
                self.gone.remove(&name);
            }
        }
    }

    /// Takes up to `most` attempts that are due.
    pub(super) fn take_due(&mut self, now: DateTime<Utc>, most: usize) -> Vec<Attempt> {
        if self.paused {
            return Vec::new();
        }
        let names: Vec<(DateTime<Utc>, String)> = self
            .due
            .iter()
            .take_while(|(due, _)| *due <= now)
            .filter(|(_, name)| self.may_run(name))
            .take(most)
            .cloned()
            .collect();
        let mut attempts = Vec::new();
        for entry in names {
            self.due.remove(&entry);
            let (due, name) = entry;
            let Some(task) = self.tasks.get_mut(&name) else { continue };
            attempts.push(Attempt {
                queue: task.queue.clone(),
                request: task.request.clone(),
                due,
                before: task.dispatched,
                answered: task.answered,
                last_answer: task.last_answer,
                name,
            });
            task.running = true;
            task.dispatched += 1;
            self.counts.dispatched += 1;
            if task.first_attempt.is_none() {
                task.first_attempt = Some(now);
                let first = json!({ "dispatchTime": rest::timestamp(now) });
                task.resource.insert("firstAttempt".into(), first);
            }
        }
        attempts
    }

    fn may_run(&self, name: &str) -> bool {
        let queue = self.tasks.get(name).and_then(|task| self.queues.get(&task.queue));
        queue.is_some_and(|queue| !queue.paused)
    }

    /// When the next task is due that may run.
    pub(super) fn next_due(&self) -> Option<DateTime<Utc>> {
        if self.paused {
            return None;
        }
        self.due.iter().find(|(_, name)| self.may_run(name)).map(|(due, _)| *due)
    }

    /// Notes how an attempt ended: `answer` is the status, none where there was no answer.
    pub(super) fn finish(&mut self, attempt: &Attempt, began: DateTime<Utc>, answer: Option<u16>) {
        // A task that was deleted while its request was under way stays deleted.
        let Some(task) = self.tasks.get_mut(&attempt.name) else { return };
        task.running = false;
        if answer.is_some_and(|status| (200..300).contains(&status)) {
            self.counts.completed += 1;
            self.remove(&attempt.name);
            return;
        }
        task.note_attempt(began, answer);
        let queue = self.queues.get(&task.queue).map(|queue| queue.retry.clone());
        let of_queue = queue.unwrap_or_default();
        let retry = of_queue.clone().with(task.retry.as_ref()).unwrap_or(of_queue);
        let now = rest::now();
        let since = task
            .first_attempt
            .map_or(Duration::ZERO, |first| (now - first).to_std().unwrap_or_default());
        if retry.is_over(task.dispatched, since) || task.dispatched >= self.options.attempts_max {
            self.counts.given_up += 1;
            self.remove(&attempt.name);
            return;
        }
        self.counts.retried += 1;
        let wait = retry.backoff(task.dispatched).min(self.options.backoff_max);
        task.wait_until(now + TimeDelta::from_std(wait).unwrap_or(NAME_KEPT));
        self.due.insert((task.due, attempt.name.clone()));
    }
}
