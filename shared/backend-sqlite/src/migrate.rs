//! Brings a file to the version of this program, one migration in one transaction each.

use rusqlite::{Connection, ErrorCode};

use crate::open::OpenError;

/// "CHFT": whose file it is.
const APPLICATION_ID: i32 = 0x4348_4654;

/// In order; the number of a migration is its place, from 1. Those that were released never
/// change.
const MIGRATIONS: &[&str] =
    &[include_str!("migrations/001_initial.sql"), include_str!("migrations/002_outbox_event.sql")];

/// The version that this program brings files to.
pub const VERSION: usize = MIGRATIONS.len();

/// Runs the migrations that the file has not seen.
pub(crate) fn migrate(conn: &mut Connection) -> Result<(), OpenError> {
    migrate_with(conn, MIGRATIONS)
}

fn migrate_with(conn: &mut Connection, migrations: &[&str]) -> Result<(), OpenError> {
    let (done, application) = found(conn, migrations.len())?;
    let entries: i64 =
        conn.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (entries > 0 || application != 0 || done != 0) {
        return Err(OpenError::Foreign);
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

/// The version of a file and whose it is; `known` is the newest version.
fn found(conn: &Connection, known: usize) -> Result<(usize, i32), OpenError> {
    let version: i64 = match conn.pragma_query_value(None, "user_version", |row| row.get(0)) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(OpenError::Foreign);
        }
        version => version?,
    };
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = usize::try_from(version).map_err(|_| OpenError::Foreign)?;
    if application == APPLICATION_ID && version > known {
        return Err(OpenError::Newer { found: version, known });
    }
    Ok((version, application))
}

/// The version of a file that must be ours and known to this program.
pub(crate) fn version(conn: &Connection) -> Result<usize, OpenError> {
    match found(conn, VERSION)? {
        (version, APPLICATION_ID) if version > 0 => Ok(version),
        _ => Err(OpenError::Foreign),
    }
}

/// An empty file in memory as this program's migrations up to `version` make it.
pub(crate) fn empty(version: usize) -> Result<Connection, OpenError> {
    let mut conn = Connection::open_in_memory()?;
    migrate_with(&mut conn, MIGRATIONS.get(..version).unwrap_or(MIGRATIONS))?;
    Ok(conn)
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
