//! An object on each line.
//!
//! Numbers are written exactly whatever their width; times are ISO 8601 in UTC, intervals a count of nanoseconds, addresses
//! numbers, histograms a list of the buckets that were hit. NULL is `null`; so are infinities, which JSON has not.

use crate::Sink;
use crate::encode::Quick;
use crate::plain::{convert, io_error, json_schema};
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_json::writer::{EncoderOptions, make_encoder};
use arrow_schema::{ArrowError, Field, FieldRef, SchemaRef};
use std::io::{self, Write};
use std::sync::Arc;

/// The sink for programs.
pub(crate) struct Json<'a> {
    schema: SchemaRef,
    /// A row is a struct of its columns.
    row: FieldRef,
    options: EncoderOptions,
    /// A batch in one piece, which the system gets in one call.
    page: Vec<u8>,
    out: Box<dyn Write + 'a>,
}

impl<'a> Json<'a> {
    pub(crate) fn new(schema: &SchemaRef, out: Box<dyn Write + 'a>) -> Json<'a> {
        let schema = json_schema(schema);
        let row = Arc::new(Field::new_struct("", schema.fields().clone(), false));
        let options = EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(Quick));
        Json { schema, row, options, page: Vec::new(), out }
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let rows = StructArray::from(convert(batch, &self.schema)?);
        let mut encoder = make_encoder(&self.row, &rows, &self.options)?;
        for row in 0..rows.len() {
            encoder.encode(row, &mut self.page);
            self.page.push(b'\n');
        }
        Ok(())
    }
}

impl Sink for Json<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.encode(batch).map_err(io_error)?;
        self.out.write_all(&self.page)?;
        self.page.clear();
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
