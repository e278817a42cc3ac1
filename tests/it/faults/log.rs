//! Bytes of the write-ahead log that are lost or wrong, as after a power cut on a disk that lied.
//!
//! What was in them is lost, accepted or not: that is no end of a process but an end of data. What
//! is left is a beginning of what there was, and nothing of it is half there.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::Value;
use standalone::client::Client;

use super::dice;
use crate::bench::Dice;
use crate::crowd::{Crowd, messages, set_up, settle};
use crate::partner::{Partner, Says};
use crate::program::Process;

const PEOPLE: usize = 6;
/// Harms of each kind.
const TIMES: usize = 6;
const LOG: &str = "chatflow.db-wal";

/// Cuts the log at a random length.
fn cut(log: &File, dice: &mut Dice) {
    let bytes = usize::try_from(log.metadata().unwrap().len()).unwrap();
    log.set_len(dice.below(bytes) as u64).unwrap();
}

/// Changes eight bytes somewhere in the log.
fn scratch(log: &File, dice: &mut Dice) {
    let bytes = usize::try_from(log.metadata().unwrap().len()).unwrap();
    let at = dice.below(bytes - 8) as u64;
    let mut were = [0; 8];
    log.read_exact_at(&mut were, at).unwrap();
    log.write_all_at(&were.map(|byte| byte ^ 0x5a), at).unwrap();
}

/// What a killed server left, without what it shared with itself.
fn copy(from: &Path, to: &Path) {
    for name in ["chatflow.db", LOG, "admin.key"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// Every task has its whole history.
async fn assert_histories(client: &Client) -> usize {
    let tasks = client.get("/v1/tasks?limit=200").await.unwrap();
    let tasks = tasks["items"].as_array().unwrap().clone();
    for task in &tasks {
        let path = format!("/v1/tasks/{}/history?limit=1000", task["id"].as_str().unwrap());
        let history = client.get(&path).await.unwrap();
        let entries = history["items"].as_array().unwrap();
        let numbers: Vec<u64> =
            entries.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, expected);
        assert!(!entries.is_empty(), "{task}");
    }
    tasks.len()
}

async fn harmed(harm: fn(&File, &mut Dice)) {
    let mut dice = dice();
    let original = tempfile::tempdir().unwrap();
    let partner = Partner::saying(&[Says::Status(200)]).await;
    let process = Process::serve(original.path());
    set_up(&process.client(), &partner).await;
    // An orderly end empties the log: the flow and the connection are in the file itself.
    assert!(process.terminate().0.success());
    let process = Process::serve(original.path());
    let crowd = Crowd::new(PEOPLE);
    crowd.all_insist(&process.client(), 10).await;
    process.kill();
    let mut left: Vec<usize> = Vec::new();
    for _ in 0..TIMES {
        let data = tempfile::tempdir().unwrap();
        copy(original.path(), data.path());
        let log = OpenOptions::new().read(true).write(true).open(data.path().join(LOG)).unwrap();
        harm(&log, &mut dice);
        drop(log);
        let process = Process::serve(data.path());
        let client = process.client();
        settle(&client).await;
        let all: Vec<Value> = messages(&client).await;
        left.push(crowd.assert_beginning(&all));
        let talks = assert_histories(&client).await;
        assert!(talks <= PEOPLE);
        // It works as any other.
        let newcomer = Crowd::new(PEOPLE + 1);
        newcomer.clone().insist(PEOPLE, client.clone(), 2).await;
        settle(&client).await;
        let all = messages(&client).await;
        let mine = all.iter().filter(|message| message["contact"] == format!("c{PEOPLE}"));
        assert_eq!(mine.count(), 4);
        assert!(process.terminate().0.success());
    }
    eprintln!("of {} messages there were left: {left:?}", crowd.total());
    assert!(left.iter().any(|left| *left < crowd.total()), "nothing was ever harmed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_log_that_was_cut_a_beginning_is_left() {
    harmed(cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_log_with_wrong_bytes_a_beginning_is_left() {
    harmed(scratch).await;
}
