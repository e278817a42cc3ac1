//! The program as a process: its line, its key, its ends, its mistakes.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use it::TestApp;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::crowd::{Crowd, messages, set_up, settle};
use crate::partner::{Partner, Says};
use crate::program::{Process, against, command, run, told};
use crate::replies::ECHO;

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
    while crowd.total() < 20 || partner.asked().is_empty() {
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
    let accepted = crowd.total();
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
