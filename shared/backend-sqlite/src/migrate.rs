//! Brings a file to the version of this program, one migration in one transaction each.

use rusqlite::Connection;

use crate::open::OpenError;

/// "CHFT": whose file it is.
const APPLICATION_ID: i32 = 0x4348_4654;

/// In order; the number of a migration is its place, from 1. Those that were released never
/// change.
const MIGRATIONS: &[&str] =
    &[include_str!("migrations/001_initial.sql"), include_str!("migrations/002_outbox_event.sql")];

/// Runs the migrations that the file has not seen.
pub(crate) fn migrate(conn: &mut Connection) -> Result<(), OpenError> {
    migrate_with(conn, MIGRATIONS)
}

fn migrate_with(conn: &mut Connection, migrations: &[&str]) -> Result<(), OpenError> {
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let entries: i64 =
        conn.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (entries > 0 || application != 0 || found != 0) {
        return Err(OpenError::Foreign);
    }
    let done = usize::try_from(found).map_err(|_| OpenError::Foreign)?;
    if done > migrations.len() {
        return Err(OpenError::Newer { found: done, known: migrations.len() });
    }
    for (index, sql) in migrations.iter().enumerate().skip(done) {
        let version = i64::try_from(index + 1).unwrap_or(i64::MAX);
        let transaction = conn.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
        tracing::info!(version, "the data file was brought to a newer version");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(conn: &Connection) -> i64 {
        conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn migrations_run_once_and_in_order() {
        let mut conn = Connection::open_in_memory().unwrap();
        let first = "CREATE TABLE a (x)";
        let second = "INSERT INTO a VALUES (1)";
        migrate_with(&mut conn, &[first]).unwrap();
        assert_eq!(version(&conn), 1);
        migrate_with(&mut conn, &[first, second]).unwrap();
        migrate_with(&mut conn, &[first, second]).unwrap();
        assert_eq!(version(&conn), 2);
        let rows: i64 = conn.query_row("SELECT COUNT(*) FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing() {
        let mut conn = Connection::open_in_memory().unwrap();
        let broken = "CREATE TABLE a (x); INSERT INTO nowhere VALUES (1);";
        assert!(matches!(migrate_with(&mut conn, &[broken]), Err(OpenError::Sqlite { .. })));
        assert_eq!(version(&conn), 0);
        migrate_with(&mut conn, &["CREATE TABLE a (x)"]).unwrap();
    }

    #[test]
    fn newer_and_foreign_files_are_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn).unwrap();
        conn.pragma_update(None, "user_version", 1_000).unwrap();
        let error = migrate(&mut conn).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 1_000, known: 2 }));

        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE somebody (elses)").unwrap();
        assert!(matches!(migrate(&mut conn), Err(OpenError::Foreign)));
    }
}
