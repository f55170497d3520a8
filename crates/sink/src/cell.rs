//! The values of a column as the table shows them.

use crate::number::Clock;
use crate::{histogram, number, text};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, DurationNanosecondType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, BooleanArray, Decimal128Array, DurationNanosecondArray, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, ListArray, StringArray, TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field};
use bpfquery_exec::KIND;
use std::fmt::Write;
use std::io;

/// What stands for NULL: as in SQL, since a name that could not be read must not look like an empty one.
const NULL: &str = "NULL";

/// A column of a batch, its type known.
pub(crate) enum Cells<'a> {
    Bool(&'a BooleanArray),
    I8(&'a Int8Array),
    I16(&'a Int16Array),
    I32(&'a Int32Array),
    I64(&'a Int64Array),
    U8(&'a UInt8Array),
    U16(&'a UInt16Array),
    U32(&'a UInt32Array),
    U64(&'a UInt64Array),
    Pointer(&'a UInt64Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Timestamp(&'a TimestampNanosecondArray, Clock),
    Interval(&'a DurationNanosecondArray),
    Text(&'a StringArray),
    /// Whether it is one of intervals, too.
    Histogram(&'a ListArray, bool),
}

impl<'a> Cells<'a> {
    /// The column's values; an Arrow type that no SQL type becomes is an error.
    pub(crate) fn new(field: &Field, array: &'a dyn Array) -> io::Result<Cells<'a>> {
        let cells = match array.data_type() {
            DataType::Boolean => Cells::Bool(array.as_boolean()),
            DataType::Int8 => Cells::I8(array.as_primitive::<Int8Type>()),
            DataType::Int16 => Cells::I16(array.as_primitive::<Int16Type>()),
            DataType::Int32 => Cells::I32(array.as_primitive::<Int32Type>()),
            DataType::Int64 => Cells::I64(array.as_primitive::<Int64Type>()),
            DataType::UInt8 => Cells::U8(array.as_primitive::<UInt8Type>()),
            DataType::UInt16 => Cells::U16(array.as_primitive::<UInt16Type>()),
            DataType::UInt32 => Cells::U32(array.as_primitive::<UInt32Type>()),
            DataType::UInt64 if is_pointer(field) => Cells::Pointer(array.as_primitive::<UInt64Type>()),
            DataType::UInt64 => Cells::U64(array.as_primitive::<UInt64Type>()),
            DataType::Float64 => Cells::Double(array.as_primitive::<Float64Type>()),
            DataType::Decimal128(_, _) => Cells::Decimal(array.as_primitive::<Decimal128Type>()),
            DataType::Timestamp(_, _) => {
                Cells::Timestamp(array.as_primitive::<TimestampNanosecondType>(), Clock::default())
            }
            DataType::Duration(_) => Cells::Interval(array.as_primitive::<DurationNanosecondType>()),
            DataType::Utf8 => Cells::Text(array.as_string::<i32>()),
            DataType::List(_) => {
                let intervals = field.metadata().get(KIND).is_some_and(|kind| kind == "histogram of interval");
                Cells::Histogram(array.as_list::<i32>(), intervals)
            }
            other => return Err(io::Error::other(format!("a column of type {other} cannot be shown"))),
        };
        Ok(cells)
    }

    /// Appends the value of a row; that of a histogram has several lines.
    pub(crate) fn write(&mut self, row: usize, out: &mut String) {
        if self.array().is_null(row) {
            return out.push_str(NULL);
        }
        // Writing to a string cannot fail.
        let _ = match self {
            Cells::Bool(a) => out.write_str(if a.value(row) { "t" } else { "f" }),
            Cells::I8(a) => write!(out, "{}", a.value(row)),
            Cells::I16(a) => write!(out, "{}", a.value(row)),
            Cells::I32(a) => write!(out, "{}", a.value(row)),
            Cells::I64(a) => write!(out, "{}", a.value(row)),
            Cells::U8(a) => write!(out, "{}", a.value(row)),
            Cells::U16(a) => write!(out, "{}", a.value(row)),
            Cells::U32(a) => write!(out, "{}", a.value(row)),
            Cells::U64(a) => write!(out, "{}", a.value(row)),
            Cells::Pointer(a) => write!(out, "{:#x}", a.value(row)),
            Cells::Decimal(a) => write!(out, "{}", a.value(row)),
            Cells::Double(a) => return number::double(out, a.value(row)),
            Cells::Timestamp(a, clock) => return clock.write(out, a.value(row)),
            Cells::Interval(a) => return number::interval(out, a.value(row)),
            Cells::Text(a) => return text::escape(out, a.value(row)),
            Cells::Histogram(a, intervals) => return histogram::draw(out, a.value(row).as_struct(), *intervals),
        };
    }

    fn array(&self) -> &dyn Array {
        match self {
            Cells::Bool(a) => a,
            Cells::I8(a) => a,
            Cells::I16(a) => a,
            Cells::I32(a) => a,
            Cells::I64(a) => a,
            Cells::U8(a) => a,
            Cells::U16(a) => a,
            Cells::U32(a) => a,
            Cells::U64(a) | Cells::Pointer(a) => a,
            Cells::Double(a) => a,
            Cells::Decimal(a) => a,
            Cells::Timestamp(a, _) => a,
            Cells::Interval(a) => a,
            Cells::Text(a) => a,
            Cells::Histogram(a, _) => a,
        }
    }
}

/// Whether a column's values stand at the right, as psql puts numbers; intervals do too, so that their units line up.
pub(crate) fn is_right_aligned(field: &Field) -> bool {
    let ty = field.data_type();
    !is_pointer(field) && (ty.is_numeric() || matches!(ty, DataType::Duration(_)))
}

/// The width that a column of a stream starts with, so that not every longer value moves the columns behind it.
pub(crate) fn usual_width(field: &Field) -> usize {
    match field.data_type() {
        DataType::UInt64 if is_pointer(field) => "0xffff888100000000".len(),
        DataType::Int32 | DataType::UInt32 => "4194304".len(),
        DataType::Int64 | DataType::UInt64 => "1000000000".len(),
        DataType::Duration(_) => "999.999 ms".len(),
        // As long as the name of a process can be.
        DataType::Utf8 => 15,
        _ => 0,
    }
}

fn is_pointer(field: &Field) -> bool {
    field.metadata().get(KIND).is_some_and(|kind| kind == "pointer")
}
