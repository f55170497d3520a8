//! A condition that is always true asks nothing.
//!
//! ```text
//! Filter[true](x) == x
//! ```
//! `Filter[NULL]` is none of these: it drops every row.

use super::bottom_up;
use crate::{Datum, ExprKind, Plan};

pub(crate) fn apply(plan: Plan) -> Plan {
    bottom_up(plan, &|plan| match plan {
        Plan::Filter { input, predicate } if predicate.kind == ExprKind::Literal(Datum::Bool(true)) => *input,
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Q, bool, check_rule, null_bool};

    #[test]
    fn true_goes_and_null_stays() {
        check_rule(super::apply, Q::scan().filter(bool(true)).limit(Some(1), 0), "Limit 1\n  Scan");
        check_rule(super::apply, Q::scan().filter(null_bool()), "Filter [NULL]\n  Scan");
        check_rule(super::apply, Q::scan().filter(bool(false)), "Filter [false]\n  Scan");
    }
}
