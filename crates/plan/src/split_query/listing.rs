//! Queries that user space answers alone: their rows are what is known of the kernel.
//!
//! ```text
//! Aggregate[k, f](x) == Project[k, finish f](Group[k, slots of f](x))
//! ```
//! What must hold: no step reads the kernel's memory or its clock; the steps do what the operators say, in their order.

use super::fields::{column, is_identity};
use super::groups::behind_keys;
use super::steps::Steps;
use super::{bottom_up, outputs};
use crate::aggregates::Slots;
use crate::{AggregateCall, ColumnId, Expr, ExprKind, Item, Plan, Query, Source, Split, Step, UserPlan};
use bpfquery_catalog::{Hook, Listing};
use bpfquery_diag::{Diagnostic, Result, Span};

/// Which listing a query reads, if it reads one.
pub(super) fn read_by(query: &Query) -> Option<(Listing, &[ColumnId], usize)> {
    match bottom_up(&query.plan).first() {
        Some(Plan::Scan { relation, used, .. }) => match relation.hook {
            Hook::Listing(listing) => Some((listing, used, relation.columns.len())),
            _ => None,
        },
        _ => None,
    }
}

/// The query with nothing for the kernel to do.
pub(super) fn split(query: &Query, listing: Listing, used: &[ColumnId], width: usize) -> Result<Split> {
    let output = outputs(&query.plan)?;
    let operators = bottom_up(&query.plan);
    operators.iter().flat_map(|operator| operator.exprs()).try_for_each(check)?;
    let mut steps = Steps::new(vec![false; width]);
    let mut grouped = false;
    for operator in operators.iter().skip(1) {
        match operator {
            Plan::Aggregate { input, keys, aggregates } if !grouped => {
                grouped = true;
                group(input, keys, aggregates, &mut steps)?;
            }
            other => steps.operators(&[other])?,
        }
    }
    let user = UserPlan { source: Source::Listing { listing, used: used.to_vec() }, steps: steps.done(), output };
    Ok(Split { kernel: Vec::new(), user, params: query.params.clone() })
}

fn group(input: &Plan, keys: &[Item], aggregates: &[AggregateCall], steps: &mut Steps) -> Result<()> {
    let mut slots = Slots::over(input.nullable());
    let finish: Vec<Expr> = aggregates.iter().map(|call| call.function.definition().expand(call, &mut slots)).collect();
    let width = keys.len() + slots.list.len();
    let mut project: Vec<Expr> = keys.iter().enumerate().map(|(i, k)| column(i, &k.expr.ty, k.expr.span)).collect();
    project.extend(finish.iter().map(|f| behind_keys(f, keys.len())));
    let keys = keys.iter().map(|key| key.expr.clone()).collect();
    steps.push(Step::Group { keys, slots: slots.list })?;
    if is_identity(&project, width) { Ok(()) } else { steps.push(Step::Project(project)) }
}

/// Refuses what only an event has.
fn check(expr: &Expr) -> Result<()> {
    let mut found: Option<(&str, Span)> = None;
    expr.walk(&mut |e| match e.kind {
        ExprKind::Tumble { .. } => {
            found = found.or(Some(("there are no windows of what does not happen in time", e.span)))
        }
        ExprKind::ReadText(_) | ExprKind::Field { .. } => {
            found = found.or(Some(("the kernel's memory is not read for what is known of it", e.span)));
        }
        _ => {}
    });
    match found {
        Some((fact, span)) => Err(Diagnostic::new("needs-kernel", span, fact)
            .detail("information_schema is answered in user space, without a program in the kernel")
            .into()),
        None => Ok(()),
    }
}
