//! Batches made ready for Arrow's own writers, which know nothing of this project's types: times get an offset in place of a
//! zone's name, intervals become integers, and names become keys. Nothing is copied but histograms and times for CSV.

use crate::iso::Iso;
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{DurationNanosecondType, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, TimestampNanosecondArray};
use arrow_json::writer::{EncoderOptions, make_encoder};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// Arrow's writers know offsets; names of zones would need a database of zones.
const UTC: &str = "+00:00";

/// The schema for JSON: names are unique, since most readers keep only the last of equal keys.
pub(crate) fn json_schema(schema: &SchemaRef) -> SchemaRef {
    let mut taken: BTreeSet<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut seen = BTreeSet::new();
    let fields = schema.fields().iter().map(|field| {
        let name =
            if seen.insert(field.name().clone()) { field.name().clone() } else { free(field.name(), &mut taken) };
        let ty = match field.data_type() {
            DataType::List(_) => field.data_type().clone(),
            other => plain_type(other),
        };
        Field::new(name, ty, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The schema for CSV: names are as they are, histograms and times are text.
pub(crate) fn csv_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let ty = match field.data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, _) => DataType::Utf8,
            other => plain_type(other),
        };
        Field::new(field.name(), ty, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The batch in one of these schemas.
pub(crate) fn convert(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| column(field, array));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_, _>>()?, &options)
}

/// Arrow's error as one of the writer: what it wraps comes out as it was.
pub(crate) fn io_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}

/// `x_2`, or the first after it that no column has.
fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let candidates = (2..).map(|number: u64| format!("{name}_{number}"));
    let mut fresh = candidates.filter(|candidate| !taken.contains(candidate));
    // Numbers outlast the columns.
    let found = fresh.next().unwrap_or_default();
    taken.insert(found.clone());
    found
}

fn plain_type(ty: &DataType) -> DataType {
    match ty {
        DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, Some(UTC.into())),
        DataType::Duration(TimeUnit::Nanosecond) => DataType::Int64,
        DataType::List(_) => DataType::Utf8,
        other => other.clone(),
    }
}

fn column(field: &FieldRef, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match (array.data_type(), field.data_type()) {
        (DataType::Timestamp(TimeUnit::Nanosecond, _), DataType::Utf8) => Arc::new(time_text(array.as_primitive())),
        (DataType::Timestamp(TimeUnit::Nanosecond, _), _) => {
            Arc::new(array.as_primitive::<TimestampNanosecondType>().clone().with_timezone(UTC))
        }
        (DataType::Duration(TimeUnit::Nanosecond), _) => {
            Arc::new(array.as_primitive::<DurationNanosecondType>().reinterpret_cast::<Int64Type>())
        }
        (DataType::List(_), DataType::Utf8) => json_text(array)?,
        _ => array.clone(),
    })
}

/// Each time as text: Arrow's writer of CSV takes its calendar apart anew for each.
fn time_text(times: &TimestampNanosecondArray) -> StringArray {
    let (mut texts, mut text, mut iso) = (StringBuilder::new(), Vec::new(), Iso::default());
    for time in times {
        text.clear();
        texts.append_option(time.map(|ns| {
            iso.write(&mut text, ns);
            String::from_utf8_lossy(&text)
        }));
    }
    texts.finish()
}

/// Each value of a column as JSON.
fn json_text(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let field = Arc::new(Field::new("item", array.data_type().clone(), true));
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(&field, array, &options)?;
    let mut texts = StringBuilder::new();
    let mut text = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        encoder.encode(row, &mut text);
        texts.append_value(String::from_utf8_lossy(&text));
    }
    Ok(Arc::new(texts.finish()))
}
