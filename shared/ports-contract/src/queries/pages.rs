//! Pages: everything exactly once, whatever else is written meanwhile; bad cursors and limits.

use std::collections::BTreeSet;

use engine::{Message, Task, TaskId};
use ports::{MessageFilter, PAGE_MAX, Page, PortError, PortResult, Sort, TaskFilter};

use super::{all_pages, store};
use crate::backend::Backend;
use crate::check::{assert_error, sorted};
use crate::sample::{Samples, nth};

const SORTS: [Sort; 4] = [Sort::CreatedDesc, Sort::CreatedAsc, Sort::UpdatedDesc, Sort::UpdatedAsc];

/// Three tasks at each second, so that pages end among equal times.
fn tasks(make: &Samples, count: usize, from: usize) -> Vec<Task> {
    let conversation = make.conversation();
    (0..count)
        .map(|number| {
            let mut task = make.task(&conversation);
            task.created_at = nth(from + number / 3);
            task.updated_at = task.created_at;
            task
        })
        .collect()
}

fn messages(make: &Samples, count: usize, from: usize) -> Vec<Message> {
    let conversation = make.conversation();
    (0..count)
        .map(|number| {
            let mut message = make.message(&conversation, "page me");
            message.created_at = nth(from + number / 3);
            message
        })
        .collect()
}

/// Pages of any size give every task exactly once, in every order, with and without words.
pub async fn pages_give_every_task_once(backend: Backend) {
    let make = Samples::new(230);
    let tasks = tasks(&make, 50, 0);
    store(&backend, &make, &[], &tasks, &[]).await;
    let expected = sorted(tasks.iter().map(|task| task.id.clone()));
    for sort in SORTS {
        for (limit, q) in
            [(1, None), (2, None), (3, None), (7, Some("leave")), (49, None), (50, None)]
        {
            let filter = TaskFilter { sort, q: q.map(str::to_owned), ..TaskFilter::default() };
            let found = all_pages(limit, async |page| {
                backend.queries.list_tasks(&filter, &page).await.unwrap()
            })
            .await;
            let times: Vec<_> = found.iter().map(|task| task.created_at).collect();
            let ascending = matches!(sort, Sort::CreatedAsc | Sort::UpdatedAsc);
            let in_order = times
                .windows(2)
                .all(|pair| if ascending { pair[0] <= pair[1] } else { pair[0] >= pair[1] });
            assert!(in_order, "{sort:?}, {limit} at a time: {times:?}");
            let ids = sorted(found.into_iter().map(|task| task.id));
            assert_eq!(ids, expected, "{sort:?}, {limit} at a time");
        }
    }
}

/// Pages of any size give every message exactly once, in the same order as one large page.
pub async fn pages_give_every_message_once(backend: Backend) {
    let make = Samples::new(231);
    let messages = messages(&make, 50, 0);
    store(&backend, &make, &[], &[], &messages).await;
    for (newest_first, q) in [(false, None), (true, None), (false, Some("page"))] {
        let filter =
            MessageFilter { newest_first, q: q.map(str::to_owned), ..MessageFilter::default() };
        let read = async |limit| {
            let found = all_pages(limit, async |page| {
                backend.queries.list_messages(&filter, &page).await.unwrap()
            })
            .await;
            found.into_iter().map(|message| message.id).collect::<Vec<_>>()
        };
        let whole = read(PAGE_MAX).await;
        assert_eq!(
            sorted(whole.clone()),
            sorted(messages.iter().map(|message| message.id.clone()))
        );
        for limit in [1, 4, 49] {
            assert_eq!(read(limit).await, whole, "{limit} at a time");
        }
    }
}

/// Tasks that come while somebody reads neither repeat nor hide those that were there.
pub async fn pages_hold_while_tasks_come(backend: Backend) {
    let make = Samples::new(232);
    let there = tasks(&make, 30, 1_000);
    store(&backend, &make, &[], &there, &[]).await;
    for sort in SORTS {
        let filter = TaskFilter { sort, ..TaskFilter::default() };
        let mut seen: Vec<TaskId> = Vec::new();
        let found = all_pages(4, async |page| {
            let found = backend.queries.list_tasks(&filter, &page).await.unwrap();
            // Some before all that were there, some after, at both ends of the list.
            let (early, late) = (tasks(&make, 2, 0), tasks(&make, 2, 10_000));
            if seen.len() < 30 {
                store(&backend, &make, &[], &early, &[]).await;
                store(&backend, &make, &[], &late, &[]).await;
            }
            seen.extend(found.items.iter().map(|task| task.id.clone()));
            found
        })
        .await;
        let distinct: BTreeSet<_> = found.iter().map(|task| task.id.clone()).collect();
        assert_eq!(distinct.len(), found.len(), "{sort:?}: none twice");
        for task in &there {
            assert!(distinct.contains(&task.id), "{sort:?}: {} was there before", task.id);
        }
    }
}

/// Messages that come while somebody reads: the same.
pub async fn pages_hold_while_messages_come(backend: Backend) {
    let make = Samples::new(233);
    let there = messages(&make, 30, 1_000);
    store(&backend, &make, &[], &[], &there).await;
    for newest_first in [false, true] {
        let filter = MessageFilter { newest_first, ..MessageFilter::default() };
        let mut seen = 0;
        let found = all_pages(4, async |page| {
            let found = backend.queries.list_messages(&filter, &page).await.unwrap();
            if seen < 30 {
                store(&backend, &make, &[], &[], &messages(&make, 2, 0)).await;
                store(&backend, &make, &[], &[], &messages(&make, 2, 10_000)).await;
            }
            seen += found.items.len();
            found
        })
        .await;
        let distinct: BTreeSet<_> = found.iter().map(|message| message.id.clone()).collect();
        assert_eq!(distinct.len(), found.len(), "none twice");
        for message in &there {
            assert!(distinct.contains(&message.id), "{} was there before", message.id);
        }
    }
}

/// Cursors come from outside: one that no page gave is `Invalid`.
pub async fn a_malformed_cursor_is_invalid(backend: Backend) {
    let make = Samples::new(234);
    let tasks = tasks(&make, 5, 0);
    let stored = messages(&make, 5, 0);
    store(&backend, &make, &[make.conversation()], &tasks, &stored).await;
    let long = "A".repeat(20_000);
    let cursors = [
        "!",
        "x",
        "{}",
        "null",
        "[1]",
        "'; DROP TABLE tasks; --",
        "請假",
        "\0",
        "AAAA",
        "Zm9v",
        "////",
        "-",
        "9999999999999999999999:x",
        &long,
    ];
    for cursor in cursors {
        let page = Page { limit: 2, cursor: Some(cursor.to_owned()) };
        let tasks = backend.queries.list_tasks(&TaskFilter::default(), &page).await;
        assert_error!(tasks, PortError::Invalid { .. });
        let messages = backend.queries.list_messages(&MessageFilter::default(), &page).await;
        assert_error!(messages, PortError::Invalid { .. });
        let conversations = backend.queries.list_conversations(None, None, &page).await;
        assert_error!(conversations, PortError::Invalid { .. });
        let failures = backend.failures.failures(None, None, &page).await;
        assert_error!(failures, PortError::Invalid { .. });
    }
}

/// "Most items (1 to `PAGE_MAX`)": another limit is refused, or brought into that range.
pub async fn a_limit_out_of_range_does_no_harm(backend: Backend) {
    let make = Samples::new(235);
    let tasks = tasks(&make, PAGE_MAX + 5, 0);
    store(&backend, &make, &[], &tasks, &messages(&make, 3, 0)).await;
    let bounded = |count: PortResult<usize>, limit: usize| match count {
        Ok(count) => assert!((1..=PAGE_MAX).contains(&count), "{count} items for {limit}"),
        Err(PortError::Invalid { .. }) => {}
        Err(other) => panic!("expected Invalid, got {other:?}"),
    };
    for limit in [0, PAGE_MAX + 1, usize::MAX / 2, usize::MAX] {
        let page = Page { limit, cursor: None };
        let found = backend.queries.list_tasks(&TaskFilter::default(), &page).await;
        bounded(found.map(|page| page.items.len()), limit);
        let found = backend.queries.list_messages(&MessageFilter::default(), &page).await;
        bounded(found.map(|page| page.items.len()), limit);
    }
    let page = Page { limit: PAGE_MAX, cursor: None };
    let found = backend.queries.list_tasks(&TaskFilter::default(), &page).await.unwrap();
    assert_eq!(found.items.len(), PAGE_MAX, "the largest page is full");
    assert!(found.next.is_some(), "and not the last");
}
