//! A commit as one call: every write with its guard.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::HistoryEntry;
use gcloud_sdk::google::firestore::v1::{Document, Write};
use gcloud_sdk::prost_types::Timestamp;
use ports::{
    Commit, ENVELOPE_BYTES_MAX, Envelope, IdempotentAnswer, PortError, PortResult, Receipt,
    Recovery,
};

use super::Firestore;
use super::client::{Guard, Refusal, put};
use super::documents::{self, DOCUMENT, REVISION, number};
use super::keys::{ANSWERS, EVENTS, key, shard};
use super::query::{Query, SHARD};
use super::value::{Fields, Read, integer, text, time, to_json};
use crate::error::{conflict, invalid, unavailable};

/// How long the key of an event without history is kept at least: a day more than the runtime
/// remembers events, for TTL policies delete late and never early.
const EVENT_KEPT: TimeDelta = TimeDelta::days(8);
/// Attempts against others that write the same documents at the same instant.
const ATTEMPTS: u32 = 5;

/// A guarded document of a commit.
struct Guarded {
    what: &'static str,
    document: Document,
    /// The revision its stored form must have; none: it must not exist.
    expected: Option<u64>,
    revision: u64,
}

impl Firestore {
    pub(crate) async fn commit_whole(&self, commit: Commit) -> PortResult<Receipt> {
        check(&commit)?;
        let guarded = self.guarded(&commit)?;
        let (timers, outbox): (Vec<Envelope>, Vec<Envelope>) =
            commit.outbox.iter().cloned().partition(|envelope| envelope.due.is_some());
        let in_event = commit.event.is_some() && commit.recovery == Recovery::Redelivery;
        let mut writes = self.plain_writes(&commit, &outbox, &timers, in_event)?;
        self.history_writes(&commit, &mut writes, if in_event { &outbox } else { &[] }).await?;
        let mut answer = Guard::Absent;
        for attempt in 1..=ATTEMPTS {
            let mut all = self.guarded_writes(&commit, &guarded).await?;
            if let Some(kept) = &commit.answer {
                all.push(put(self.answer_document(kept)?, answer.clone()));
            }
            all.extend(writes.iter().cloned());
            if all.is_empty() {
                break;
            }
            match self.client().commit(all).await {
                Ok(done) => {
                    for (guarded, result) in guarded.iter().zip(done.write_results) {
                        let name = &guarded.document.name;
                        self.inner.known.note(name, guarded.revision, result.update_time);
                    }
                    break;
                }
                Err(Refusal::Port(error)) => return Err(error),
                Err(Refusal::Guard) => {
                    answer = self.why_not(&commit, &guarded).await?;
                    if attempt == ATTEMPTS {
                        return Err(conflict("what the event writes", "is written by others and"));
                    }
                    tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 20)).await;
                }
            }
        }
        if !timers.is_empty() {
            self.inner.alarms.set_all(&timers, self.inner.clock.now()).await;
        }
        let ids = || outbox.iter().map(|envelope| envelope.id.clone()).collect();
        Ok(Receipt { marks: if in_event { Vec::new() } else { ids() }, unpublished: outbox })
    }

    /// The documents whose stored revisions are guarded.
    fn guarded(&self, commit: &Commit) -> PortResult<Vec<Guarded>> {
        let client = self.client();
        let mut guarded = Vec::new();
        if let Some(conversation) = &commit.conversation {
            let kept = self.inner.conversations_kept;
            guarded.push(Guarded {
                what: "conversation",
                document: documents::conversation(client, conversation, kept)?,
                expected: conversation.revision.checked_sub(1).filter(|before| *before > 0),
                revision: conversation.revision,
            });
        }
        for write in &commit.tasks {
            guarded.push(Guarded {
                what: "task",
                document: documents::task(client, &write.task)?,
                expected: (!write.create).then_some(write.expected),
                revision: write.task.sequence,
            });
        }
        for write in &commit.messages {
            guarded.push(Guarded {
                what: "message",
                document: documents::message(client, &write.message)?,
                expected: write.expected,
                revision: write.message.revision,
            });
        }
        let names: BTreeSet<&str> =
            guarded.iter().map(|guarded| guarded.document.name.as_str()).collect();
        if names.len() < guarded.len() {
            return Err(invalid("a commit writes each task and each message once"));
        }
        Ok(guarded)
    }

    /// Their writes. What is not known of them is read first, in one call.
    async fn guarded_writes(&self, commit: &Commit, guarded: &[Guarded]) -> PortResult<Vec<Write>> {
        let known = |one: &Guarded| match one.expected {
            None => Some(None),
            Some(revision) => self.inner.known.at_revision(&one.document.name, revision).map(Some),
        };
        let mut guards: Vec<Option<Option<Timestamp>>> = guarded.iter().map(known).collect();
        if guards.iter().any(Option::is_none) {
            let names: Vec<String> = guarded
                .iter()
                .zip(&guards)
                .filter(|(_, guard)| guard.is_none())
                .map(|(one, _)| one.document.name.clone())
                .chain(self.event_name(commit))
                .collect();
            let stored = self.client().get(&names, &[REVISION]).await?;
            self.duplicate(commit, |name| stored.contains_key(name))?;
            for (one, guard) in guarded.iter().zip(&mut guards) {
                let Some(expected) = one.expected.filter(|_| guard.is_none()) else { continue };
                let found = stored.get(&one.document.name);
                let revision = found.and_then(|document| document.integer(REVISION));
                if revision != i64::try_from(expected).ok() {
                    return Err(conflict(one.what, id_of(&one.document)));
                }
                *guard = Some(found.and_then(|document| document.update_time));
            }
        }
        let writes = guarded.iter().zip(guards).map(|(one, guard)| {
            let guard = guard.flatten().map_or(Guard::Absent, Guard::Unchanged);
            put(one.document.clone(), guard)
        });
        Ok(writes.collect())
    }

    fn event_name(&self, commit: &Commit) -> Option<String> {
        commit.event.as_ref().map(|event| self.client().name(EVENTS, &key(event.as_str())))
    }

    /// An error where the commit's event has had its effect.
    fn duplicate(&self, commit: &Commit, exists: impl Fn(&str) -> bool) -> PortResult<()> {
        match (&commit.event, self.event_name(commit)) {
            (Some(event), Some(name)) if exists(&name) => {
                Err(PortError::Duplicate { event: event.0.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Looks why a guard did not hold: an error, or the guard of the answer to try again with.
    async fn why_not(&self, commit: &Commit, guarded: &[Guarded]) -> PortResult<Guard> {
        let answer =
            commit.answer.as_ref().map(|answer| self.client().name(ANSWERS, &key(&answer.key)));
        let names: Vec<String> = guarded
            .iter()
            .map(|one| one.document.name.clone())
            .chain(self.event_name(commit))
            .chain(answer.clone())
            .chain(self.other_entries(commit).into_iter().map(|(name, _)| name))
            .collect();
        let stored = self.client().get(&names, &[REVISION, "expires_at"]).await?;
        self.duplicate(commit, |name| stored.contains_key(name))?;
        for one in guarded {
            self.inner.known.forget(&one.document.name);
            let found = stored.get(&one.document.name);
            let revision = found.and_then(|document| document.integer(REVISION));
            if revision != one.expected.and_then(|expected| i64::try_from(expected).ok()) {
                return Err(conflict(one.what, id_of(&one.document)));
            }
        }
        for (name, entry) in self.other_entries(commit) {
            if stored.contains_key(&name) {
                return Err(taken(entry));
            }
        }
        let Some(kept) = answer.and_then(|name| stored.get(&name)) else {
            return Ok(Guard::Absent);
        };
        let expired =
            kept.micros("expires_at").is_some_and(|at| at <= commit.at.timestamp_micros());
        match kept.update_time.filter(|_| expired) {
            Some(since) => Ok(Guard::Unchanged(since)),
            None => Err(conflict("the answer of", "this idempotency key")),
        }
    }

    /// What is written whatever is stored: failures, timers, the outbox, and what is withdrawn.
    fn plain_writes(
        &self,
        commit: &Commit,
        outbox: &[Envelope],
        timers: &[Envelope],
        in_event: bool,
    ) -> PortResult<Vec<Write>> {
        let mut writes = Vec::new();
        for failure in &commit.failures {
            writes.push(put(self.failure_document(failure)?, Guard::Any));
        }
        let set: BTreeSet<&str> = timers.iter().map(|timer| timer.id.as_str()).collect();
        let withdrawn: BTreeSet<&str> = commit.withdrawn.iter().map(String::as_str).collect();
        for id in withdrawn.difference(&set) {
            writes.push(self.withdraw_timer(id));
        }
        for timer in timers {
            writes.push(put(self.timer_document(timer), Guard::Any));
        }
        if !in_event {
            for (place, envelope) in outbox.iter().enumerate() {
                let by = commit.event.as_ref().map_or("", |event| event.as_str());
                writes.push(put(self.outbox_document(envelope, commit.at, by, place), Guard::Any));
            }
        }
        Ok(writes)
    }

    /// The event with the row of history of its task, and the rows of others.
    ///
    /// Whoever commits a row of history commits the task's transition with it, whose sequence
    /// number is the guard; a row without its task has no guard but a look before.
    async fn history_writes(
        &self,
        commit: &Commit,
        writes: &mut Vec<Write>,
        outbox: &[Envelope],
    ) -> PortResult<()> {
        let alone: Vec<&HistoryEntry> =
            commit.history.iter().filter(|entry| !is_guarded(commit, entry)).collect();
        if !alone.is_empty() {
            // A repeated commit meets its own rows: it is a duplicate all the same.
            let event: Vec<String> = self.event_name(commit).into_iter().collect();
            let stored = self.client().get(&event, &["at"]).await?;
            self.duplicate(commit, |name| stored.contains_key(name))?;
        }
        for entry in alone {
            self.must_be_new(entry).await?;
        }
        let own = commit.event.as_ref().and_then(|_| own_entry(commit));
        for (name, entry) in self.other_entries(commit) {
            let fields = Fields::default().set("at", time(commit.at));
            let fields = self.entry_fields(fields, writes, &name, entry)?;
            writes.push(put(fields.document(name), Guard::Absent));
        }
        let Some(event) = &commit.event else { return Ok(()) };
        let id = key(event.as_str());
        let name = self.client().name(EVENTS, &id);
        let mut fields = Fields::default().set("at", time(commit.at));
        fields = match own {
            Some(entry) => self.entry_fields(fields, writes, &name, entry)?,
            // A key alone is found by its age, and forgotten.
            None => fields
                .set(SHARD, integer(shard(&id)))
                .set_some("expire_at", later(commit.at, Some(EVENT_KEPT))),
        };
        if !outbox.is_empty() {
            let json = to_json("the outbox", &outbox)?;
            let kept = Fields::default().set_some("expire_at", later(commit.at, Some(EVENT_KEPT)));
            fields = self.set_long(fields, writes, &id, "outbox", &json, &kept);
        }
        writes.push(put(fields.document(name), Guard::Absent));
        Ok(())
    }

    fn entry_fields(
        &self,
        fields: Fields,
        writes: &mut Vec<Write>,
        name: &str,
        entry: &HistoryEntry,
    ) -> PortResult<Fields> {
        let expires = later(entry.at, self.inner.history_kept);
        let kept = Fields::default().set_some("expire_at", expires.clone());
        let owner = name.rsplit('/').next().unwrap_or_default();
        let json = to_json("the row of history", entry)?;
        let fields = fields
            .set("task", text(entry.task.as_str()))
            .set("sequence", number("the sequence number", entry.sequence)?)
            .set_some("expire_at", expires);
        Ok(self.set_long(fields, writes, owner, "entry", &json, &kept))
    }

    /// The rows of history that do not stand in the event's document, with their names.
    fn other_entries<'a>(&self, commit: &'a Commit) -> Vec<(String, &'a HistoryEntry)> {
        let own = commit.event.as_ref().and_then(|_| own_entry(commit));
        let others = commit.history.iter().filter(|entry| {
            own.is_none_or(|own| (&own.task, own.sequence) != (&entry.task, entry.sequence))
        });
        others
            .map(|entry| {
                let id = format!("{}_{}", entry.task, entry.sequence);
                (self.client().name(EVENTS, &key(&id)), entry)
            })
            .collect()
    }

    async fn must_be_new(&self, entry: &HistoryEntry) -> PortResult<()> {
        let query = Query {
            collection: EVENTS,
            equals: vec![("task", text(entry.task.as_str()))],
            order: Some(("sequence", false)),
            at_least: Some(number("the sequence number", entry.sequence)?),
            limit: 1,
            select: &["sequence"],
            ..Query::default()
        };
        let found = self.client().all(query).await?;
        let sequence = i64::try_from(entry.sequence).ok();
        if found.first().is_some_and(|document| document.integer("sequence") == sequence) {
            return Err(taken(entry));
        }
        Ok(())
    }

    fn answer_document(&self, answer: &IdempotentAnswer) -> PortResult<Document> {
        let id = key(&answer.key);
        let fields = Fields::default()
            .set("expires_at", time(answer.expires_at))
            .set(SHARD, integer(shard(&id)))
            .set(DOCUMENT, text(to_json("the answer", answer)?));
        Ok(fields.document(self.client().name(ANSWERS, &id)))
    }

    /// Writes that guard nothing.
    pub(crate) async fn write(&self, writes: Vec<Write>) -> PortResult<()> {
        match self.client().commit(writes).await {
            Ok(_) => Ok(()),
            Err(Refusal::Guard) => Err(unavailable()),
            Err(Refusal::Port(error)) => Err(error),
        }
    }
}

fn check(commit: &Commit) -> PortResult<()> {
    if let Some(envelope) = commit.outbox.iter().find(|it| it.body.len() > ENVELOPE_BYTES_MAX) {
        let what = format!("the body of envelope {}", envelope.id);
        return Err(PortError::TooLarge { what, limit: ENVELOPE_BYTES_MAX });
    }
    if commit.conversation.as_ref().is_some_and(|it| it.revision == 0) {
        return Err(invalid("a conversation is written with revision 1 first, not 0"));
    }
    let mut entries = BTreeSet::new();
    match commit.history.iter().find(|entry| !entries.insert((&entry.task, entry.sequence))) {
        Some(entry) => Err(taken(entry)),
        None => Ok(()),
    }
}

fn later(
    at: DateTime<Utc>,
    kept: Option<TimeDelta>,
) -> Option<gcloud_sdk::google::firestore::v1::Value> {
    kept.and_then(|kept| at.checked_add_signed(kept)).map(time)
}

fn taken(entry: &HistoryEntry) -> PortError {
    conflict("history", &format!("{} {}", entry.task, entry.sequence))
}

/// Whether the task's own write guards a row of history.
fn is_guarded(commit: &Commit, entry: &HistoryEntry) -> bool {
    commit.tasks.iter().any(|write| {
        write.task.id == entry.task
            && write.task.sequence == entry.sequence
            && (write.create || write.expected.checked_add(1) == Some(entry.sequence))
    })
}

/// The row of history that stands in the event's document: the first that its task guards.
fn own_entry(commit: &Commit) -> Option<&HistoryEntry> {
    commit.history.iter().find(|entry| is_guarded(commit, entry))
}

fn id_of(document: &Document) -> &str {
    document.name.rsplit('/').next().and_then(|key| key.get(5..)).unwrap_or_default()
}
