//! The columns of a result as they grow.
//!
//! What must hold: a run of records and its records one by one make the same column.

use crate::decode::word;
use crate::numbers::Numbers;
use crate::run::{NullBit, Run};
use crate::schema::{bucket_fields, bucket_low, bucket_range, data_type};
use crate::texts::Texts;
use arrow_array::ArrayRef;
use arrow_array::builder::{BooleanBuilder, ListBuilder, StringBuilder, StructBuilder, UInt64Builder};
use arrow_array::types::{
    Decimal128Type, DurationNanosecondType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, Field};
use bpfquery_catalog::{EnumType, SqlType};
use bpfquery_plan::Datum;
use std::sync::Arc;

/// The builder of one column.
pub(crate) enum Column {
    Bool(BooleanBuilder),
    I8(Numbers<Int8Type>),
    I16(Numbers<Int16Type>),
    I32(Numbers<Int32Type>),
    I64(Numbers<Int64Type>),
    U8(Numbers<UInt8Type>),
    U16(Numbers<UInt16Type>),
    U32(Numbers<UInt32Type>),
    U64(Numbers<UInt64Type>),
    Double(Numbers<Float64Type>),
    Decimal(Numbers<Decimal128Type>),
    Timestamp(Numbers<TimestampNanosecondType>),
    Duration(Numbers<DurationNanosecondType>),
    Text(Texts),
    Enum(EnumType, Texts),
    Histogram(ListBuilder<StructBuilder>),
}

/// Does the same to whichever builder of numbers or texts it is.
macro_rules! each {
    ($column:expr, $b:ident => $do:expr) => {
        match $column {
            Column::Bool($b) => $do,
            Column::I8($b) => $do,
            Column::I16($b) => $do,
            Column::I32($b) => $do,
            Column::I64($b) => $do,
            Column::U8($b) => $do,
            Column::U16($b) => $do,
            Column::U32($b) => $do,
            Column::U64($b) => $do,
            Column::Double($b) => $do,
            Column::Decimal($b) => $do,
            Column::Timestamp($b) => $do,
            Column::Duration($b) => $do,
            Column::Text($b) | Column::Enum(_, $b) => $do,
            Column::Histogram($b) => $do,
        }
    };
}

impl Column {
    /// An empty column of this type.
    pub(crate) fn new(ty: &SqlType) -> Column {
        match ty {
            SqlType::Bool => Column::Bool(BooleanBuilder::new()),
            SqlType::Int { bits: 8, signed: true } => Column::I8(Numbers::new(data_type(ty))),
            SqlType::Int { bits: 16, signed: true } => Column::I16(Numbers::new(data_type(ty))),
            SqlType::Int { bits: 32, signed: true } => Column::I32(Numbers::new(data_type(ty))),
            SqlType::Int { signed: true, .. } => Column::I64(Numbers::new(data_type(ty))),
            SqlType::Int { bits: 8, signed: false } => Column::U8(Numbers::new(data_type(ty))),
            SqlType::Int { bits: 16, signed: false } => Column::U16(Numbers::new(data_type(ty))),
            SqlType::Int { bits: 32, signed: false } => Column::U32(Numbers::new(data_type(ty))),
            SqlType::Int { signed: false, .. } | SqlType::Pointer { .. } => Column::U64(Numbers::new(data_type(ty))),
            SqlType::Double => Column::Double(Numbers::new(data_type(ty))),
            SqlType::Decimal => Column::Decimal(Numbers::new(data_type(ty))),
            SqlType::Timestamp => Column::Timestamp(Numbers::new(data_type(ty))),
            SqlType::Interval => Column::Duration(Numbers::new(data_type(ty))),
            SqlType::Enum(names) => Column::Enum(names.clone(), Texts::new()),
            SqlType::Histogram { .. } => Column::Histogram(histogram()),
            SqlType::Text { .. } | SqlType::Null | SqlType::Struct(_) | SqlType::Array { .. } => {
                Column::Text(Texts::new())
            }
        }
    }

    /// Appends NULL.
    pub(crate) fn null(&mut self) {
        each!(self, b => b.append_null());
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
            Column::Enum(names, b) => append_enum(b, names, i128::from(word.cast_signed())),
            Column::Text(_) | Column::Histogram(_) => self.null(),
        }
    }

    /// Appends a number of each record of a run, `width` bytes at `offset`; `added` is added to what has 64 bits.
    pub(crate) fn words(
        &mut self,
        run: Run<'_>,
        null: Option<NullBit>,
        offset: u32,
        (width, signed): (u32, bool),
        added: u64,
    ) {
        match (&mut *self, width) {
            (Column::I32(b), 4) => b.append_run(run, null, run.fixed(offset).map(i32::from_le_bytes)),
            (Column::U32(b), 4) => b.append_run(run, null, run.fixed(offset).map(u32::from_le_bytes)),
            (Column::I64(b), 8) => b.append_run(run, null, run.fixed(offset).map(i64::from_le_bytes)),
            (Column::U64(b), 8) => b.append_run(run, null, run.fixed(offset).map(u64::from_le_bytes)),
            (Column::Duration(b), 8) => b.append_run(run, null, run.fixed(offset).map(i64::from_le_bytes)),
            (Column::Timestamp(b), 8) => {
                let ns = move |bytes| i64::from_le_bytes(bytes).wrapping_add(added.cast_signed());
                b.append_run(run, null, run.fixed(offset).map(ns));
            }
            (Column::I8(b), 1) => b.append_run(run, null, run.fixed(offset).map(i8::from_le_bytes)),
            (Column::U8(b), 1) => b.append_run(run, null, run.fixed(offset).map(u8::from_le_bytes)),
            (Column::I16(b), 2) => b.append_run(run, null, run.fixed(offset).map(i16::from_le_bytes)),
            (Column::U16(b), 2) => b.append_run(run, null, run.fixed(offset).map(u16::from_le_bytes)),
            _ => self.each(run, null, |column, record| {
                column.word(word(record, offset, width, signed).wrapping_add(added));
            }),
        }
    }

    /// Appends a text of each record of a run, up to its NUL.
    pub(crate) fn texts(&mut self, run: Run<'_>, null: Option<NullBit>, offset: u32, width: u32) {
        let place = offset as usize..offset as usize + width as usize;
        self.each(run, null, |column, record| match column {
            Column::Text(b) | Column::Enum(_, b) => b.append_to_nul(record.get(place.clone()).unwrap_or_default()),
            _ => column.null(),
        });
    }

    fn each(&mut self, run: Run<'_>, null: Option<NullBit>, mut append: impl FnMut(&mut Column, &[u8])) {
        for record in run.records() {
            if null.is_some_and(|null| null.is_set(record)) {
                self.null();
            } else {
                append(self, record);
            }
        }
    }

    /// Appends text; bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn text(&mut self, bytes: &[u8]) {
        match self {
            Column::Text(b) | Column::Enum(_, b) => b.append(bytes),
            _ => self.null(),
        }
    }

    /// Appends a value of the evaluator; one that does not fit the column's type is NULL.
    pub(crate) fn datum(&mut self, datum: &Datum) {
        match (datum, &mut *self) {
            (Datum::Int(n), Column::Decimal(b)) => b.append_value(*n),
            (Datum::Int(n), Column::Double(b)) => b.append_value(*n as f64),
            (Datum::Int(n), Column::Enum(names, b)) => append_enum(b, names, *n),
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
        each!(self, b => Arc::new(b.finish()))
    }
}

/// Appends an enum's value by name; one without a name is its number.
fn append_enum(texts: &mut Texts, names: &EnumType, value: i128) {
    match names.values.iter().find(|(n, _)| i128::from(*n) == value) {
        Some((_, name)) => texts.append(name.as_bytes()),
        None => texts.append(value.to_string().as_bytes()),
    }
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
