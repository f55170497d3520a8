//! The steps of a plan over rows that come one by one, the first row going through all of them before the second comes.
//!
//! What must hold: rows wait only where a step needs all of them (groups, and rows in order; of rows in order under a limit no more
//! than twice as many as it keeps); nothing is asked for any more once a limit is reached.

use crate::gather::Groups;
use bpfquery_diag::Result;
use bpfquery_plan::eval::{compare_rows, eval, passes};
use bpfquery_plan::{Datum, Expr, SortKey, Step};
use std::ops::ControlFlow;

/// Rows beyond those that a LIMIT keeps, before the others are dropped.
const SLACK: usize = 1024;

/// What takes the rows that come out.
pub(crate) type Out<'o> = dyn FnMut(&[Datum]) -> Result<ControlFlow<()>> + 'o;

/// The steps with what they hold.
pub(crate) struct Steps<'a> {
    stages: Vec<Stage<'a>>,
    params: &'a [Datum],
}

enum Stage<'a> {
    Filter(&'a Expr),
    Project(&'a [Expr]),
    Group(Groups<'a>),
    Sort(Sorting<'a>),
    Limit { skip: u64, left: Option<u64> },
}

struct Sorting<'a> {
    keys: &'a [SortKey],
    /// As many as are ever shown.
    kept: usize,
    /// The keys' values, and the row.
    rows: Vec<(Vec<Datum>, Vec<Datum>)>,
}

/// Go on, or nothing more is wanted.
type Flow = Result<ControlFlow<()>>;

impl<'a> Steps<'a> {
    pub(crate) fn new(steps: &'a [Step], params: &'a [Datum]) -> Steps<'a> {
        let stage = |(at, step): (usize, &'a Step)| match step {
            Step::Filter(predicate) => Stage::Filter(predicate),
            Step::Project(exprs) => Stage::Project(exprs),
            Step::Group { keys, slots } => Stage::Group(Groups::new(keys, slots, params)),
            Step::Sort(keys) => Stage::Sort(Sorting { keys, kept: kept(&steps[at + 1..]), rows: Vec::new() }),
            Step::Limit { count, offset } => Stage::Limit { skip: *offset, left: *count },
        };
        Steps { stages: steps.iter().enumerate().map(stage).collect(), params }
    }

    /// A row that comes so many times.
    pub(crate) fn push(&mut self, row: &[Datum], times: u64, out: &mut Out<'_>) -> Flow {
        through(&mut self.stages, self.params, row, times, out)
    }

    /// No more rows come.
    pub(crate) fn finish(&mut self, out: &mut Out<'_>) -> Result<()> {
        let mut stages = self.stages.as_mut_slice();
        while let Some((stage, rest)) = stages.split_first_mut() {
            let rows = match stage {
                Stage::Group(groups) => groups.take(),
                Stage::Sort(sorting) => sorting.take(),
                Stage::Filter(_) | Stage::Project(_) | Stage::Limit { .. } => Vec::new(),
            };
            for row in rows {
                if through(rest, self.params, &row, 1, out)?.is_break() {
                    break;
                }
            }
            stages = rest;
        }
        Ok(())
    }
}

/// How many rows the steps behind a sort ask for.
fn kept(behind: &[Step]) -> usize {
    let next = behind.iter().find(|step| !matches!(step, Step::Project(_)));
    match next {
        Some(Step::Limit { count: Some(count), offset }) => {
            usize::try_from(count.saturating_add(*offset)).unwrap_or(usize::MAX)
        }
        _ => usize::MAX,
    }
}

fn through(stages: &mut [Stage<'_>], params: &[Datum], row: &[Datum], times: u64, out: &mut Out<'_>) -> Flow {
    let Some((stage, rest)) = stages.split_first_mut() else {
        for _ in 0..times {
            if out(row)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        return Ok(ControlFlow::Continue(()));
    };
    match stage {
        Stage::Filter(predicate) => match passes(predicate, row, params)? {
            true => through(rest, params, row, times, out),
            false => Ok(ControlFlow::Continue(())),
        },
        Stage::Project(exprs) => {
            let row = exprs.iter().map(|expr| eval(expr, row, params)).collect::<Result<Vec<Datum>>>()?;
            through(rest, params, &row, times, out)
        }
        Stage::Group(groups) => groups.push(row, times).map(ControlFlow::Continue),
        Stage::Sort(sorting) => sorting.push(params, row, times).map(ControlFlow::Continue),
        Stage::Limit { skip, left } => {
            let skipped = times.min(*skip);
            *skip -= skipped;
            let shown = left.map_or(times - skipped, |left| left.min(times - skipped));
            *left = left.map(|left| left - shown);
            if shown > 0 && through(rest, params, row, shown, out)?.is_break() || *left == Some(0) {
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        }
    }
}

impl Sorting<'_> {
    fn push(&mut self, params: &[Datum], row: &[Datum], times: u64) -> Result<()> {
        let values = self.keys.iter().map(|key| eval(&key.expr, row, params)).collect::<Result<Vec<Datum>>>()?;
        for _ in 0..times {
            self.rows.push((values.clone(), row.to_vec()));
            if self.rows.len() > self.kept.saturating_mul(2).saturating_add(SLACK) {
                self.sort();
            }
        }
        Ok(())
    }

    /// Rows that compare as equal keep their order.
    fn sort(&mut self) {
        self.rows.sort_by(|(a, _), (b, _)| compare_rows(a, b, self.keys));
        self.rows.truncate(self.kept);
    }

    fn take(&mut self) -> Vec<Vec<Datum>> {
        self.sort();
        std::mem::take(&mut self.rows).into_iter().map(|(_, row)| row).collect()
    }
}
