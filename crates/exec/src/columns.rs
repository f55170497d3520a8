//! Arrow builders, one for each column of the result.

use crate::schema::{bucket_fields, bucket_low, bucket_range};
use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, Decimal128Builder, DurationNanosecondBuilder, Float64Builder, Int8Builder, Int16Builder,
    Int32Builder, Int64Builder, ListBuilder, StringBuilder, StructBuilder, TimestampNanosecondBuilder, UInt8Builder,
    UInt16Builder, UInt32Builder, UInt64Builder,
};
use arrow_schema::{DataType, Field};
use bpfquery_catalog::{EnumType, SqlType};
use bpfquery_plan::Datum;
use std::sync::Arc;

/// The builder of one column.
pub(crate) enum Column {
    Bool(BooleanBuilder),
    I8(Int8Builder),
    I16(Int16Builder),
    I32(Int32Builder),
    I64(Int64Builder),
    U8(UInt8Builder),
    U16(UInt16Builder),
    U32(UInt32Builder),
    U64(UInt64Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    Timestamp(TimestampNanosecondBuilder),
    Duration(DurationNanosecondBuilder),
    Text(StringBuilder),
    Enum(EnumType, StringBuilder),
    Histogram(ListBuilder<StructBuilder>),
}

impl Column {
    /// An empty column of this type.
    pub(crate) fn new(ty: &SqlType) -> Column {
        match ty {
            SqlType::Bool => Column::Bool(BooleanBuilder::new()),
            SqlType::Int { bits: 8, signed: true } => Column::I8(Int8Builder::new()),
            SqlType::Int { bits: 16, signed: true } => Column::I16(Int16Builder::new()),
            SqlType::Int { bits: 32, signed: true } => Column::I32(Int32Builder::new()),
            SqlType::Int { signed: true, .. } => Column::I64(Int64Builder::new()),
            SqlType::Int { bits: 8, signed: false } => Column::U8(UInt8Builder::new()),
            SqlType::Int { bits: 16, signed: false } => Column::U16(UInt16Builder::new()),
            SqlType::Int { bits: 32, signed: false } => Column::U32(UInt32Builder::new()),
            SqlType::Int { signed: false, .. } | SqlType::Pointer { .. } => Column::U64(UInt64Builder::new()),
            SqlType::Double => Column::Double(Float64Builder::new()),
            SqlType::Decimal => Column::Decimal(Decimal128Builder::new().with_data_type(DataType::Decimal128(38, 0))),
            SqlType::Timestamp => Column::Timestamp(TimestampNanosecondBuilder::new().with_timezone("UTC")),
            SqlType::Interval => Column::Duration(DurationNanosecondBuilder::new()),
            SqlType::Enum(names) => Column::Enum(names.clone(), StringBuilder::new()),
            SqlType::Histogram => Column::Histogram(histogram()),
            SqlType::Text { .. } | SqlType::Null | SqlType::Struct(_) | SqlType::Array { .. } => {
                Column::Text(StringBuilder::new())
            }
        }
    }

    /// Appends NULL.
    pub(crate) fn null(&mut self) {
        match self {
            Column::Bool(b) => b.append_null(),
            Column::I8(b) => b.append_null(),
            Column::I16(b) => b.append_null(),
            Column::I32(b) => b.append_null(),
            Column::I64(b) => b.append_null(),
            Column::U8(b) => b.append_null(),
            Column::U16(b) => b.append_null(),
            Column::U32(b) => b.append_null(),
            Column::U64(b) => b.append_null(),
            Column::Double(b) => b.append_null(),
            Column::Decimal(b) => b.append_null(),
            Column::Timestamp(b) => b.append_null(),
            Column::Duration(b) => b.append_null(),
            Column::Text(b) | Column::Enum(_, b) => b.append_null(),
            Column::Histogram(b) => b.append_null(),
        }
    }

    /// Appends 64 bits as they came, already extended in the column's own signedness; of narrower types the low ones count.
    #[allow(clippy::cast_possible_truncation, reason = "the field was stored with the column's own width")]
    pub(crate) fn word(&mut self, word: u64) {
        match self {
            Column::Bool(b) => b.append_value(word != 0),
            Column::I8(b) => b.append_value(word as i8),
            Column::I16(b) => b.append_value(word as i16),
            Column::I32(b) => b.append_value(word as i32),
            Column::I64(b) => b.append_value(word.cast_signed()),
            Column::U8(b) => b.append_value(word as u8),
            Column::U16(b) => b.append_value(word as u16),
            Column::U32(b) => b.append_value(word as u32),
            Column::U64(b) => b.append_value(word),
            Column::Timestamp(b) => b.append_value(word.cast_signed()),
            Column::Duration(b) => b.append_value(word.cast_signed()),
            Column::Decimal(b) => b.append_value(i128::from(word.cast_signed())),
            Column::Double(b) => b.append_value(word.cast_signed() as f64),
            Column::Enum(names, b) => b.append_value(enum_name(names, i128::from(word.cast_signed()))),
            Column::Text(_) | Column::Histogram(_) => self.null(),
        }
    }

    /// Appends text; bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn text(&mut self, bytes: &[u8]) {
        match self {
            Column::Text(b) | Column::Enum(_, b) => b.append_value(String::from_utf8_lossy(bytes)),
            _ => self.null(),
        }
    }

    /// Appends a value of the evaluator; one that does not fit the column's type is NULL.
    pub(crate) fn datum(&mut self, datum: &Datum) {
        match (datum, &mut *self) {
            (Datum::Int(n), Column::Decimal(b)) => b.append_value(*n),
            (Datum::Int(n), Column::Double(b)) => b.append_value(*n as f64),
            (Datum::Int(n), Column::Enum(names, b)) => b.append_value(enum_name(names, *n)),
            (Datum::Int(n), _) => match i64::try_from(*n).map(i64::cast_unsigned).or_else(|_| u64::try_from(*n)) {
                Ok(word) => self.word(word),
                Err(_) => self.null(),
            },
            (Datum::Bool(truth), _) => self.word(u64::from(*truth)),
            (Datum::Double(x), Column::Double(b)) => b.append_value(*x),
            (Datum::Text(bytes), _) => self.text(bytes),
            (Datum::Histogram(counts), Column::Histogram(b)) => append_histogram(b, counts),
            (Datum::Null | Datum::Double(_) | Datum::Histogram(_), _) => self.null(),
        }
    }

    /// The column so far; the builder starts anew.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Bool(b) => Arc::new(b.finish()),
            Column::I8(b) => Arc::new(b.finish()),
            Column::I16(b) => Arc::new(b.finish()),
            Column::I32(b) => Arc::new(b.finish()),
            Column::I64(b) => Arc::new(b.finish()),
            Column::U8(b) => Arc::new(b.finish()),
            Column::U16(b) => Arc::new(b.finish()),
            Column::U32(b) => Arc::new(b.finish()),
            Column::U64(b) => Arc::new(b.finish()),
            Column::Double(b) => Arc::new(b.finish()),
            Column::Decimal(b) => Arc::new(b.finish()),
            Column::Timestamp(b) => Arc::new(b.finish()),
            Column::Duration(b) => Arc::new(b.finish()),
            Column::Text(b) | Column::Enum(_, b) => Arc::new(b.finish()),
            Column::Histogram(b) => Arc::new(b.finish()),
        }
    }
}

/// An enum's value by name; one without a name is its number.
fn enum_name(names: &EnumType, value: i128) -> String {
    let known = names.values.iter().find(|(n, _)| i128::from(*n) == value);
    known.map_or_else(|| value.to_string(), |(_, name)| name.clone())
}

fn histogram() -> ListBuilder<StructBuilder> {
    let item = Field::new("item", DataType::Struct(bucket_fields()), false);
    ListBuilder::new(StructBuilder::from_fields(bucket_fields(), 0)).with_field(item)
}

/// Appends the buckets that were hit, lowest first.
fn append_histogram(list: &mut ListBuilder<StructBuilder>, counts: &[u64]) {
    for (bucket, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let item = list.values();
        if let Some(range) = item.field_builder::<StringBuilder>(0) {
            range.append_value(bucket_range(bucket));
        }
        if let Some(low) = item.field_builder::<UInt64Builder>(1) {
            low.append_option(bucket_low(bucket));
        }
        if let Some(number) = item.field_builder::<UInt64Builder>(2) {
            number.append_value(*count);
        }
        item.append(true);
    }
    list.append(true);
}
