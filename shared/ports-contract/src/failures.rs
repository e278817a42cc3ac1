//! `FailureStore`: what went wrong, and who dealt with it.

use ports::{Failure, FailureKind, FailureState, PAGE_MAX, Page, PortError, Topic};

use crate::backend::Backend;
use crate::check::assert_error;
use crate::queries::all_pages;
use crate::sample::{Samples, at, nth};

/// "Writes a failure, whatever is stored": "writing the same id again replaces it".
pub async fn a_failure_is_kept(backend: Backend) {
    let make = Samples::new(300);
    let failures = &backend.failures;
    let begun = make.begin();
    let mut failure = Failure {
        task: Some(begun.task.id),
        conversation: Some(begun.conversation.id),
        envelope: Some(make.timer(at(5))),
        reason: "連線失敗 \0 \"quote\"".into(),
        ..make.failure()
    };
    assert_eq!(failures.failure(&failure.id).await.unwrap(), None);
    failures.put_failure(&failure).await.unwrap();
    assert_eq!(failures.failure(&failure.id).await.unwrap(), Some(failure.clone()));
    failure.attempts += 1;
    failure.state = FailureState::Discarded;
    failure.settled = Some(("admin".into(), at(9)));
    failures.put_failure(&failure).await.unwrap();
    assert_eq!(failures.failure(&failure.id).await.unwrap(), Some(failure));
    let page = Page { limit: 10, cursor: None };
    assert_eq!(failures.failures(None, None, &page).await.unwrap().items.len(), 1);
}

/// "Changes the state of a failure that must be in state `from`; else a `Conflict`."
pub async fn settling_is_guarded(backend: Backend) {
    let make = Samples::new(301);
    let failures = &backend.failures;
    let open = make.failure();
    failures.put_failure(&open).await.unwrap();
    let settled = |state| Failure { state, settled: Some(("admin".into(), at(9))), ..open.clone() };
    let envelope = make.envelope(Topic::Outbound, "k");
    let retried = settled(FailureState::Retried);
    let wrong = failures
        .settle_failure(&retried, FailureState::Discarded, std::slice::from_ref(&envelope))
        .await;
    assert_error!(wrong, PortError::Conflict { .. });
    assert_eq!(failures.failure(&open.id).await.unwrap(), Some(open.clone()));
    failures.settle_failure(&retried, FailureState::Open, &[]).await.unwrap();
    assert_eq!(failures.failure(&open.id).await.unwrap(), Some(retried.clone()));
    // The second of two people who press the button.
    let discarded = settled(FailureState::Discarded);
    let late = failures
        .settle_failure(&discarded, FailureState::Open, std::slice::from_ref(&envelope))
        .await;
    assert_error!(late, PortError::Conflict { .. });
    assert_eq!(failures.failure(&open.id).await.unwrap(), Some(retried));
    let unknown = failures
        .settle_failure(&make.failure(), FailureState::Open, std::slice::from_ref(&envelope))
        .await;
    assert_error!(unknown, PortError::Conflict { .. } | PortError::NotFound { .. });
    if backend.deliveries.is_some() {
        assert_eq!(backend.published_ids().await, Vec::<String>::new(), "nothing was published");
    }
}

/// "Publishes `envelopes` in the same step."
pub async fn settling_publishes(backend: Backend) {
    let make = Samples::new(302);
    let failures = &backend.failures;
    let open = make.failure();
    failures.put_failure(&open).await.unwrap();
    let envelopes = [make.envelope(Topic::Outbound, "k"), make.envelope(Topic::Outbound, "k")];
    let retried = Failure { state: FailureState::Retried, ..open };
    failures.settle_failure(&retried, FailureState::Open, &envelopes).await.unwrap();
    if backend.deliveries.is_some() {
        let expected: Vec<String> = envelopes.into_iter().map(|one| one.id).collect();
        assert_eq!(backend.published_ids().await, expected);
    }
}

/// "Failures, newest first", by state and kind, in pages.
pub async fn failures_are_listed(backend: Backend) {
    let make = Samples::new(303);
    let kinds = [
        FailureKind::Task,
        FailureKind::Reply,
        FailureKind::Call,
        FailureKind::Landing,
        FailureKind::Event,
        FailureKind::DeadLetter,
    ];
    let states = [FailureState::Open, FailureState::Retried, FailureState::Discarded];
    let mut stored: Vec<Failure> = Vec::new();
    for number in 0..36_usize {
        let failure = Failure {
            kind: kinds[number % 6],
            state: states[number / 2 % 3],
            at: nth(number * 7 % 36),
            ..make.failure()
        };
        backend.failures.put_failure(&failure).await.unwrap();
        stored.push(failure);
    }
    stored.sort_by_key(|failure| std::cmp::Reverse(failure.at));
    let some_kinds = kinds.map(Some).into_iter().chain([None]);
    for kind in some_kinds {
        for state in states.map(Some).into_iter().chain([None]) {
            let expected: Vec<&Failure> = stored
                .iter()
                .filter(|failure| kind.is_none_or(|kind| failure.kind == kind))
                .filter(|failure| state.is_none_or(|state| failure.state == state))
                .collect();
            for limit in [1, 5, PAGE_MAX] {
                let found = all_pages(limit, async |page| {
                    backend.failures.failures(state, kind, &page).await.unwrap()
                })
                .await;
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{state:?} {kind:?}");
            }
        }
    }
}
