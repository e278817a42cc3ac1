//! Cloud Tasks.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use emulators::tasks::{Options, Server};
use emulators::tokens::Issuer;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::paginator::ItemPaginator as _;
use google_cloud_tasks_v2::client::CloudTasks;
use google_cloud_tasks_v2::model::task::View;
use google_cloud_tasks_v2::model::{HttpMethod, HttpRequest, OidcToken, Queue, RetryConfig, Task};
use google_cloud_wkt::Timestamp;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::{anonymous, refusal};

const PARENT: &str = "projects/p/locations/asia-east1";
const QUEUE: &str = "projects/p/locations/asia-east1/queues/timers";

struct Setup {
    server: Server,
    client: CloudTasks,
    receiver: Receiver,
}

async fn setup() -> Setup {
    let server = Server::start(Options::default(), Issuer::start().await.unwrap()).unwrap();
    let client = CloudTasks::builder()
        .with_endpoint(server.url())
        .with_credentials(anonymous())
        .build()
        .await
        .unwrap();
    let queue = Queue::new().set_name(QUEUE);
    client.create_queue().set_parent(PARENT).set_queue(queue).send().await.unwrap();
    Setup { server, client, receiver: Receiver::start().await }
}

#[expect(clippy::disallowed_methods, reason = "the stand-in's time is real")]
fn after(delay: Duration) -> Timestamp {
    Timestamp::try_from(SystemTime::now() + delay).unwrap()
}

impl Setup {
    fn request(&self) -> HttpRequest {
        HttpRequest::new()
            .set_url(format!("{}/alarms?x=1", self.receiver.url))
            .set_http_method(HttpMethod::Post)
            .set_headers([("Content-Type", "application/json"), ("X-CloudTasks-TaskName", "no")])
            .set_body(&br#"{"timer":"t1"}"#[..])
    }

    fn task(&self, id: &str, delay: Duration) -> Task {
        Task::new()
            .set_name(format!("{QUEUE}/tasks/{id}"))
            .set_schedule_time(after(delay))
            .set_http_request(self.request())
    }

    async fn create(&self, task: Task) -> google_cloud_gax::Result<Task> {
        self.client.create_task().set_parent(QUEUE).set_task(task).send().await
    }

    async fn get(&self, id: &str) -> google_cloud_gax::Result<Task> {
        self.client.get_task().set_name(format!("{QUEUE}/tasks/{id}")).send().await
    }

    /// A request by hand: what the client cannot say wrong.
    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/v2/{path}", self.server.url());
        let answer = reqwest::Client::new().post(url).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Waits until the task is gone.
    async fn gone(&self, id: &str) {
        while self.get(id).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}

/// The claims of a bearer token. Its signature is `tokens`' own matter.
fn claims(authorization: &str) -> Value {
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_task_calls_when_it_is_due_with_a_token() {
    let mut setup = setup().await;
    let token =
        OidcToken::new().set_service_account_email("tasks@p.iam").set_audience("https://me");
    let request = setup.request().set_oidc_token(token);
    let began = std::time::Instant::now();
    let task = setup.task("one", Duration::from_millis(200)).set_http_request(request);
    let made = setup.create(task).await.unwrap();
    assert_eq!(made.name, format!("{QUEUE}/tasks/one"));
    assert!(made.http_request().unwrap().body.is_empty(), "a body is only in the full view");

    let call = setup.receiver.next().await;
    assert!(began.elapsed() >= Duration::from_millis(195), "{:?}", began.elapsed());
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/alarms?x=1"));
    assert_eq!(&call.body[..], br#"{"timer":"t1"}"#);
    assert_eq!(call.header("content-type"), "application/json");
    assert_eq!(call.header("user-agent"), "Google-Cloud-Tasks");
    assert_eq!(call.header("x-cloudtasks-queuename"), "timers");
    assert_eq!(call.header("x-cloudtasks-taskname"), "one");
    assert_eq!(call.header("x-cloudtasks-taskretrycount"), "0");
    assert_eq!(call.header("x-cloudtasks-taskexecutioncount"), "0");
    let claims = claims(call.header("authorization"));
    assert_eq!((&claims["aud"], &claims["email"]), (&"https://me".into(), &"tasks@p.iam".into()));

    setup.gone("one").await;
    let (code, text) = refusal(setup.get("one").await);
    assert_eq!(code, Code::NotFound, "{text}");
    assert_eq!(setup.server.counts().completed, 1);
}

#[tokio::test]
async fn the_audience_is_the_url_where_none_is_given() {
    let mut setup = setup().await;
    let token = OidcToken::new().set_service_account_email("tasks@p.iam");
    let request = setup.request().set_oidc_token(token);
    let url = request.url.clone();
    setup.create(Task::new().set_http_request(request)).await.unwrap();
    let call = setup.receiver.next().await;
    assert_eq!(claims(call.header("authorization"))["aud"], url);
    assert!(!call.header("x-cloudtasks-taskname").is_empty(), "a name is made up");
}

#[tokio::test]
async fn a_name_is_taken_while_the_task_is_there_and_afterwards() {
    let mut setup = setup().await;
    setup.create(setup.task("a", Duration::from_secs(600))).await.unwrap();
    let (code, _) = refusal(setup.create(setup.task("a", Duration::from_secs(600))).await);
    assert_eq!(code, Code::AlreadyExists);

    let name = format!("{QUEUE}/tasks/a");
    setup.client.delete_task().set_name(&name).send().await.unwrap();
    let (code, _) = refusal(setup.create(setup.task("a", Duration::from_secs(600))).await);
    assert_eq!(code, Code::AlreadyExists, "deleted just now");
    let (code, _) = refusal(setup.client.delete_task().set_name(&name).send().await);
    assert_eq!(code, Code::NotFound);

    setup.create(setup.task("b", Duration::ZERO)).await.unwrap();
    setup.receiver.next().await;
    setup.gone("b").await;
    let (code, _) = refusal(setup.create(setup.task("b", Duration::ZERO)).await);
    assert_eq!(code, Code::AlreadyExists, "completed just now");
}

#[tokio::test]
async fn what_cloud_tasks_refuses_is_refused() {
    let setup = setup().await;
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    let (code, text) = refusal(setup.create(setup.task("far", days(31))).await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(text.contains("30 days"), "{text}");
    setup.create(setup.task("near", days(29))).await.unwrap();

    let large = setup.request().set_body(vec![b'x'; 1_000_001]);
    let (code, text) = refusal(setup.create(Task::new().set_http_request(large)).await);
    assert_eq!(code, Code::InvalidArgument, "{text}");
    let most = setup.request().set_body(vec![b'x'; 1_000_000]);
    setup.create(Task::new().set_http_request(most)).await.unwrap();

    let away = HttpRequest::new().set_url("http://example.com/");
    let (code, _) = refusal(setup.create(Task::new().set_http_request(away)).await);
    assert_eq!(code, Code::InvalidArgument);

    let named = setup.task("a/b", Duration::ZERO);
    assert_eq!(refusal(setup.create(named).await).0, Code::InvalidArgument);
    let elsewhere = setup.client.create_task().set_parent(format!("{PARENT}/queues/other"));
    let task = Task::new().set_http_request(setup.request());
    assert_eq!(refusal(elsewhere.set_task(task).send().await).0, Code::NotFound);

    let queue = Queue::new().set_name(QUEUE);
    let again = setup.client.create_queue().set_parent(PARENT).set_queue(queue);
    assert_eq!(refusal(again.send().await).0, Code::AlreadyExists);
}

#[tokio::test]
async fn a_field_that_google_does_not_have_is_named() {
    let setup = setup().await;
    let body =
        json!({ "task": { "scheduleTme": "x", "httpRequest": { "url": "http://127.0.0.1" }}});
    let (status, answer) = setup.post(&format!("{QUEUE}/tasks"), &body).await;
    assert_eq!(status, 400);
    assert_eq!(answer["error"]["status"], "INVALID_ARGUMENT");
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("\"scheduleTme\" at 'task'"), "{text}");

    let (status, answer) = setup.post(&format!("{QUEUE}/tasks:batchCreate"), &json!({})).await;
    assert_eq!((status, &answer["error"]["status"]), (501, &"UNIMPLEMENTED".into()));
}

#[tokio::test]
async fn a_failure_is_repeated_until_it_succeeds() {
    let mut setup = setup().await;
    setup.receiver.answer(503);
    setup.create(setup.task("again", Duration::ZERO)).await.unwrap();
    assert_eq!(setup.receiver.next().await.header("x-cloudtasks-taskretrycount"), "0");
    let second = setup.receiver.next().await;
    assert_eq!(second.header("x-cloudtasks-taskretrycount"), "1");
    assert_eq!(second.header("x-cloudtasks-taskexecutioncount"), "1");
    assert_eq!(second.header("x-cloudtasks-taskpreviousresponse"), "503");
    setup.receiver.answer(204);
    setup.receiver.next().await;
    setup.gone("again").await;
    let counts = setup.server.counts();
    assert_eq!((counts.completed, counts.given_up), (1, 0));
    assert!(counts.retried >= 2, "{counts:?}");
}

#[tokio::test]
async fn attempts_end_where_the_queue_says() {
    let mut setup = setup().await;
    let retry = RetryConfig::new().set_max_attempts(2);
    let queue = Queue::new().set_name(QUEUE).set_retry_config(retry);
    let changed = setup.client.update_queue().set_queue(queue).send().await.unwrap();
    assert_eq!(changed.retry_config.unwrap().max_attempts, 2);
    setup.receiver.answer(500);
    setup.create(setup.task("bad", Duration::ZERO)).await.unwrap();
    setup.receiver.next().await;
    setup.receiver.next().await;
    setup.gone("bad").await;
    assert_eq!(setup.server.counts().given_up, 1);
    assert!(!setup.receiver.has_more());
}

#[tokio::test]
async fn tasks_are_listed_in_pages_and_seen_whole() {
    let setup = setup().await;
    for id in ["a", "b", "c"] {
        setup.create(setup.task(id, Duration::from_secs(600))).await.unwrap();
    }
    let list = setup.client.list_tasks().set_parent(QUEUE).set_page_size(2);
    let first = list.clone().send().await.unwrap();
    assert_eq!((first.tasks.len(), first.next_page_token.is_empty()), (2, false));
    let mut names = Vec::new();
    let mut items = list.by_item();
    while let Some(task) = items.next().await {
        names.push(task.unwrap().name.rsplit('/').next().unwrap().to_owned());
    }
    assert_eq!(names, ["a", "b", "c"]);

    let name = format!("{QUEUE}/tasks/a");
    let whole = setup.client.get_task().set_name(name).set_response_view(View::Full);
    let task = whole.send().await.unwrap();
    assert_eq!(task.http_request().unwrap().http_method, HttpMethod::Post);
    assert_eq!(&task.http_request().unwrap().body[..], br#"{"timer":"t1"}"#);
    assert_eq!((task.view, task.dispatch_count), (View::Full, 0));
}

#[tokio::test]
async fn a_paused_queue_waits_and_a_task_can_be_run_early() {
    let mut setup = setup().await;
    setup.client.pause_queue().set_name(QUEUE).send().await.unwrap();
    setup.create(setup.task("held", Duration::ZERO)).await.unwrap();
    // The task waits although it is due: the state is read after the dispatcher had its turn.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(setup.get("held").await.unwrap().dispatch_count, 0);
    setup.client.resume_queue().set_name(QUEUE).send().await.unwrap();
    assert_eq!(setup.receiver.next().await.header("x-cloudtasks-taskname"), "held");

    setup.create(setup.task("early", Duration::from_secs(600))).await.unwrap();
    let name = format!("{QUEUE}/tasks/early");
    setup.client.run_task().set_name(name).send().await.unwrap();
    assert_eq!(setup.receiver.next().await.header("x-cloudtasks-taskname"), "early");
}

#[tokio::test]
async fn control_pauses_lists_and_loses() {
    let mut setup = setup().await;
    anonymous();
    let http = reqwest::Client::new();
    let control = setup.server.control_url();
    http.post(format!("{control}/pause")).send().await.unwrap();
    setup.create(setup.task("lost", Duration::ZERO)).await.unwrap();
    let listed = http.get(format!("{control}/tasks")).send().await.unwrap();
    let listed: Value = listed.json().await.unwrap();
    assert_eq!(listed[0]["name"], format!("{QUEUE}/tasks/lost"));
    assert_eq!(listed[0]["dispatchCount"], 0);
    let lost: Value =
        http.delete(format!("{control}/tasks")).send().await.unwrap().json().await.unwrap();
    assert_eq!(lost, json!({ "lost": 1 }));
    http.post(format!("{control}/resume")).send().await.unwrap();
    setup.create(setup.task("kept", Duration::ZERO)).await.unwrap();
    assert_eq!(setup.receiver.next().await.header("x-cloudtasks-taskname"), "kept");
    let state: Value = http.get(&control).send().await.unwrap().json().await.unwrap();
    assert_eq!((&state["paused"], &state["counts"]["lost"]), (&false.into(), &1.into()));
}
