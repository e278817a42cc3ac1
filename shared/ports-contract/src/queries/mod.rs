//! `Queries`: filters against a model, orders, pages, search.

mod conversations;
mod messages;
mod pages;
mod search;
mod task_search;
mod tasks;

pub use conversations::*;
pub use messages::*;
pub use pages::*;
pub use search::*;
pub use task_search::*;
pub use tasks::*;

use engine::{Conversation, Message, Task};
use ports::{Commit, MessageFilter, MessageWrite, Page, PageOf, TaskFilter};

use crate::backend::Backend;
use crate::sample::{Samples, create};

/// Pages of one list that are looked at before it counts as endless.
const PAGES_MAX: usize = 2_000;

/// Reads a list to its end, `limit` items at a time.
pub(crate) async fn all_pages<T>(
    limit: usize,
    mut read: impl AsyncFnMut(Page) -> PageOf<T>,
) -> Vec<T> {
    let mut items = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = read(Page { limit, cursor }).await;
        assert!(page.items.len() <= limit, "{} items, asked for {limit}", page.items.len());
        assert!(page.next.is_none() || !page.items.is_empty(), "an empty page has no next one");
        items.extend(page.items);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return items,
        }
    }
    panic!("the list does not end");
}

async fn list_tasks(backend: &Backend, filter: &TaskFilter) -> Vec<Task> {
    all_pages(1_000, async |page| backend.queries.list_tasks(filter, &page).await.unwrap()).await
}

async fn list_messages(backend: &Backend, filter: &MessageFilter) -> Vec<Message> {
    all_pages(1_000, async |page| backend.queries.list_messages(filter, &page).await.unwrap()).await
}

async fn store(
    backend: &Backend,
    make: &Samples,
    conversations: &[Conversation],
    tasks: &[Task],
    messages: &[Message],
) {
    for conversation in conversations {
        let commit = Commit { conversation: Some(conversation.clone()), ..make.commit() };
        backend.turns.commit(commit).await.unwrap();
    }
    for tasks in tasks.chunks(100) {
        let commit = Commit { tasks: tasks.iter().map(create).collect(), ..make.commit() };
        backend.turns.commit(commit).await.unwrap();
    }
    for messages in messages.chunks(100) {
        let messages = messages
            .iter()
            .map(|message| MessageWrite { message: message.clone(), expected: None })
            .collect();
        backend.turns.commit(Commit { messages, ..make.commit() }).await.unwrap();
    }
}
