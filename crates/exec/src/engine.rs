//! The user-space half of a query: records or groups in, batches out.

use crate::columns::Column;
use crate::decode;
use crate::merge::States;
use crate::schema::arrow_schema;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use bpfquery_diag::{Failure, Result};
use bpfquery_plan::eval::{compare_rows, eval, passes};
use bpfquery_plan::{Datum, SortKey, Source, Step, UserPlan};

/// An entry of the map of groups: its key, and the state of each CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key's bytes; empty where there are no keys.
    pub key: Vec<u8>,
    /// The state's bytes, one for each possible CPU.
    pub states: Vec<Vec<u8>>,
}

/// Runs a user plan.
pub struct Engine {
    plan: UserPlan,
    params: Vec<Datum>,
    wall_offset: i64,
    schema: SchemaRef,
    columns: Vec<Column>,
    pending: usize,
    received: u64,
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
        Engine { plan, params, wall_offset, schema, columns, pending: 0, received: 0, limits }
    }

    /// The result's columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Records received from the kernel so far, whatever the steps made of them.
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

    fn append(&mut self, row: &[Datum]) {
        for (column, datum) in self.columns.iter_mut().zip(row) {
            column.datum(datum);
        }
        self.pending += 1;
    }

    /// Takes the groups of one emission: a window's, or the whole run's.
    pub fn push_groups(&mut self, entries: &[Entry]) -> Result<()> {
        // The map has no order; that of the keys' bytes makes equal runs print equally.
        let mut ordered: Vec<&Entry> = entries.iter().collect();
        ordered.sort_by(|a, b| a.key.cmp(&b.key));
        let mut rows = ordered.into_iter().map(|entry| self.group(entry)).collect::<Result<Vec<_>>>()?;
        for step in &self.plan.steps {
            rows = self.step(step, rows)?;
        }
        rows.iter().for_each(|row| self.append(row));
        Ok(())
    }

    fn group(&self, entry: &Entry) -> Result<Vec<Datum>> {
        let Source::Groups { key, key_types, state, ops, slot_types, .. } = &self.plan.source else {
            return Err(Failure::bug("exec", "groups for a plan of records"));
        };
        let keys = key.fields.iter().zip(key_types);
        let mut row: Vec<Datum> =
            keys.map(|(field, ty)| decode::datum(key, field, ty, &entry.key, self.wall_offset)).collect();
        let states = States { layout: state, ops, types: slot_types, wall_offset: self.wall_offset };
        let cpus: Vec<&[u8]> = entry.states.iter().map(Vec::as_slice).collect();
        row.extend(states.merge(&cpus));
        Ok(row)
    }

    fn step(&self, step: &Step, rows: Vec<Vec<Datum>>) -> Result<Vec<Vec<Datum>>> {
        match step {
            Step::Filter(predicate) => {
                let mut kept = Vec::new();
                for row in rows {
                    if passes(predicate, &row, &self.params)? {
                        kept.push(row);
                    }
                }
                Ok(kept)
            }
            Step::Project(exprs) => {
                let project = |row: &Vec<Datum>| exprs.iter().map(|expr| eval(expr, row, &self.params)).collect();
                rows.iter().map(project).collect()
            }
            Step::Sort(keys) => sorted(rows, keys, &self.params),
            Step::Limit { count, offset } => {
                let count = count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
                Ok(rows.into_iter().skip(usize::try_from(*offset).unwrap_or(usize::MAX)).take(count).collect())
            }
        }
    }

    /// The start of the window that a group's key lies in, in ns of CLOCK_MONOTONIC, and the window's length; `None` where
    /// the plan has no window.
    pub fn window(&self, key: &[u8]) -> Option<(u64, u64)> {
        let Source::Groups { key: layout, window: Some(window), .. } = &self.plan.source else {
            return None;
        };
        let field = layout.fields.get(window.key as usize)?;
        Some((decode::word(key, field.offset, 8, false), window.size_ns))
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

/// Orders a batch by its sort keys, each evaluated once for each row; rows that compare as equal keep their order.
fn sorted(rows: Vec<Vec<Datum>>, keys: &[SortKey], params: &[Datum]) -> Result<Vec<Vec<Datum>>> {
    let value = |row: &Vec<Datum>| keys.iter().map(|key| eval(&key.expr, row, params)).collect::<Result<Vec<_>>>();
    let mut keyed = rows.into_iter().map(|row| Ok((value(&row)?, row))).collect::<Result<Vec<_>>>()?;
    keyed.sort_by(|(a, _), (b, _)| compare_rows(a, b, keys));
    Ok(keyed.into_iter().map(|(_, row)| row).collect())
}
