//! Every port on one SQLite file.
//!
//! | module | holds |
//! |---|---|
//! | `open` | [`Options`], opening, locking and closing the file |
//! | `migrate` | the SQL files that make a file of this version |
//! | `writer` | the one thread that writes: it groups what waits into one transaction |
//! | `recent` | documents that were written last, for who asks next |
//! | `news` | what was published last and how much waits, for the delivery loop |
//! | `readers` | read-only connections beside it |
//! | `turn`, `commit`, `columns`, `rows` | `TurnStore` |
//! | `queries` | `Queries`: pages by key, never by offset, over a bounded number of rows |
//! | `fts` | words of `ports::search` in the syntax of FTS5 |
//! | `queue` | `Bus` and `Deliveries` |
//! | `flows`, `config`, `failures` | what administrators keep |
//! | `warehouse`, `quarantine` | tables shaped like BigQuery's |
//! | `copy` | backups, and what is restored from them |
//! | `verify` | whether what is stored is as it must be |
//! | `secrets` | `Secrets`; the file's mode, 0600, is what guards them |
//!
//! A commit is answered when its transaction is on the disk (WAL, `synchronous=FULL`). Texts,
//! bodies and secrets are never logged, nor do they show in errors.

mod columns;
mod commit;
mod config;
mod copy;
mod cursor;
mod error;
mod failures;
mod flows;
mod fts;
mod migrate;
mod news;
mod open;
mod order;
mod quarantine;
mod queries;
mod queue;
mod readers;
mod recent;
mod rows;
mod secrets;
#[cfg(test)]
mod tests;
mod turn;
mod verify;
mod warehouse;
mod writer;

pub use copy::{Copied, CopyError, Pages, back_up, restore};
pub use migrate::VERSION;
pub use open::{DeliveryMode, OpenError, Options, Sqlite};
pub use verify::{Aspect, FINDINGS_MAX, Finding, Report, Told, VerifyError, verify};
