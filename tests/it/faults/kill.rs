//! `kill -9` at any instant.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::dice;
use crate::crowd::{Crowd, assert_arrived, assert_kept, messages, set_up, settle};
use crate::partner::{Partner, Says};
use crate::program::{Process, run, told};

const PEOPLE: usize = 8;
const KILLS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_instant_it_loses_nothing_and_doubles_nothing() {
    let mut dice = dice();
    let data = tempfile::tempdir().unwrap();
    let partner = Partner::saying(&[Says::Status(200)]).await;
    let crowd = Crowd::new(PEOPLE);
    let mut process = Process::serve(data.path());
    set_up(&process.client(), &partner).await;
    for _ in 0..KILLS {
        let before = crowd.total();
        let writers: Vec<JoinHandle<()>> = (0..PEOPLE)
            .map(|person| tokio::spawn(crowd.clone().write(person, process.client())))
            .collect();
        // Some instants lie in the first moments, when what the last kill left is taken up.
        let enough = before + dice.below(40);
        while crowd.total() < enough {
            assert!(!writers.iter().all(JoinHandle::is_finished), "it takes nothing");
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        tokio::time::sleep(Duration::from_micros(dice.below(20_000) as u64)).await;
        process.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        process = Process::serve(data.path());
    }
    let client = process.client();
    // Who was left without an answer writes the same message once more.
    crowd.all_insist(&client, 1).await;
    settle(&client).await;
    let all = messages(&client).await;
    crowd.assert_heard_and_answered(&all);
    // A reply that was under way at a kill comes again under its id; each person has one at most.
    let again = assert_arrived(&partner, &all);
    assert!(again <= KILLS * PEOPLE, "{again} came again");
    assert_kept(&client, all.len()).await;
    assert!(process.terminate().0.success());
    let (code, out, _) = told(&run(&["verify", "--data", data.path().to_str().unwrap()]));
    assert_eq!(code, 0, "{out}");
}
