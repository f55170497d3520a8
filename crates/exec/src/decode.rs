//! The bytes of a record, a key or a state, field by field.

use crate::columns::Column;
use crate::run::{NullBit, Run};
use bpfquery_catalog::SqlType;
use bpfquery_plan::{Datum, Field, Layout, Stored};

/// Whether a field is NULL in these bytes.
pub(crate) fn is_null(layout: &Layout, field: &Field, bytes: &[u8]) -> bool {
    let (Some(bit), Some((offset, width))) = (field.null_bit, layout.nulls) else {
        return false;
    };
    word(bytes, offset, width, false) >> bit & 1 == 1
}

/// An integer of `width` bytes at `offset`, extended to 64 bits. Bytes that are not there count as zero.
pub(crate) fn word(bytes: &[u8], offset: u32, width: u32, signed: bool) -> u64 {
    let at = offset as usize;
    let mut raw = [0_u8; 8];
    if let Some(found) = bytes.get(at..at + width as usize) {
        raw[..found.len()].copy_from_slice(found);
    }
    let word = u64::from_le_bytes(raw);
    match (signed, width) {
        (true, 1 | 2 | 4) => {
            let shift = 64 - 8 * width;
            ((word.cast_signed() << shift) >> shift).cast_unsigned()
        }
        _ => word,
    }
}

/// Text up to its NUL.
pub(crate) fn text(bytes: &[u8], offset: u32, width: u32) -> &[u8] {
    let at = offset as usize;
    let buffer = bytes.get(at..at + width as usize).unwrap_or_default();
    buffer.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Appends one field of each record of a run to its column; `wall_offset` turns the kernel's time into wall time.
pub(crate) fn append_run(
    layout: &Layout,
    field: &Field,
    ty: &SqlType,
    run: Run<'_>,
    wall_offset: i64,
    column: &mut Column,
) {
    let null = NullBit::of(layout, field);
    match field.stored {
        Stored::Int { bytes, signed } => {
            let added = if *ty == SqlType::Timestamp { wall_offset.cast_unsigned() } else { 0 };
            column.words(run, null, field.offset, (bytes, signed), added);
        }
        Stored::Text { bytes } => column.texts(run, null, field.offset, bytes),
        Stored::Wide | Stored::Buckets => run.records().for_each(|_| column.null()),
    }
}

/// Appends one field of a single record, or of a key.
pub(crate) fn append(
    layout: &Layout,
    field: &Field,
    ty: &SqlType,
    bytes: &[u8],
    wall_offset: i64,
    column: &mut Column,
) {
    append_run(layout, field, ty, Run::single(bytes), wall_offset, column);
}

/// One field as a value of the evaluator.
pub(crate) fn datum(layout: &Layout, field: &Field, ty: &SqlType, bytes: &[u8], wall_offset: i64) -> Datum {
    if is_null(layout, field, bytes) {
        return Datum::Null;
    }
    match field.stored {
        Stored::Int { bytes: width, signed } => int(ty, word(bytes, field.offset, width, signed), wall_offset),
        Stored::Text { bytes: width } => Datum::Text(text(bytes, field.offset, width).to_vec()),
        Stored::Wide => Datum::Int(wide(bytes, field.offset)),
        Stored::Buckets => {
            let buckets = (0..bpfquery_plan::BUCKETS).map(|i| word(bytes, field.offset + 8 * i, 8, false));
            Datum::Histogram(buckets.collect())
        }
    }
}

/// A word as a value of its SQL type.
pub(crate) fn int(ty: &SqlType, word: u64, wall_offset: i64) -> Datum {
    match ty {
        SqlType::Bool => Datum::Bool(word != 0),
        SqlType::Timestamp => Datum::Int(i128::from(word.wrapping_add(wall_offset.cast_unsigned()).cast_signed())),
        _ if ty.scalar().is_some_and(|(_, signed)| signed) => Datum::Int(i128::from(word.cast_signed())),
        _ => Datum::Int(i128::from(word)),
    }
}

/// A 128-bit integer: low half, high half.
pub(crate) fn wide(bytes: &[u8], offset: u32) -> i128 {
    let (low, high) = (word(bytes, offset, 8, false), word(bytes, offset + 8, 8, false));
    (i128::from(high.cast_signed()) << 64) | i128::from(low)
}
