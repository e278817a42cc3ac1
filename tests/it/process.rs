//! The program as a process: its line, its key, its ends, its mistakes.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use it::TestApp;
use serde_json::{Value, json};
use standalone::client::Client;
use tokio::task::JoinHandle;

use crate::bench::Dice;
use crate::partner::{Partner, Says};
use crate::program::{Process, against, command, run, told};
use crate::replies::ECHO;

const JSON: &str = "application/json";

async fn send(client: &Client, method: Method, path: &str, body: &Value) -> u16 {
    let body = Some((JSON, body.to_string().into_bytes()));
    client.send(method, path, body).await.map_or(0, |answer| answer.status)
}

/// Sets the echo flow and its connection up at a server; replies go to the partner.
pub(crate) async fn set_up(client: &Client, partner: &Partner) {
    let body = Some(("application/yaml", ECHO.as_bytes().to_vec()));
    client.expect(Method::PUT, "/v1/flows/echo", body).await.unwrap();
    client.expect(Method::POST, "/v1/flows/echo/publish", None).await.unwrap();
    let connection = json!({
        "id": "erp", "unsigned_from_loopback": true, "allowed_hosts": [partner.host],
        "reply": { "to": "url", "url": format!("http://{}/", partner.host) },
        "default_flow": "echo",
    });
    assert_eq!(send(client, Method::PUT, "/v1/connections/erp", &connection).await, 200);
}

/// Waits until the server has nothing left to do but timers.
pub(crate) async fn settle(client: &Client) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let overview = client.get("/v1/reports/overview").await.unwrap();
            let topics = overview["backlog"].as_array().unwrap().iter();
            let left: u64 = topics
                .filter(|topic| topic["topic"] != "timers")
                .map(|topic| topic["count"].as_u64().unwrap())
                .sum();
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "the backlog never empties");
}

/// All messages of the connection, oldest first.
pub(crate) async fn messages(client: &Client) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/messages?connection=erp&order=oldest&limit=1000{cursor}");
        let page = client.get(&path).await.unwrap();
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// The people who write while the server is killed: each knows what was accepted.
pub(crate) struct Crowd {
    pub(crate) accepted: Vec<Mutex<usize>>,
    pub(crate) total: AtomicUsize,
}

impl Crowd {
    pub(crate) fn new(people: usize) -> Arc<Self> {
        let accepted = (0..people).map(|_| Mutex::new(0)).collect();
        Arc::new(Self { accepted, total: AtomicUsize::new(0) })
    }

    /// One person writes until the server is gone. What was not accepted is written again next
    /// time, for nobody knows whether it arrived.
    pub(crate) async fn write(self: Arc<Self>, person: usize, client: Client) {
        while self.write_once(person, &client).await {}
    }

    /// One message; false where nobody said that it was accepted.
    async fn write_once(&self, person: usize, client: &Client) -> bool {
        let number = *self.accepted[person].lock().unwrap();
        let body = json!({
            "id": format!("c{person}/{number}"), "contact": { "id": format!("c{person}") },
            "text": format!("m{number}"),
        });
        let accepted = send(client, Method::POST, "/webhooks/erp", &body).await == 200;
        if accepted {
            *self.accepted[person].lock().unwrap() += 1;
            self.total.fetch_add(1, Ordering::Relaxed);
        }
        accepted
    }

    /// Everybody was heard once, in order, and answered once, in order.
    fn assert_heard_and_answered(&self, all: &[Value]) {
        let text = |message: &Value| message["content"]["text"].as_str().unwrap().to_owned();
        let mut talks: BTreeMap<&str, (Vec<String>, Vec<String>)> = BTreeMap::new();
        for message in all {
            let (heard, answered) = talks.entry(message["contact"].as_str().unwrap()).or_default();
            if message["direction"] == "in" {
                assert_eq!(message["state"], "processed", "{message}");
                heard.push(text(message));
            } else {
                assert_eq!(message["state"], "sent", "{message}");
                answered.push(text(message));
            }
        }
        assert_eq!(talks.len(), self.accepted.len());
        for (person, accepted) in self.accepted.iter().enumerate() {
            let count = *accepted.lock().unwrap();
            let (heard, answered) = &talks[format!("c{person}").as_str()];
            let expected: Vec<String> = (0..count).map(|n| format!("m{n}")).collect();
            assert_eq!(*heard, expected);
            let expected: Vec<String> = (0..count).map(|n| format!("{n}: m{n}")).collect();
            assert_eq!(*answered, expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_instant_it_loses_nothing_and_doubles_nothing() {
    const PEOPLE: usize = 8;
    let seed = RandomState::new().build_hasher().finish();
    eprintln!("seed {seed}");
    let mut dice = Dice(seed);
    let data = tempfile::tempdir().unwrap();
    let partner = Partner::saying(&[Says::Status(200)]).await;
    let crowd = Crowd::new(PEOPLE);
    let mut process = Process::serve(data.path());
    set_up(&process.client(), &partner).await;
    for _ in 0..4 {
        let before = crowd.total.load(Ordering::Relaxed);
        let writers: Vec<JoinHandle<()>> = (0..PEOPLE)
            .map(|person| tokio::spawn(crowd.clone().write(person, process.client())))
            .collect();
        let enough = before + 5 + dice.below(40);
        while crowd.total.load(Ordering::Relaxed) < enough {
            assert!(!writers.iter().all(JoinHandle::is_finished), "the server takes nothing");
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        process.kill();
        futures::future::join_all(writers).await;
        process = Process::serve(data.path());
    }
    let client = process.client();
    // Who was left without an answer writes the same message once more.
    for person in 0..PEOPLE {
        assert!(crowd.write_once(person, &client).await);
    }
    settle(&client).await;
    let all = messages(&client).await;
    crowd.assert_heard_and_answered(&all);
    // Every reply reached the other side, under its one id.
    let sent: BTreeSet<&str> = all
        .iter()
        .filter(|message| message["direction"] == "out")
        .map(|message| message["id"].as_str().unwrap())
        .collect();
    let asked = partner.asked();
    let came: BTreeSet<&str> = asked.iter().map(|asked| asked.header("webhook-id")).collect();
    assert_eq!(sent, came, "seed {seed}");
    let failures = client.get("/v1/failures").await.unwrap();
    assert_eq!(failures["items"], json!([]));
    let landed = client.get("/v1/tables").await.unwrap();
    let tables = landed["items"].as_array().unwrap();
    let current = tables.iter().find(|table| table["table"] == "messages").unwrap();
    assert_eq!(current["current"], all.len(), "every message landed");
    assert!(process.terminate().0.success());
    let (code, out, _) = told(&run(&["verify", "--data", data.path().to_str().unwrap()]));
    assert_eq!(code, 0, "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_end_it_ends_in_time_and_has_lost_nothing() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::serve(data.path());
    let mode = process.key_file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner reads the key");
    assert_eq!(process.key_file, std::path::absolute(data.path().join("admin.key")).unwrap());
    // Replies hang, a stream is open, people write: none of it holds the server up.
    let answers = Arc::new(AtomicBool::new(false));
    let answering = answers.clone();
    let partner = Partner::answering(move |_, _| {
        if answering.load(Ordering::Relaxed) { Says::Status(200) } else { Says::Nothing }
    });
    let partner = partner.await;
    let client = process.client();
    set_up(&client, &partner).await;
    let stream = tokio::spawn({
        let client = process.client();
        async move { client.send(Method::GET, "/v1/stream", None).await.map(|answer| answer.status) }
    });
    let crowd = Crowd::new(4);
    let writers: Vec<JoinHandle<()>> =
        (0..4).map(|one| tokio::spawn(crowd.clone().write(one, process.client()))).collect();
    while crowd.total.load(Ordering::Relaxed) < 20 || partner.asked().is_empty() {
        assert!(!writers.iter().all(JoinHandle::is_finished), "the server takes nothing");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ending = tokio::task::spawn_blocking(|| process.terminate());
    let (status, took, more) = ending.await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(more, "", "there is one line on standard output");
    futures::future::join_all(writers).await;
    let _ = stream.await;

    // The address answers now: everything that was accepted is answered.
    answers.store(true, Ordering::Relaxed);
    let process = Process::serve(data.path());
    let client = process.client();
    settle(&client).await;
    let all = messages(&client).await;
    let accepted = crowd.total.load(Ordering::Relaxed);
    for (direction, state) in [("in", "processed"), ("out", "sent")] {
        let some: Vec<&Value> =
            all.iter().filter(|message| message["direction"] == direction).collect();
        // A request that was open at the end may have been stored without its answer.
        assert!((accepted..=accepted + 4).contains(&some.len()), "{direction} {}", some.len());
        assert!(some.iter().all(|message| message["state"] == state), "{some:#?}");
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let app = TestApp::empty().await;
    let data = app.server().key_file.parent().unwrap().to_str().unwrap().to_owned();
    let second = run(&["serve", "--data", &data, "--listen", "127.0.0.1:0"]);
    let (code, out, error) = told(&second);
    let file = format!("{data}/chatflow.db");
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        error,
        format!(
            "error: another Chatflow server uses {file}; stop it or choose another data directory\n"
        )
    );
    app.say_nothing_is_broken().await;
    app.finish().await;
}

/// The server still answers.
trait Alive {
    async fn say_nothing_is_broken(&self);
}

impl Alive for TestApp {
    async fn say_nothing_is_broken(&self) {
        assert_eq!(self.get("/v1/tasks").await["items"], json!([]));
    }
}

#[test]
fn a_port_in_use_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let path = data.path().to_str().unwrap();
    let (code, out, error) = told(&run(&["serve", "--data", path, "--listen", &address]));
    assert_eq!((code, out.as_str()), (2, ""));
    let expected =
        format!("error: cannot listen on {address}; choose another address with --listen");
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.contains("in use"), "{error}");
}

#[test]
fn what_the_command_line_does_not_know_is_told() {
    for (args, part) in [
        (vec!["serve", "--deamon"], "unexpected argument '--deamon'"),
        (vec!["serve", "--listen", "localhost"], "invalid value 'localhost' for '--listen"),
        (vec!["replya"], "a similar subcommand exists: 'replay'"),
        (vec!["flow", "check"], "<FILE>"),
        (vec!["replay", "x", "--speed", "0"], "a speed is a number above 0"),
        (vec!["replay", "x", "--server", "nowhere"], "invalid value 'nowhere' for '--server"),
        (vec!["flow", "list", "--log", "=,=", "--server", "http://127.0.0.1:1"], "log filter"),
    ] {
        let (code, out, error) = told(&run(&args));
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {error}");
        assert!(error.contains(part), "{args:?}: {error}");
    }
    let (code, out, _) = told(&run(&["--help"]));
    assert_eq!(code, 0);
    for word in ["serve", "replay", "flow"] {
        assert!(out.contains(word), "{out}");
    }
}

#[test]
fn a_data_directory_that_cannot_be_used_is_told() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let inside = file.join("data");
    let (code, _, error) = told(&run(&["serve", "--data", inside.to_str().unwrap()]));
    assert_eq!(code, 2);
    assert!(error.contains("cannot be used") && error.contains("--data"), "{error}");
    std::fs::write(data.path().join("chatflow.db"), "this is no database, but it is long enough")
        .unwrap();
    let args = ["serve", "--data", data.path().to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let (code, _, error) = told(&run(&args));
    assert_eq!(code, 2, "{error}");
    assert!(error.starts_with("error: "), "{error}");
}

const MISTAKES: &str = r#"flow: leave
vars:
  days: {type: integr}
start: ask_days
steps:
  ask_days:
    type: ask
    text: "How many, {{ nmae }}?"
    into: days
    next: tel
  tell:
    type: say
    text: "{{ days "
    next: done
  wait: {type: wait, next: done}
  done: {type: end}
"#;

#[test]
fn a_check_tells_every_mistake_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let check = |source: &str, json: bool| {
        std::fs::write(folder.path().join("leave.yaml"), source).unwrap();
        let mut command = command(&["flow", "check", "leave.yaml"]);
        if json {
            command.arg("--json");
        }
        told(&command.current_dir(folder.path()).output().unwrap())
    };
    // A document that is no flow first, then a flow that cannot work.
    let (code, out, error) = check(MISTAKES, false);
    assert_eq!((code, error.as_str()), (1, ""));
    insta::assert_snapshot!("check_no_flow", out);
    let (code, out, error) = check(&MISTAKES.replace("integr}", "integer}"), false);
    assert_eq!((code, error.as_str()), (1, ""));
    insta::assert_snapshot!("check_five_mistakes", out);
    let (code, out, _) = check(&MISTAKES.replace("integr}", "integer}"), true);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["publishable"]), (1, &json!(false)));
    assert!(told["problems"].as_array().unwrap().len() >= 5, "{out}");
    assert!(told["problems"][0]["line"].is_u64() && told["problems"][0]["column"].is_u64());

    let (code, out, error) = check(ECHO, false);
    assert_eq!((code, out.as_str(), error.as_str()), (0, "leave.yaml: no problems\n", ""));
    let (code, out, _) = check(ECHO, true);
    assert_eq!((code, out.as_str()), (0, "{\"problems\":[],\"publishable\":true}\n"));
    let (code, out, error) = check_missing(&folder);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.starts_with("error: cannot read none.yaml; give the path"), "{error}");
}

fn check_missing(folder: &tempfile::TempDir) -> (i32, String, String) {
    let mut command = command(&["flow", "check", "none.yaml"]);
    told(&command.current_dir(folder.path()).output().unwrap())
}

#[tokio::test]
async fn flows_are_pushed_published_and_listed() {
    let app = TestApp::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("echo.yaml");
    std::fs::write(&file, ECHO).unwrap();
    let file = file.to_str().unwrap();
    let ok = async |args: &[&str]| {
        let (code, out, error) = against(&app, args).await;
        assert_eq!((code, error.as_str()), (0, ""), "{args:?}: {out}");
        out
    };
    assert_eq!(
        ok(&["flow", "push", file]).await,
        format!("pushed `echo`, draft 1\n{file}: no problems\n")
    );
    let (code, out, error) = against(&app, &["flow", "publish", "ecko"]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        error,
        "error: the server answered 404: there is no draft of flow `ecko`; did you mean `echo`?\n"
    );
    assert_eq!(
        ok(&["flow", "publish", "echo"]).await,
        "published `echo`, version 1; 0 test(s) passed\n"
    );
    let list = ok(&["flow", "list"]).await;
    let lines: Vec<Vec<&str>> =
        list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["FLOW", "LIVE", "DRAFT", "CHANGED"]);
    assert_eq!(lines[1][..3], ["echo", "1", "1"]);
    let list: Value = serde_json::from_str(&ok(&["flow", "list", "--json"]).await).unwrap();
    assert_eq!(list["items"][0]["flow"], "echo");

    // What was pushed is pulled as it was written, and writes over no file.
    assert_eq!(ok(&["flow", "pull", "echo"]).await, ECHO);
    let pulled = folder.path().join("pulled.yaml");
    let pull = ["flow", "pull", "echo", "--output", pulled.to_str().unwrap()];
    assert!(ok(&pull).await.starts_with("pulled `echo`, draft 1, into "));
    assert_eq!(std::fs::read_to_string(&pulled).unwrap(), ECHO);
    let (code, _, error) = against(&app, &pull).await;
    assert_eq!(code, 2);
    assert!(error.contains("name a file that is not there yet"), "{error}");

    // A draft with mistakes is kept and cannot be published.
    std::fs::write(file, ECHO.replace("next: more", "next: mor")).unwrap();
    let pushed = ok(&["flow", "push", file]).await;
    assert!(pushed.starts_with("pushed `echo`, draft 2\n"), "{pushed}");
    assert!(pushed.contains("error at /steps/count/next"), "{pushed}");
    let (code, _, error) = against(&app, &["flow", "publish", "echo"]).await;
    assert_eq!(code, 2);
    assert!(error.starts_with("error: the server answered 422: "), "{error}");
    assert!(error.contains("/steps/count/next: "), "{error}");
    std::fs::write(file, "flow: echo\nsteps: [").unwrap();
    let (code, out, error) = against(&app, &["flow", "push", file]).await;
    assert_eq!(code, 2, "{out}");
    assert_eq!(error, format!("error: {file} is not a flow; correct it first\n"));
    app.finish().await;
}

#[tokio::test]
async fn a_doctor_looks_at_a_server() {
    let app = TestApp::empty().await;
    let (code, out, error) = against(&app, &["doctor"]).await;
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.ends_with("All 3 checks passed.\n"), "{out}");
    let (code, out, _) = told(&run(&["doctor", "--json", "--server", "http://127.0.0.1:1"]));
    assert_eq!(code, 1, "{out}");
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["ok"], false);
    let problem = found["checks"][0]["problem"].as_str().unwrap();
    assert!(problem.ends_with("start one with `chatflow serve`"), "{problem}");
    app.finish().await;
}

#[test]
fn variables_that_are_no_settings_stop_the_start() {
    let mut command = command(&["flow", "list"]);
    command.env("CHATFLOW_SERVR", "http://127.0.0.1:1").env("CHATFLOW_PROJECT", "acme");
    let (code, out, error) = told(&command.output().unwrap());
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("`CHATFLOW_SERVR` is no setting"), "{error}");
    assert!(error.contains("did you mean `CHATFLOW_SERVER`?"), "{error}");
    assert!(error.contains("`CHATFLOW_PROJECT` mean nothing with the local backend"), "{error}");
}

#[tokio::test]
async fn a_wrong_address_or_key_is_told() {
    let app = TestApp::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "cf_aaaaaaaaaaaa_bbbb").unwrap();
    let missing = folder.path().join("none");
    for (file, part) in [
        (&key, "the server does not know the API key; name its file with --key-file"),
        (&missing, "the server does not know the API key; name its file with --key-file"),
    ] {
        let mut command = command(&["flow", "list", "--server", &app.url, "--key-file"]);
        command.arg(file);
        let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
        let (code, out, error) = told(&ran.unwrap());
        assert_eq!((code, out.as_str()), (2, ""));
        assert_eq!(error, format!("error: {part}\n"));
    }
    let (code, out, error) = told(&run(&["flow", "list", "--server", "http://127.0.0.1:1"]));
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        error.starts_with(
            "error: http://127.0.0.1:1/ does not answer; is the server running there?"
        ),
        "{error}"
    );
    app.finish().await;
}
