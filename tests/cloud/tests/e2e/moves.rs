//! `chatflow doctor` and `chatflow migrate` on a project.

use cloud::{Options, System, programs};
use serde_json::Value;

use crate::dialogues::Local;
use crate::setting::{PATIENCE, Server, settle, with_sink};

/// Runs `chatflow` on the system's project: its exit code and what it printed as JSON.
fn chatflow(system: &System, args: &[&str]) -> (i32, Value) {
    let mut command = std::process::Command::new(programs::path("chatflow").unwrap());
    let done = command.args(args).arg("--json").envs(system.variables()).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let error = String::from_utf8(done.stderr).unwrap();
    let printed = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text} {error}"));
    (done.status.code().unwrap(), printed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_server_moves_and_a_doctor_finds_nothing_wrong() {
    let mut local = Local::start().await;
    local.server.say("a-1", "mei", "leave").await;
    local.server.say("a-2", "bob", "leave").await;
    local.settle().await;
    local.server.say("a-3", "bob", "tomorrow").await;
    local.settle().await;
    let count = async |server: &Server, list: &str| server.all(list).await.len();
    let before =
        (count(&local.server, "/v1/tasks").await, count(&local.server, "/v1/messages").await);
    let from = local.data.path().to_str().unwrap().to_owned();
    local.process.kill().await.unwrap();

    // A project without the demo: all of it comes from the file.
    let (system, sink, server) = with_sink(Options { demo: false, ..Options::default() }).await;
    let (code, found) = chatflow(&system, &["doctor"]);
    assert_eq!((code, &found["ok"]), (0, &Value::Bool(true)), "{found:#}");
    for _ in 0..2 {
        let (code, compared) = chatflow(&system, &["migrate", "--from", &from]);
        assert_eq!((code, &compared["same"]), (0, &Value::Bool(true)), "{compared:#}");
    }
    settle(&system).await;
    let after = (count(&server, "/v1/tasks").await, count(&server, "/v1/messages").await);
    assert_eq!(after, before);

    // And it goes on there: the demo's replies are for a terminal, so the store tells.
    drop(sink);
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    server.say("a-4", "mei", "tomorrow").await;
    let began = tokio::time::Instant::now();
    loop {
        settle(&system).await;
        let texts = server.all("/v1/messages?contact=mei&direction=out").await;
        if texts.len() == 2 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{texts:?}");
    }
}
