//! `task tail` against a real server: what happens is printed as it happens, once, also where
//! the server is lost in the middle.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use it::TestApp;
use serde_json::{Value, json};
use standalone::client::Client;

use crate::program::{Process, against, command, run, told};

/// How long a line that must come may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `task tail`.
struct Tail {
    child: Child,
    lines: Receiver<String>,
    complaints: Receiver<String>,
}

/// The lines of a pipe, as they come.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (line, lines) = channel();
    std::thread::spawn(move || {
        for read in BufReader::new(pipe).lines() {
            if read.is_ok_and(|read| line.send(read).is_err()) {
                return;
            }
        }
    });
    lines
}

impl Tail {
    fn start(process: &Process, task: &str, more: &[&str]) -> Self {
        let mut command = command(&["task", "tail", task, "--server", &process.url]);
        command.arg("--key-file").arg(&process.key_file).args(more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out: ChildStdout = child.stdout.take().unwrap();
        let error: ChildStderr = child.stderr.take().unwrap();
        Self { child, lines: lines(out), complaints: lines(error) }
    }

    /// Lines up to and with the first that holds all of these.
    fn through(&self, parts: &[&str]) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("{parts:?} never comes: {seen:#?}"));
            let is_last = parts.iter().all(|part| line.contains(part));
            seen.push(line);
            if is_last {
                return seen;
            }
        }
    }

    /// What it said on standard error next.
    fn complaint(&self) -> String {
        self.complaints.recv_timeout(PATIENCE).unwrap()
    }

    /// Its exit code and what else it printed, once it has ended.
    fn end(mut self) -> (i32, Vec<String>, Vec<String>) {
        let rest = self.lines.iter().collect();
        let complaints = self.complaints.iter().collect();
        (self.child.wait().unwrap().code().unwrap(), rest, complaints)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind; one that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A task that waits for an answer.
async fn start(client: &Client) -> String {
    let body = json!({ "flow": "leave-request", "contact": { "id": "mei", "lang": "en" } });
    let task = client.post("/v1/tasks", &body).await.unwrap();
    task["id"].as_str().unwrap().to_owned()
}

/// An operator says something, and its reply is sent.
async fn say(client: &Client, task: &str, text: &str) {
    let path = format!("/v1/tasks/{task}");
    client.post(&format!("{path}/reply"), &json!({ "text": text })).await.unwrap();
    let is_sent =
        |message: &Value| message["content"]["text"] == text && message["state"] == "sent";
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let messages = client.get(&format!("{path}/messages")).await.unwrap();
            if messages["items"].as_array().unwrap().iter().any(is_sent) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "{text} is never sent");
}

async fn cancel(client: &Client, task: &str) {
    client.post(&format!("/v1/tasks/{task}/cancel"), &json!({})).await.unwrap();
}

fn holding<'a>(lines: &'a [String], part: &str) -> Vec<&'a String> {
    lines.iter().filter(|line| line.contains(part)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_told_as_it_happens() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::serve(data.path());
    let client = process.client();
    let task = start(&client).await;
    say(&client, &task, "said before").await;
    let tail = Tail::start(&process, &task, &[]);
    let seen = tail.through(&["waiting at"]);
    assert_eq!(holding(&seen, "said before").len(), 1, "{seen:#?}");
    say(&client, &task, "said while it looks").await;
    let seen = tail.through(&["said while it looks", "[sent]"]);
    assert!(holding(&seen, "said before").is_empty(), "{seen:#?}");
    cancel(&client, &task).await;
    let seen = tail.through(&["· cancelled"]);
    assert!(holding(&seen, "said").is_empty(), "{seen:#?}");
    assert_eq!(tail.end(), (0, vec![], vec![]));
    // One that has ended is told and that is all.
    let tail = Tail::start(&process, &task, &["--json"]);
    let (code, lines, complaints) = tail.end();
    assert_eq!((code, complaints), (0, vec![]));
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["status"], "cancelled");
    assert!(process.terminate().0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_followed_on() {
    let data = tempfile::tempdir().unwrap();
    let mut process = Process::serve(data.path());
    let client = process.client();
    let address = process.url.trim_start_matches("http://").to_owned();
    let task = start(&client).await;
    let tail = Tail::start(&process, &task, &["--tries", "100"]);
    let mut seen = tail.through(&["waiting at"]);
    let said = ["said first", "said second", "said third"];
    for (round, text) in said.into_iter().enumerate() {
        say(&process.client(), &task, text).await;
        seen.extend(tail.through(&[text, "[sent]"]));
        match round {
            0 => process.kill(),
            1 => assert!(process.terminate().0.success()),
            _ => break,
        }
        let complaint = tail.complaint();
        assert!(complaint.starts_with(&format!("lost http://{address}/ (")), "{complaint}");
        process = Process::serve_at(data.path(), &address);
    }
    cancel(&process.client(), &task).await;
    seen.extend(tail.through(&["· cancelled"]));
    let (code, rest, complaints) = tail.end();
    assert_eq!((code, rest), (0, vec![]), "{complaints:#?}");
    assert!(complaints.iter().all(|complaint| complaint.starts_with("lost ")), "{complaints:#?}");
    // Every state of every message came once.
    let different: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(different.len(), seen.len(), "{seen:#?}");
    for text in said {
        assert_eq!(holding(&seen, &format!("{text}  [sent]")).len(), 1, "{seen:#?}");
    }
    assert!(process.terminate().0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_given_up() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::serve(data.path());
    let client = process.client();
    let task = start(&client).await;
    let tail = Tail::start(&process, &task, &["--tries", "2"]);
    tail.through(&["waiting at"]);
    process.kill();
    let (code, _, complaints) = tail.end();
    assert_eq!((code, complaints.len()), (2, 3), "{complaints:#?}");
    assert!(complaints[1].ends_with("trying again in 0.5 s (2 of 2)"), "{complaints:#?}");
    assert!(complaints[2].contains("did not come back; run this again"), "{complaints:#?}");
}

#[tokio::test]
async fn what_cannot_be_followed_is_told_at_once() {
    let app = TestApp::empty().await;
    let (code, out, error) = against(&app, &["task", "tail", "task_nowhere"]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.starts_with("error: the server answered 404: "), "{error}");
    let (code, out, error) = told(&run(&["task", "tail", "x", "--server", "http://127.0.0.1:1"]));
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("is the server running there?"), "{error}");
    app.finish().await;
}
