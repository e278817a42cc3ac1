//! Backups of a server that runs, restored and served elsewhere; and what is no backup.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use standalone::client::{Client, ServerArgs};
use tokio::task::JoinHandle;

use crate::crowd::{Crowd, messages, set_up, settle};
use crate::partner::{Partner, Says};
use crate::program::{Process, chatflow, run, told};

/// Runs a command beside the server and the people who write to it.
async fn beside(args: &[&str]) -> (i32, String, String) {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || {
        run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    });
    told(&ran.await.unwrap())
}

async fn json_of(args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let (code, out, error) = beside(&args).await;
    assert_eq!((code, error.as_str()), (0, ""), "{args:?}: {out}");
    serde_json::from_str(&out).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What each person said, in order, and the ids of the replies.
fn heard(all: &[Value]) -> (BTreeMap<String, Vec<String>>, BTreeSet<String>) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut replies = BTreeSet::new();
    for message in all {
        if message["direction"] == "in" {
            let said = heard.entry(text(&message["contact"])).or_default();
            said.push(text(&message["content"]["text"]));
        } else {
            replies.insert(text(&message["id"]));
        }
    }
    (heard, replies)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_is_restored_and_served() {
    const PEOPLE: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let (data, again) = (folder.path().join("data"), folder.path().join("again"));
    let file = folder.path().join("backup.db");
    let partner = Partner::saying(&[Says::Status(200)]).await;
    let crowd = Crowd::new(PEOPLE);
    let process = Process::serve(&data);
    set_up(&process.client(), &partner).await;
    let writers: Vec<JoinHandle<()>> = (0..PEOPLE)
        .map(|person| tokio::spawn(crowd.clone().write(person, process.client())))
        .collect();
    let total = || crowd.total();
    let go_on = async |enough: usize| {
        while total() < enough {
            assert!(!writers.iter().all(JoinHandle::is_finished), "the server takes nothing");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    go_on(40).await;
    let accepted: Vec<usize> = (0..PEOPLE).map(|person| crowd.accepted(person)).collect();
    let made = json_of(&["backup", path(&file), "--data", path(&data)]).await;
    assert_eq!(made["bytes"], file.metadata().unwrap().len());
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    go_on(total() + 10).await;
    let report = json_of(&["verify", "--data", path(&data)]).await;
    assert_eq!((&report["ok"], &report["findings"]), (&json!(true), &json!([])));
    go_on(total() + 10).await;
    writers.iter().for_each(JoinHandle::abort);
    settle(&process.client()).await;
    let (_, replies_here) = heard(&messages(&process.client()).await);
    let old_key = process.key_file.clone();
    assert!(process.terminate().0.success());

    let report = json_of(&["verify", path(&file)]).await;
    assert_eq!(report["ok"], true, "{report}");
    let restored = json_of(&["restore", path(&file), "--data", path(&again)]).await;
    assert_eq!((&restored["bytes"], &restored["version"]), (&made["bytes"], &made["version"]));
    let process = Process::serve(&again);
    let client = process.client();
    settle(&client).await;
    // Everything that was accepted before the backup began is there, in order.
    let (said, replies) = heard(&messages(&client).await);
    for (person, accepted) in accepted.iter().enumerate() {
        let said = &said[&format!("c{person}")];
        let expected: Vec<String> = (0..said.len()).map(|n| format!("m{n}")).collect();
        assert_eq!(*said, expected);
        assert!(said.len() >= *accepted, "c{person}: {} of {accepted}", said.len());
    }
    // What was on its way went on, with the ids that the first server gave it.
    assert!(replies.is_subset(&replies_here), "{:?}", replies.difference(&replies_here));
    // The new key was made by the server; the old one is known as well.
    assert_ne!(process.key_file, old_key);
    let key_file = Some(old_key);
    let server = Some(process.url.parse().unwrap());
    let old = Client::new(&ServerArgs { server, key_file, profile: None }).unwrap();
    assert!(old.get("/v1/keys").await.unwrap()["items"].as_array().unwrap().len() == 2);
    assert!(process.terminate().0.success());
    let report = json_of(&["verify", "--data", path(&again)]).await;
    assert_eq!(report["ok"], true, "{report}");
}

/// A data directory with the demo in it, stopped.
fn stopped(folder: &Path) -> std::path::PathBuf {
    let data = folder.join("data");
    assert!(Process::serve(&data).terminate().0.success());
    data
}

#[test]
fn nothing_is_written_over_and_what_is_no_backup_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = stopped(folder.path());
    let file = folder.path().join("backup.db");
    let (code, out, error) = told(&run(&["backup", path(&file), "--data", path(&data)]));
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.contains("holds everything") && !out.contains('\u{1b}'), "{out}");
    let good = std::fs::read(&file).unwrap();

    let fails = |args: &[&str], part: &str| {
        let (code, out, error) = told(&run(args));
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {error}");
        assert!(error.contains(part), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    };
    let (file, data) = (path(&file), path(&data));
    fails(&["backup", file, "--data", data], "name a file that is not there yet");
    fails(&["backup", "x", "--data", "/nowhere"], "name the server's data directory with --data");
    fails(&["backup", "/nowhere/x", "--data", data], "cannot be written");
    fails(&["restore", file, "--data", data], "restore into another data directory, or move");
    let none = folder.path().join("none");
    fails(
        &["restore", path(&none), "--data", path(&none)],
        "name a file that `chatflow backup` made",
    );
    fails(&["verify", "/nowhere/x"], "name a data directory with --data, or a backup");
    let process = Process::serve(Path::new(data));
    fails(&["restore", file, "--data", data], "another Chatflow server uses");
    assert!(process.terminate().0.success());

    let other = folder.path().join("other.db");
    let to = folder.path().join("to");
    let (other, to) = (path(&other), path(&to));
    let write = |bytes: &[u8]| std::fs::write(other, bytes).unwrap();
    write(b"a text and no database, whatever its name says");
    fails(&["restore", other, "--data", to], "holds no data of Chatflow");
    fails(&["verify", other], "holds no data of Chatflow");
    // The version stands in four bytes of the file's head.
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    write(&newer);
    fails(&["restore", other, "--data", to], "run the newer program that wrote it");
    fails(&["verify", other], "run the newer program that wrote it");
    write(&good[..good.len() / 2]);
    fails(&["restore", other, "--data", to], "is damaged");
    assert!(!Path::new(to).exists(), "what is refused leaves nothing behind");
    let (code, out, _) = told(&run(&["verify", other]));
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("malformed"), "{out}");
}

#[test]
fn a_damaged_file_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = stopped(folder.path());
    let file = data.join("chatflow.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // The draft of a flow, as text in the middle of the file.
    let word = b"\"updated_by\"";
    let places: Vec<usize> = bytes
        .windows(word.len())
        .enumerate()
        .filter_map(|(at, found)| (found == word).then_some(at))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 1] = b'X';
    }
    std::fs::write(&file, bytes).unwrap();
    let (code, out, error) = told(&run(&["verify", "--data", path(&data)]));
    assert_eq!((code, error.as_str()), (1, ""), "{out}");
    let line = out.lines().find(|line| line.contains("draft of flow leave-request")).unwrap();
    assert!(line.trim_start().starts_with("document"), "{out}");
    assert!(line.contains("does not read back at line 1"), "{out}");
    assert!(out.contains("finding(s)") && out.contains("restore the last backup"), "{out}");
    let (code, out, _) = told(&run(&["verify", "--data", path(&data), "--json"]));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["ok"]), (1, &json!(false)));
    assert_eq!(report["counts"], json!({ "document": 3 }), "{report}");
    let finding = &report["findings"][0];
    assert_eq!(finding["kind"], "document");
    assert!(finding["fix"].as_str().unwrap().contains("restore the last backup"));
}

#[test]
fn a_disk_that_is_full_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let data = stopped(folder.path());
    let to = tempfile::tempdir().unwrap();
    let file = to.path().join("backup.db");
    let made = folder.path().join("made.db");
    assert!(run(&["backup", path(&made), "--data", path(&data)]).status.success());
    for args in [
        ["backup", path(&file), "--data", path(&data)],
        ["restore", path(&made), "--data", path(to.path())],
    ] {
        // Larger files cannot be written, which is as if the disk were full.
        let limited = "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\"";
        let ran = Command::new("sh").args(["-c", limited]).arg(chatflow()).args(args).output();
        let (code, out, error) = told(&ran.unwrap());
        assert_eq!((code, out.as_str()), (2, ""), "{error}");
        assert!(error.contains("nothing of it was kept"), "{error}");
        let left: Vec<_> = std::fs::read_dir(to.path()).unwrap().map(Result::unwrap).collect();
        let left: Vec<_> = left.iter().map(std::fs::DirEntry::file_name).collect();
        assert!(left.iter().all(|name| name == "chatflow.db.lock"), "{left:?}");
    }
}
