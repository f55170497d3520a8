//! Rows as text: JSON lines, by the sink that `bpfquery run --format json` uses.

use arrow_array::RecordBatch;
use bpfquery_sink::{Emission, Format};

/// The batch's rows, a line each.
///
/// # Errors
/// What the sink could not print.
pub(crate) fn json(batch: &RecordBatch) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut sink = Format::Json.sink(&batch.schema(), Emission::Whole, Box::new(&mut bytes));
    sink.batch(batch).and_then(|()| sink.finish()).map_err(|error| error.to_string())?;
    drop(sink);
    String::from_utf8(bytes).map_err(|error| error.to_string())
}
