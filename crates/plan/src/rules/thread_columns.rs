//! What a thread never changes is the later row's: then nothing of it is held.
//!
//! ```text
//! f(e.pid, e.tid) over Join(e, x) == f(x.pid, x.tid) over Join(e, x)
//! ```
//! Both rows are of one thread, whose process never changes; and that the tids are equal is what the join asks for. Names, users, groups,
//! parents and cgroups of a thread change, so those are held.

use super::bottom_up;
use super::push_into_join::{builtin, is_constant, position};
use crate::{ColumnId, ExprKind, Plan};

pub(crate) fn apply(plan: Plan) -> Plan {
    bottom_up(plan, &|mut plan| {
        let Some((held, probe)) = join_below(&plan) else { return plan };
        let first = held.output().len();
        let moved: Vec<Option<u32>> = (0..first)
            .map(|at| builtin(held, at).filter(is_constant).and_then(|found| position(probe, found)))
            .map(|at| at.and_then(|at| u32::try_from(first).ok()?.checked_add(at)))
            .collect();
        for expr in plan.exprs_mut() {
            expr.rewrite(&mut |mut e| {
                if let ExprKind::Column(id) = &mut e.kind
                    && let Some(Some(now)) = moved.get(id.0 as usize)
                {
                    *id = ColumnId(*now);
                }
                e
            });
        }
        plan
    })
}

/// The two sides of the join whose columns the operator's expressions name.
fn join_below(plan: &Plan) -> Option<(&Plan, &Plan)> {
    match plan.input()? {
        Plan::Join { held, probe, .. } => Some((held, probe)),
        filter @ Plan::Filter { .. } => join_below(filter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Q, check_rule, col, eq};

    #[test]
    fn only_what_never_changes() {
        check_rule(
            super::apply,
            Q::join().filter(eq(col("e.pid"), col("e.cpu"))).project(&[("a", col("e.pid")), ("b", col("e.comm"))]),
            "Project [x.pid AS a, e.comm AS b]\n  Filter [x.pid = e.cpu]\n    Join [e by x on thread]\n      Scan\n      Scan",
        );
    }
}
