//! Cuts an optimised query in two: what runs on every event, and what runs on what comes out.
//!
//! What must hold: the kernel half holds only what fits registers and memory (no double, no decimal); every column that the user
//! half names is a field that the kernel half fills; nothing is sent twice, and nothing that nobody uses. Not checked: that the
//! program is small enough to load; the budgets are codegen's.

mod cost;
mod domain;
mod fields;
mod groups;
mod join;
mod listing;
mod rows;
mod steps;
mod stores;
mod task_storage;

pub use groups::MAX_GROUPS;
pub use task_storage::task_storage;

use crate::{Applied, ColumnId, Expr, ExprKind, Fragment, Output, OutputColumn, Plan, Query, Split};
use bpfquery_catalog::{Hook, Relation, SqlType};
use bpfquery_diag::{Diagnostic, Failure, Result, Span};
use std::sync::Arc;

/// Nodes of one expression: far above what a person writes, far below what a program of 65536 instructions between two jumps holds.
const LARGEST: usize = 16384;

/// Cuts a query in two. Fails where the query asks for what neither half can do: a column that is a struct, the order of a
/// stream without an end, an aggregate of doubles or of another aggregate.
pub fn split(query: &Query) -> Result<Split> {
    split_with(query, None)
}

/// The same with so many groups in the hash as are asked for.
pub fn split_with(query: &Query, max_groups: Option<u32>) -> Result<Split> {
    if let Some((listing, used, width)) = listing::read_by(query) {
        return listing::split(query, listing, used, width);
    }
    let output = outputs(&query.plan)?;
    let mut operators = bottom_up(&query.plan).into_iter();
    let (mut kernel, join) = match operators.next() {
        Some(Plan::Scan { relation, span, .. }) => (Kernel::new(relation.clone(), *span), None),
        Some(plan @ Plan::Join { .. }) => {
            let join = join::Join::of(plan)?;
            (join.kernel(), Some(join))
        }
        _ => return Err(Failure::bug("split", "a plan that reads nothing")),
    };
    let mut rest = Vec::new();
    let mut aggregate = None;
    for operator in operators.by_ref() {
        kernel.check_size(operator)?;
        match operator {
            Plan::Filter { predicate, .. } => kernel.filter.extend(conjuncts(&predicate.substitute(&kernel.columns))),
            Plan::Project { items, .. } => {
                kernel.columns = items.iter().map(|item| item.expr.substitute(&kernel.columns)).collect();
                kernel.names = items.iter().map(|item| item.name.clone()).collect();
            }
            Plan::Aggregate { .. } => {
                aggregate = Some(operator);
                break;
            }
            Plan::Sort { .. } | Plan::Limit { .. } | Plan::Scan { .. } | Plan::Join { .. } => {
                rest.push(operator);
                break;
            }
        }
    }
    rest.extend(operators);
    let (fragment, user) = match aggregate {
        Some(Plan::Aggregate { keys, aggregates, .. }) => {
            groups::groups(kernel, keys, aggregates, &rest, output, max_groups)?
        }
        _ => rows::rows(kernel, &rest, output)?,
    };
    let kernel = match join {
        Some(join) => join.fragments(fragment)?.to_vec(),
        None => vec![fragment],
    };
    Ok(Split { kernel, user, params: query.params.clone() })
}

/// The rule that chose where groups lie, if one did, and the split as it printed then.
pub fn chosen_store(split: &Split) -> Option<Applied> {
    let rule = |fragment: &Fragment| match fragment.output {
        Output::Groups { rule, .. } => rule,
        _ => None,
    };
    let rule = split.kernel.iter().find_map(rule)?;
    Some(Applied { rule, text: split.to_string() })
}

/// The kernel half while it grows: expressions over the relation's columns.
struct Kernel {
    relation: Arc<Relation>,
    span: Span,
    /// The current operator's output.
    columns: Vec<Expr>,
    /// The names of that output.
    names: Vec<String>,
    /// Conditions so far.
    filter: Vec<Expr>,
}

impl Kernel {
    fn new(relation: Arc<Relation>, span: Span) -> Kernel {
        let column = |(at, ty): (u32, &SqlType)| Expr::new(ExprKind::Column(ColumnId(at)), ty.clone(), span);
        let columns = (0..).zip(relation.columns.iter().map(|c| &c.ty)).map(column).collect();
        let names = relation.columns.iter().map(|c| c.name.clone()).collect();
        Kernel { relation, span, columns, names, filter: Vec::new() }
    }

    /// Fails if putting the columns into the operator's expressions makes one too large to compile.
    fn check_size(&self, operator: &Plan) -> Result<()> {
        let sizes: Vec<usize> = self.columns.iter().map(Expr::size).collect();
        match operator.exprs().into_iter().find(|e| e.size_over(&sizes) > LARGEST) {
            Some(expr) => Err(Diagnostic::new("too-large", expr.span, "this expression is too large to compile")
                .detail(format!("with those of its subqueries in place it has more than {LARGEST} parts"))
                .into()),
            None => Ok(()),
        }
    }

    /// Whether the relation's rows end by themselves.
    fn is_bounded(&self) -> bool {
        self.relation.hook == Hook::Once
    }
}

/// The operators, the scan first.
fn bottom_up(plan: &Plan) -> Vec<&Plan> {
    let mut list: Vec<&Plan> = std::iter::successors(Some(plan), |plan| plan.input()).collect();
    list.reverse();
    list
}

/// The operands of an AND, or the expression; TRUE is none.
fn conjuncts(expr: &Expr) -> Vec<Expr> {
    match &expr.kind {
        ExprKind::And(list) => list.iter().flat_map(conjuncts).collect(),
        ExprKind::Literal(crate::Datum::Bool(true)) => Vec::new(),
        _ => vec![expr.clone()],
    }
}

fn not_in_kernel(expr: &Expr, clause: &str) -> Diagnostic {
    let diagnostic =
        Diagnostic::new("needs-user-space", expr.span, format!("{clause} cannot be computed in the kernel"));
    if expr.any(&|e| matches!(e.ty, SqlType::Double | SqlType::Decimal | SqlType::Histogram { .. })) {
        diagnostic
            .detail("double precision and decimal(38,0) exist in user space only, after grouping")
            .help("compute with integers there: 2 * x > 3 for x > 1.5")
    } else if expr.any(&Expr::has_free_pattern) {
        diagnostic
            .detail("the kernel matches constant patterns of up to 63 characters behind their start")
            .help("write the pattern into the query")
    } else {
        diagnostic
    }
}

/// The result's columns, each of which must be a value.
fn outputs(plan: &Plan) -> Result<Vec<OutputColumn>> {
    let columns = plan.output();
    if let Some(at) = columns.iter().position(|(_, ty)| !ty.is_output()) {
        let (name, ty) = &columns[at];
        return Err(memory(name, ty, output_span(plan, at)).into());
    }
    Ok(columns.into_iter().map(|(name, ty)| OutputColumn { name, ty }).collect())
}

fn memory(name: &str, ty: &SqlType, span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::new("no-value", span, format!("column \"{name}\" is {}", describe(ty)));
    match ty {
        SqlType::Struct(_) => diagnostic.help("name one of its members"),
        _ => diagnostic.help("arrays that are not text are not supported yet"),
    }
}

fn describe(ty: &SqlType) -> String {
    match ty {
        SqlType::Struct(_) => format!("a {ty}, not a value"),
        _ => format!("an array ({ty}), not a value"),
    }
}

/// Where the expression of an output column stands.
fn output_span(plan: &Plan, at: usize) -> Span {
    match plan {
        Plan::Scan { span, .. } | Plan::Join { span, .. } => *span,
        Plan::Filter { input, .. } | Plan::Sort { input, .. } | Plan::Limit { input, .. } => output_span(input, at),
        Plan::Project { items, .. } => items.get(at).map(|i| i.expr.span).unwrap_or_default(),
        Plan::Aggregate { keys, aggregates, .. } => {
            let keys = keys.iter().map(|k| k.expr.span);
            keys.chain(aggregates.iter().map(|c| c.span)).nth(at).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests;
