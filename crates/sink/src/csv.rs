//! Comma-separated values: quoted as RFC 4180 says, lines ending in a newline alone, as `psql --csv` and the tools of Unix
//! have them.
//!
//! Values look as in JSON, a histogram is JSON within its field. NULL is the empty field, and so is empty text: who must tell
//! them apart takes JSON.

use crate::Sink;
use crate::plain::{convert, csv_schema, io_error};
use arrow_array::RecordBatch;
use arrow_csv::WriterBuilder;
use arrow_schema::SchemaRef;
use std::io::{self, Write};

/// The sink for spreadsheets and databases.
pub(crate) struct Csv<'a> {
    schema: SchemaRef,
    started: bool,
    /// Arrow's writer forgets what kind of error a file gave, so it writes here.
    page: Vec<u8>,
    out: Box<dyn Write + 'a>,
}

impl<'a> Csv<'a> {
    pub(crate) fn new(schema: &SchemaRef, out: Box<dyn Write + 'a>) -> Csv<'a> {
        Csv { schema: csv_schema(schema), started: false, page: Vec::new(), out }
    }

    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let mut writer = WriterBuilder::new().with_header(!self.started).build(&mut self.page);
        writer.write(batch).map_err(io_error)?;
        drop(writer);
        self.started = true;
        self.out.write_all(&self.page)?;
        self.page.clear();
        self.out.flush()
    }
}

impl Sink for Csv<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let batch = convert(batch, &self.schema).map_err(io_error)?;
        self.write(&batch)
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.started {
            return self.out.flush();
        }
        self.write(&RecordBatch::new_empty(self.schema.clone()))
    }
}
