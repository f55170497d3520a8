//! Rows out: aligned text for people, JSON lines and CSV for programs.
//!
//! What must hold:
//! - A value is written as it is or not at all: integers of any width digit by digit, no time rounded (the table cuts an
//!   interval to three digits behind the point, the other formats write all of its nanoseconds).
//! - What a table prints of a query's data cannot steer the terminal.
//! - A batch of a stream is written and flushed before the call returns; an error of the writer comes back as it is, so
//!   that a closed pipe (`ErrorKind::BrokenPipe`) can be told from a full disk.
//!
//! Not checked: that every batch has the schema that the sink was made with; a batch that has not is an error or looks odd.

mod cell;
mod csv;
mod encode;
mod histogram;
mod iso;
mod json;
mod number;
mod plain;
mod table;
mod text;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::io::{self, Write};

/// Where a query's rows go.
pub trait Sink {
    /// Writes a batch: some rows of a stream, the rows of one window, or a part of a bounded result, which a table holds back until
    /// it ends.
    ///
    /// # Errors
    /// The writer's own; after one the sink is of no use.
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()>;

    /// Writes what ends the output. A result without rows still shows its columns here.
    ///
    /// # Errors
    /// The writer's own.
    fn finish(&mut self) -> io::Result<()>;
}

/// How rows look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Aligned columns as psql prints them.
    #[default]
    Table,
    /// An object on each line.
    Json,
    /// RFC 4180 with a header, lines ending as `psql --csv` ends them.
    Csv,
    /// Not at all: what is measured is the way to here.
    None,
}

/// What a batch is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emission {
    /// A stream of rows without an end.
    Rows,
    /// A stream of windows; a batch is the groups of one.
    Windows,
    /// A bounded result; its batches are all of it.
    Whole,
}

/// Takes rows and writes nothing.
struct Nothing;

impl Sink for Nothing {
    fn batch(&mut self, _: &RecordBatch) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Format {
    /// All formats that show something.
    pub const ALL: [Format; 3] = [Format::Table, Format::Json, Format::Csv];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Json => "json",
            Format::Csv => "csv",
            Format::None => "none",
        }
    }

    /// A sink of this format for batches of this schema.
    pub fn sink<'a>(self, schema: &SchemaRef, emission: Emission, out: Box<dyn Write + 'a>) -> Box<dyn Sink + 'a> {
        match self {
            Format::Table => Box::new(table::Table::new(schema, emission, out)),
            Format::Json => Box::new(json::Json::new(schema, out)),
            Format::Csv => Box::new(csv::Csv::new(schema, out)),
            Format::None => Box::new(Nothing),
        }
    }
}
