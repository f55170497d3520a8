//! The user-space half of a query: records or groups in, batches out.

use crate::columns::Column;
use crate::decode;
use crate::groups::Gathered;
use crate::run::Run;
use crate::schema::arrow_schema;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use bpfquery_diag::{Failure, Result};
use bpfquery_plan::eval::{eval, passes};
use bpfquery_plan::{ColumnId, Datum, Expr, ExprKind, Source, Step, UserPlan};
use std::ops::Range;

/// Where a column of the result comes from.
#[derive(Clone)]
enum Origin {
    /// A field of the record, by its place in the layout.
    Field(usize),
    Literal(Datum),
}

/// Runs a user plan.
pub struct Engine {
    pub(crate) plan: UserPlan,
    pub(crate) params: Vec<Datum>,
    pub(crate) wall_offset: i64,
    schema: SchemaRef,
    pub(crate) columns: Vec<Column>,
    pub(crate) pending: usize,
    pub(crate) received: u64,
    /// The groups of the emission under way.
    pub(crate) gathered: Gathered,
    /// Where the columns of a stream come from, if no row needs the evaluator.
    origins: Option<Vec<Origin>>,
    /// Rows of a stream that still have to be left out, and that may still come, by position of their LIMIT step.
    limits: Vec<(u64, Option<u64>)>,
}

impl Engine {
    /// An engine for a plan. `params` are values by [`bpfquery_plan::ParamId`]; `wall_offset` is CLOCK_REALTIME minus
    /// CLOCK_MONOTONIC in ns.
    pub fn new(plan: UserPlan, params: Vec<Datum>, wall_offset: i64) -> Engine {
        let schema = arrow_schema(&plan.output);
        let columns = plan.output.iter().map(|column| Column::new(&column.ty)).collect();
        let limits = plan.steps.iter().filter_map(|step| match step {
            Step::Limit { count, offset } => Some((*offset, *count)),
            _ => None,
        });
        let limits = limits.collect();
        let gathered = Gathered::new(&plan);
        let origins = origins(&plan);
        Engine { plan, params, wall_offset, schema, columns, pending: 0, received: 0, gathered, origins, limits }
    }

    /// The result's columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Records and groups received from the kernel so far, whatever the steps made of them.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Rows that wait for [`Engine::take`].
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Whether no further row of a stream can come out: its LIMIT is reached.
    pub fn is_done(&self) -> bool {
        matches!(self.plan.source, Source::Rows { .. }) && self.limits.iter().any(|(_, left)| *left == Some(0))
    }

    /// Takes one record of the ring buffer. A record of the wrong length is a mistake of whoever wrote it.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        let size = self.record_size()?;
        // The ring buffer rounds nothing: a record is exactly as long as it was reserved.
        if record.len() != size {
            return Err(Failure::bug("exec", format!("a record of {} bytes, not {size}", record.len())));
        }
        self.push_run(Run::single(record)).map(|_| ())
    }

    /// Bytes of a record.
    pub fn record_size(&self) -> Result<usize> {
        match &self.plan.source {
            Source::Rows { layout, .. } => Ok(layout.size as usize),
            Source::Groups { .. } | Source::Listing { .. } => {
                Err(Failure::bug("exec", "a record for a plan of groups or of a listing"))
            }
        }
    }

    /// Takes records of [`Engine::record_size`] bytes each, up to the one that reaches a LIMIT; how many it took.
    pub fn push_run(&mut self, run: Run<'_>) -> Result<usize> {
        let taken = if self.origins.is_some() { self.append_run(run) } else { self.push_rows(run)? };
        self.received += taken as u64;
        Ok(taken)
    }

    /// Column by column.
    fn append_run(&mut self, run: Run<'_>) -> usize {
        let (taken, kept) = self.limited(run.len());
        if let (Source::Rows { layout, types }, Some(run)) = (&self.plan.source, run.slice(&kept)) {
            for (origin, column) in self.origins.iter().flatten().zip(&mut self.columns) {
                match origin {
                    Origin::Literal(datum) => (0..run.len()).for_each(|_| column.datum(datum)),
                    Origin::Field(at) => {
                        decode::append_run(layout, &layout.fields[*at], &types[*at], run, self.wall_offset, column);
                    }
                }
            }
            self.pending += run.len();
        }
        taken
    }

    /// Of so many rows, how many are looked at before a LIMIT is reached, and which of them are left.
    fn limited(&mut self, rows: usize) -> (usize, Range<usize>) {
        let (mut start, mut end) = (0, rows);
        let mut taken = rows;
        let at_most = |limit: u64, rows: usize| usize::try_from(limit).map_or(rows, |limit| limit.min(rows));
        for (skip, left) in &mut self.limits {
            let skipped = at_most(*skip, end - start);
            *skip -= skipped as u64;
            start += skipped;
            if let Some(left) = left {
                let kept = at_most(*left, end - start);
                *left -= kept as u64;
                end = start + kept;
                if *left == 0 {
                    taken = taken.min(end);
                }
            }
        }
        (taken, start..end)
    }

    /// Records row by row through the steps.
    fn push_rows(&mut self, run: Run<'_>) -> Result<usize> {
        let mut taken = 0;
        for record in run.records() {
            if self.is_done() {
                break;
            }
            let Source::Rows { layout, types } = &self.plan.source else { break };
            let fields = layout.fields.iter().zip(types);
            let row = fields.map(|(field, ty)| decode::datum(layout, field, ty, record, self.wall_offset)).collect();
            self.push_row(row)?;
            taken += 1;
        }
        Ok(taken)
    }

    /// One row of a stream through the steps.
    fn push_row(&mut self, mut row: Vec<Datum>) -> Result<()> {
        let mut limit = 0;
        for step in &self.plan.steps {
            match step {
                Step::Filter(predicate) => {
                    if !passes(predicate, &row, &self.params)? {
                        return Ok(());
                    }
                }
                Step::Project(exprs) => {
                    row = exprs.iter().map(|expr| eval(expr, &row, &self.params)).collect::<Result<_>>()?;
                }
                // A single row is in order.
                Step::Sort(_) => {}
                Step::Group { .. } => return Err(Failure::bug("exec", "events are grouped in the kernel")),
                Step::Limit { .. } => {
                    let (skip, left) = &mut self.limits[limit];
                    limit += 1;
                    if *skip > 0 {
                        *skip -= 1;
                        return Ok(());
                    }
                    match left {
                        Some(0) => return Ok(()),
                        Some(left) => *left -= 1,
                        None => {}
                    }
                }
            }
        }
        self.append(&row);
        Ok(())
    }

    pub(crate) fn append(&mut self, row: &[Datum]) {
        for (column, datum) in self.columns.iter_mut().zip(row) {
            column.datum(datum);
        }
        self.pending += 1;
    }

    /// The rows so far as a batch; `None` if there are none.
    pub fn take(&mut self) -> Result<Option<RecordBatch>> {
        if self.pending == 0 {
            return Ok(None);
        }
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.pending));
        self.pending = 0;
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options);
        batch.map(Some).map_err(|e| Failure::bug("exec", e.to_string()))
    }
}

/// `None` if a step looks at values.
fn origins(plan: &UserPlan) -> Option<Vec<Origin>> {
    let Source::Rows { layout, types } = &plan.source else { return None };
    let mut origins: Vec<Origin> = (0..layout.fields.len().min(types.len())).map(Origin::Field).collect();
    for step in &plan.steps {
        match step {
            // A single row is in order.
            Step::Limit { .. } | Step::Sort(_) => {}
            Step::Filter(_) | Step::Group { .. } => return None,
            Step::Project(exprs) => {
                let origin = |expr: &Expr| match &expr.kind {
                    ExprKind::Column(ColumnId(at)) => origins.get(*at as usize).cloned(),
                    ExprKind::Literal(datum) => Some(Origin::Literal(datum.clone())),
                    _ => None,
                };
                origins = exprs.iter().map(origin).collect::<Option<_>>()?;
            }
        }
    }
    Some(origins)
}
