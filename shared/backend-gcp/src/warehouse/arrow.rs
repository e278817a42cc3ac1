//! Rows as Arrow, the only format that the client of the Storage Write API takes.

use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, RecordBatch, StringArray,
    StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use chrono::{NaiveDate, NaiveTime, Timelike as _};
use schema::limits::NUMERIC_SCALE_MAX;
use schema::{Cell, Field, FieldType, Mode, Table};

use super::bind::BoundRow;
use super::order;

/// Digits of a NUMERIC.
const NUMERIC_PRECISION: u8 = 38;
/// Digits of a NUMERIC after the point.
const NUMERIC_SCALE: i8 = 9;
const _: () = assert!(NUMERIC_SCALE as usize == NUMERIC_SCALE_MAX, "one scale for both");

/// The name of a list's elements; nobody reads it.
const ELEMENT: &str = "item";

/// The schema of a table, meta columns given, with the hidden column at the end.
pub(super) fn schema_of(table: &Table) -> SchemaRef {
    let mut fields: Vec<ArrowField> = table.fields().iter().map(arrow_field).collect();
    fields.push(ArrowField::new(order::COLUMN, DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

fn arrow_field(field: &Field) -> ArrowField {
    let one = data_type(field);
    let data_type = match field.mode {
        Mode::Repeated => DataType::List(Arc::new(ArrowField::new(ELEMENT, one, true))),
        Mode::Nullable | Mode::Required => one,
    };
    ArrowField::new(&field.name, data_type, field.mode != Mode::Required)
}

fn data_type(field: &Field) -> DataType {
    match field.field_type {
        FieldType::String | FieldType::Json => DataType::Utf8,
        FieldType::Bytes => DataType::Binary,
        FieldType::Int64 => DataType::Int64,
        FieldType::Float64 => DataType::Float64,
        FieldType::Numeric => DataType::Decimal128(NUMERIC_PRECISION, NUMERIC_SCALE),
        FieldType::Bool => DataType::Boolean,
        FieldType::Date => DataType::Date32,
        FieldType::DateTime => DataType::Timestamp(TimeUnit::Microsecond, None),
        FieldType::Time => DataType::Time64(TimeUnit::Microsecond),
        FieldType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        FieldType::Record => DataType::Struct(field.fields.iter().map(arrow_field).collect()),
    }
}

/// Rows and their places in the order, as one batch.
pub(super) fn batch(
    table: &Table,
    arrow: &SchemaRef,
    rows: &[&BoundRow],
    places: Vec<String>,
) -> Result<RecordBatch, ArrowError> {
    let mut columns = Vec::with_capacity(table.fields().len() + 1);
    for (index, field) in table.fields().iter().enumerate() {
        let cells: Vec<Option<&Cell>> = rows.iter().map(|row| row.cells.get(index)).collect();
        columns.push(column(field, &cells)?);
    }
    columns.push(Arc::new(StringArray::from(places)));
    RecordBatch::try_new(Arc::clone(arrow), columns)
}

/// Recursion is bounded by the nesting of a parsed table.
fn column(field: &Field, cells: &[Option<&Cell>]) -> Result<ArrayRef, ArrowError> {
    if field.mode == Mode::Repeated { list(field, cells) } else { single(field, cells) }
}

fn list(field: &Field, cells: &[Option<&Cell>]) -> Result<ArrayRef, ArrowError> {
    let elements = cells.iter().map(|cell| match cell {
        Some(Cell::Array(elements)) => elements.as_slice(),
        _ => &[],
    });
    let lengths = elements.clone().map(<[Cell]>::len);
    let flat: Vec<Option<&Cell>> = elements.clone().flatten().map(Some).collect();
    let element = Arc::new(ArrowField::new(ELEMENT, data_type(field), true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(element, offsets, single(field, &flat)?, None)?))
}

/// One value per cell; whatever is not of the column's type is null, as [`super::bind`] has
/// refused such rows.
fn single(field: &Field, cells: &[Option<&Cell>]) -> Result<ArrayRef, ArrowError> {
    macro_rules! values {
        ($array:ty, $pattern:pat => $value:expr) => {
            Arc::new(<$array>::from_iter(cells.iter().map(|cell| match cell {
                Some($pattern) => $value,
                _ => None,
            })))
        };
    }
    Ok(match field.field_type {
        // JSON values have become texts.
        FieldType::String | FieldType::Json => {
            values!(StringArray, Cell::String(text) => Some(text.as_str()))
        }
        FieldType::Bytes => values!(BinaryArray, Cell::Bytes(bytes) => Some(bytes.as_slice())),
        FieldType::Bool => values!(BooleanArray, Cell::Bool(truth) => Some(*truth)),
        FieldType::Int64 => {
            values!(PrimitiveArray<Int64Type>, Cell::Int64(number) => Some(*number))
        }
        FieldType::Float64 => {
            values!(PrimitiveArray<Float64Type>, Cell::Float64(number) => Some(*number))
        }
        FieldType::Date => values!(PrimitiveArray<Date32Type>, Cell::Date(date) => days(*date)),
        FieldType::Time => {
            values!(PrimitiveArray<Time64MicrosecondType>, Cell::Time(time) => Some(micros(*time)))
        }
        FieldType::DateTime => values!(
            PrimitiveArray<TimestampMicrosecondType>,
            Cell::DateTime(value) => Some(value.and_utc().timestamp_micros())
        ),
        FieldType::Timestamp => {
            let times: PrimitiveArray<TimestampMicrosecondType> = cells
                .iter()
                .map(|cell| match cell {
                    Some(Cell::Timestamp(value)) => Some(value.timestamp_micros()),
                    _ => None,
                })
                .collect();
            Arc::new(times.with_timezone("UTC"))
        }
        FieldType::Numeric => {
            let numbers: PrimitiveArray<Decimal128Type> = cells
                .iter()
                .map(|cell| match cell {
                    Some(Cell::Numeric(text)) => decimal(text),
                    _ => None,
                })
                .collect();
            Arc::new(numbers.with_precision_and_scale(NUMERIC_PRECISION, NUMERIC_SCALE)?)
        }
        FieldType::Record => record(field, cells)?,
    })
}

fn record(field: &Field, cells: &[Option<&Cell>]) -> Result<ArrayRef, ArrowError> {
    let mut parts: Vec<Vec<Option<&Cell>>> =
        field.fields.iter().map(|_| Vec::with_capacity(cells.len())).collect();
    let mut there = Vec::with_capacity(cells.len());
    for cell in cells {
        let values = match cell {
            Some(Cell::Record(values)) => Some(values.as_slice()),
            _ => None,
        };
        there.push(values.is_some());
        let mut left = values.unwrap_or_default().iter().peekable();
        for (part, field) in parts.iter_mut().zip(&field.fields) {
            part.push(left.next_if(|(name, _)| *name == field.name).map(|(_, cell)| cell));
        }
    }
    let mut columns = Vec::with_capacity(parts.len());
    for (field, cells) in field.fields.iter().zip(&parts) {
        columns.push(column(field, cells)?);
    }
    let fields = field.fields.iter().map(arrow_field).collect();
    Ok(Arc::new(StructArray::try_new(fields, columns, Some(there.into()))?))
}

/// Days since 1970.
fn days(date: NaiveDate) -> Option<i32> {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// Microseconds since midnight.
fn micros(time: NaiveTime) -> i64 {
    i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000)
}

/// A decimal number such as `-12.5` in units of its last possible digit.
pub(super) fn decimal(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let zeros = NUMERIC_SCALE_MAX.checked_sub(fraction.len())?;
    let all = integer.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', zeros));
    let mut number: i128 = 0;
    for digit in all {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    Some(sign * number)
}

/// Writes batches of one schema as the Storage Write API wants them: the messages of an Arrow
/// stream, each by itself.
pub(super) struct Encoder {
    stream: StreamWriter<Vec<u8>>,
}

impl Encoder {
    /// An encoder and the message of its schema.
    pub(super) fn new(schema: &Schema) -> Result<(Self, Bytes), ArrowError> {
        let mut stream = StreamWriter::try_new(Vec::new(), schema)?;
        let message = std::mem::take(stream.get_mut());
        Ok((Self { stream }, message.into()))
    }

    /// The message of a batch.
    pub(super) fn encode(&mut self, batch: &RecordBatch) -> Result<Bytes, ArrowError> {
        self.stream.get_mut().clear();
        self.stream.write(batch)?;
        Ok(std::mem::take(self.stream.get_mut()).into())
    }
}
