//! Files of every earlier version are brought to this one, and nothing of them is lost.

use engine::{Direction, TaskId};
use ports::{ConfigStore, Deliveries, FlowStore, MessageFilter, Page, Queries, TaskFilter, Topic};
use rusqlite::Connection;

use crate::{VERSION, fixture, fixtures, open, verify};

fn page() -> Page {
    Page { limit: 1_000, cursor: None }
}

/// Who adds a migration adds the file of the version it makes, so that the next one is tried on
/// it: fixtures/README.md tells how.
#[test]
fn every_version_has_its_file() {
    let mut found: Vec<String> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('v'))
        .collect();
    found.sort();
    let mut expected: Vec<String> = (1..=VERSION).map(|n| format!("v{n}.db.gz")).collect();
    expected.sort();
    assert_eq!(found, expected, "see tests/fixtures/README.md");
    for version in 1..=VERSION {
        let (_directory, path) = fixture(version);
        let conn = Connection::open(&path).unwrap();
        let number: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(number as usize, version);
    }
}

#[test]
fn files_of_every_version_are_as_they_must_be() {
    for version in 1..=VERSION {
        let (_directory, path) = fixture(version);
        let report = verify(&path);
        assert_eq!(report.version, version);
        assert_eq!(report.findings, [], "version {version}");
        assert!(report.checked.iter().all(|(_, rows)| *rows > 0), "{:?}", report.checked);
    }
}

#[tokio::test]
async fn a_file_of_every_version_is_brought_to_this_one() {
    for version in 1..=VERSION {
        let (_directory, path) = fixture(version);
        let sqlite = open(&path);
        let tasks = sqlite.list_tasks(&TaskFilter::default(), &page()).await.unwrap().items;
        assert!(tasks.len() >= 14, "version {version} has {} tasks", tasks.len());
        let filter = TaskFilter { contact: Some("mei".into()), ..TaskFilter::default() };
        let [mei] = sqlite.list_tasks(&filter, &page()).await.unwrap().items.try_into().unwrap();
        assert_eq!((mei.flow.as_str(), mei.status.waiting_for()), ("leave-request", Some("reply")));
        let history = sqlite.history(&mei.id, 0, 10).await.unwrap();
        assert_eq!(history.len() as u64, mei.sequence);
        found_by_words(&sqlite, &mei.id).await;
        let version_of_mei = sqlite.version(&mei.flow, mei.version).await.unwrap();
        assert_eq!(version_of_mei.unwrap().document.id, "leave-request");
        let connections = sqlite.connections().await.unwrap();
        assert!(connections.iter().any(|connection| connection.id == "later"));
        assert_eq!(sqlite.keys().await.unwrap().len(), 1);
        let waiting = sqlite.after(0, 100).await.unwrap();
        let topics: Vec<Topic> = waiting.iter().map(|found| found.envelope.topic).collect();
        assert!(topics.contains(&Topic::Calls) && topics.contains(&Topic::Outbound), "{topics:?}");
        sqlite.close().await;
        let report = verify(&path);
        assert_eq!((report.version, report.findings), (VERSION, Vec::new()));
    }
}

/// Search finds what was said before the file was brought to this version.
async fn found_by_words(sqlite: &backend_sqlite::Sqlite, mei: &TaskId) {
    let words = |q: &str| MessageFilter {
        q: Some(q.into()),
        direction: Some(Direction::In),
        ..MessageFilter::default()
    };
    let said = sqlite.list_messages(&words("invoice wrong"), &page()).await.unwrap().items;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].contact, "ann");
    let asked = sqlite.list_messages(&words("請假"), &page()).await.unwrap().items;
    assert!(asked.iter().any(|message| message.contact == "mei"));
    let filter = TaskFilter { q: Some("mei".into()), ..TaskFilter::default() };
    let tasks = sqlite.list_tasks(&filter, &page()).await.unwrap().items;
    assert!(tasks.iter().any(|task| task.id == *mei));
}
