//! Tests of the whole backend that no contract covers, and what other tests here share.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use chrono::TimeDelta;
use engine::{Status, Task};
use ports::{
    Bus, Commit, Deliveries, Envelope, MessageFilter, MessageWrite, Page, PortError, PortResult,
    Queries, Secret, Secrets, TaskWrite, Timers, Topic, TurnStore, Warehouse,
};
use ports_contract::{Samples, Standing, at};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::open::{OpenError, Options, Sqlite};
use crate::writer::{Group, WordTable};
use ports::search;

use crate::migrate;

/// An empty file of this version, for the plans of statements.
pub(crate) fn migrated() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    migrate::migrate(&mut conn).unwrap();
    conn
}

fn options() -> Options {
    Options::new(Arc::new(Standing))
}

fn directory() -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chatflow.db");
    (directory, path)
}

fn count(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_second_server_is_refused_until_the_first_is_gone() {
    let (_directory, path) = directory();
    let first = Sqlite::open(&path, options()).unwrap();
    let clone = first.clone();
    let refused = Sqlite::open(&path, options()).err().unwrap();
    assert!(matches!(&refused, OpenError::Locked { path: named } if *named == path));
    assert_eq!(
        refused.to_string(),
        format!(
            "another Chatflow server uses {}; stop it or choose another data directory",
            path.display()
        )
    );
    drop(first);
    assert!(Sqlite::open(&path, options()).is_err(), "a clone still has it");
    clone.ping().await.unwrap();
    drop(clone);
    Sqlite::open(&path, options()).unwrap().ping().await.unwrap();
}

#[cfg(unix)]
#[test]
fn the_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (directory, path) = directory();
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _sqlite = Sqlite::open(&path, options()).unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["chatflow.db", "chatflow.db-shm", "chatflow.db-wal", "chatflow.db.lock"]);
}

#[test]
fn files_of_others_and_of_newer_versions_are_refused() {
    let (_directory, path) = directory();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(Sqlite::open(&path, options()), Err(OpenError::Foreign)));

    let (_directory, path) = directory();
    drop(Sqlite::open(&path, options()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = Sqlite::open(&path, options()).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "the data file has version 99, this program knows 2; \
         run the newer program that wrote it"
    );

    let (_directory, path) = directory();
    std::fs::write(&path, "this is a text and no database at all, whatever its name").unwrap();
    assert!(matches!(Sqlite::open(&path, options()), Err(OpenError::Sqlite { .. })));
}

#[tokio::test]
async fn what_was_answered_is_in_a_copy_of_the_files() {
    let (directory, path) = directory();
    let make = Samples::new(1);
    let sqlite = Sqlite::open(&path, options()).unwrap();
    let begun = make.begin();
    sqlite.commit(begun.commit).await.unwrap();
    // A copy of the files while they are open is what a power cut leaves.
    let copy = tempfile::tempdir().unwrap();
    for name in ["chatflow.db", "chatflow.db-wal"] {
        std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
    }
    let survivor = Sqlite::open(&copy.path().join("chatflow.db"), options()).unwrap();
    assert_eq!(survivor.tasks(std::slice::from_ref(&begun.task.id)).await.unwrap(), [begun.task]);
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_is_done_before_the_file_is_free() {
    let (_directory, path) = directory();
    let sqlite = Sqlite::open(&path, options()).unwrap();
    let make = Samples::new(2);
    for _ in 0..50 {
        let commit = Box::pin(sqlite.commit(make.begin().commit));
        // Polled once: it is with the writer, and its caller goes away.
        assert!(matches!(futures_poll(commit).await, Polled::Pending | Polled::Ready));
    }
    drop(sqlite);
    assert_eq!(count(&path, "SELECT COUNT(*) FROM tasks"), 50);
}

enum Polled {
    Ready,
    Pending,
}

async fn futures_poll<F: Future + Unpin>(mut future: F) -> Polled {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
            std::task::Poll::Ready(_) => Polled::Ready,
            std::task::Poll::Pending => Polled::Pending,
        })
    })
    .await
}

#[tokio::test]
async fn closing_finishes_what_waits_and_refuses_what_comes() {
    let (directory, path) = directory();
    let sqlite = Sqlite::open(&path, options()).unwrap();
    let make = Samples::new(3);
    let commits: Vec<_> = (0..300).map(|_| make.begin().commit).collect();
    let writing: Vec<_> = commits
        .into_iter()
        .map(|commit| {
            let sqlite = sqlite.clone();
            tokio::spawn(async move { sqlite.commit(commit).await.is_ok() })
        })
        .collect();
    tokio::task::yield_now().await;
    sqlite.close().await;
    sqlite.close().await;
    let mut done = 0;
    for written in writing {
        done += i64::from(written.await.unwrap());
    }
    let late = sqlite.commit(make.commit()).await;
    assert!(matches!(late, Err(PortError::Unavailable { .. })), "{late:?}");
    let late = sqlite.ping().await;
    assert!(matches!(late, Err(PortError::Unavailable { .. })), "{late:?}");
    assert!(!directory.path().join("chatflow.db-wal").exists(), "the log is empty and gone");
    assert_eq!(count(&path, "SELECT COUNT(*) FROM tasks"), done);
    Sqlite::open(&path, options()).unwrap();
}

/// Keeps the writer busy until the sender is dropped: what is written meanwhile is one group.
async fn hold_writer(sqlite: &Sqlite) -> (Sender<()>, JoinHandle<bool>) {
    let (go, wait) = std::sync::mpsc::channel();
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let sqlite = sqlite.clone();
    let busy = tokio::spawn(async move {
        let work = move |_: &mut Group<'_>| {
            let _ = begun.send(());
            Ok(wait.recv().is_err())
        };
        sqlite.inner.writer.write(work).await.unwrap()
    });
    begins.recv().await.unwrap();
    (go, busy)
}

/// A request that ends in a conflict, and may publish something before.
fn write_a_conflict(sqlite: &Sqlite, writes_first: bool) -> JoinHandle<PortResult<()>> {
    let sqlite = sqlite.clone();
    let lost = Samples::new(2).envelope(Topic::Calls, "k");
    let work = move |group: &mut Group<'_>| {
        if writes_first {
            crate::queue::enqueue(group, &lost, 0)?;
        }
        Err(crate::error::conflict("number", "2"))
    };
    tokio::spawn(async move { sqlite.inner.writer.write(work).await })
}

#[tokio::test]
async fn one_of_a_group_fails_alone_even_by_a_panic() {
    let sqlite = Sqlite::in_memory(options()).unwrap();
    let (go, busy) = hold_writer(&sqlite).await;
    let publish = |number: u32| {
        let sqlite = sqlite.clone();
        tokio::spawn(async move {
            let work = move |group: &mut Group<'_>| {
                let envelope = Samples::new(u64::from(number)).envelope(Topic::Calls, "k");
                crate::queue::enqueue(group, &envelope, 0)?;
                let words = search::words("word");
                group.index(WordTable::Tasks, i64::from(number), words, false);
                match number % 3 {
                    0 => Ok(number),
                    1 => Err(crate::error::conflict("number", &number.to_string())),
                    _ => panic!("on purpose"),
                }
            };
            sqlite.inner.writer.write(work).await
        })
    };
    let all: Vec<_> = (0..30).map(publish).collect();
    tokio::task::yield_now().await;
    drop(go);
    assert!(busy.await.unwrap());
    for (number, outcome) in (0..).zip(all) {
        let outcome = outcome.await.unwrap();
        let as_expected = match number % 3 {
            0 => matches!(outcome, Ok(same) if same == number),
            1 => matches!(outcome, Err(PortError::Conflict { .. })),
            _ => matches!(outcome, Err(PortError::Backend { .. })),
        };
        assert!(as_expected, "{number}: {outcome:?}");
    }
    assert_eq!(sqlite.backlog().await.unwrap(), [(Topic::Calls, 10)]);
    assert_eq!(sqlite.after(0, 100).await.unwrap().len(), 10);
    let indexed = |conn: &Connection| {
        let sql = "SELECT COUNT(*) FROM task_words WHERE task_words MATCH 'word'";
        Ok(conn.query_row(sql, [], |row| row.get::<_, i64>(0))?)
    };
    assert_eq!(sqlite.inner.readers.read(indexed).await.unwrap(), 10);
}

#[tokio::test]
async fn a_group_is_done_again_only_for_who_failed_after_writing() {
    for (writes_first, runs) in [(false, 1), (true, 2)] {
        let sqlite = Sqlite::in_memory(options()).unwrap();
        let (go, busy) = hold_writer(&sqlite).await;
        let ran = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (writer, counted) = (sqlite.clone(), Arc::clone(&ran));
        let first = Samples::new(1).envelope(Topic::Calls, "k");
        let published = first.clone();
        let works = tokio::spawn(async move {
            let work = move |group: &mut Group<'_>| {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                crate::queue::enqueue(group, &first, 0)
            };
            writer.inner.writer.write(work).await
        });
        let fails = write_a_conflict(&sqlite, writes_first);
        tokio::task::yield_now().await;
        drop(go);
        assert!(busy.await.unwrap());
        works.await.unwrap().unwrap();
        assert!(matches!(fails.await.unwrap(), Err(PortError::Conflict { .. })));
        assert_eq!(ran.load(std::sync::atomic::Ordering::Relaxed), runs);
        // At hand and in the file it is there once, and what failed is not.
        for _ in 0..2 {
            let found = sqlite.after(0, 10).await.unwrap();
            let found: Vec<_> = found.into_iter().map(|delivery| delivery.envelope).collect();
            assert_eq!(found, std::slice::from_ref(&published));
        }
        assert_eq!(sqlite.backlog().await.unwrap(), [(Topic::Calls, 1)]);
    }
}

#[tokio::test]
async fn who_panics_when_it_is_done_again_is_told_no() {
    let sqlite = Sqlite::in_memory(options()).unwrap();
    let (go, busy) = hold_writer(&sqlite).await;
    let (writer, mut again) = (sqlite.clone(), false);
    let panics = tokio::spawn(async move {
        let work = move |_: &mut Group<'_>| {
            assert!(!std::mem::replace(&mut again, true), "on purpose");
            Ok(())
        };
        writer.inner.writer.write(work).await
    });
    let fails = write_a_conflict(&sqlite, true);
    tokio::task::yield_now().await;
    drop(go);
    assert!(busy.await.unwrap());
    assert!(matches!(panics.await.unwrap(), Err(PortError::Backend { .. })));
    assert!(matches!(fails.await.unwrap(), Err(PortError::Conflict { .. })));
}

#[tokio::test]
async fn a_reader_that_panics_is_an_error_and_no_more() {
    let sqlite = Sqlite::in_memory(Options { readers: 1, ..options() }).unwrap();
    for _ in 0..3 {
        let outcome =
            sqlite.inner.readers.read(|_| -> crate::error::Outcome<()> { panic!("on purpose") });
        assert!(matches!(outcome.await, Err(PortError::Backend { .. })));
    }
    sqlite.ping().await.unwrap();
}

#[tokio::test]
async fn withdrawn_timers_leave_queue_and_backlog() {
    let sqlite = Sqlite::in_memory(options()).unwrap();
    let make = Samples::new(4);
    let timers: Vec<_> = (1..=3).map(|second| make.timer(at(second))).collect();
    let reply = make.envelope(Topic::Outbound, "k");
    let outbox = timers.iter().cloned().chain([reply.clone()]).collect();
    sqlite.commit(Commit { outbox, ..make.commit() }).await.unwrap();
    assert_eq!(sqlite.backlog().await.unwrap(), [(Topic::Outbound, 1), (Topic::Timers, 3)]);
    assert_eq!(sqlite.next_due().await.unwrap(), Some(at(1)));
    let withdrawn = vec![timers[0].id.clone(), timers[0].id.clone(), "env-none".into()];
    sqlite.commit(Commit { withdrawn, ..make.commit() }).await.unwrap();
    assert_eq!(sqlite.backlog().await.unwrap(), [(Topic::Outbound, 1), (Topic::Timers, 2)]);
    assert_eq!(sqlite.next_due().await.unwrap(), Some(at(2)));
    let due = sqlite.due(at(2), 10).await.unwrap();
    assert_eq!(due.iter().map(|one| &one.envelope).collect::<Vec<_>>(), [&timers[1]]);
    // Withdrawn and set anew in one commit: it is set.
    let again = vec![timers[1].clone()];
    let commit = Commit { withdrawn: vec![timers[1].id.clone()], outbox: again, ..make.commit() };
    sqlite.commit(commit).await.unwrap();
    assert_eq!(sqlite.due(at(9), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_backlog_is_counted_again_after_a_restart() {
    let (_directory, path) = directory();
    let make = Samples::new(5);
    let sqlite = Sqlite::open(&path, options()).unwrap();
    let envelopes =
        [make.timer(at(1)), make.envelope(Topic::Calls, "a"), make.envelope(Topic::Calls, "b")];
    sqlite.publish(&envelopes).await.unwrap();
    let before = sqlite.backlog().await.unwrap();
    assert_eq!(before, [(Topic::Calls, 2), (Topic::Timers, 1)]);
    drop(sqlite);
    let sqlite = Sqlite::open(&path, options()).unwrap();
    assert_eq!(sqlite.backlog().await.unwrap(), before);
}

#[tokio::test]
async fn more_than_a_thousand_messages_of_one_instant_keep_their_order() {
    let sqlite = Sqlite::in_memory(options()).unwrap();
    let make = Samples::new(6);
    let conversation = make.conversation();
    let mut expected = Vec::new();
    for _ in 0..5 {
        let messages: Vec<MessageWrite> = (0..500)
            .map(|_| MessageWrite { message: make.message(&conversation, "x"), expected: None })
            .collect();
        expected.extend(messages.iter().map(|write| write.message.id.clone()));
        sqlite.commit(Commit { messages, ..make.commit() }).await.unwrap();
    }
    let (mut found, mut cursor) = (Vec::new(), None);
    for _ in 0..3 {
        let page = Page { limit: 1_000, cursor };
        let part = sqlite.list_messages(&MessageFilter::default(), &page).await.unwrap();
        found.extend(part.items.into_iter().map(|message| message.id));
        cursor = part.next;
    }
    assert_eq!(found, expected);
    assert_eq!(cursor, None);
}

#[tokio::test]
async fn a_text_written_and_changed_in_one_group_is_found_as_it_is() {
    let sqlite = Sqlite::in_memory(options()).unwrap();
    let make = Samples::new(7);
    let mut message = make.message(&make.conversation(), "the old wording");
    let first = MessageWrite { message: message.clone(), expected: None };
    message.content.text = "a new one".into();
    message.revision = 2;
    let second = MessageWrite { message: message.clone(), expected: Some(1) };
    let messages = vec![first, second];
    sqlite.commit(Commit { messages, ..make.commit() }).await.unwrap();
    let page = Page { limit: 10, cursor: None };
    for (q, expected) in [("old", vec![]), ("new", vec![message])] {
        let filter = MessageFilter { q: Some(q.into()), ..MessageFilter::default() };
        assert_eq!(sqlite.list_messages(&filter, &page).await.unwrap().items, expected, "{q}");
    }
}

#[tokio::test]
async fn what_is_at_hand_is_what_the_file_has() {
    let (_directory, path) = directory();
    let sqlite = Sqlite::open(&path, options()).unwrap();
    let make = Samples::new(11);
    let begun = make.begin();
    let (conversation, task) = (begun.conversation, begun.task);
    sqlite.commit(begun.commit).await.unwrap();
    let turn = async || sqlite.turn(None, &conversation.id, std::slice::from_ref(&task.id)).await;
    let stored = turn().await.unwrap();
    assert_eq!(
        (stored.conversation.as_ref(), stored.tasks.first()),
        (Some(&conversation), Some(&task))
    );
    let at_hand = sqlite.inner.recent.turn(None, &conversation.id, std::slice::from_ref(&task.id));
    assert!(at_hand.is_some());

    let update = |task: &Task| TaskWrite { task: task.clone(), expected: 1, create: false };

    // A commit that fails changes neither: the task is written before what it stumbles over.
    let changed = Task { label: "changed".into(), sequence: task.sequence + 1, ..task.clone() };
    let mut lost = make.message(&conversation, "somebody else changed it");
    lost.revision = 3;
    let fails = Commit {
        tasks: vec![update(&changed)],
        messages: vec![MessageWrite { message: lost.clone(), expected: Some(2) }],
        ..make.commit()
    };
    assert!(matches!(sqlite.commit(fails).await, Err(PortError::Conflict { .. })));
    assert_eq!(turn().await.unwrap(), stored);
    assert_eq!(sqlite.messages(&[lost.id]).await.unwrap(), []);

    // One that works changes both, and what has ended is read from the file.
    let mut ended = changed.clone();
    ended.status = Status::Cancelled { reason: "enough".into() };
    let works = Commit { tasks: vec![update(&ended)], ..make.commit() };
    sqlite.commit(works).await.unwrap();
    assert!(sqlite.inner.recent.tasks(std::slice::from_ref(&task.id)).is_none());
    assert_eq!(turn().await.unwrap().tasks, [ended]);
    sqlite.close().await;
    assert!(matches!(turn().await, Err(PortError::Unavailable { .. })), "it is closed");
}

#[tokio::test]
async fn an_event_that_is_not_at_hand_is_found_by_its_commit() {
    let sqlite = Sqlite::in_memory(options()).unwrap();
    let make = Samples::new(12);
    let mut begun = make.begin();
    let event = begun.commit.event.clone().unwrap();
    let repeated = Commit { event: Some(event.clone()), ..make.commit() };
    sqlite.commit(begun.commit).await.unwrap();
    let seen = async || sqlite.turn(Some(&event), &begun.conversation.id, &[]).await.unwrap().seen;
    assert!(seen().await);
    // The conversation is written again, long after the event.
    sqlite.inner.recent.clear();
    assert!(seen().await, "it is read");
    begun.conversation.revision += 1;
    let conversation = Some(begun.conversation.clone());
    sqlite.commit(Commit { conversation, ..make.commit() }).await.unwrap();
    assert!(!seen().await, "it is not read: the conversation is at hand");
    assert!(sqlite.seen(&event).await.unwrap(), "unless one asks for it");
    let refused = sqlite.commit(repeated).await;
    assert!(matches!(refused, Err(PortError::Duplicate { .. })), "{refused:?}");
}

#[tokio::test]
async fn envelopes_and_timers_at_hand_are_what_the_file_has() {
    let (_directory, path) = directory();
    let sqlite = Sqlite::open(&path, options()).unwrap();
    let make = Samples::new(13);
    let (first, second) = (make.envelope(Topic::Calls, "k"), make.envelope(Topic::Calls, "k"));
    sqlite.publish(&[first.clone(), second.clone()]).await.unwrap();
    let mut by_hand = sqlite.after(0, 10).await.unwrap();
    assert_eq!(by_hand, sqlite.after(0, 10).await.unwrap(), "the second time they are read");
    assert_eq!(by_hand.iter().map(|it| &it.envelope).collect::<Vec<_>>(), [&first, &second]);
    // One that was tried is given with its attempts, and one that is done not at all.
    let last = by_hand.pop().unwrap();
    let third = make.envelope(Topic::Calls, "k");
    sqlite.publish(std::slice::from_ref(&third)).await.unwrap();
    let position = last.position + 1;
    sqlite.tried(position, 3).await.unwrap();
    let tried = sqlite.after(last.position, 10).await.unwrap();
    assert_eq!(
        tried.iter().map(|it| (it.position, it.attempts)).collect::<Vec<_>>(),
        [(position, 3)]
    );
    sqlite.publish(&[make.envelope(Topic::Calls, "k")]).await.unwrap();
    sqlite.acknowledge(&[position + 1], &[]).await.unwrap();
    assert_eq!(sqlite.after(position, 10).await.unwrap(), []);

    // One that comes and goes in the same transaction was never there.
    let gone = make.envelope(Topic::Calls, "k");
    let commit = Commit { withdrawn: vec![gone.id.clone()], ..make.commit() };
    sqlite
        .inner
        .writer
        .write(move |group| {
            crate::queue::enqueue(group, &gone, 0)?;
            crate::queue::withdraw(group, &gone.id)
        })
        .await
        .unwrap();
    sqlite.commit(commit).await.unwrap();
    assert_eq!(sqlite.after(position, 10).await.unwrap(), []);

    // Timers that come and go are seen.
    let (late, soon) = (Some(at(20)), Some(at(10)));
    assert_eq!(sqlite.next_due().await.unwrap(), None);
    let timer = |due| Envelope { due, ..make.envelope(Topic::Timers, "k") };
    let (late_timer, soon_timer) = (timer(late), timer(soon));
    sqlite.publish(std::slice::from_ref(&late_timer)).await.unwrap();
    assert_eq!(sqlite.next_due().await.unwrap(), late);
    sqlite.publish(std::slice::from_ref(&soon_timer)).await.unwrap();
    assert_eq!(sqlite.next_due().await.unwrap(), soon);
    assert_eq!(sqlite.due(at(0), 10).await.unwrap(), []);
    assert_eq!(sqlite.due(soon.unwrap(), 10).await.unwrap().len(), 1);
    sqlite.done(&[soon_timer.id]).await.unwrap();
    assert_eq!(sqlite.next_due().await.unwrap(), late);
    sqlite.close().await;
    assert!(matches!(sqlite.after(0, 1).await, Err(PortError::Unavailable { .. })));
    assert!(matches!(sqlite.next_due().await, Err(PortError::Unavailable { .. })));
}

#[tokio::test]
async fn documents_have_a_largest_size() {
    let sqlite = Sqlite::in_memory(options()).unwrap();
    let make = Samples::new(8);
    let mut begun = make.begin();
    begun.task.vars.insert("long".into(), "x".repeat(1024 * 1024).into());
    let tasks = vec![ports_contract::sample::create(&begun.task)];
    let refused = sqlite.commit(Commit { tasks, ..make.commit() }).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("task {} is larger than 1000000 bytes; make it smaller", begun.task.id)
    );
    let conversation = begun.conversation.contact.name.insert("x".repeat(1024 * 1024));
    assert_eq!(conversation.len(), 1024 * 1024);
    let commit = Commit { conversation: Some(begun.conversation), ..make.commit() };
    let refused = sqlite.commit(commit).await;
    assert!(matches!(refused, Err(PortError::TooLarge { limit: ports::DOCUMENT_BYTES_MAX, .. })));
}

#[tokio::test]
async fn a_column_may_be_called_like_the_key_of_a_row() {
    let sqlite = Sqlite::in_memory(options()).unwrap();
    let table = |columns: &[&str]| {
        let fields: Vec<_> = columns
            .iter()
            .map(|name| serde_json::json!({"name": name, "type": "STRING", "mode": "NULLABLE"}))
            .collect();
        let document = serde_json::json!({
            "tableReference": {"tableId": "odd"}, "schema": {"fields": fields}
        });
        schema::Table::parse(&document).unwrap()
    };
    let odd = table(&["_rowid_", "RowID"]);
    sqlite.ensure(&odd).await.unwrap();
    let values = serde_json::json!({
        "_rowid_": "a", "RowID": "b",
        "event_id": "e", "sequence": 1, "landed_at": "2026-11-22T00:00:00Z",
    });
    let with_meta = schema::with_meta(odd.clone());
    let row = schema::convert(&with_meta, values.as_object().unwrap()).unwrap();
    assert_eq!(sqlite.append(&odd, &[row]).await.unwrap(), []);
    for current in [false, true] {
        let page = Page { limit: 10, cursor: None };
        let rows = sqlite.rows(&odd, current, &page).await.unwrap();
        assert_eq!(rows.items[0]["RowID"], "b");
    }
    let refused = sqlite.ensure(&table(&["_rowid_", "rowid", "oid"])).await;
    assert!(matches!(refused, Err(PortError::Invalid { .. })));
}

#[tokio::test]
async fn secrets_stay_out_of_errors() {
    let sqlite = Sqlite::in_memory(options()).unwrap();
    sqlite.put_secret("hook", &Secret::new("s3cret")).await.unwrap();
    let damage = |group: &mut Group<'_>| {
        let sql = "INSERT INTO config (kind, id, document) VALUES ('key', 'k', '{\"s3cret\"')";
        group.conn.execute(sql, [])?;
        Ok(())
    };
    sqlite.inner.writer.write(damage).await.unwrap();
    let error = ports::ConfigStore::key(&sqlite, "k").await.unwrap_err();
    assert_eq!(
        format!("{error}"),
        "the backend failed: a stored key does not read back at line 1 column 9"
    );
}

#[tokio::test]
async fn a_timer_after_all_others_does_not_hide_what_comes_due() {
    let sqlite = Sqlite::in_memory(options()).unwrap();
    let make = Samples::new(9);
    let past = make.timer(at(0) - TimeDelta::seconds(1));
    sqlite.publish(&[past.clone(), make.timer(at(60))]).await.unwrap();
    assert_eq!(sqlite.next_due().await.unwrap(), Some(at(60)), "the past one is on its way");
    let due = sqlite.due(at(0), 10).await.unwrap();
    assert_eq!(due.iter().map(|one| &one.envelope).collect::<Vec<_>>(), [&past]);
}
