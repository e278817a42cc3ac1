//! What people and the API do to tasks at once, with an answer that says how it went.

use chrono::{DateTime, TimeDelta, Utc};
use engine::{EventBody, EventId, Message, MessageId, MessageState, Reached, Task, TaskId, Vars};
use flow::Contact;
use ports::{Commit, IdempotentAnswer, MessageWrite, PortError, Topic};
use serde_json::{Value, json};

use crate::app::App;
use crate::ids;
use crate::jobs::{
    Accepted, AcceptedBody, ForConversation, LandJob, SendJob, StartJob, Thread, What, seal,
};
use crate::outcome::HandleError;
use crate::rows;
use crate::turn;

/// A task to be started by the API.
#[derive(Debug, Clone, PartialEq)]
pub struct StartRequest {
    /// The flow.
    pub flow: String,
    /// Whom it talks with.
    pub contact: Contact,
    /// Its variables.
    pub vars: Vars,
    /// The connection of its conversation.
    pub connection: String,
    /// The key of its conversation there; the contact's id where left out.
    pub conversation: Option<String>,
}

/// A key with which a request may be repeated without a second effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Who asks and the key they gave.
    pub key: String,
    /// A digest of what they ask for.
    pub request: String,
}

/// The first answer to a repeated request, where there was one.
pub async fn repeated(
    app: &App,
    idempotency: &Idempotency,
) -> Result<Option<IdempotentAnswer>, HandleError> {
    match app.store().kept_answer(&idempotency.key, app.now()).await? {
        Some(answer) if answer.request != idempotency.request => Err(HandleError::Conflict(
            "this Idempotency-Key was used for another request; use a new key for a new request"
                .into(),
        )),
        found => Ok(found),
    }
}

/// What starting a task came to.
pub enum Started {
    /// It runs.
    Task(Box<Task>),
    /// It had been started before; this was the answer.
    Before(IdempotentAnswer),
}

/// Starts a task. `render` makes the answer that is kept for the idempotency key.
pub async fn start(
    app: &App,
    request: StartRequest,
    idempotency: Option<&Idempotency>,
    render: &(dyn Fn(&Task) -> Value + Send + Sync),
) -> Result<Started, HandleError> {
    if app.catalog().await?.live(&request.flow).is_none() {
        return Err(unknown_flow(app, &request.flow).await?);
    }
    let at = app.now();
    let event = match idempotency {
        Some(given) => EventId::of("start", &format!("{}\n{}", given.key, given.request)),
        None => ids::fresh_event("start"),
    };
    let start = StartJob {
        task: TaskId::derive(at, &event, "start"),
        flow: request.flow,
        vars: request.vars,
        parent: None,
        trigger: None,
        event: Value::Null,
    };
    let thread = Thread::of(&request.connection, request.conversation.as_deref(), request.contact);
    let what = ForConversation { thread, what: What::Start(start) };
    let mut accepted = Accepted { id: event, at, body: AcceptedBody::Conversation(what.clone()) };
    let kept_for = TimeDelta::from_std(app.limits().answers_kept).unwrap_or(TimeDelta::days(1));
    let keep = |task: &Task| IdempotentAnswer {
        key: idempotency.map(|given| given.key.clone()).unwrap_or_default(),
        request: idempotency.map(|given| given.request.clone()).unwrap_or_default(),
        status: 201,
        body: render(task),
        expires_at: at + kept_for,
    };
    let answer: Option<turn::AnswerOf<'_>> = idempotency.is_some().then_some(&keep);
    let mut handled =
        first_of(app, idempotency, turn::run(app, &accepted, &what, answer).await).await?;
    if let Some(given) = idempotency.filter(|_| handled.duplicate) {
        // Two of the same request at once: the other one's answer is the answer.
        if let Some(answer) = repeated(app, given).await? {
            return Ok(Started::Before(answer));
        }
        // Event ids are remembered for longer than answers: the key may be used anew.
        accepted.id = ids::fresh_event("start");
        handled =
            first_of(app, idempotency, turn::run(app, &accepted, &what, answer).await).await?;
    }
    match (handled.refused, handled.task) {
        (Some(refused), _) => Err(HandleError::unprocessable("/vars", refused.to_string())),
        (None, Some(task)) => Ok(Started::Task(Box::new(task))),
        (None, None) => Err(HandleError::NotFound(format!("task of event `{}`", accepted.id))),
    }
}

/// Where another request with the same key was first, that is the conflict to tell.
async fn first_of(
    app: &App,
    idempotency: Option<&Idempotency>,
    handled: Result<turn::Handled, HandleError>,
) -> Result<turn::Handled, HandleError> {
    match (handled, idempotency) {
        (Err(HandleError::Port(PortError::Conflict { what })), Some(given)) => {
            repeated(app, given).await?;
            Err(PortError::Conflict { what }.into())
        }
        (handled, _) => handled,
    }
}

async fn unknown_flow(app: &App, flow: &str) -> Result<HandleError, HandleError> {
    let catalog = app.catalog().await?;
    let known = catalog.flows().iter().map(|version| version.document.id.as_str());
    let hint = match flow::problem::nearest(flow, known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => "; publish it first".to_owned(),
    };
    let message = format!("no version of flow `{flow}` is published{hint}");
    Ok(HandleError::unprocessable("/flow", message))
}

/// Does something to one task at once, in its conversation, and gives it back as it stands.
pub async fn on_task(app: &App, id: &TaskId, event: EventBody) -> Result<Task, HandleError> {
    let task = find(app, id).await?;
    at_once(app, task, What::Task { task: id.clone(), event }).await
}

/// Handles something that an operator did, in the conversation of `task`.
async fn at_once(app: &App, task: Task, what: What) -> Result<Task, HandleError> {
    let what = ForConversation { thread: thread_of(app, &task).await?, what };
    let accepted = Accepted {
        id: ids::fresh_event("operator"),
        at: app.now(),
        body: AcceptedBody::Conversation(what.clone()),
    };
    let handled = turn::run(app, &accepted, &what, None).await?;
    match handled.refused {
        Some(refused) => Err(refused.into()),
        None => Ok(handled.task.unwrap_or(task)),
    }
}

/// Gives an unrouted message to a task.
pub async fn assign_message(
    app: &App,
    message: &MessageId,
    task: &TaskId,
) -> Result<Task, HandleError> {
    let found = find(app, task).await?;
    at_once(app, found, What::Assign { message: message.clone(), task: task.clone() }).await
}

/// A task, or an error that names it.
pub async fn find(app: &App, id: &TaskId) -> Result<Task, HandleError> {
    let found = app.store().tasks(std::slice::from_ref(id)).await?;
    found.into_iter().next().ok_or_else(|| HandleError::NotFound(format!("task `{id}`")))
}

async fn thread_of(app: &App, task: &Task) -> Result<Thread, HandleError> {
    let found = app.store().turn(None, &task.conversation, &[]).await?.conversation;
    Ok(found.map_or_else(|| Thread::from(task), Thread::from))
}

/// Gives a task the focus of its conversation; it asks again where it waits for a reply.
pub async fn focus(app: &App, id: &TaskId) -> Result<(), HandleError> {
    on_task(app, id, EventBody::Focused).await.map(|_| ())
}

/// Sends the content of a failed message as a new message: states only move forward, so the
/// failed one stays as it is. Doing it twice for one failure is doing it once.
pub(crate) async fn send_again(
    app: &App,
    old: Message,
    failed_at: DateTime<Utc>,
) -> Result<(), HandleError> {
    let at = app.now();
    let event = EventId::of(old.id.as_str(), "again");
    let message = Message {
        id: MessageId::derive(failed_at, &event, "again"),
        revision: 1,
        state: MessageState::Queued,
        reached: vec![Reached { state: MessageState::Queued, at }],
        error: None,
        created_at: at,
        event,
        ..old
    };
    let (id, key) = (message.id.clone(), message.conversation.0.clone());
    let job = SendJob { message: message.id.clone(), connection: message.connection.clone() };
    let send = seal(Topic::Outbound, ids::sending(&message.id), key.clone(), &job)?;
    let landing = seal(
        Topic::Landing,
        format!("land/{}/1", message.id),
        key,
        &LandJob { rows: vec![rows::message(&message)] },
    )?;
    let commit = Commit {
        at,
        messages: vec![MessageWrite { message, expected: None }],
        outbox: vec![send, landing],
        ..Commit::default()
    };
    match turn::commit(app, commit, None).await {
        // It was sent again already, and the process ended before the failure was settled.
        Err(PortError::Conflict { .. })
            if !app.store().messages(std::slice::from_ref(&id)).await?.is_empty() =>
        {
            Ok(())
        }
        other => Ok(other?),
    }
}

/// Whether a task could move to a version, without moving it.
pub async fn migrate_dry_run(
    app: &App,
    id: &TaskId,
    version: u32,
    by: &str,
) -> Result<Value, HandleError> {
    let task = find(app, id).await?;
    let Some(target) = app.version(&task.flow, version).await? else {
        return Err(HandleError::NotFound(format!("version {version} of flow `{}`", task.flow)));
    };
    let event = engine::Event {
        id: ids::fresh_event("dry-run"),
        at: app.now(),
        body: EventBody::Operator {
            by: by.to_owned(),
            action: engine::OperatorAction::Migrate { version },
        },
    };
    Ok(match engine::advance(&target.document, &task, &event, app.now()) {
        Ok(_) => json!({ "task": id, "from": task.version, "to": version, "moves": true }),
        Err(refused) => json!({
            "task": id, "from": task.version, "to": version, "moves": false,
            "reason": refused.to_string(),
        }),
    })
}
