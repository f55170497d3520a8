//! Limits that add up, ask nothing, or leave nothing.
//!
//! ```text
//! Limit[n, o](Limit[m, p](x)) == Limit[min(n, m - o), p + o](x)
//! Limit[ALL, 0](x) == x
//! Limit[0](Sort(x)) == Limit[0](x)
//! ```

use super::bottom_up;
use crate::Plan;

pub(crate) fn apply(plan: Plan) -> Plan {
    bottom_up(plan, &|plan| match plan {
        Plan::Limit { input, count: None, offset: 0 } => *input,
        Plan::Limit { input, count, offset } => limit(*input, count, offset),
        other => other,
    })
}

fn limit(input: Plan, count: Option<u64>, offset: u64) -> Plan {
    match input {
        Plan::Limit { input, count: inner, offset: first } => {
            let left = inner.map(|m| m.saturating_sub(offset));
            let count = match (count, left) {
                (Some(n), Some(m)) => Some(n.min(m)),
                (one, other) => one.or(other),
            };
            Plan::Limit { input, count, offset: first.saturating_add(offset) }
        }
        Plan::Sort { input, .. } if count == Some(0) => Plan::Limit { input, count, offset },
        other => Plan::Limit { input: Box::new(other), count, offset },
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Q, check_rule, col};

    #[test]
    fn limits_add_up() {
        let two = |n, o, m, p| Q::scan().limit(m, p).limit(n, o);
        check_rule(super::apply, two(Some(5), 2, Some(4), 1), "Limit 2 OFFSET 3\n  Scan");
        check_rule(super::apply, two(Some(5), 2, Some(1), 0), "Limit 0 OFFSET 2\n  Scan");
        check_rule(super::apply, two(None, 2, Some(4), 0), "Limit 2 OFFSET 2\n  Scan");
        check_rule(super::apply, two(Some(3), 0, None, 1), "Limit 3 OFFSET 1\n  Scan");
        check_rule(super::apply, Q::scan().limit(None, 0), "Scan");
    }

    #[test]
    fn nothing_needs_no_order() {
        check_rule(super::apply, Q::scan().sort(col("pid")).limit(Some(0), 0), "Limit 0\n  Scan");
        check_rule(super::apply, Q::scan().sort(col("pid")).limit(Some(1), 0), "Limit 1\n  Sort [pid]\n    Scan");
    }
}
