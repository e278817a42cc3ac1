//! Stands in for Cloud Tasks: its v2 REST API, and the calls when a task is due.
//!
//! What a test can do that Google cannot is at `/control` of the same address, and in
//! [`Server`]'s methods:
//!
//! | request | does |
//! |---|---|
//! | `GET /control` | `{"paused", "tasks", "counts"}` |
//! | `GET /control/tasks` | what waits: `[{"name", "scheduleTime", "dispatchCount", "running"}]` |
//! | `DELETE /control/tasks` | loses every task: `{"lost": 3}` |
//! | `POST /control/pause`, `POST /control/resume` | stops dispatching, goes on |

mod dispatch;
mod store;
mod task;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{Method, Uri};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

pub use self::store::Counts;
use self::store::Store;
use self::task::{is_id, is_task_id};
use crate::discovery::{self, Document};
use crate::rest::{self, Answer, Listener, Refusal};
use crate::tokens::Issuer;

/// Longest request, in bytes: a task of 1 MB in base64, and what surrounds it.
const REQUEST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest page of `list`.
const PAGE_MAX: usize = 1000;
/// Longest id of a queue, in characters.
const QUEUE_ID_CHARACTERS_MAX: usize = 100;

/// How the stand-in behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Requests under way at once, over all queues.
    pub concurrent_max: usize,
    /// Longest time between two attempts, whatever a queue's `maxBackoff` says.
    pub backoff_max: Duration,
    /// Most attempts of a task, whatever a queue's `maxAttempts` says.
    pub attempts_max: u32,
    /// Most tasks that wait, over all queues.
    pub tasks_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrent_max: 100,
            backoff_max: Duration::from_secs(10),
            attempts_max: 1000,
            tasks_max: 250_000,
        }
    }
}

/// What the API and the dispatcher share.
struct Shared {
    options: Options,
    document: Document,
    issuer: Issuer,
    store: Mutex<Store>,
    /// Something may be due earlier than before.
    changed: Notify,
    random: SystemRandom,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self, paused: bool) {
        self.lock().paused = paused;
        self.changed.notify_one();
    }
}

/// A running stand-in; it ends when this is dropped.
pub struct Server {
    shared: Arc<Shared>,
    listener: Listener,
}

impl Server {
    /// Starts it on a free port of 127.0.0.1. Must be called inside a tokio runtime.
    pub fn start(options: Options, issuer: Issuer) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            document: Document::parse(discovery::TASKS)?,
            store: Mutex::new(Store::new(options.clone())),
            options,
            issuer,
            changed: Notify::new(),
            random: SystemRandom::new(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let mut listener = rest::serve(router)?;
        listener.tasks.spawn(dispatch::run(Arc::clone(&shared)));
        Ok(Self { shared, listener })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// The endpoint for clients: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where tests control it: `http://127.0.0.1:PORT/control`.
    pub fn control_url(&self) -> String {
        format!("{}/control", self.url())
    }

    /// Drops every task, as if Cloud Tasks had lost them, and answers how many. Their names stay
    /// taken. A request that is under way is not called back.
    pub fn lose_all(&self) -> usize {
        self.shared.lock().lose_all()
    }

    /// Sends nothing until [`Server::resume`].
    pub fn pause(&self) {
        self.shared.pause(true);
    }

    /// Goes on sending.
    pub fn resume(&self) {
        self.shared.pause(false);
    }

    /// The full names of the tasks that wait or run.
    pub fn task_names(&self) -> Vec<String> {
        self.shared.lock().all_tasks().map(|(name, _)| name.clone()).collect()
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    body: Body,
) -> Response {
    let path: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
    if let ["control", rest @ ..] = path.as_slice() {
        return control(&shared, &method, rest);
    }
    let answer = match path.as_slice() {
        ["v2", "projects", project, "locations", location, rest @ ..] => {
            let parent = format!("projects/{project}/locations/{location}");
            route(&shared, &method, &uri, &parent, rest, body).await
        }
        _ => Err(unknown(&method, &uri)),
    };
    shared.changed.notify_one();
    rest::respond(&shared.document, answer)
}

fn unknown(method: &Method, uri: &Uri) -> Refusal {
    let path = uri.path();
    Refusal::unimplemented(format!("the stand-in for Cloud Tasks has no {method} {path}"))
}

fn control(shared: &Shared, method: &Method, path: &[&str]) -> Response {
    let answer = match (method.as_str(), path) {
        ("GET", []) => {
            let store = shared.lock();
            let tasks = store.all_tasks().count();
            json!({ "paused": store.paused, "tasks": tasks, "counts": store.counts })
        }
        ("GET", ["tasks"]) => {
            let store = shared.lock();
            let tasks = store.all_tasks().map(|(name, task)| {
                json!({
                    "name": name, "scheduleTime": rest::timestamp(task.due),
                    "dispatchCount": task.dispatched, "running": task.running,
                })
            });
            tasks.collect()
        }
        ("DELETE", ["tasks"]) => json!({ "lost": shared.lock().lose_all() }),
        ("POST", ["pause"]) => {
            shared.pause(true);
            json!({ "paused": true })
        }
        ("POST", ["resume"]) => {
            shared.pause(false);
            json!({ "paused": false })
        }
        _ => {
            return Refusal::not_found("see emulators::tasks for what /control has")
                .into_response();
        }
    };
    axum::Json(answer).into_response()
}

/// Routes what is below a location.
async fn route(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    parent: &str,
    path: &[&str],
    body: Body,
) -> Answer {
    let (path, verb) = match path {
        [before @ .., last] => match last.split_once(':') {
            Some((id, verb)) => ([before, &[id]].concat(), verb),
            None => (path.to_vec(), ""),
        },
        [] => return Err(unknown(method, uri)),
    };
    let body = async |schema| rest::read(&shared.document, schema, body, REQUEST_BYTES_MAX).await;
    match (method.as_str(), path.as_slice(), verb) {
        ("GET", ["queues"], "") => list_queues(shared, uri, parent),
        ("POST", ["queues"], "") => {
            create_queue(shared, parent, rest::fields(body("Queue").await?))
        }
        (_, ["queues", id, rest @ ..], _) => {
            let queue = format!("{parent}/queues/{id}");
            if !is_id(id, "", QUEUE_ID_CHARACTERS_MAX) {
                return Err(Refusal::invalid(
                    "Queue ID is not one of letters, numbers and hyphens",
                ));
            }
            match (method.as_str(), rest, verb) {
                ("POST", ["tasks"], "") => {
                    create_task(shared, &queue, rest::fields(body("CreateTaskRequest").await?))
                }
                ("POST", ["tasks", id], "run") => {
                    let asked = body("RunTaskRequest").await?;
                    let name = format!("{queue}/tasks/{id}");
                    let full = is_full(Some(&asked["responseView"]))?;
                    Ok(("Task", shared.lock().run_task(&name)?.view(full)))
                }
                ("PATCH", [], "") => {
                    let asked = rest::fields(body("Queue").await?);
                    Ok(("Queue", shared.lock().patch_queue(&queue, asked)?))
                }
                _ => without_body(shared, method, uri, &queue, rest, verb),
            }
        }
        _ => Err(unknown(method, uri)),
    }
}

/// What needs nothing from the body.
fn without_body(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    queue: &str,
    path: &[&str],
    verb: &str,
) -> Answer {
    let mut store = shared.lock();
    match (method.as_str(), path, verb) {
        ("GET", [], "") => Ok(("Queue", store.get_queue(queue)?)),
        ("DELETE", [], "") => store.delete_queue(queue).map(|()| ("Empty", json!({}))),
        ("POST", [], "pause") => Ok(("Queue", store.pause_queue(queue, true)?)),
        ("POST", [], "resume") => Ok(("Queue", store.pause_queue(queue, false)?)),
        ("POST", [], "purge") => Ok(("Queue", store.purge_queue(queue)?)),
        ("GET", ["tasks"], "") => {
            store.get_queue(queue)?;
            let parameters = rest::query(uri);
            let full = is_full_parameter(&parameters)?;
            let (tasks, next) = rest::page(store.tasks_of(queue), &parameters, PAGE_MAX)?;
            let tasks: Vec<Value> = tasks.iter().map(|task| task.view(full)).collect();
            Ok(("ListTasksResponse", rest::listed("tasks", &tasks, next)))
        }
        ("GET", ["tasks", id], "") => {
            let full = is_full_parameter(&rest::query(uri))?;
            Ok(("Task", store.get_task(&format!("{queue}/tasks/{id}"))?.view(full)))
        }
        ("DELETE", ["tasks", id], "") => {
            store.delete_task(&format!("{queue}/tasks/{id}")).map(|()| ("Empty", json!({})))
        }
        _ => Err(unknown(method, uri)),
    }
}

fn list_queues(shared: &Shared, uri: &Uri, parent: &str) -> Answer {
    let parameters = rest::query(uri);
    if parameters.get("filter").is_some_and(|filter| !filter.is_empty()) {
        return Err(Refusal::unimplemented("the stand-in filters no queues: leave `filter` out"));
    }
    let store = shared.lock();
    let (queues, next) = rest::page(store.queues_below(parent), &parameters, PAGE_MAX)?;
    Ok(("ListQueuesResponse", rest::listed("queues", &queues, next)))
}

fn create_queue(shared: &Shared, parent: &str, asked: Map<String, Value>) -> Answer {
    let name = asked.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = name.strip_prefix(&format!("{parent}/queues/")).unwrap_or_default();
    if !is_id(id, "", QUEUE_ID_CHARACTERS_MAX) {
        return Err(Refusal::invalid(format!(
            "Queue name must be formatted: {parent}/queues/QUEUE_ID"
        )));
    }
    Ok(("Queue", shared.lock().create_queue(&name, asked)?))
}

fn create_task(shared: &Shared, queue: &str, mut asked: Map<String, Value>) -> Answer {
    let full = is_full(asked.get("responseView"))?;
    let Some(Value::Object(task)) = asked.shift_remove("task") else {
        return Err(Refusal::invalid("Task is missing"));
    };
    let name = match task.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => format!("{queue}/tasks/{}", shared.new_id()?),
    };
    let id = name.strip_prefix(&format!("{queue}/tasks/")).unwrap_or_default();
    if !is_task_id(id) {
        return Err(Refusal::invalid(format!(
            "Task name must be formatted: {queue}/tasks/TASK_ID"
        )));
    }
    Ok(("Task", shared.lock().create_task(queue, &name, task)?.view(full)))
}

impl Shared {
    /// An id for a task without a name: digits, as Google's.
    fn new_id(&self) -> Result<String, Refusal> {
        let mut bytes = [0; 8];
        self.random
            .fill(&mut bytes)
            .map_err(|_| anyhow!("no random bytes"))
            .map_err(|error| Refusal::internal(error.to_string()))?;
        Ok(u64::from_le_bytes(bytes).to_string())
    }
}

fn is_full_parameter(
    parameters: &std::collections::HashMap<String, String>,
) -> Result<bool, Refusal> {
    let view = parameters.get("responseView").map(|view| Value::from(view.as_str()));
    is_full(view.as_ref())
}

/// Whether a `responseView`, by name or number, asks for everything.
fn is_full(view: Option<&Value>) -> Result<bool, Refusal> {
    let text = match view {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match text.as_str() {
        "FULL" | "2" => Ok(true),
        "" | "BASIC" | "VIEW_UNSPECIFIED" | "0" | "1" => Ok(false),
        _ => Err(Refusal::invalid("responseView is not one of BASIC and FULL")),
    }
}
