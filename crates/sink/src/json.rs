//! An object on each line.
//!
//! Numbers are written exactly whatever their width; times are ISO 8601 in UTC, intervals a count of nanoseconds, addresses
//! numbers, histograms a list of the buckets that were hit. NULL is `null`; so are infinities, which JSON has not.

use crate::Sink;
use crate::plain::{convert, io_error, json_schema};
use arrow_array::RecordBatch;
use arrow_json::writer::{LineDelimited, Writer, WriterBuilder};
use arrow_schema::SchemaRef;
use std::io::{self, Write};

/// The sink for programs.
pub(crate) struct Json<'a> {
    schema: SchemaRef,
    /// Writes into memory, so that a batch reaches the system in one piece.
    writer: Writer<Vec<u8>, LineDelimited>,
    out: Box<dyn Write + 'a>,
}

impl<'a> Json<'a> {
    pub(crate) fn new(schema: &SchemaRef, out: Box<dyn Write + 'a>) -> Json<'a> {
        let writer = WriterBuilder::new().with_explicit_nulls(true).build(Vec::new());
        Json { schema: json_schema(schema), writer, out }
    }
}

impl Sink for Json<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let batch = convert(batch, &self.schema).map_err(io_error)?;
        self.writer.write(&batch).map_err(io_error)?;
        let page = self.writer.get_mut();
        self.out.write_all(page)?;
        page.clear();
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
