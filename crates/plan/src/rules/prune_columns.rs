//! What nobody uses is not computed, and not fetched.
//!
//! ```text
//! Project[e, f](x) == Project[e](x);  Aggregate[e, f](x) == Aggregate[e](x)     f: used by no operator above, and not shown
//! Scan[all](r)     == Scan[those used](r);  Join[all](h, p) == Join[those used](h, p)
//! ```
//! Grouping keys stay: they say which rows are one group. A scan keeps the positions of its columns; others move up, and the
//! expressions above with them.

use crate::{ColumnId, Expr, ExprKind, Plan};
use std::collections::BTreeSet;

pub(crate) fn apply(plan: Plan) -> Plan {
    let all = (0..plan.output().len()).collect();
    prune(plan, &all).0
}

/// Where each kept column of an output stands now, by where it stood.
type Moved = Vec<Option<u32>>;

/// The plan without what is neither needed nor used; at least the needed columns stay.
fn prune(plan: Plan, needed: &BTreeSet<usize>) -> (Plan, Moved) {
    match plan {
        Plan::Scan { relation, span, .. } => {
            let used = needed.iter().filter_map(|&at| u32::try_from(at).ok()).map(ColumnId).collect();
            let moved = (0..).take(relation.columns.len()).map(Some).collect();
            (Plan::Scan { relation, used, span }, moved)
        }
        Plan::Join { held, probe, holds, names, reads, span } => {
            let needed = with(needed, &holds);
            let first = held.output().len();
            let all = first + probe.output().len();
            let (held, _) = prune(*held, &needed.range(..first).copied().collect());
            let (probe, _) = prune(*probe, &needed.range(first..).map(|at| at - first).collect());
            // What is below are scans and filters, whose columns keep their positions.
            let moved = (0..).take(all).map(Some).collect();
            (Plan::Join { held: Box::new(held), probe: Box::new(probe), holds, names, reads, span }, moved)
        }
        Plan::Filter { input, mut predicate } => {
            let (input, moved) = prune(*input, &with(needed, [&predicate]));
            rename(&mut predicate, &moved);
            (Plan::Filter { input: Box::new(input), predicate }, moved)
        }
        Plan::Sort { input, mut keys } => {
            let (input, moved) = prune(*input, &with(needed, keys.iter().map(|key| &key.expr)));
            keys.iter_mut().for_each(|key| rename(&mut key.expr, &moved));
            (Plan::Sort { input: Box::new(input), keys }, moved)
        }
        Plan::Limit { input, count, offset } => {
            let (input, moved) = prune(*input, needed);
            (Plan::Limit { input: Box::new(input), count, offset }, moved)
        }
        Plan::Project { input, items } => {
            let (mut items, moved) = keep(items, needed, 0);
            let (input, below) = prune(*input, &with(&BTreeSet::new(), items.iter().map(|item| &item.expr)));
            items.iter_mut().for_each(|item| rename(&mut item.expr, &below));
            (Plan::Project { input: Box::new(input), items }, moved)
        }
        Plan::Aggregate { input, keys, aggregates } => {
            let (aggregates, moved) = keep(aggregates, needed, keys.len());
            let mut plan = Plan::Aggregate { input, keys, aggregates };
            let used = with(&BTreeSet::new(), plan.exprs());
            let mut below = Vec::new();
            if let Plan::Aggregate { input, .. } = &mut plan {
                let (pruned, moved) = prune((**input).clone(), &used);
                **input = pruned;
                below = moved;
            }
            plan.exprs_mut().into_iter().for_each(|expr| rename(expr, &below));
            (plan, moved)
        }
    }
}

/// The needed ones of a list whose columns stand behind `before` others, and where all columns stand now.
fn keep<T>(list: Vec<T>, needed: &BTreeSet<usize>, before: usize) -> (Vec<T>, Moved) {
    let mut moved: Moved = (0..).take(before).map(Some).collect();
    let mut kept = Vec::new();
    for (at, item) in list.into_iter().enumerate() {
        if needed.contains(&(before + at)) {
            moved.push(u32::try_from(before + kept.len()).ok());
            kept.push(item);
        } else {
            moved.push(None);
        }
    }
    (kept, moved)
}

/// The columns that the expressions use, and those needed anyway.
fn with<'a>(needed: &BTreeSet<usize>, exprs: impl IntoIterator<Item = &'a Expr>) -> BTreeSet<usize> {
    let mut all = needed.clone();
    for expr in exprs {
        expr.walk(&mut |e| {
            if let ExprKind::Column(ColumnId(at)) = e.kind {
                all.insert(at as usize);
            }
        });
    }
    all
}

fn rename(expr: &mut Expr, moved: &Moved) {
    expr.rewrite(&mut |mut e| {
        if let ExprKind::Column(id) = &mut e.kind
            && let Some(Some(now)) = moved.get(id.0 as usize)
        {
            *id = ColumnId(*now);
        }
        e
    });
}

#[cfg(test)]
mod tests {
    use crate::testing::{Q, col, eq, int};

    fn check(plan: Q, expect: &str) {
        let before = plan.plan();
        let after = super::apply(before.clone());
        assert_eq!(before.output(), after.output());
        assert_eq!(after.to_string().trim_end(), expect);
    }

    #[test]
    fn a_scan_fetches_what_is_used() {
        check(
            Q::scan().filter(eq(col("flags"), int(1))).project(&[("pid", col("pid"))]),
            "Project [pid]\n  Filter [flags = 1]\n    Scan tracepoint.t.e [pid: unsigned integer, flags: integer @32]",
        );
    }

    #[test]
    fn unused_columns_go_and_the_others_move() {
        check(
            Q::scan()
                .project(&[("a", col("pid")), ("b", col("flags")), ("c", col("cpu"))])
                .limit(Some(1), 0)
                .project(&[("c", col("#2 unsigned integer"))]),
            "Project [c]\n  Limit 1\n    Project [cpu AS c]\n      Scan tracepoint.t.e [cpu: unsigned integer]",
        );
    }

    #[test]
    fn keys_stay_where_nobody_shows_them() {
        check(
            Q::scan().count_by(&["flags"]).project(&[("n", col("#1 unsigned bigint"))]),
            "Project [count AS n]\n  Aggregate [count(*)] by [flags]\n    Scan tracepoint.t.e [flags: integer @32]",
        );
        check(
            Q::scan().count_by(&["flags"]).project(&[("f", col("#0 integer"))]),
            "Project [flags AS f]\n  Aggregate [] by [flags]\n    Scan tracepoint.t.e [flags: integer @32]",
        );
    }
}
