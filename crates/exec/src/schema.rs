//! SQL types as Arrow types.
//!
//! Where Arrow has no type of its own, the field's metadata says what it is under the key [`KIND`]: `pointer`, `histogram`,
//! `enum`, `boolean`… so that a sink can show it.

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use bpfquery_catalog::SqlType;
use bpfquery_plan::OutputColumn;
use std::collections::HashMap;
use std::sync::Arc;

/// The metadata key under which a field says which SQL type it is.
pub const KIND: &str = "bpfquery.type";

/// The result's columns as an Arrow schema, true names kept.
pub fn arrow_schema(output: &[OutputColumn]) -> SchemaRef {
    let fields: Vec<Field> = output.iter().map(field).collect();
    Arc::new(Schema::new(fields))
}

fn field(column: &OutputColumn) -> Field {
    let metadata = HashMap::from([(KIND.to_string(), kind(&column.ty))]);
    Field::new(&column.name, data_type(&column.ty), true).with_metadata(metadata)
}

fn kind(ty: &SqlType) -> String {
    match ty {
        SqlType::Pointer { .. } => "pointer".to_string(),
        SqlType::Enum(_) => "enum".to_string(),
        other => other.to_string(),
    }
}

/// The Arrow type of a SQL type.
pub(crate) fn data_type(ty: &SqlType) -> DataType {
    match ty {
        SqlType::Bool => DataType::Boolean,
        SqlType::Int { bits: 8, signed: true } => DataType::Int8,
        SqlType::Int { bits: 16, signed: true } => DataType::Int16,
        SqlType::Int { bits: 32, signed: true } => DataType::Int32,
        SqlType::Int { signed: true, .. } => DataType::Int64,
        SqlType::Int { bits: 8, signed: false } => DataType::UInt8,
        SqlType::Int { bits: 16, signed: false } => DataType::UInt16,
        SqlType::Int { bits: 32, signed: false } => DataType::UInt32,
        SqlType::Int { signed: false, .. } | SqlType::Pointer { .. } => DataType::UInt64,
        SqlType::Text { .. } | SqlType::Enum(_) => DataType::Utf8,
        SqlType::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        SqlType::Interval => DataType::Duration(TimeUnit::Nanosecond),
        SqlType::Double => DataType::Float64,
        SqlType::Decimal => DataType::Decimal128(38, 0),
        SqlType::Histogram { .. } => {
            DataType::List(Arc::new(Field::new("item", DataType::Struct(bucket_fields()), false)))
        }
        // A bare NULL is shown as text; structs and arrays are no output (`SqlType::is_output`).
        SqlType::Null | SqlType::Struct(_) | SqlType::Array { .. } => DataType::Utf8,
    }
}

/// A bucket that has been hit: its range as text, its lower bound (NULL below 0), and its count.
pub(crate) fn bucket_fields() -> Fields {
    Fields::from(vec![
        Field::new("range", DataType::Utf8, false),
        Field::new("low", DataType::UInt64, true),
        Field::new("count", DataType::UInt64, false),
    ])
}

/// A bucket's range as bpftrace writes it: `(..., 0)`, `[0]`, `[1]`, `[2, 4)`, `[8K, 16K)`.
pub fn bucket_range(bucket: usize) -> String {
    match bucket {
        0 => "(..., 0)".to_string(),
        1 => "[0]".to_string(),
        2 => "[1]".to_string(),
        _ => format!("[{}, {})", power(bucket - 2), power(bucket - 1)),
    }
}

/// A bucket's lower bound; `None` for the one below 0.
pub(crate) fn bucket_low(bucket: usize) -> Option<u64> {
    match bucket {
        0 => None,
        1 => Some(0),
        _ => 1_u64.checked_shl(u32::try_from(bucket - 2).unwrap_or(u32::MAX)),
    }
}

/// 2^n with a binary prefix.
fn power(n: usize) -> String {
    let prefix = ["", "K", "M", "G", "T", "P", "E"];
    format!("{}{}", 1_u64 << (n % 10), prefix.get(n / 10).copied().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::{bucket_low, bucket_range};

    #[test]
    fn ranges_are_named_as_bpftrace_names_them() {
        for (bucket, range, low) in [
            (0, "(..., 0)", None),
            (1, "[0]", Some(0)),
            (2, "[1]", Some(1)),
            (3, "[2, 4)", Some(2)),
            (12, "[1K, 2K)", Some(1024)),
            (15, "[8K, 16K)", Some(8192)),
            (65, "[8E, 16E)", Some(1 << 63)),
        ] {
            assert_eq!((bucket_range(bucket).as_str(), bucket_low(bucket)), (range, low));
        }
    }
}
