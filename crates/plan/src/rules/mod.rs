//! Rewriting rules: a file each, with its equation and the condition under which it holds.
//!
//! What must hold: a rule keeps the names and types of the output (`optimise` checks it), and the rows, NULLs included. A rule that
//! does not apply returns the plan as it was.

pub(crate) mod drop_filters;
pub(crate) mod fold_constants;
pub(crate) mod identities;
pub(crate) mod known_fields;
pub(crate) mod limits;
pub(crate) mod merge_projects;
pub(crate) mod prune_columns;
pub(crate) mod push_filters;
pub(crate) mod push_into_join;
pub(crate) mod push_projects;
pub(crate) mod simplify_boolean;
pub(crate) mod simplify_case;
pub(crate) mod simplify_like;
pub(crate) mod thread_columns;

#[cfg(test)]
mod property;

use crate::{Expr, Plan};

/// Nodes that an expression may grow to when others are put into it; beyond, it is left in its own operator.
const LARGEST: usize = 4096;

/// Rewrites every operator, inputs first.
fn bottom_up(plan: Plan, f: &impl Fn(Plan) -> Plan) -> Plan {
    let below = |input: Box<Plan>| Box::new(bottom_up(*input, f));
    f(match plan {
        Plan::Scan { .. } => plan,
        Plan::Join { held, probe, holds, names, reads, span } => {
            Plan::Join { held: below(held), probe: below(probe), holds, names, reads, span }
        }
        Plan::Filter { input, predicate } => Plan::Filter { input: below(input), predicate },
        Plan::Project { input, items } => Plan::Project { input: below(input), items },
        Plan::Aggregate { input, keys, aggregates } => Plan::Aggregate { input: below(input), keys, aggregates },
        Plan::Sort { input, keys } => Plan::Sort { input: below(input), keys },
        Plan::Limit { input, count, offset } => Plan::Limit { input: below(input), count, offset },
    })
}

/// Rewrites every node of every expression, operands first. `f` also gets whether each column of the operator's input may be NULL.
fn every_expr(plan: Plan, f: &impl Fn(Expr, &[bool]) -> Expr) -> Plan {
    bottom_up(plan, &|mut plan| {
        let nullable = plan.input().map(Plan::nullable).unwrap_or_default();
        for expr in plan.exprs_mut() {
            expr.rewrite(&mut |node| f(node, &nullable));
        }
        plan
    })
}

/// The expressions with their columns replaced, unless that makes one too large.
fn substituted(exprs: &[&Expr], columns: &[Expr]) -> Option<Vec<Expr>> {
    let sizes: Vec<usize> = columns.iter().map(Expr::size).collect();
    exprs.iter().all(|e| e.size_over(&sizes) <= LARGEST).then(|| exprs.iter().map(|e| e.substitute(columns)).collect())
}
