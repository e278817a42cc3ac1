//! The commands that talk to a server, as a person types them.

use it::TestApp;
use serde_json::{Value, json};

use crate::program::{against, command, told};

/// Runs a command that must succeed.
async fn ok(app: &TestApp, args: &[&str]) -> String {
    let (code, out, error) = against(app, args).await;
    assert_eq!((code, error.as_str()), (0, ""), "{args:?}: {out}");
    out
}

async fn json_of(app: &TestApp, args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.push("--json");
    serde_json::from_str(&ok(app, &args).await).unwrap()
}

/// The cells of a table's lines, without the headings.
fn cells(table: &str) -> Vec<Vec<String>> {
    let lines = table.lines().skip(1);
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[tokio::test]
async fn tasks_are_started_shown_answered_and_ended() {
    let app = TestApp::demo().await;
    let started = ok(&app, &["task", "start", "leave-request", "--contact", "mei"]).await;
    assert!(started.starts_with("started task_"), "{started}");
    app.settle().await;
    let listed = ok(&app, &["task", "list", "--status", "waiting"]).await;
    let id = cells(&listed)[0][0].clone();
    assert!(started.contains(&id), "{listed}");
    assert_eq!(cells(&listed)[0][1..3], ["leave-request", "waiting"]);
    assert_eq!(ok(&app, &["task", "list", "--status", "failed"]).await, "nothing found\n");

    let shown = ok(&app, &["task", "show", &id]).await;
    assert!(shown.contains("waits for  reply") && shown.contains(" ← "), "{shown}");
    let said = ok(&app, &["task", "reply", &id, "We are on it."]).await;
    assert!(said.starts_with(&format!("said to {id}")), "{said}");
    app.settle().await;
    let found = ok(&app, &["message", "search", "on", "it", "--direction", "out"]).await;
    assert!(found.contains("We are on it."), "{found}");
    let found = json_of(&app, &["message", "search", "nowhere"]).await;
    assert_eq!(found, json!({ "items": [], "more": false }));

    let cancelled = ok(&app, &["task", "cancel", &id, "--reason", "asked twice"]).await;
    assert_eq!(cancelled, format!("cancelled {id}, cancelled\n"));
    let tail = ok(&app, &["task", "tail", &id]).await;
    assert!(tail.contains("We are on it.") && tail.contains("· cancelled"), "{tail}");
    let (code, _, error) = against(&app, &["task", "retry", &id]).await;
    assert_eq!(code, 2);
    assert!(error.starts_with("error: the server answered 409"), "{error}");
    app.settle().await;
    app.finish().await;
}

#[tokio::test]
async fn lists_say_that_there_is_more() {
    let app = TestApp::demo().await;
    for contact in ["mei", "bob", "ann"] {
        ok(&app, &["task", "start", "leave-request", "--contact", contact]).await;
    }
    app.settle().await;
    let listed = ok(&app, &["task", "list", "--limit", "2"]).await;
    assert!(listed.ends_with("the first 2; there are more (--limit)\n"), "{listed}");
    let listed = json_of(&app, &["task", "list", "--limit", "3"]).await;
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["more"]), (3, &json!(false)));
    app.finish().await;
}

#[tokio::test]
async fn a_slip_in_a_flows_name_is_met_with_the_nearest() {
    let app = TestApp::demo().await;
    for args in [
        &["flow", "publish", "leave-requst"][..],
        &["flow", "show", "leave-requst"],
        &["task", "start", "leave-requst", "--contact", "mei"],
    ] {
        let (code, _, error) = against(&app, args).await;
        assert_eq!(code, 2, "{args:?}");
        assert!(error.ends_with("did you mean `leave-request`?\n"), "{args:?}: {error}");
    }
    app.finish().await;
}

#[tokio::test]
async fn flows_are_compared_and_rolled_back() {
    let app = TestApp::demo().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leave.yaml");
    let file = file.to_str().unwrap();
    ok(&app, &["flow", "pull", "leave-request", "--output", file]).await;
    assert_eq!(ok(&app, &["flow", "diff", "leave-request"]).await, "");
    let changed = std::fs::read_to_string(file).unwrap() + "# a remark\n";
    std::fs::write(file, changed).unwrap();
    let (code, out, _) = against(&app, &["flow", "diff", "leave-request", "live", file]).await;
    assert_eq!(code, 1);
    assert!(out.starts_with("--- live\n") && out.contains("\n+# a remark"), "{out}");
    ok(&app, &["flow", "push", file]).await;
    ok(&app, &["flow", "publish", "leave-request"]).await;
    let rolled = ok(&app, &["flow", "rollback", "leave-request"]).await;
    assert_eq!(rolled, "published version 1 of `leave-request` again, as version 3\n");
    let shown = json_of(&app, &["flow", "show", "leave-request"]).await;
    assert_eq!(shown["versions"][0]["rollback_of"], 1);
    let (code, _, error) = against(&app, &["flow", "diff", "leave-request", "9"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("version 9"), "{error}");
    app.finish().await;
}

#[test]
fn a_files_own_tests_run_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lunch.yaml");
    let flow = "flow: lunch\ntriggers: []\nvars: {dish: {type: string}}\nstart: which\nsteps:\n  \
                which: {type: ask, text: Which one?, into: dish, next: told}\n  \
                told: {type: say, text: '{{ dish }} it is', next: done}\n  done: {type: end}\n\
                tests:\n  - {name: rice, script: [{bot: Which}, {user: rice}, {bot: rice it is}], \
                outcome: completed}\n";
    std::fs::write(&file, flow).unwrap();
    let test =
        |file: &std::path::Path| told(&command(&["flow", "test"]).arg(file).output().unwrap());
    let (code, out, error) = test(&file);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.ends_with("1 test(s), 0 failed\n"), "{out}");
    std::fs::write(&file, flow.replace("{bot: rice it is}", "{bot: noodles it is}")).unwrap();
    let (code, out, _) = test(&file);
    assert_eq!(code, 1);
    assert!(out.starts_with("failed rice\n"), "{out}");
    std::fs::write(&file, flow.replace("next: told", "next: tld")).unwrap();
    let (code, out, error) = test(&file);
    assert_eq!(code, 2);
    assert!(out.contains("lunch.yaml:") && error.contains("correct them first"), "{out}{error}");
}

#[tokio::test]
async fn keys_come_and_go() {
    let app = TestApp::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reporting.key");
    let output = file.to_str().unwrap();
    let create = ["key", "create", "reporting", "--may", "tasks.read", "--output", output];
    let made = ok(&app, &create).await;
    assert!(made.starts_with("made ") && made.contains("its text is in"), "{made}");
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(!made.contains(secret.trim()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    // The file is there already, so no key is made that nobody would have.
    let (code, _, error) = against(&app, &create).await;
    assert_eq!(code, 2);
    assert!(error.contains("name a file that is not there yet"), "{error}");
    let listed = json_of(&app, &["key", "list"]).await;
    let of_reporting: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["name"] == "reporting")
        .collect();
    assert_eq!(of_reporting.len(), 1);

    let mut list = command(&["task", "list", "--server", &app.url, "--key-file", output]);
    let ran = tokio::task::spawn_blocking(move || list.output()).await.unwrap().unwrap();
    assert_eq!(told(&ran), (0, "nothing found\n".into(), String::new()));
    let id = of_reporting[0]["id"].as_str().unwrap();
    assert_eq!(ok(&app, &["key", "revoke", id]).await, format!("{id} is revoked\n"));
    let mut list = command(&["task", "list", "--server", &app.url, "--key-file", output]);
    let ran = tokio::task::spawn_blocking(move || list.output()).await.unwrap().unwrap();
    assert_eq!(told(&ran).0, 2);
    app.finish().await;
}

#[tokio::test]
async fn exports_hold_everything_once() {
    let app = TestApp::demo().await;
    for contact in ["mei", "bob"] {
        app.say(contact, "leave").await;
    }
    let lines = ok(&app, &["export", "messages"]).await;
    let texts: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(texts.len(), 4);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.csv");
    let output = file.to_str().unwrap();
    let told = ok(&app, &["export", "tasks", "--format", "csv", "--output", output]).await;
    assert_eq!(told, format!("2 row(s) in {output}\n"));
    let csv = std::fs::read_to_string(&file).unwrap();
    assert!(csv.starts_with("id,flow,version,label,"), "{csv}");
    assert_eq!(csv.lines().count(), 3);
    // It is complete, and nothing else was left there.
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    let (code, _, error) = against(&app, &["export", "tasks", "--output", output]).await;
    assert_eq!(code, 2);
    assert!(error.contains("name a file that is not there yet"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), csv);
    let parquet = folder.path().join("messages.parquet");
    let output = parquet.to_str().unwrap();
    let told = ok(&app, &["export", "messages", "--format", "parquet", "--output", output]).await;
    assert_eq!(told, format!("4 row(s) in {output}\n"));
    let bytes = std::fs::read(&parquet).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{} bytes", bytes.len());
    let (code, _, error) = against(&app, &["export", "tasks", "--format", "parquet"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("name a file with --output"), "{error}");
    let inside = folder.path().join("none/tasks.csv");
    let (code, _, error) =
        against(&app, &["export", "tasks", "--output", inside.to_str().unwrap()]).await;
    assert_eq!(code, 2);
    assert!(error.contains("name another folder"), "{error}");
    let (code, _, error) = against(&app, &["export", "messages", "--flow", "x"]).await;
    assert_eq!(code, 2);
    assert!(error.contains("messages belong to no flow"), "{error}");
    app.finish().await;
}

#[tokio::test]
async fn a_profile_names_a_server() {
    let app = TestApp::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let (config, key) = (folder.path().join("chatflow"), folder.path().join("key"));
    std::fs::create_dir(&config).unwrap();
    std::fs::write(&key, &app.key).unwrap();
    let text = format!("[office]\nserver = \"{}\"\nkey_file = \"{}\"\n", app.url, key.display());
    std::fs::write(config.join("profiles.toml"), text).unwrap();
    let list = |profile: &'static str| {
        let mut command = command(&["task", "list", "--profile", profile]);
        command.env("XDG_CONFIG_HOME", folder.path());
        async move {
            let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
            told(&ran.unwrap())
        }
    };
    assert_eq!(list("office").await, (0, "nothing found\n".into(), String::new()));
    let (code, _, error) = list("offce").await;
    assert_eq!(code, 2);
    assert!(error.contains("there is no profile `offce`; there are `office`"), "{error}");
    app.finish().await;
}

#[test]
fn every_command_has_an_example_and_stands_in_the_reference() {
    let reference = standalone::cli::reference();
    let mut sections = reference.split("\n## `").skip(1);
    for section in sections.by_ref() {
        let name = section.split('`').next().unwrap();
        let has_inner = section.contains("\nCommands:\n");
        assert!(has_inner || section.contains("Example:"), "`{name}` has no example");
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../functions/standalone/COMMANDS.md");
    if std::fs::read_to_string(file).unwrap_or_default() == reference {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "as insta does: INSTA_UPDATE=always writes")]
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always");
    assert!(update, "functions/standalone/COMMANDS.md is old: run this with INSTA_UPDATE=always");
    std::fs::write(file, reference).unwrap();
}

#[test]
fn shells_and_readers_are_helped() {
    let (code, out, _) = told(&command(&["completions", "bash"]).output().unwrap());
    assert_eq!(code, 0);
    assert!(out.contains("_chatflow()"), "{out}");
    let folder = tempfile::tempdir().unwrap();
    let manual = folder.path().join("man1");
    let ran = command(&["manual"]).arg(&manual).output().unwrap();
    assert_eq!(told(&ran).0, 0);
    for page in ["chatflow.1", "chatflow-task-tail.1"] {
        assert!(manual.join(page).is_file(), "{page}");
    }
}
