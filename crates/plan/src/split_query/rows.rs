//! Rows that are sent one by one.

use super::fields::{Fields, fits, is_identity, may_be_cut};
use super::steps::Steps;
use super::{Kernel, cost};
use crate::{Expr, ExprKind, Fragment, Output, OutputColumn, Plan, Source, Step, UserPlan};
use bpfquery_diag::{Diagnostic, Result};

/// Bytes of a record: its fields are stored at offsets of 16 bits, signed (`struct bpf_insn`, include/uapi/linux/bpf.h).
const LARGEST_RECORD: u32 = 32 << 10;

/// The two halves of a query without grouping; `rest` are the operators from the first Sort or Limit on.
pub(super) fn rows(kernel: Kernel, rest: &[&Plan], output: Vec<OutputColumn>) -> Result<(Fragment, UserPlan)> {
    if let Some(Plan::Sort { keys, .. }) = rest.iter().find(|plan| matches!(plan, Plan::Sort { .. }))
        && !kernel.is_bounded()
    {
        return Err(unbounded(keys.first().map(|key| &key.expr), &kernel).into());
    }
    let mut fields = Fields { send_constants: kernel.is_bounded(), ..Fields::default() };
    let (user_filter, filter): (Vec<Expr>, Vec<Expr>) = kernel.filter.iter().cloned().partition(Expr::needs_user_space);
    let mut project = Vec::new();
    for (expr, name) in kernel.columns.iter().zip(&kernel.names) {
        let cut = fields.cut(expr, name, &kernel.relation)?;
        if let ExprKind::Column(id) = cut.kind {
            fields.rename(id.0 as usize, name);
        }
        project.push(cut);
    }
    let mut conditions = Vec::new();
    for predicate in &user_filter {
        conditions.push(fields.cut(predicate, "condition", &kernel.relation)?);
    }
    fields.or_existence(kernel.span);
    let cut: Vec<bool> = fields.values.iter().map(|v| may_be_cut(v, &kernel.relation)).collect();
    let mut steps = Steps::new(cut);
    for condition in conditions {
        steps.push(Step::Filter(condition))?;
    }
    if !is_identity(&project, fields.values.len()) {
        steps.push(Step::Project(project))?;
    }
    steps.operators(rest)?;
    let nullable: Vec<bool> = kernel.relation.columns.iter().map(crate::column_nullable).collect();
    let layout = fields.layout(&nullable)?;
    fits(&layout, LARGEST_RECORD, "a row", kernel.span)?;
    let types = fields.values.iter().map(|value| value.ty.clone()).collect();
    let user = UserPlan { source: Source::Rows { layout: layout.clone(), types }, steps: steps.done(), output };
    let filter = cost::cheapest_first(filter, &kernel.relation);
    let output = Output::Rows { layout, values: fields.values };
    Ok((Fragment { relation: kernel.relation, matched: None, filter, output, span: kernel.span }, user))
}

fn unbounded(key: Option<&Expr>, kernel: &Kernel) -> Diagnostic {
    let span = key.map_or(kernel.span, |key| key.span);
    Diagnostic::new("unbounded-order", span, format!("{} has no last row to order by", kernel.relation.name))
        .detail("ORDER BY waits for all rows, and rows of this relation come for as long as the query runs")
        .help("leave ORDER BY out: rows come as they happen")
        .help("or group the rows: SELECT comm, count(*) … GROUP BY comm ORDER BY count(*) DESC")
}
