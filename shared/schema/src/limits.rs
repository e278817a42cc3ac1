//! Every number that bounds a table or a row, in one place.

/// Longest table id, in characters: `[a-z][a-z0-9_]{0,62}`.
pub const TABLE_ID_CHARS_MAX: usize = 63;
/// Most columns of a table, nested ones counted, meta columns not counted.
pub const COLUMNS_MAX: usize = 500;
/// Deepest column: a top-level column is at level 1, a field of a RECORD one level below it.
pub const NESTING_MAX: usize = 5;
/// Longest column name, in characters (BigQuery's limit).
pub const COLUMN_NAME_CHARS_MAX: usize = 300;
/// Longest description of a column, in characters (BigQuery's limit).
pub const COLUMN_DESCRIPTION_CHARS_MAX: usize = 1_024;
/// Longest description of a table, in characters (BigQuery's limit).
pub const TABLE_DESCRIPTION_CHARS_MAX: usize = 16_384;
/// Longest default value expression, in bytes.
pub const DEFAULT_EXPRESSION_BYTES_MAX: usize = 2_000;
/// Most clustering columns (BigQuery's limit).
pub const CLUSTERING_COLUMNS_MAX: usize = 4;
/// Most primary key columns (BigQuery's limit).
pub const PRIMARY_KEY_COLUMNS_MAX: usize = 16;
/// Longest text of one STRING, or of one BYTES in base64, in bytes.
pub const STRING_BYTES_MAX: usize = 1024 * 1024;
/// Largest row, in bytes of its JSON text. One append of the Storage Write API takes 10 MB.
pub const ROW_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Deepest JSON of a row, the row itself being level 1. A row travels inside an event, and
/// `serde_json` reads 128 levels: this leaves room for the envelope.
pub const ROW_DEPTH_MAX: usize = 100;
/// Problems reported at once; one more entry says when there were more.
pub const PROBLEMS_MAX: usize = 100;
/// Digits before the decimal point of a NUMERIC: precision 38 less scale 9.
pub const NUMERIC_INTEGER_DIGITS_MAX: usize = 29;
/// Digits after the decimal point of a NUMERIC.
pub const NUMERIC_SCALE_MAX: usize = 9;
