//! The bus on a table: `Bus` and `Deliveries`.
//!
//! Envelopes without a due time and timers have an index each, so that a million timers that
//! wait cost nothing to those that go at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use ports::{
    Bus, Deliveries, Delivery, ENVELOPE_BYTES_MAX, Envelope, PortError, PortResult, Timers, Topic,
};
use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use crate::error::{Outcome, invalid};
use crate::news::{Backlog, NEVER};
use crate::open::Sqlite;
use crate::order::micros;
use crate::writer::Group;

/// Bytes of bodies after which a batch of deliveries ends, short of its limit.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Refuses envelopes that are larger than the weakest bus takes.
pub(crate) fn check(envelopes: &[Envelope]) -> Outcome<()> {
    match envelopes.iter().find(|envelope| envelope.body.len() > ENVELOPE_BYTES_MAX) {
        None => Ok(()),
        Some(envelope) => {
            let what = format!("the body of envelope {}", envelope.id);
            Err(PortError::TooLarge { what, limit: ENVELOPE_BYTES_MAX }.into())
        }
    }
}

/// Publishes an envelope, unless one of its id is undelivered.
pub(crate) fn enqueue(group: &mut Group<'_>, envelope: &Envelope, at: i64) -> Outcome<()> {
    let sql = "INSERT INTO queue (id, topic, key, due, published_at, body) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING";
    let Envelope { id, topic, key, due, body } = envelope;
    let row = (id, topic.name(), key, due.map(micros), at, body);
    if group.conn.prepare_cached(sql)?.execute(row)? == 0 {
        return Ok(());
    }
    group.queued.backlog.add(envelope.topic, 1);
    group.queued.published = true;
    if envelope.due.is_some() {
        group.queued.timers = true;
        return Ok(());
    }
    let (position, published_at) = (group.conn.last_insert_rowid(), read_time(at)?);
    let envelope = envelope.clone();
    group.queued.ready.push(Delivery { position, attempts: 0, published_at, envelope });
    Ok(())
}

/// Takes an undelivered envelope back.
pub(crate) fn withdraw(group: &mut Group<'_>, id: &str) -> Outcome<()> {
    remove(group, "SELECT position, topic, due FROM queue WHERE id = ?1", id)
}

/// Removes the envelope that `sql` selects as `position, topic, due`. (A `DELETE … RETURNING` would
/// make a table of its own for what it returns, at every call.)
fn remove<P: rusqlite::ToSql>(group: &mut Group<'_>, sql: &str, which: P) -> Outcome<()> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let found: Option<(i64, String, Option<i64>)> =
        group.conn.prepare_cached(sql)?.query_row([which], read).optional()?;
    if let Some((position, topic, due)) = found {
        group.conn.prepare_cached("DELETE FROM queue WHERE position = ?1")?.execute([position])?;
        group.queued.backlog.add(read_topic(&topic)?, -1);
        group.queued.touched.push(position);
        group.queued.timers |= due.is_some();
    }
    Ok(())
}

/// What waits in the file, counted on its indexes.
pub(crate) fn count(conn: &Connection) -> Result<Backlog, rusqlite::Error> {
    let mut backlog = Backlog::default();
    for sql in [
        "SELECT topic, COUNT(*) FROM queue INDEXED BY queue_ready WHERE due IS NULL \
         GROUP BY topic",
        "SELECT topic, COUNT(*) FROM queue INDEXED BY queue_due WHERE due IS NOT NULL \
         GROUP BY topic",
    ] {
        let mut statement = conn.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let topic: String = row.get(0)?;
            if let Some(topic) = Topic::from_name(&topic) {
                backlog.add(topic, row.get(1)?);
            }
        }
    }
    Ok(backlog)
}

fn read_topic(name: &str) -> Outcome<Topic> {
    Topic::from_name(name).ok_or_else(|| {
        PortError::backend(format!("an envelope is for {name}, which is no topic")).into()
    })
}

fn read_time(time: i64) -> Outcome<DateTime<Utc>> {
    DateTime::from_timestamp_micros(time)
        .ok_or_else(|| PortError::backend(format!("{time} is no time")).into())
}

/// Reads `id, topic, key, due, body` from column `at` on.
pub(crate) fn read_envelope(row: &Row<'_>, at: usize) -> Outcome<Envelope> {
    let topic: String = row.get(at + 1)?;
    let due: Option<i64> = row.get(at + 3)?;
    Ok(Envelope {
        id: row.get(at)?,
        topic: read_topic(&topic)?,
        key: row.get(at + 2)?,
        due: due.map(read_time).transpose()?,
        body: row.get(at + 4)?,
    })
}

/// The envelopes that `sql` selects as `id, topic, key, due, body`.
fn read_envelopes(conn: &Connection, sql: &str, params: impl Params) -> Outcome<Vec<Envelope>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_envelope(row, 0)?);
    }
    Ok(found)
}

/// As many as `limit` of those that `sql` selects. The limit stands in the text: SQLite plans a
/// statement anew for every value that is bound there, and this one runs all the time.
fn deliveries(conn: &Connection, sql: &str, from: i64, limit: usize) -> Outcome<Vec<Delivery>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(&format!("{sql} LIMIT {limit}"))?;
    let mut rows = statement.query([from])?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let attempts: i64 = row.get(1)?;
        let envelope = read_envelope(row, 3)?;
        bytes += envelope.body.len();
        found.push(Delivery {
            position: row.get(0)?,
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            published_at: read_time(row.get(2)?)?,
            envelope,
        });
        if bytes >= BATCH_BYTES_MAX {
            break;
        }
    }
    Ok(found)
}

#[async_trait]
impl Bus for Sqlite {
    async fn publish(&self, envelopes: &[Envelope]) -> PortResult<()> {
        check(envelopes)?;
        if envelopes.is_empty() {
            return Ok(());
        }
        let (envelopes, at) = (envelopes.to_vec(), micros(self.inner.clock.now()));
        let publish = move |group: &mut Group<'_>| {
            envelopes.iter().try_for_each(|envelope| enqueue(group, envelope, at))
        };
        self.inner.writer.write(publish).await
    }
}

#[async_trait]
impl Deliveries for Sqlite {
    async fn after(&self, position: i64, limit: usize) -> PortResult<Vec<Delivery>> {
        if let Some(found) = self.inner.news.after(position, limit, BATCH_BYTES_MAX) {
            return Ok(found);
        }
        let sql = "SELECT position, attempts, published_at, id, topic, key, due, body \
                   FROM queue INDEXED BY queue_ready \
                   WHERE due IS NULL AND position > ?1 ORDER BY position";
        self.inner.readers.read(move |conn| deliveries(conn, sql, position, limit)).await
    }

    async fn due(&self, now: DateTime<Utc>, limit: usize) -> PortResult<Vec<Delivery>> {
        if self.inner.news.next_timer(micros(now)).is_some() {
            return Ok(Vec::new());
        }
        let sql = "SELECT position, attempts, published_at, id, topic, key, due, body \
                   FROM queue INDEXED BY queue_due \
                   WHERE due IS NOT NULL AND due <= ?1 ORDER BY due, position";
        self.inner.readers.read(move |conn| deliveries(conn, sql, micros(now), limit)).await
    }

    /// Counted from the clock of [`crate::Options`]: timers that are on their way do not count.
    /// Ask this first and [`Deliveries::due`] then, so that one that comes due in between is
    /// seen by one of the two.
    async fn next_due(&self) -> PortResult<Option<DateTime<Utc>>> {
        let now = micros(self.inner.clock.now());
        let news = Arc::clone(&self.inner.news);
        if let Some(earliest) = news.next_timer(now) {
            return Ok((earliest != NEVER).then(|| read_time(earliest)).transpose()?);
        }
        let read = move |conn: &Connection| {
            let changes = news.timer_changes();
            let sql = "SELECT MIN(due) FROM queue INDEXED BY queue_due \
                       WHERE due IS NOT NULL AND due > ?1";
            let earliest_after = |time: i64| -> Outcome<Option<i64>> {
                Ok(conn.prepare_cached(sql)?.query_row([time], |row| row.get(0))?)
            };
            news.learn(changes, earliest_after(i64::MIN)?.unwrap_or(NEVER));
            earliest_after(now)?.map(read_time).transpose()
        };
        self.inner.readers.read(read).await
    }

    async fn acknowledge(&self, positions: &[i64], instead: &[Envelope]) -> PortResult<()> {
        check(instead)?;
        if positions.is_empty() && instead.is_empty() {
            return Ok(());
        }
        let (positions, instead) = (positions.to_vec(), instead.to_vec());
        let at = micros(self.inner.clock.now());
        let sql = "SELECT position, topic, due FROM queue WHERE position = ?1";
        let acknowledge = move |group: &mut Group<'_>| {
            for position in &positions {
                remove(group, sql, position)?;
            }
            instead.iter().try_for_each(|envelope| enqueue(group, envelope, at))
        };
        self.inner.writer.write(acknowledge).await
    }

    async fn tried(&self, position: i64, attempts: u32) -> PortResult<()> {
        let tried = move |group: &mut Group<'_>| {
            let sql = "UPDATE queue SET attempts = ?2 WHERE position = ?1";
            group.conn.prepare_cached(sql)?.execute((position, attempts))?;
            group.queued.touched.push(position);
            Ok(())
        };
        self.inner.writer.write(tried).await
    }

    async fn published(&self, longest: Duration) {
        // That the time has passed is as good a reason to look again.
        let _ = tokio::time::timeout(longest, self.inner.news.published.notified()).await;
    }

    async fn backlog(&self) -> PortResult<Vec<(Topic, u64)>> {
        Ok(self.inner.news.backlog())
    }
}

#[async_trait]
impl Timers for Sqlite {
    async fn timer(&self, id: &str) -> PortResult<Option<Envelope>> {
        let id = id.to_owned();
        let sql = "SELECT id, topic, key, due, body FROM queue WHERE id = ?1 AND due IS NOT NULL";
        let read = move |conn: &Connection| Ok(read_envelopes(conn, sql, [id])?.pop());
        self.inner.readers.read(read).await
    }

    async fn overdue(&self, before: DateTime<Utc>, limit: usize) -> PortResult<Vec<Envelope>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT id, topic, key, due, body FROM queue INDEXED BY queue_due \
                   WHERE due IS NOT NULL AND due < ?1 ORDER BY due, position LIMIT ?2";
        let read = move |conn: &Connection| read_envelopes(conn, sql, [micros(before), limit]);
        self.inner.readers.read(read).await
    }

    /// The delivery loop waits for the next due time by itself.
    async fn alarm(&self, _: &Envelope) -> PortResult<()> {
        Ok(())
    }

    async fn done(&self, ids: &[String]) -> PortResult<()> {
        let ids = ids.to_vec();
        let sql = "SELECT position, topic, due FROM queue WHERE id = ?1 AND due IS NOT NULL";
        let remove =
            move |group: &mut Group<'_>| ids.iter().try_for_each(|id| remove(group, sql, id));
        self.inner.writer.write(remove).await
    }
}

/// The outbox of commits whose caller publishes ([`crate::DeliveryMode::Published`]).
pub(crate) mod outbox {
    use engine::EventId;

    use super::{Connection, Envelope, Group, Outcome, invalid, micros, read_envelopes};

    /// Holds an envelope until somebody publishes it.
    pub(crate) fn hold(
        group: &Group<'_>,
        envelope: &Envelope,
        event: Option<&EventId>,
        at: i64,
    ) -> Outcome<()> {
        let sql = "INSERT INTO outbox (id, topic, key, due, committed_at, event, body) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING";
        let Envelope { id, topic, key, due, body } = envelope;
        let event = event.map(EventId::as_str);
        let row = (id, topic.name(), key, due.map(micros), at, event, body);
        group.conn.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// It was published, or is not needed any more.
    pub(crate) fn release(group: &Group<'_>, id: &str) -> Outcome<()> {
        group.conn.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// What nobody published, oldest first.
    pub(crate) fn held(conn: &Connection, before: i64, limit: usize) -> Outcome<Vec<Envelope>> {
        let limit = i64::try_from(limit)
            .map_err(|_| invalid("the limit is too large; ask for less at a time"))?;
        let sql = "SELECT id, topic, key, due, body FROM outbox \
                   WHERE committed_at < ?1 ORDER BY seq LIMIT ?2";
        read_envelopes(conn, sql, [before, limit])
    }

    /// What is left of the outbox of one event, in its order.
    pub(crate) fn of_event(conn: &Connection, event: &EventId) -> Outcome<Vec<Envelope>> {
        let sql = "SELECT id, topic, key, due, body FROM outbox WHERE event = ?1 ORDER BY seq";
        read_envelopes(conn, sql, [event.as_str()])
    }
}
