//! The process stands still for a while (SIGSTOP, a laptop that sleeps) and goes on.

use std::time::{Duration, Instant};

use futures::future::join_all;
use http::Method;
use serde_json::json;

use super::is_long;
use crate::crowd::{Crowd, assert_arrived, assert_kept, messages, set_up, settle};
use crate::partner::{Partner, Says};
use crate::program::Process;

/// Waits two seconds and tells.
const NAP: &str = "
flow: nap
start: rest
steps:
  rest: {type: wait, for: 2s, next: tell}
  tell: {type: say, text: awake, next: done}
  done: {type: end}
";
const PEOPLE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_for_a_while_it_goes_on_and_nobody_is_lost() {
    let pause = Duration::from_secs(if is_long() { 65 } else { 4 });
    eprintln!("stopped for {pause:?}");
    let data = tempfile::tempdir().unwrap();
    let partner = Partner::saying(&[Says::Status(200)]).await;
    let process = Process::serve(data.path());
    let client = process.client();
    set_up(&client, &partner).await;
    let flow = Some(("application/yaml", NAP.as_bytes().to_vec()));
    client.expect(Method::PUT, "/v1/flows/nap", flow).await.unwrap();
    client.expect(Method::POST, "/v1/flows/nap/publish", None).await.unwrap();
    let crowd = Crowd::new(PEOPLE);
    crowd.all_insist(&client, 2).await;

    // Timers come due and people write while it stands still, on connections that stay open.
    let start = json!({ "flow": "nap", "contact": { "id": "sleeper" }, "connection": "api" });
    let nap = client.post("/v1/tasks", &start).await.unwrap();
    let writers: Vec<_> = (0..PEOPLE)
        .map(|one| tokio::spawn(crowd.clone().insist(one, client.clone(), 20)))
        .collect();
    let before = crowd.total();
    while crowd.total() < before + PEOPLE {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    process.signal("STOP");
    // What was answered before the signal is on its way still.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let during = crowd.total();
    tokio::time::sleep(pause).await;
    assert_eq!(crowd.total(), during, "it did not stand still");
    process.signal("CONT");
    let went_on = Instant::now();
    // Those who waited are answered, or are told at once to come again; then everything goes on.
    while crowd.total() == during {
        assert!(went_on.elapsed() < Duration::from_secs(5), "nobody is accepted any more");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    settle(&client).await;
    let all = messages(&client).await;
    crowd.assert_heard_and_answered(&all);
    assert!(assert_arrived(&partner, &all) <= PEOPLE, "one reply of each was under way at most");
    let nap = client.get(&format!("/v1/tasks/{}", nap["id"].as_str().unwrap())).await.unwrap();
    assert_eq!(nap["status"], "completed", "its timer fired");
    // What the sleeper was told lies on another connection.
    assert_kept(&client, all.len() + 1).await;
    assert!(process.terminate().0.success());
}
