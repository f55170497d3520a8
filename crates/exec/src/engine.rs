//! The user-space half of a query: records or groups in, batches out.

use crate::columns::Column;
use crate::decode;
use crate::groups::Gathered;
use crate::schema::arrow_schema;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use bpfquery_diag::{Failure, Result};
use bpfquery_plan::eval::{eval, passes};
use bpfquery_plan::{Datum, Source, Step, UserPlan};

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
        Engine { plan, params, wall_offset, schema, columns, pending: 0, received: 0, gathered, limits }
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
        let Source::Rows { layout, types } = &self.plan.source else {
            return Err(Failure::bug("exec", "a record for a plan of groups"));
        };
        // The ring buffer rounds nothing: a record is exactly as long as it was reserved.
        if record.len() != layout.size as usize {
            return Err(Failure::bug("exec", format!("a record of {} bytes, not {}", record.len(), layout.size)));
        }
        self.received += 1;
        if self.plan.steps.is_empty() {
            for ((field, ty), column) in layout.fields.iter().zip(types).zip(&mut self.columns) {
                decode::append(layout, field, ty, record, self.wall_offset, column);
            }
            self.pending += 1;
            return Ok(());
        }
        let fields = layout.fields.iter().zip(types);
        let row = fields.map(|(field, ty)| decode::datum(layout, field, ty, record, self.wall_offset)).collect();
        self.push_row(row)
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
