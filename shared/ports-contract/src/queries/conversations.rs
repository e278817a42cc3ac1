//! Conversations in a list.

use engine::{Conversation, ConversationId};
use ports::Commit;

use super::all_pages;
use crate::backend::Backend;
use crate::sample::{Samples, at, next_revision, nth};

async fn list(
    backend: &Backend,
    connection: Option<&str>,
    contact: Option<&str>,
    limit: usize,
) -> Vec<ConversationId> {
    let found = all_pages(limit, async |page| {
        backend.queries.list_conversations(connection, contact, &page).await.unwrap()
    })
    .await;
    found.into_iter().map(|conversation| conversation.id).collect()
}

/// "Conversations, last changed first; `contact` is a contact's id."
pub async fn conversations_are_listed(backend: Backend) {
    let make = Samples::new(220);
    assert_eq!(list(&backend, None, None, 10).await, []);
    let mut stored: Vec<Conversation> = Vec::new();
    for number in 0..12_usize {
        let mut conversation = make.conversation();
        conversation.connection = ["demo", "line"][number % 2].into();
        conversation.contact.id = format!("person-{}", number % 3);
        conversation.updated_at = nth(number * 5 % 12);
        let commit = Commit { conversation: Some(conversation.clone()), ..make.commit() };
        backend.turns.commit(commit).await.unwrap();
        stored.push(conversation);
    }
    stored.sort_by_key(|conversation| std::cmp::Reverse(conversation.updated_at));
    let expected = |stored: &[Conversation], connection: Option<&str>, contact: Option<&str>| {
        stored
            .iter()
            .filter(|one| connection.is_none_or(|wanted| one.connection == wanted))
            .filter(|one| contact.is_none_or(|wanted| one.contact.id == wanted))
            .map(|one| one.id.clone())
            .collect::<Vec<_>>()
    };
    for connection in [None, Some("demo"), Some("line"), Some("none")] {
        for contact in [None, Some("person-1"), Some("person-2"), Some("nobody")] {
            for limit in [1, 5, 1_000] {
                assert_eq!(
                    list(&backend, connection, contact, limit).await,
                    expected(&stored, connection, contact),
                    "{connection:?} {contact:?}, {limit} at a time"
                );
            }
        }
    }

    let mut changed = next_revision(&stored[11]);
    changed.updated_at = at(100);
    let commit = Commit { conversation: Some(changed.clone()), ..make.commit() };
    backend.turns.commit(commit).await.unwrap();
    let first = list(&backend, None, None, 1_000).await;
    assert_eq!((first.len(), first.first()), (12, Some(&changed.id)), "it moved to the front");
}
