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
    /// A bounded result so far: it is printed when its widest values are known.
    waiting: Vec<RecordBatch>,
    page: String,
    out: Box<dyn Write + 'a>,
}

struct Column {
    /// Escaped.
    name: String,
    right: bool,
    /// The width so far.
    width: usize,
}

/// The values of a batch, row by row in one text.
struct Grid {
    text: String,
    /// The end of each value, and its width.
    places: Vec<(usize, usize)>,
    /// Whether values may have several lines.
    lines: bool,
    columns: usize,
    rows: usize,
}

impl<'a> Table<'a> {
    pub(crate) fn new(schema: &SchemaRef, emission: Emission, out: Box<dyn Write + 'a>) -> Table<'a> {
        let columns = schema.fields().iter().map(|field| Column::new(field, emission)).collect();
        Table { columns, emission, started: false, waiting: Vec::new(), page: String::new(), out }
    }

    /// Makes each column as wide as these values need.
    fn widen(&mut self, grid: &Grid) {
        for (index, column) in self.columns.iter_mut().enumerate() {
            let widest = (0..grid.rows).map(|row| grid.width(row, index)).max();
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
        if !grid.lines {
            return self.line((0..grid.columns).map(|index| (grid.value(row, index), grid.width(row, index))));
        }
        let mut values: Vec<_> = (0..grid.columns).map(|index| grid.value(row, index).split('\n')).collect();
        let mut lines: Vec<Option<&str>> = values.iter_mut().map(Iterator::next).collect();
        while lines.iter().any(Option::is_some) {
            self.line(lines.iter().map(|line| (line.unwrap_or(""), text::width(line.unwrap_or("")))));
            lines = values.iter_mut().map(Iterator::next).collect();
        }
    }

    /// Values with their widths on one line.
    fn line<'v>(&mut self, values: impl Iterator<Item = (&'v str, usize)>) {
        for (index, (column, (value, width))) in self.columns.iter().zip(values).enumerate() {
            let gap = column.width.saturating_sub(width);
            self.page.push_str(if index > 0 { " | " } else { " " });
            if column.right {
                spaces(&mut self.page, gap);
            }
            self.page.push_str(value);
            if !column.right && index + 1 < self.columns.len() {
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

    /// All of a bounded result, a batch at a time: values as text take many times their room.
    fn whole(&mut self) -> io::Result<()> {
        let batches = std::mem::take(&mut self.waiting);
        for batch in &batches {
            self.widen(&Grid::new(batch)?);
        }
        self.header();
        let mut rows = 0;
        for batch in batches {
            let grid = Grid::new(&batch)?;
            (0..grid.rows).for_each(|row| self.row(&grid, row));
            rows += grid.rows;
            self.out.write_all(self.page.as_bytes())?;
            self.page.clear();
        }
        self.footer(rows);
        self.send()
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
        if self.emission == Emission::Whole {
            self.waiting.push(batch.clone());
            return Ok(());
        }
        let grid = Grid::new(batch)?;
        self.widen(&grid);
        if !self.started {
            self.header();
        }
        (0..grid.rows).for_each(|row| self.row(&grid, row));
        self.started = true;
        self.send()
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.emission == Emission::Whole {
            return self.whole();
        }
        if !self.started {
            self.header();
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
        Column { name, right: is_right_aligned(field), width: least }
    }
}

impl Grid {
    fn new(batch: &RecordBatch) -> io::Result<Grid> {
        let schema = batch.schema();
        let fields = schema.fields().iter().zip(batch.columns());
        let mut cells = fields.map(|(field, array)| Cells::new(field, array)).collect::<io::Result<Vec<_>>>()?;
        let lines = cells.iter().any(|column| matches!(column, Cells::Histogram(..)));
        let (columns, rows) = (cells.len(), batch.num_rows());
        let mut grid = Grid { text: String::new(), places: Vec::with_capacity(columns * rows), lines, columns, rows };
        for row in 0..rows {
            for column in &mut cells {
                let start = grid.text.len();
                column.write(row, &mut grid.text);
                let widest = match column {
                    Cells::Histogram(..) => grid.text[start..].split('\n').map(text::width).max().unwrap_or(0),
                    _ => text::width(&grid.text[start..]),
                };
                grid.places.push((grid.text.len(), widest));
            }
        }
        Ok(grid)
    }

    fn value(&self, row: usize, column: usize) -> &str {
        let index = row * self.columns + column;
        let start = if index == 0 { 0 } else { self.places[index - 1].0 };
        &self.text[start..self.places[index].0]
    }

    fn width(&self, row: usize, column: usize) -> usize {
        self.places[row * self.columns + column].1
    }
}

fn spaces(out: &mut String, count: usize) {
    const BLANKS: &str = "                                ";
    for start in (0..count).step_by(BLANKS.len()) {
        out.push_str(&BLANKS[..BLANKS.len().min(count - start)]);
    }
}
