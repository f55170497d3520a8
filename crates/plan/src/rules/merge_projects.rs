//! One projection where two stood, and none where one changes nothing.
//!
//! ```text
//! Project[e](Project[f](x)) == Project[e over f](x)
//! Project[all columns, in order, by their names](x) == x
//! Aggregate[e](Project[f](x)) == Aggregate[e over f](x)
//! ```
//! Condition: no expression grows too large. Computing twice what stood once costs nothing in the kernel: equal reads are known as
//! equal there.

use super::{bottom_up, substituted};
use crate::{ColumnId, Expr, ExprKind, Item, Plan};

pub(crate) fn apply(plan: Plan) -> Plan {
    bottom_up(plan, &|plan| {
        let merged = match plan {
            Plan::Project { .. } | Plan::Aggregate { .. } => merge(plan),
            other => other,
        };
        match merged {
            Plan::Project { input, items } if is_identity(&items, &input) => *input,
            other => other,
        }
    })
}

fn merge(mut plan: Plan) -> Plan {
    let Some(Plan::Project { input, items }) = plan.input() else { return plan };
    let columns: Vec<Expr> = items.iter().map(|item| item.expr.clone()).collect();
    let Some(exprs) = substituted(&plan.exprs(), &columns) else { return plan };
    let below = (**input).clone();
    for (slot, expr) in plan.exprs_mut().into_iter().zip(exprs) {
        *slot = expr;
    }
    if let Some(input) = plan.input_mut() {
        *input = below;
    }
    plan
}

fn is_identity(items: &[Item], input: &Plan) -> bool {
    let columns = input.output();
    let same = |(at, (item, (name, _))): (usize, (&Item, &(String, _)))| {
        item.name == *name && matches!(item.expr.kind, ExprKind::Column(ColumnId(id)) if id as usize == at)
    };
    items.len() == columns.len() && items.iter().zip(&columns).enumerate().all(same)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Q, check_rule, col, int, plus};

    #[test]
    fn two_become_one() {
        let plan =
            Q::scan().project(&[("a", plus(col("flags"), int(1)))]).project(&[("b", plus(col("#0 bigint"), int(2)))]);
        check_rule(super::apply, plan, "Project [flags + 1 + 2 AS b]\n  Scan");
    }

    #[test]
    fn what_changes_nothing_goes() {
        let plan = Q::scan()
            .count_by(&["flags"])
            .project(&[("flags", col("#0 integer")), ("count", col("#1 unsigned bigint"))]);
        check_rule(super::apply, plan, "Aggregate [count(*)] by [flags]\n  Scan");
        let renames =
            Q::scan().count_by(&["flags"]).project(&[("flags", col("#0 integer")), ("n", col("#1 unsigned bigint"))]);
        check_rule(super::apply, renames, "Project [flags, count AS n]\n  Aggregate [count(*)] by [flags]\n    Scan");
    }

    #[test]
    fn doubling_again_and_again_stops() {
        let mut plan = Q::scan().project(&[("a", plus(col("flags"), int(0)))]);
        for _ in 0..40 {
            plan = plan.project(&[("a", plus(col("#0 bigint"), col("#0 bigint")))]);
        }
        let largest = super::apply(plan.plan()).exprs().iter().map(|e| e.size()).max();
        assert!(largest <= Some(super::super::LARGEST), "{largest:?}");
    }
}
