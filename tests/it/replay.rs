//! `chatflow replay`: real dialogues through a running server, held against what became of them.

use std::fmt::Write;
use std::path::Path;

use http::Method;
use it::TestApp;
use serde_json::{Value, json};

use crate::program::{Process, command, told};

/// Plays a file against a server.
async fn replay(server: &str, key: &Path, file: &Path, more: &[&str]) -> (i32, String, String) {
    let mut command = command(&["replay", "--server", server, "--key-file"]);
    command.arg(key).arg(file).args(more);
    told(&tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap())
}

/// A recording in which each of these users says these texts, in turns.
fn recording(turns: &[(&str, &str)]) -> tempfile::NamedTempFile {
    let mut text = String::new();
    for (number, (user, says)) in turns.iter().enumerate() {
        let line = json!({
            "dialogue_id": format!("d-{user}"), "turn": number, "speaker": "user",
            "user_id": user, "text": says, "lang": "en", "domains": ["hotel"],
            "ts": format!("2026-01-05T01:00:{number:02}Z"),
        });
        writeln!(text, "{line}").unwrap();
        let answer = json!({
            "dialogue_id": format!("d-{user}"), "turn": number, "speaker": "system",
            "user_id": user, "text": "Certainly.", "lang": "en", "ts": "2026-01-05T01:00:00Z",
        });
        writeln!(text, "{answer}").unwrap();
    }
    let file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[tokio::test]
async fn the_sample_comes_out_as_it_went_in() {
    let Some(sample) = it::shared("data/dialogues/sample.messages.jsonl.zst") else { return };
    let data = tempfile::tempdir().unwrap();
    let process = Process::serve(data.path());
    let (code, out, error) = replay(&process.url, &process.key_file, &sample, &["--json"]).await;
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["problems"], json!([]), "{report}");
    for (field, count) in
        [("user_messages", 4_218), ("sent", 4_218), ("accepted", 4_218), ("users", 197)]
    {
        assert_eq!(report[field], count, "{field}");
    }
    let routed: u64 =
        report["routed"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(routed, 4_218);
    assert_eq!(report["failures"], 0);
    let states = report["reply_states"].as_object().unwrap();
    assert_eq!(states.keys().collect::<Vec<_>>(), ["sent"], "every reply is out");
    assert!(report["tasks"].as_u64().unwrap() >= 197, "{report}");
    assert!(report["switches"].as_u64().unwrap() > 0, "domains change in the data");
    let micros = |field: &str| report[field].as_i64().unwrap();
    let (p50, p99) = (micros("reply_p50_micros"), micros("reply_p99_micros"));
    assert!(0 < p50 && p50 <= p99, "{report}");
    let client = process.client();
    let replies = report["replies"].as_u64().unwrap();
    assert_eq!(report["landed_rows"]["messages"], 4_218 + replies);
    let found =
        client.send(Method::GET, "/v1/messages?connection=demo&limit=1", None).await.unwrap();
    assert_eq!(found.status, 200);
    assert!(process.terminate().0.success());
}

#[tokio::test]
async fn a_recording_that_the_server_did_not_get_is_noticed() {
    let app = TestApp::demo().await;
    let key = app.server().key_file.clone();
    let turns = [("ann", "a hotel"), ("bob", "a taxi"), ("ann", "for two"), ("ann", "that's all")];
    let play = async |turns: &[(&str, &str)], run: &str| {
        let file = recording(turns);
        replay(&app.url, &key, file.path(), &["--json", "--run", run]).await
    };
    let (code, out, error) = play(&turns, "one").await;
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    // The same run again sends nothing new: it is the same messages.
    let (code, out, _) = play(&turns, "one").await;
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["accepted"]), (0, &json!(4)), "{out}");

    // A recording with less than the server has, under the name of the same run.
    let (code, out, _) = play(&turns[..3], "one").await;
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 1, "{out}");
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{out}");
    assert!(problems[0].as_str().unwrap().ends_with("are out of order"), "{out}");
    // For people, the same is said in words.
    let file = recording(&turns[..3]);
    let (code, out, _) = replay(&app.url, &key, file.path(), &["--run", "one"]).await;
    assert_eq!(code, 1);
    assert!(out.contains("PROBLEM    the messages of conv_"), "{out}");
    assert!(!out.contains("checked    every message once"), "{out}");
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_replayed_is_told() {
    let app = TestApp::empty().await;
    let key = app.server().key_file.clone();
    let file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    let line = |turn: &str| {
        format!(
            r#"{{"dialogue_id": "d", "turn": {turn}, "speaker": "user", "user_id": "u", "text": "x",
            "lang": "en", "ts": "2026-01-05T01:00:00Z"}}"#
        )
        .replace('\n', " ")
    };
    std::fs::write(file.path(), format!("{}\n{}\n", line("0"), line("\"one\""))).unwrap();
    let (code, out, error) = replay(&app.url, &key, file.path(), &[]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("line 2 is not a message of a dialogue"), "{error}");
    let none = Path::new("/nowhere/x.jsonl");
    let (code, _, error) = replay(&app.url, &key, none, &[]).await;
    assert_eq!(code, 2);
    assert!(error.starts_with("error: /nowhere/x.jsonl cannot be replayed"), "{error}");
    // A server without the demo has no such connection.
    std::fs::write(file.path(), format!("{}\n", line("0"))).unwrap();
    let (code, _, error) = replay(&app.url, &key, file.path(), &[]).await;
    assert_eq!(code, 2);
    assert!(error.contains("/webhooks/demo answered 404"), "{error}");
    app.finish().await;
}
