//! What a condition costs in the kernel, so that the cheapest is asked first.
//!
//! Any order gives the same rows: evaluating a condition changes nothing but the counters of faulted reads, and a row passes only if
//! all conditions are true. The unit is about an instruction; only the order matters.

use crate::{Datum, Expr, ExprKind};
use bpfquery_catalog::{Access, Builtin, Relation};

/// Cheapest first; equals stay in the query's order.
pub(super) fn cheapest_first(mut filter: Vec<Expr>, relation: &Relation) -> Vec<Expr> {
    filter.sort_by_cached_key(|expr| cost(expr, relation));
    filter
}

fn cost(expr: &Expr, relation: &Relation) -> u32 {
    let own = match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Param(_) => 0,
        ExprKind::Column(id) => relation.columns.get(id.0 as usize).map_or(0, |c| access(&c.access)),
        ExprKind::Unary(_, _)
        | ExprKind::Arith(_, _, _)
        | ExprKind::And(_)
        | ExprKind::Or(_)
        | ExprKind::IsNull(_)
        | ExprKind::Case { .. }
        | ExprKind::Coalesce(_)
        | ExprKind::Cast(_) => 1,
        ExprKind::Compare(_, a, _) if a.ty.is_text() => 20,
        ExprKind::Compare(_, _, _) => 1,
        // A start is compared like a text; beyond, each byte is looked up.
        ExprKind::Like(_, how, pattern) => match &pattern.kind {
            ExprKind::Literal(Datum::Text(text)) if how.parse(text).is_some_and(|p| p.start().is_some()) => 20,
            _ => 150,
        },
        ExprKind::Bucket(_) => 20,
        ExprKind::Tumble { .. } => 30,
        ExprKind::Field { .. } => 100,
        ExprKind::ReadText(_) => 200,
    };
    expr.children().into_iter().fold(own, |sum, child| sum.saturating_add(cost(child, relation)))
}

fn access(access: &Access) -> u32 {
    match access {
        Access::Context { size, .. } => {
            if *size > 8 {
                100
            } else {
                1
            }
        }
        Access::DataLocation { .. } => 200,
        Access::Member { .. } => 100,
        Access::Listed { .. } | Access::Unreachable => 0,
        // A load; it has been found already.
        Access::Held { .. } => 1,
        Access::Builtin(builtin) => match builtin {
            Builtin::Probe => 1,
            Builtin::Pid | Builtin::Tid | Builtin::Uid | Builtin::Gid | Builtin::Cpu => 10,
            Builtin::Ts | Builtin::Elapsed | Builtin::CgroupId => 20,
            Builtin::Comm => 30,
            Builtin::Ppid => 200,
        },
    }
}
