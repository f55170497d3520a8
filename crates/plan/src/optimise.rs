//! The rules, in order, until none applies.
//!
//! What must hold: after every rule the output has the names and types that it had before. That the rows are the same is each rule's
//! own promise, and its tests'.

use crate::rules::{
    drop_filters, fold_constants, identities, limits, merge_projects, prune_columns, push_filters, push_into_join,
    push_projects, simplify_boolean, simplify_case, simplify_like, thread_columns,
};
use crate::{Plan, Query};
use bpfquery_diag::{Failure, Result};

/// A rule that changed the plan, and the plan after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The rule's name: that of its file.
    pub rule: &'static str,
    /// The plan as it printed then.
    pub text: String,
}

type Rule = (&'static str, fn(Plan) -> Plan);

/// Filters move first: what they move through is put into them, and is then simplified in its new place. Projections merge next, for
/// the same reason. Expressions follow, constants before everything that looks for constants, CASE before conditions because it
/// may leave one. Filters and limits that say nothing any more go last.
const RULES: [Rule; 12] = [
    ("push_filters", push_filters::apply),
    ("push_into_join", push_into_join::apply),
    ("thread_columns", thread_columns::apply),
    ("push_projects", push_projects::apply),
    ("merge_projects", merge_projects::apply),
    ("fold_constants", fold_constants::apply),
    ("identities", identities::apply),
    ("simplify_case", simplify_case::apply),
    ("simplify_like", simplify_like::apply),
    ("simplify_boolean", simplify_boolean::apply),
    ("drop_filters", drop_filters::apply),
    ("limits", limits::apply),
];

/// Once, at the end: it only sees what the others left, and nothing that it does gives them work.
const LAST: Rule = ("prune_columns", prune_columns::apply);

/// Rounds after which a plan is good enough; each round moves something strictly down or makes something strictly smaller.
const ROUNDS: usize = 16;

/// The query with every rule applied until none changes it, and which did, in order. Fails only by a mistake in a rule.
pub fn optimise(query: Query) -> Result<(Query, Vec<Applied>)> {
    let Query { mut plan, params } = query;
    let mut applied = Vec::new();
    // How many rules had changed the plan when this one last found nothing: it finds nothing until another does.
    let mut rested = [None; RULES.len()];
    for _ in 0..ROUNDS {
        let before = applied.len();
        for (rule, rested) in RULES.into_iter().zip(&mut rested) {
            let now = applied.len();
            if *rested != Some(now) {
                plan = step(plan, rule, &mut applied)?;
                *rested = (applied.len() == now).then_some(now);
            }
        }
        if applied.len() == before {
            break;
        }
    }
    let plan = step(plan, LAST, &mut applied)?;
    let query = Query { plan, params };
    Ok((query, applied))
}

fn step(plan: Plan, (name, apply): Rule, applied: &mut Vec<Applied>) -> Result<Plan> {
    let after = apply(plan.clone());
    if after == plan {
        return Ok(plan);
    }
    if after.output() != plan.output() {
        return Err(Failure::bug("optimise", format!("{name} changed the columns\nbefore:\n{plan}after:\n{after}")));
    }
    applied.push(Applied { rule: name, text: after.to_string() });
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::optimise;
    use crate::Query;
    use crate::testing::{Q, and, bool, case, col, eq, int, times};

    fn check(plan: Q, expect: &str, rules: &str) {
        let (query, applied) = optimise(Query { plan: plan.plan(), params: Vec::new() }).expect("rules are right");
        assert_eq!(query.to_string().trim_end(), expect);
        assert_eq!(applied.iter().map(|a| a.rule).collect::<Vec<_>>().join(" "), rules);
        let (again, applied) = optimise(query.clone()).expect("rules are right");
        assert_eq!((again, applied.len()), (query, 0), "what is optimised stays as it is");
    }

    #[test]
    fn a_condition_above_a_subquery_reaches_the_scan() {
        check(
            Q::scan()
                .project(&[("p", col("pid")), ("f", case(&[(bool(true), col("flags"))], int(3)))])
                .filter(and(eq(col("#1 integer"), times(int(2), int(4))), bool(true)))
                .project(&[("p", col("#0 unsigned integer"))]),
            "Project [pid AS p]\n  Filter [flags = 8]\n    Scan tracepoint.t.e [pid: unsigned integer, flags: integer @32]",
            "push_filters merge_projects fold_constants simplify_case simplify_boolean prune_columns",
        );
    }

    #[test]
    fn having_over_a_key_is_a_where() {
        check(
            Q::scan().count_by(&["flags"]).filter(eq(col("#0 integer"), int(3))),
            "Aggregate [count(*)] by [flags]\n  Filter [flags = 3]\n    Scan tracepoint.t.e [flags: integer @32]",
            "push_filters prune_columns",
        );
    }
}
