//! Idempotency keys and event keys, which are kept for a while.

use chrono::TimeDelta;
use ports::{Commit, PortError};

use crate::backend::Backend;
use crate::check::assert_error;
use crate::sample::{Samples, at};

/// "The answer kept for an idempotency key", as it was given, until it expires.
pub async fn an_answer_is_kept_until_it_expires(backend: Backend) {
    let make = Samples::new(70);
    let answer = make.answer();
    assert_eq!(backend.turns.kept_answer(&answer.key, at(0)).await.unwrap(), None);
    let commit = Commit { answer: Some(answer.clone()), ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    let before = answer.expires_at - TimeDelta::seconds(1);
    let after = answer.expires_at + TimeDelta::seconds(1);
    let kept = backend.turns.kept_answer(&answer.key, before).await.unwrap();
    assert_eq!(kept, Some(answer.clone()));
    let text = serde_json::to_string(&kept.unwrap().body).unwrap();
    assert_eq!(text, answer.body.to_string(), "the body is answered letter by letter");
    assert_eq!(backend.turns.kept_answer(&answer.key, after).await.unwrap(), None);
    assert_eq!(backend.turns.kept_answer("admin/other", before).await.unwrap(), None);
}

/// "Until when it is kept": after that the key is free, whether or not somebody cleaned up.
pub async fn an_expired_key_is_free_again(backend: Backend) {
    let make = Samples::new(71);
    let first = make.answer();
    let commit = Commit { answer: Some(first.clone()), ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    let later = first.expires_at + TimeDelta::seconds(1);
    let mut second = make.answer();
    second.key.clone_from(&first.key);
    second.expires_at = later + TimeDelta::days(1);
    let commit = Commit { at: later, answer: Some(second.clone()), ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    assert_eq!(backend.turns.kept_answer(&first.key, later).await.unwrap(), Some(second));
}

/// "Removes event keys older than `events_before` and answers that have expired, at most
/// `limit` of each; tells how many went."
pub async fn forgetting_is_bounded(backend: Backend) {
    let make = Samples::new(72);
    let mut old_events = Vec::new();
    for number in 0..5_u32 {
        let mut commit = Commit { at: at(i64::from(number)), ..make.commit() };
        old_events.extend(commit.event.clone());
        if number < 3 {
            let mut answer = make.answer();
            answer.expires_at = at(100);
            commit.answer = Some(answer);
        }
        backend.turns.commit(commit).await.unwrap();
    }
    let (kept_answer, recent) = (make.answer(), make.event_id());
    let commit = Commit {
        at: at(1_000),
        event: Some(recent.clone()),
        answer: Some(kept_answer.clone()),
        ..Commit::default()
    };
    backend.turns.commit(commit).await.unwrap();

    let mut went = Vec::new();
    for _ in 0..4 {
        went.push(backend.turns.forget(at(500), at(2_000), 2).await.unwrap());
    }
    assert_eq!(went, [4, 3, 1, 0], "two of each, then what is left, then nothing");
    let conversation = make.conversation().id;
    for event in &old_events {
        let turn = backend.turns.turn(Some(event), &conversation, &[]).await.unwrap();
        assert!(!turn.seen, "forgotten");
    }
    let turn = backend.turns.turn(Some(&recent), &conversation, &[]).await.unwrap();
    assert!(turn.seen, "recent");
    let kept = backend.turns.kept_answer(&kept_answer.key, at(2_000)).await.unwrap();
    assert_eq!(kept, Some(kept_answer));
}

/// An answer that was forgotten leaves its key to the next request; one that was not does not.
pub async fn forgetting_keeps_what_has_not_expired(backend: Backend) {
    let make = Samples::new(73);
    let answer = make.answer();
    let commit = Commit { answer: Some(answer.clone()), ..make.commit() };
    let event = commit.event.clone();
    backend.turns.commit(commit).await.unwrap();
    let early = answer.expires_at - TimeDelta::seconds(1);
    assert_eq!(backend.turns.forget(at(0), early, 100).await.unwrap(), 0);
    let again = Commit { answer: Some(answer.clone()), ..make.commit() };
    assert_error!(backend.turns.commit(again).await, PortError::Conflict { .. });
    let late = answer.expires_at + TimeDelta::seconds(1);
    assert_eq!(backend.turns.forget(at(0), late, 100).await.unwrap(), 1);
    let again = Commit { at: late, answer: Some(answer), ..make.commit() };
    backend.turns.commit(again).await.unwrap();
    let turn = backend.turns.turn(event.as_ref(), &make.conversation().id, &[]).await.unwrap();
    assert!(turn.seen, "the event is not older than the start");
}
