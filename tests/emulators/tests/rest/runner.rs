//! The program: what it gives a command, what it passes on, and that nothing stays behind.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long what must happen may take.
const LIMIT: Duration = Duration::from_secs(20);

fn emulators(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emulators"));
    command.args(arguments).stdin(Stdio::null());
    // The runner of this very test sets them.
    for name in ["CHATFLOW_FIRESTORE_ENDPOINT", "EMULATORS_OFFICIAL_PUBSUB"] {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    emulators(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a process runs: one that only waits to be collected does not.
fn lives(pid: &str) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
    let state = text(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "not in time: {what}");
        std::thread::yield_now();
    }
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_command_gets_the_endpoints_and_its_exit_code_is_passed_on() {
    let output = run(&["run", "--only", "tasks,secrets,pubsub", "--", "sh", "-c", "env; exit 7"]);
    assert_eq!(output.status.code(), Some(7));
    let text = text(&output.stdout);
    let value = |name: &str| {
        let begin = format!("{name}=");
        text.lines().find_map(|line| line.strip_prefix(&begin)).map(str::to_owned)
    };
    for name in [
        "CHATFLOW_TASKS_ENDPOINT",
        "CHATFLOW_SECRETS_ENDPOINT",
        "CHATFLOW_PUBSUB_ENDPOINT",
        "CHATFLOW_JWKS_URL",
        "EMULATORS_PUBSUB_ADMIN",
        "EMULATORS_TASKS_CONTROL",
    ] {
        let value = value(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(value.starts_with("http://127.0.0.1:"), "{name}={value}");
    }
    assert!(value("CHATFLOW_JWKS_URL").unwrap().ends_with("/jwks"));
    for name in ["CHATFLOW_FIRESTORE_ENDPOINT", "EMULATORS_OFFICIAL_PUBSUB"] {
        assert_eq!(value(name), None, "{name}");
    }
}

#[test]
fn a_command_that_is_not_there_or_is_killed_has_a_shells_code() {
    let output = run(&["run", "--only", "secrets", "--", "/no/such/program"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("/no/such/program"));
    let output = run(&["run", "--only", "secrets", "--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(output.status.code(), Some(137));
}

#[test]
fn what_is_missing_is_said_with_how_to_install_it() {
    let empty = tempfile::tempdir().unwrap();
    let mut command = emulators(&["run", "--only", "firestore", "--", "true"]);
    command.env("PATH", empty.path()).env_remove("JAVA_HOME");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("openjdk-17-jre-headless"), "{}", text(&output.stderr));
}

#[test]
fn sigterm_reaches_the_command_and_its_children() {
    let script = r"trap 'exit 9' TERM; sleep 600 & echo $!; wait";
    let (mut child, sleeper) = start_with_sleeper(script);
    send("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(9), "the command's own exit code");
    wait_for("the end of the command's child", || !lives(&sleeper));
}

#[test]
fn a_command_leaves_nothing_behind() {
    let (mut child, sleeper) = start_with_sleeper("sleep 600 & echo $!; exit 3");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    wait_for("the end of what the command left", || !lives(&sleeper));
}

#[test]
fn kill_leaves_no_command_behind() {
    // Often, since it must be so at every moment, also while the command is starting.
    for _ in 0..20 {
        let (mut child, sleeper) = start_with_sleeper("sleep 600 & echo $!; wait");
        send("KILL", &child);
        child.wait().unwrap();
        wait_for("the end of the command's child", || !lives(&sleeper));
    }
}

/// Starts a script that prints the process id of a child of its own.
fn start_with_sleeper(script: &str) -> (Child, String) {
    let mut command = emulators(&["run", "--only", "secrets", "--", "sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().to_owned())
}

/// The processes whose command line has `text`.
fn processes_with(text: &str) -> Vec<String> {
    let output = Command::new("ps").args(["-eo", "pid=,stat=,args="]).output().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains(text) && !line.contains(" Z"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn kill_leaves_no_emulator_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = emulators(&["up", "--json", "--only", "firestore"]);
    let mut child = command.env("TMPDIR", folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let variables: Value = serde_json::from_str(&line).unwrap();
    let endpoint = variables["CHATFLOW_FIRESTORE_ENDPOINT"].as_str().unwrap();
    let port = endpoint.rsplit(':').next().unwrap();
    let command_line = format!("start --host 127.0.0.1 --port {port}");
    assert!(!processes_with(&command_line).is_empty(), "the emulator should run");
    send("KILL", &child);
    child.wait().unwrap();
    wait_for("the emulator's end", || processes_with(&command_line).is_empty());
    wait_for("the logs' end", || std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn an_emulator_that_does_not_start_is_told_with_its_last_words() {
    let sdk = tempfile::tempdir().unwrap();
    let jar = sdk.path().join("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar");
    std::fs::create_dir_all(jar.parent().unwrap()).unwrap();
    std::fs::write(&jar, "no jar").unwrap();
    let output = with_sdk(sdk.path());
    assert_eq!(output.status.code(), Some(1));
    let words = text(&output.stderr);
    assert!(words.contains("does not start"), "{words}");
    assert!(words.contains("CloudFirestore"), "Java's own words: {words}");
}

fn with_sdk(root: &Path) -> Output {
    emulators(&["run", "--only", "firestore", "--", "true"])
        .env("CLOUDSDK_ROOT", root)
        .output()
        .unwrap()
}
