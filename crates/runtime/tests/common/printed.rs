//! Batches as text, a row a line, columns separated by blanks.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};

pub(crate) fn rows(batch: &RecordBatch) -> Vec<String> {
    let cell = |row: usize| batch.columns().iter().map(move |column| cell(column.as_ref(), row));
    (0..batch.num_rows()).map(|row| cell(row).collect::<Vec<_>>().join(" ")).collect()
}

fn cell(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".into();
    }
    if let Some(array) = array.as_primitive_opt::<Int32Type>() {
        array.value(row).to_string()
    } else if let Some(array) = array.as_primitive_opt::<UInt32Type>() {
        array.value(row).to_string()
    } else if let Some(array) = array.as_primitive_opt::<Int64Type>() {
        array.value(row).to_string()
    } else if let Some(array) = array.as_primitive_opt::<UInt64Type>() {
        array.value(row).to_string()
    } else if let Some(array) = array.as_primitive_opt::<Decimal128Type>() {
        array.value(row).to_string()
    } else if let Some(array) = array.as_primitive_opt::<TimestampNanosecondType>() {
        array.value(row).to_string()
    } else if let Some(array) = array.as_string_opt::<i32>() {
        array.value(row).to_string()
    } else {
        format!("{:?}", array.data_type())
    }
}
