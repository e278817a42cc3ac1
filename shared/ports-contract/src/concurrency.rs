//! Many at once: one of them wins, none is lost.

use engine::EventId;
use futures::future::join_all;
use ports::{Commit, PortError, Topic};

use crate::backend::Backend;
use crate::check::sorted;
use crate::sample::{Samples, create, next_revision, next_sequence, update};

/// 200 commits of the same revision: exactly one wins, the others are a `Conflict`.
pub async fn one_wins_per_revision(backend: Backend) {
    let make = Samples::new(100);
    let begun = make.begin();
    backend.turns.commit(begun.commit).await.unwrap();
    for round in 1..=3 {
        let mut conversation = begun.conversation.clone();
        conversation.revision = round + 1;
        let commits: Vec<Commit> = (0..200)
            .map(|_| Commit { conversation: Some(conversation.clone()), ..make.commit() })
            .collect();
        let events: Vec<EventId> = commits.iter().filter_map(|one| one.event.clone()).collect();
        let results = join_all(commits.into_iter().map(|commit| {
            let turns = backend.turns.clone();
            async move { tokio::spawn(async move { turns.commit(commit).await }).await.unwrap() }
        }))
        .await;
        let mut winners = Vec::new();
        for (event, result) in events.iter().zip(results) {
            match result {
                Ok(_) => winners.push(event),
                Err(PortError::Conflict { .. }) => {}
                Err(other) => panic!("expected Conflict, got {other:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "winners of revision {}", round + 1);
        for event in &events {
            let turn = backend.turns.turn(Some(event), &conversation.id, &[]).await.unwrap();
            assert_eq!(turn.seen, winners == [event], "only the winner has had its effect");
        }
    }
}

/// 200 writers who load, change and commit until it works: no change is lost.
pub async fn no_change_is_lost(backend: Backend) {
    contend(&backend, 200).await;
}

/// The same with few writers, for backends where every call may fail.
pub async fn no_change_of_few_is_lost(backend: Backend) {
    contend(&backend, 12).await;
}

async fn contend(backend: &Backend, writers: usize) {
    let make = Samples::new(101);
    let begun = make.begin();
    backend.turns.commit(begun.commit).await.unwrap();
    let all = (0..writers).map(|writer| {
        let backend = backend.clone();
        let (event, task) = (make.event_id(), begun.task.clone());
        let envelope = make.envelope(Topic::Outbound, &format!("writer-{writer}"));
        let history_of = Samples::new(1_000_000 + writer as u64);
        let change = async move {
            loop {
                let ids = std::slice::from_ref(&task.id);
                let turn = backend.turns.turn(Some(&event), &task.conversation, ids).await.unwrap();
                let mut changed = next_sequence(&turn.tasks[0]);
                changed.vars.insert(format!("writer-{writer}"), writer.into());
                let commit = Commit {
                    event: Some(event.clone()),
                    conversation: turn.conversation.as_ref().map(next_revision),
                    history: vec![history_of.history(&changed)],
                    tasks: vec![update(&changed)],
                    outbox: vec![envelope.clone()],
                    ..history_of.commit()
                };
                match backend.turns.commit(commit).await {
                    Ok(receipt) => return backend.publish(receipt).await,
                    Err(PortError::Conflict { .. }) => {}
                    Err(other) => panic!("expected Conflict, got {other:?}"),
                }
            }
        };
        async move { tokio::spawn(change).await.unwrap() }
    });
    join_all(all).await;

    let ids = std::slice::from_ref(&begun.task.id);
    let turn = backend.turns.turn(None, &begun.conversation.id, ids).await.unwrap();
    let count = writers as u64 + 1;
    assert_eq!(turn.conversation.map(|conversation| conversation.revision), Some(count));
    let task = turn.tasks.into_iter().next().unwrap();
    assert_eq!(task.sequence, count);
    for writer in 0..writers {
        assert!(task.vars.contains_key(&format!("writer-{writer}")), "writer {writer} is lost");
    }
    let history = backend.queries.history(&begun.task.id, 0, 1_000).await.unwrap();
    let sequences: Vec<u64> = history.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, (1..=count).collect::<Vec<u64>>(), "no gap and none twice");
    if backend.deliveries.is_some() {
        assert_eq!(backend.published_ids().await.len(), writers);
    }
}

/// The same event from 50 at once takes effect once; the others are a `Duplicate`.
pub async fn an_event_takes_effect_once_at_once(backend: Backend) {
    let make = Samples::new(102);
    let begun = make.begin();
    let results = join_all((0..50).map(|_| {
        let (turns, commit) = (backend.turns.clone(), begun.commit.clone());
        async move { tokio::spawn(async move { turns.commit(commit).await }).await.unwrap() }
    }))
    .await;
    let mut winners = 0;
    for result in results {
        match result {
            Ok(_) => winners += 1,
            Err(PortError::Duplicate { .. }) => {}
            Err(other) => panic!("expected Duplicate, got {other:?}"),
        }
    }
    assert_eq!(winners, 1);
}

/// "Different conversations never wait for each other": none of 200 meets a conflict.
pub async fn conversations_do_not_disturb_each_other(backend: Backend) {
    let make = Samples::new(103);
    let begun: Vec<_> = (0..200).map(|_| make.begin()).collect();
    let results = join_all(begun.iter().map(|one| {
        let (turns, commit) = (backend.turns.clone(), one.commit.clone());
        async move { tokio::spawn(async move { turns.commit(commit).await }).await.unwrap() }
    }))
    .await;
    for result in results {
        result.unwrap();
    }
    let ids: Vec<_> = begun.iter().map(|one| one.task.id.clone()).collect();
    let stored = backend.turns.tasks(&ids).await.unwrap();
    assert_eq!(sorted(stored.into_iter().map(|task| task.id)), sorted(ids));
}

/// A batch that holds one bad commit among good ones is not a bad batch.
pub async fn a_bad_neighbour_does_no_harm(backend: Backend) {
    let make = Samples::new(104);
    let stored = make.begin();
    backend.turns.commit(stored.commit.clone()).await.unwrap();
    let commits: Vec<(bool, Commit)> = (0..120)
        .map(|number| match number % 3 {
            0 => (true, make.begin().commit),
            1 => (false, stored.commit.clone()),
            _ => {
                let begun = make.begin();
                let tasks = vec![create(&begun.task), create(&stored.task)];
                (false, Commit { tasks, ..begun.commit })
            }
        })
        .collect();
    let results = join_all(commits.iter().map(|(_, commit)| {
        let (turns, commit) = (backend.turns.clone(), commit.clone());
        async move { tokio::spawn(async move { turns.commit(commit).await }).await.unwrap() }
    }))
    .await;
    for ((good, commit), result) in commits.iter().zip(results) {
        assert_eq!(result.is_ok(), *good, "{result:?}");
        let conversation = commit.conversation.as_ref().unwrap();
        let turn = backend.turns.turn(commit.event.as_ref(), &conversation.id, &[]).await.unwrap();
        let is_stored = conversation.id == stored.conversation.id;
        assert_eq!(turn.conversation.is_some(), *good || is_stored);
        assert_eq!(turn.seen, *good || is_stored);
    }
}
