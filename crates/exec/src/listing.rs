//! Queries of `information_schema`: rows of what is known of a kernel, through the steps of a plan.
//!
//! What must hold: the kernel is only looked at, never given anything; a row is made when it is wanted, with the columns that are used,
//! and those of a relation only if what the filters say of the relation alone is true. Memory grows with what a step has to
//! hold (groups, rows in order), not with the kernel.

use crate::columns::Column;
use crate::schema::arrow_schema;
use crate::steps::Steps;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use bpfquery_catalog::{ColumnFacts, Kernel, Listing, Met, Types, discover};
use bpfquery_diag::{Failure, Result};
use bpfquery_plan::eval::passes;
use bpfquery_plan::{ColumnId, Datum, Expr, ExprKind, Source, Step, UserPlan};
use std::ops::ControlFlow;

/// Rows of a batch.
const BATCH: usize = 8192;
/// The columns of both listings that say which relation it is.
const RELATION: u32 = 3;

/// What takes a batch, and says whether it wants more.
type Take<'t> = dyn FnMut(RecordBatch) -> Result<ControlFlow<()>> + 't;

/// Answers a plan over a listing of this kernel's relations, batch by batch.
///
/// # Errors
/// What the kernel could not answer, an expression that is not for user space, or `take`'s own.
pub fn answer(plan: &UserPlan, params: &[Datum], kernel: &dyn Kernel, take: &mut Take<'_>) -> Result<()> {
    let Source::Listing { listing, used } = &plan.source else {
        return Err(Failure::bug("exec", "a plan of events"));
    };
    let mut steps = Steps::new(&plan.steps, params);
    let mut batches = Batches::new(plan, take);
    let mut rows = Rows::new(*listing, used, kernel, early(&plan.steps));
    discover(kernel, "*", &mut |met| {
        rows.of(met, params, &mut |row, times| steps.push(row, times, &mut |row| batches.push(row)))
    })?;
    steps.finish(&mut |row| batches.push(row))?;
    batches.flush().map(|_| ())
}

/// The conditions on the relation alone that every row has to pass first.
fn early(steps: &[Step]) -> Vec<&Expr> {
    let filters = steps.iter().map_while(|step| match step {
        Step::Filter(predicate) => Some(predicate),
        _ => None,
    });
    let each = filters.flat_map(|predicate| match &predicate.kind {
        ExprKind::And(list) => list.iter().collect(),
        _ => vec![predicate],
    });
    each.filter(|e| !e.any(&|e| matches!(e.kind, ExprKind::Column(ColumnId(at)) if at >= RELATION))).collect()
}

/// Makes the rows of a listing.
struct Rows<'a> {
    listing: Listing,
    used: &'a [ColumnId],
    early: Vec<&'a Expr>,
    types: Types,
    /// The row under way; what is not used stays NULL.
    row: Vec<Datum>,
}

/// What takes a row that comes so many times.
type Push<'p> = dyn FnMut(&[Datum], u64) -> Result<ControlFlow<()>> + 'p;

impl<'a> Rows<'a> {
    fn new(listing: Listing, used: &'a [ColumnId], kernel: &dyn Kernel, early: Vec<&'a Expr>) -> Rows<'a> {
        let mut row = vec![Datum::Null; listing.relation().columns.len()];
        row[0] = text(&kernel.identity().release);
        Rows { listing, used, early, types: Types::default(), row }
    }

    /// The rows of a relation.
    fn of(&mut self, met: &Met<'_>, params: &[Datum], push: &mut Push<'_>) -> Result<ControlFlow<()>> {
        self.set(1, || text(met.schema));
        self.set(2, || text(met.name));
        for condition in &self.early {
            if !passes(condition, &self.row, params)? {
                return Ok(ControlFlow::Continue(()));
            }
        }
        match self.listing {
            Listing::Tables => {
                self.set(3, || text(if met.is_stream { "STREAM" } else { "VIEW" }));
                self.set(4, || text("NO"));
                self.set(5, || met.module.map_or(Datum::Null, text));
                push(&self.row, 1)
            }
            // Nobody asks what the columns are.
            Listing::Columns if self.used.iter().all(|id| id.0 < RELATION) => push(&self.row, met.count()? as u64),
            Listing::Columns => {
                for (at, column) in (1..).zip(met.columns(&mut self.types)?) {
                    self.column(at, &column);
                    if push(&self.row, 1)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn column(&mut self, position: i128, column: &ColumnFacts) {
        self.set(3, || text(&column.name));
        self.set(4, || Datum::Int(position));
        self.set(5, || text(if column.nullable { "YES" } else { "NO" }));
        self.set(6, || text(&column.ty.sql));
        self.set(7, || column.ty.text_length.map_or(Datum::Null, |length| Datum::Int(length.into())));
        self.set(8, || column.ty.c.as_deref().map_or(Datum::Null, text));
    }

    /// A column, if it is used.
    fn set(&mut self, at: usize, value: impl FnOnce() -> Datum) {
        if self.used.iter().any(|id| id.0 as usize == at) {
            self.row[at] = value();
        }
    }
}

fn text(text: &str) -> Datum {
    Datum::Text(text.as_bytes().to_vec())
}

/// Rows become batches.
struct Batches<'a, 't> {
    schema: SchemaRef,
    columns: Vec<Column>,
    pending: usize,
    take: &'a mut Take<'t>,
    /// Whether nobody wants more.
    ended: bool,
}

impl<'a, 't> Batches<'a, 't> {
    fn new(plan: &UserPlan, take: &'a mut Take<'t>) -> Batches<'a, 't> {
        let columns = plan.output.iter().map(|column| Column::new(&column.ty)).collect();
        Batches { schema: arrow_schema(&plan.output), columns, pending: 0, take, ended: false }
    }

    fn push(&mut self, row: &[Datum]) -> Result<ControlFlow<()>> {
        self.columns.iter_mut().zip(row).for_each(|(column, datum)| column.datum(datum));
        self.pending += 1;
        if self.pending < BATCH { Ok(ControlFlow::Continue(())) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<ControlFlow<()>> {
        if self.pending == 0 || self.ended {
            return Ok(ControlFlow::Continue(()));
        }
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.pending));
        self.pending = 0;
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options);
        let flow = (self.take)(batch.map_err(|e| Failure::bug("exec", e.to_string()))?)?;
        self.ended = flow.is_break();
        Ok(flow)
    }
}
