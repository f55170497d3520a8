//! A projection moves below LIMIT, so that what is not shown is not sent.
//!
//! ```text
//! Project[e](Limit[n](x)) == Limit[n](Project[e](x))
//! ```
//! Always: a projection has a row for each row, in their order. Not below Sort, whose keys are over the columns that it would drop.

use super::bottom_up;
use crate::Plan;

pub(crate) fn apply(plan: Plan) -> Plan {
    bottom_up(plan, &project)
}

fn project(plan: Plan) -> Plan {
    match plan {
        Plan::Project { input, items } => match *input {
            Plan::Limit { input, count, offset } => {
                Plan::Limit { input: Box::new(project(Plan::Project { input, items })), count, offset }
            }
            input => Plan::Project { input: Box::new(input), items },
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Q, check_rule, col};

    #[test]
    fn it_goes_below_every_limit() {
        let plan = Q::scan().limit(Some(3), 0).limit(None, 1).project(&[("x", col("flags"))]);
        check_rule(super::apply, plan, "Limit ALL OFFSET 1\n  Limit 3\n    Project [flags AS x]\n      Scan");
    }
}
