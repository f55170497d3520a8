//! Conditions move towards the relation, so that a row is dropped before work is done for it.
//!
//! ```text
//! Filter[p](Filter[q](x))         == Filter[q AND p](x)
//! Filter[p](Project[e](x))        == Project[e](Filter[p over e](x))
//! Filter[p](Sort[k](x))           == Sort[k](Filter[p](x))
//! Filter[p AND q](Aggregate(x))   == Filter[q](Aggregate(Filter[p](x)))   p: over keys only, and the kernel can compute it
//! ```
//! The last needs a key: without one the Aggregate makes its one row from no rows too, and `HAVING false` must drop that row.
//! Never below Limit, which counts rows.

use super::{bottom_up, substituted};
use crate::typing::and;
use crate::{ColumnId, Expr, ExprKind, Item, Plan};

pub(crate) fn apply(plan: Plan) -> Plan {
    bottom_up(plan, &|plan| match plan {
        Plan::Filter { input, predicate } => filter(*input, predicate),
        other => other,
    })
}

/// `Filter[predicate](input)`, with the filter as low as it can stand.
fn filter(input: Plan, predicate: Expr) -> Plan {
    match input {
        Plan::Filter { input, predicate: below } => match and(vec![below.clone(), predicate.clone()], predicate.span) {
            Ok(both) => filter(*input, both),
            // Both are booleans already; nothing can be wrong with them.
            Err(_) => kept(Plan::Filter { input, predicate: below }, predicate),
        },
        Plan::Project { input, items } => {
            let columns: Vec<Expr> = items.iter().map(|item| item.expr.clone()).collect();
            match substituted(&[&predicate], &columns).and_then(|mut list| list.pop()) {
                Some(over) => Plan::Project { input: Box::new(filter(*input, over)), items },
                None => kept(Plan::Project { input, items }, predicate),
            }
        }
        Plan::Sort { input, keys } => Plan::Sort { input: Box::new(filter(*input, predicate)), keys },
        Plan::Aggregate { input, keys, aggregates } if !keys.is_empty() => {
            let (below, above) = by_keys(&predicate, &keys);
            let input = match below {
                Some(below) => Box::new(filter(*input, below)),
                None => input,
            };
            let plan = Plan::Aggregate { input, keys, aggregates };
            match above {
                Some(above) => kept(plan, above),
                None => plan,
            }
        }
        other @ (Plan::Scan { .. } | Plan::Join { .. } | Plan::Aggregate { .. } | Plan::Limit { .. }) => {
            kept(other, predicate)
        }
    }
}

fn kept(input: Plan, predicate: Expr) -> Plan {
    Plan::Filter { input: Box::new(input), predicate }
}

/// The conjuncts that the keys decide, over the aggregate's input, and the rest.
fn by_keys(predicate: &Expr, keys: &[Item]) -> (Option<Expr>, Option<Expr>) {
    let list = match &predicate.kind {
        ExprKind::And(list) => list.clone(),
        _ => vec![predicate.clone()],
    };
    let columns: Vec<Expr> = keys.iter().map(|key| key.expr.clone()).collect();
    let (mut below, mut above) = (Vec::new(), Vec::new());
    for conjunct in list {
        let of_keys = !conjunct.any(&|e| matches!(e.kind, ExprKind::Column(ColumnId(at)) if at as usize >= keys.len()));
        match substituted(&[&conjunct], &columns).and_then(|mut list| list.pop()) {
            Some(over) if of_keys && !over.needs_user_space() => below.push(over),
            _ => above.push(conjunct),
        }
    }
    let all = |list: Vec<Expr>| if list.is_empty() { None } else { and(list, predicate.span).ok() };
    (all(below), all(above))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Q, check_rule, col, eq, int, lt};

    #[test]
    fn filters_sink_to_the_scan() {
        check_rule(
            super::apply,
            Q::scan()
                .project(&[("x", col("flags"))])
                .filter(eq(col("#0 integer"), int(1)))
                .filter(lt(col("#0 integer"), int(9))),
            "Project [flags AS x]\n  Filter [flags = 1 AND flags < 9]\n    Scan",
        );
    }

    #[test]
    fn only_what_keys_decide_goes_below_an_aggregate() {
        let grouped = || Q::scan().count_by(&["flags"]);
        check_rule(
            super::apply,
            grouped().filter(crate::testing::and(eq(col("#0 integer"), int(1)), lt(int(5), col("#1 unsigned bigint")))),
            "Filter [5 < count]\n  Aggregate [count(*)] by [flags]\n    Filter [flags = 1]\n      Scan",
        );
    }

    #[test]
    fn an_aggregate_without_keys_keeps_its_having() {
        // NULL and false drop the one row above; below they would leave a row that says 0.
        for never in [crate::testing::bool(false), crate::testing::null_bool()] {
            let text = format!("Filter [{}]\n  Aggregate [count(*)]\n    Scan", never.text(&[], &[]));
            check_rule(super::apply, Q::scan().count_by(&[]).filter(never), &text);
        }
    }

    #[test]
    fn a_limit_stops_it() {
        let plan = Q::scan().limit(Some(3), 0).filter(eq(col("flags"), int(1)));
        check_rule(super::apply, plan, "Filter [flags = 1]\n  Limit 3\n    Scan");
    }
}
