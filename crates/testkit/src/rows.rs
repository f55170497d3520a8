//! Rows as text: JSON lines, as `bpfquery run --format json` prints them.

use arrow_array::RecordBatch;
use bpfquery_diag::{Failure, Result};

/// The batch's rows, a line each.
///
/// # Errors
/// A bug, if Arrow cannot print them.
pub(crate) fn json(batch: &RecordBatch) -> Result<String> {
    let mut writer = arrow_json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow_json::writer::LineDelimited>(Vec::new());
    let bug = |error: &dyn std::fmt::Display| Failure::bug("rows", error.to_string());
    writer.write(batch).map_err(|error| bug(&error))?;
    writer.finish().map_err(|error| bug(&error))?;
    String::from_utf8(writer.into_inner()).map_err(|error| bug(&error))
}
