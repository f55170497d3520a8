//! Aligned columns as psql prints them.
//!
//! A bounded result is as wide as its widest values and ends in `(N rows)`. A stream prints its header once, before its
//! first row; a value that is wider than its column widens it for the rows that follow.

use crate::cell::{Cells, is_right_aligned, usual_width};
use crate::text;
use crate::{Emission, Sink};
use arrow_array::RecordBatch;
use arrow_schema::{Field, SchemaRef};
use std::io::{self, Write};

/// The sink for people.
pub(crate) struct Table<'a> {
    columns: Vec<Column>,
    emission: Emission,
    started: bool,
    page: String,
    out: Box<dyn Write + 'a>,
}

struct Column {
    /// Escaped.
    name: String,
    right: bool,
    /// The least width.
    least: usize,
    /// The width so far.
    width: usize,
}

/// The values of a batch, row by row in one text.
struct Grid {
    text: String,
    /// The end of each value.
    ends: Vec<usize>,
    columns: usize,
    rows: usize,
}

impl<'a> Table<'a> {
    pub(crate) fn new(schema: &SchemaRef, emission: Emission, out: Box<dyn Write + 'a>) -> Table<'a> {
        let columns = schema.fields().iter().map(|field| Column::new(field, emission)).collect();
        Table { columns, emission, started: false, page: String::new(), out }
    }

    /// Makes each column as wide as these values need.
    fn widen(&mut self, grid: &Grid) {
        for (index, column) in self.columns.iter_mut().enumerate() {
            if self.emission == Emission::Whole {
                column.width = column.least;
            }
            let widest = (0..grid.rows).flat_map(|row| grid.value(row, index).split('\n')).map(text::width).max();
            column.width = column.width.max(widest.unwrap_or(0));
        }
    }

    /// ` pid | comm ` and the rule below it.
    fn header(&mut self) {
        for (index, column) in self.columns.iter().enumerate() {
            let gap = column.width - text::width(&column.name);
            self.page.push_str(if index > 0 { "| " } else { " " });
            spaces(&mut self.page, gap / 2);
            self.page.push_str(&column.name);
            spaces(&mut self.page, gap.div_ceil(2) + 1);
        }
        self.trim();
        let rules: Vec<String> = self.columns.iter().map(|column| "-".repeat(column.width + 2)).collect();
        self.page.push('\n');
        self.page.push_str(&rules.join("+"));
        self.page.push('\n');
    }

    /// A row: as many lines as its highest value has.
    fn row(&mut self, grid: &Grid, row: usize) {
        let mut values: Vec<_> = (0..self.columns.len()).map(|index| grid.value(row, index).split('\n')).collect();
        let mut lines: Vec<Option<&str>> = values.iter_mut().map(Iterator::next).collect();
        while lines.iter().any(Option::is_some) {
            self.line(&lines);
            lines = values.iter_mut().map(Iterator::next).collect();
        }
    }

    fn line(&mut self, values: &[Option<&str>]) {
        for (index, (column, value)) in self.columns.iter().zip(values).enumerate() {
            let value = value.unwrap_or("");
            let gap = column.width.saturating_sub(text::width(value));
            self.page.push_str(if index > 0 { " | " } else { " " });
            if column.right {
                spaces(&mut self.page, gap);
            }
            self.page.push_str(value);
            if !column.right && index + 1 < values.len() {
                spaces(&mut self.page, gap);
            }
        }
        self.trim();
        self.page.push('\n');
    }

    /// psql leaves blanks at the ends of some lines; here none has one.
    fn trim(&mut self) {
        self.page.truncate(self.page.trim_end_matches(' ').len());
    }

    fn footer(&mut self, rows: usize) {
        let noun = if rows == 1 { "row" } else { "rows" };
        self.page.push_str(&format!("({rows} {noun})\n"));
    }

    fn send(&mut self) -> io::Result<()> {
        self.out.write_all(self.page.as_bytes())?;
        self.page.clear();
        self.out.flush()
    }
}

impl Sink for Table<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let grid = Grid::new(batch)?;
        let whole = self.emission == Emission::Whole;
        self.widen(&grid);
        if whole && self.started {
            self.page.push('\n');
        }
        if whole || !self.started {
            self.header();
        }
        (0..grid.rows).for_each(|row| self.row(&grid, row));
        if whole {
            self.footer(grid.rows);
        }
        self.started = true;
        self.send()
    }

    fn finish(&mut self) -> io::Result<()> {
        if !self.started {
            self.header();
            if self.emission == Emission::Whole {
                self.footer(0);
            }
        }
        self.send()
    }
}

impl Column {
    fn new(field: &Field, emission: Emission) -> Column {
        let mut name = String::new();
        text::escape(&mut name, field.name());
        let usual = if emission == Emission::Whole { 0 } else { usual_width(field) };
        let least = text::width(&name).max(usual);
        Column { name, right: is_right_aligned(field), least, width: least }
    }
}

impl Grid {
    fn new(batch: &RecordBatch) -> io::Result<Grid> {
        let schema = batch.schema();
        let fields = schema.fields().iter().zip(batch.columns());
        let cells = fields.map(|(field, array)| Cells::new(field, array)).collect::<io::Result<Vec<_>>>()?;
        let mut grid = Grid { text: String::new(), ends: Vec::new(), columns: cells.len(), rows: batch.num_rows() };
        for row in 0..grid.rows {
            for column in &cells {
                column.write(row, &mut grid.text);
                grid.ends.push(grid.text.len());
            }
        }
        Ok(grid)
    }

    fn value(&self, row: usize, column: usize) -> &str {
        let index = row * self.columns + column;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }
}

fn spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}
