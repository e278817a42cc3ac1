//! Many people at once, and some who do not wait for an answer.

use std::collections::BTreeMap;

use cloud::load::{Replies, Talk, talk};
use cloud::{Options, System};
use futures::future::join_all;

use crate::dialogues::each_once_in_order;
use crate::setting::{PATIENCE, Server, no_errors, settle};

/// People who talk at the same time.
const PEOPLE: usize = 500;
/// People who write without waiting, and messages of each.
const HASTY: usize = 5;
const HASTY_MESSAGES: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_people_talk_at_once_and_a_few_without_waiting() {
    let replies = Replies::default();
    let sink = replies.sink().await.unwrap();
    let options = Options { replies_to: Some(sink.url()), ..Options::default() };
    let system = System::start(options).await.unwrap();
    let server = Server::of(&system);
    let crowd = Talk { name: "crowd".into(), contacts: PEOPLE, messages: 1, at_once: PEOPLE };
    let hasty = async {
        let writing = (0..HASTY).map(async |person| {
            let contact = format!("hasty-{person}");
            let mut texts = vec!["leave".to_owned()];
            texts.extend((1..HASTY_MESSAGES).map(|turn| format!("nonsense {turn}")));
            for (turn, text) in texts.iter().enumerate() {
                server.say(&format!("{contact}/{turn}"), &contact, text).await;
            }
            (contact, texts)
        });
        join_all(writing).await.into_iter().collect::<BTreeMap<String, Vec<String>>>()
    };
    let (talked, mut said) = tokio::join!(talk(&system, &replies, &crowd), hasty);
    assert_eq!(talked.unwrap().turns, PEOPLE, "everybody got an answer");
    tokio::time::timeout(PATIENCE, settle(&system)).await.unwrap();
    for person in 0..PEOPLE {
        said.insert(format!("crowd-{person}"), vec!["leave".to_owned()]);
    }
    each_once_in_order(&server, &said).await;
    let tasks = server.all("/v1/tasks").await;
    assert_eq!(tasks.len(), PEOPLE + HASTY);
    no_errors(&system);
}
