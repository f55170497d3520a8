//! Where one kernel is compiled for, it is known which fields it has.
//!
//! ```text
//! p -> f asked for == p -> f     the kernel has it
//! p -> f missing   == NULL       the kernel does not
//! ```

use super::every_expr;
use crate::{Applied, Datum, Expr, ExprKind, Query};
use bpfquery_catalog::Presence;
use std::cell::Cell;

/// The rule's name.
const NAME: &str = "known_fields";

/// The query for the kernel that it was bound on alone; and what was done.
pub fn known_fields(query: Query) -> (Query, Option<Applied>) {
    let changed = Cell::new(false);
    let Query { plan, params } = query;
    let plan = every_expr(plan, &|expr, _| known(expr, &changed));
    let applied = changed.get().then(|| Applied { rule: NAME, text: plan.to_string() });
    (Query { plan, params }, applied)
}

fn known(mut expr: Expr, changed: &Cell<bool>) -> Expr {
    let ExprKind::Field { path, .. } = &mut expr.kind else { return expr };
    match path.presence {
        Presence::Sure => return expr,
        Presence::Asked => path.presence = Presence::Sure,
        Presence::Missing(_) => expr.kind = ExprKind::Literal(Datum::Null),
    }
    changed.set(true);
    expr
}
