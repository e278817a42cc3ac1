//! Parquet: typed columns, in row groups that are written as soon as they are full.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use super::{Column, Kind};

/// Most rows of a row group: readers take a group at a time, and so does the memory here.
const GROUP_ROWS_MAX: usize = 20_000;
/// Bytes of values after which a row group is written, however few its rows are.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Writes rows as a Parquet file.
pub(super) struct Writer<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Gathered>,
    rows: usize,
    bytes: usize,
    group_rows_max: usize,
}

/// Values of a column that wait for their row group.
struct Gathered {
    column: Column,
    cells: Cells,
    /// For each row 1 where it has a value, else 0.
    levels: Vec<i16>,
}

enum Cells {
    Numbers(Vec<i64>),
    Texts(Vec<ByteArray>),
}

impl Gathered {
    fn new(column: Column) -> Self {
        let cells = match column.kind {
            Kind::Integer | Kind::Time => Cells::Numbers(Vec::new()),
            Kind::Text | Kind::Json => Cells::Texts(Vec::new()),
        };
        Self { column, cells, levels: Vec::new() }
    }

    /// Adds a row's value; tells how many bytes it takes.
    fn add(&mut self, item: &Value) -> anyhow::Result<usize> {
        let value = self.column.value(item).filter(|value| !value.is_null());
        self.levels.push(i16::from(value.is_some()));
        let Some(value) = value else { return Ok(size_of::<i16>()) };
        match &mut self.cells {
            Cells::Numbers(numbers) => {
                let number = match self.column.kind {
                    Kind::Time => micros(value),
                    _ => value.as_i64(),
                };
                let number = number.with_context(|| {
                    format!(
                        "the server's `{}` is {value}, which does not fit this program; use the \
                         program of the server's version",
                        self.column.path
                    )
                })?;
                numbers.push(number);
                Ok(size_of::<i64>())
            }
            Cells::Texts(texts) => {
                let text = match (self.column.kind, value) {
                    (Kind::Text, Value::String(text)) => text.clone(),
                    _ => value.to_string(),
                };
                let bytes = text.len() + size_of::<ByteArray>();
                texts.push(text.into_bytes().into());
                Ok(bytes)
            }
        }
    }

    /// Writes what was gathered as the next column of a row group.
    fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> anyhow::Result<()> {
        let mut to = group.next_column()?.context("a column that the schema does not have")?;
        let levels = Some(self.levels.as_slice());
        match &mut self.cells {
            Cells::Numbers(numbers) => {
                to.typed::<Int64Type>().write_batch(numbers, levels, None)?;
                numbers.clear();
            }
            Cells::Texts(texts) => {
                to.typed::<ByteArrayType>().write_batch(texts, levels, None)?;
                texts.clear();
            }
        }
        self.levels.clear();
        Ok(to.close()?)
    }
}

impl<W: Write + Send> Writer<W> {
    pub(super) fn new(to: W, columns: &[Column]) -> anyhow::Result<Self> {
        let properties = WriterProperties::builder()
            .set_created_by(concat!("chatflow ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::SNAPPY)
            .build();
        Ok(Self {
            file: SerializedFileWriter::new(to, schema(columns)?, Arc::new(properties))?,
            columns: columns.iter().copied().map(Gathered::new).collect(),
            rows: 0,
            bytes: 0,
            group_rows_max: GROUP_ROWS_MAX,
        })
    }

    pub(super) fn write(&mut self, item: &Value) -> anyhow::Result<()> {
        for column in &mut self.columns {
            self.bytes += column.add(item)?;
        }
        self.rows += 1;
        if self.rows >= self.group_rows_max || self.bytes >= GROUP_BYTES_MAX {
            self.end_group()?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> anyhow::Result<()> {
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            column.write(&mut group)?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Writes the last row group and the footer, without which nothing can be read.
    pub(super) fn end(mut self) -> anyhow::Result<W> {
        if self.rows > 0 {
            self.end_group()?;
        }
        Ok(self.file.into_inner()?)
    }
}

/// Every column may be empty: a later server may leave out what this one has.
fn schema(columns: &[Column]) -> anyhow::Result<TypePtr> {
    let fields: Result<Vec<TypePtr>, _> = columns
        .iter()
        .map(|column| {
            let (physical, logical) = match column.kind {
                Kind::Text => (Physical::BYTE_ARRAY, LogicalType::String),
                Kind::Json => (Physical::BYTE_ARRAY, LogicalType::Json),
                Kind::Integer => (Physical::INT64, LogicalType::integer(64, true)),
                Kind::Time => (Physical::INT64, LogicalType::timestamp(true, TimeUnit::MICROS)),
            };
            let name = column.name();
            let field = Type::primitive_type_builder(&name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(logical));
            field.build().map(Arc::new)
        })
        .collect();
    Ok(Arc::new(Type::group_type_builder("chatflow").with_fields(fields?).build()?))
}

/// Microseconds since 1970 of a time as the API shows it.
fn micros(value: &Value) -> Option<i64> {
    let time: DateTime<Utc> = value.as_str()?.parse().ok()?;
    Some(time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::file::metadata::RowGroupMetaData;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;
    use serde_json::json;

    use super::super::column;
    use super::*;

    const COLUMNS: [Column; 4] = [
        column("id", Kind::Text),
        column("version", Kind::Integer),
        column("vars", Kind::Json),
        column("times/created_at", Kind::Time),
    ];

    fn written(items: &[Value], group_rows_max: usize) -> SerializedFileReader<Bytes> {
        let mut writer = Writer::new(Vec::new(), &COLUMNS).unwrap();
        writer.group_rows_max = group_rows_max;
        for item in items {
            writer.write(item).unwrap();
        }
        SerializedFileReader::new(writer.end().unwrap().into()).unwrap()
    }

    fn rows(reader: &SerializedFileReader<Bytes>) -> Vec<Vec<Field>> {
        let rows = reader.get_row_iter(None).unwrap();
        rows.map(|row| row.unwrap().get_column_iter().map(|(_, field)| field.clone()).collect())
            .collect()
    }

    #[test]
    fn columns_have_types_that_other_programs_know() {
        let reader = written(&[], 10);
        let schema = reader.metadata().file_metadata().schema_descr();
        let told: Vec<_> = schema
            .columns()
            .iter()
            .map(|column| {
                let nothing = column.max_def_level();
                (column.name(), column.physical_type(), column.logical_type_ref(), nothing)
            })
            .collect();
        let time = LogicalType::timestamp(true, TimeUnit::MICROS);
        let integer = LogicalType::integer(64, true);
        let expected = [
            ("id", Physical::BYTE_ARRAY, Some(&LogicalType::String), 1),
            ("version", Physical::INT64, Some(&integer), 1),
            ("vars", Physical::BYTE_ARRAY, Some(&LogicalType::Json), 1),
            ("times_created_at", Physical::INT64, Some(&time), 1),
        ];
        assert_eq!(told, expected);
        // Nothing to export is a file that can be read all the same.
        assert_eq!((reader.num_row_groups(), rows(&reader).len()), (0, 0));
    }

    #[test]
    fn values_come_back_as_they_were() {
        let text = |text: &str| Field::Str(text.to_owned());
        let items: Vec<Value> = (0..50)
            .map(|number| match number % 2 {
                0 => json!({
                    "id": format!("請假 {number} 👍"), "version": number, "vars": { "a": [1, "假"] },
                    "times": { "created_at": "2026-01-05T01:02:03.000004+08:00" },
                }),
                _ => json!({ "id": null, "version": -number, "vars": {}, "times": null }),
            })
            .collect();
        let reader = written(&items, 7);
        assert_eq!(reader.num_row_groups(), 8);
        let groups = reader.metadata().row_groups().iter().map(RowGroupMetaData::num_rows);
        assert_eq!(groups.collect::<Vec<_>>(), [7, 7, 7, 7, 7, 7, 7, 1]);
        let expected: Vec<Vec<Field>> = (0..50)
            .map(|number| match number % 2 {
                0 => vec![
                    text(&format!("請假 {number} 👍")),
                    Field::Long(number),
                    text(r#"{"a":[1,"假"]}"#),
                    Field::TimestampMicros(1_767_546_123_000_004),
                ],
                _ => vec![Field::Null, Field::Long(-number), text("{}"), Field::Null],
            })
            .collect();
        assert_eq!(rows(&reader), expected);
    }

    #[test]
    fn a_group_of_long_texts_has_fewer_rows() {
        let long = "長".repeat(GROUP_BYTES_MAX / 3 / 4);
        let items: Vec<Value> = (0..10).map(|_| json!({ "id": long })).collect();
        let reader = written(&items, GROUP_ROWS_MAX);
        let groups = reader.metadata().row_groups().iter().map(RowGroupMetaData::num_rows);
        assert_eq!(groups.collect::<Vec<_>>(), [4, 4, 2]);
        assert!(rows(&reader).iter().all(|row| row[0] == Field::Str(long.clone())));
    }

    #[test]
    fn what_does_not_fit_its_column_is_told() {
        let mut writer = Writer::new(Vec::new(), &COLUMNS).unwrap();
        for (item, path) in [
            (json!({ "version": "three" }), "version"),
            (json!({ "times": { "created_at": "yesterday" } }), "times/created_at"),
        ] {
            let error = writer.write(&item).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the server's `{path}` is ")), "{error}");
        }
    }
}
