//! What depends on nothing is computed now, by the evaluator that computes it later.
//!
//! ```text
//! op(constants)   == its value            every operator; parameters are no constants
//! op(…, NULL, …)  == NULL                 strict operators: arithmetic, comparison, LIKE, cast, bucket, -x, ~x, NOT x, reads
//! x::t::t         == x::t                 and x::t == x where x is of type t
//! ```
//! A text that does not fit the type that it is cast to stays a cast: a constant could not tell that it was cut.

use super::every_expr;
use crate::{Datum, Expr, ExprKind, Plan, eval::eval};
use bpfquery_catalog::SqlType;

pub(crate) fn apply(plan: Plan) -> Plan {
    every_expr(plan, &|expr, _| fold(expr))
}

pub(super) fn fold(expr: Expr) -> Expr {
    let (ty, span) = (expr.ty.clone(), expr.span);
    let literal = |value: Datum| Expr::new(ExprKind::Literal(value), ty.clone(), span);
    match &expr.kind {
        // The places and the clock that these read are not known now; NULL as an address is.
        ExprKind::Literal(_) | ExprKind::Column(_) | ExprKind::Param(_) | ExprKind::Tumble { .. } => expr,
        ExprKind::Field { .. } | ExprKind::ReadText(_) if expr.children().into_iter().any(is_null) => {
            literal(Datum::Null)
        }
        ExprKind::Field { .. } | ExprKind::ReadText(_) => expr,
        _ if is_strict(&expr.kind) && expr.children().into_iter().any(is_null) => literal(Datum::Null),
        ExprKind::Cast(a) if a.ty == ty => (**a).clone(),
        ExprKind::Cast(a) if is_cut(a, &ty) => expr,
        _ if expr.children().into_iter().all(is_literal) => match eval(&expr, &[], &[]) {
            Ok(value) => literal(value),
            // What the evaluator cannot compute is reported where it is used.
            Err(_) => expr,
        },
        _ => expr,
    }
}

/// NULL in, NULL out.
fn is_strict(kind: &ExprKind) -> bool {
    matches!(
        kind,
        ExprKind::Unary(_, _)
            | ExprKind::Arith(_, _, _)
            | ExprKind::Compare(_, _, _)
            | ExprKind::Like(_, _, _)
            | ExprKind::Cast(_)
            | ExprKind::Bucket(_)
    )
}

pub(super) fn is_null(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Literal(Datum::Null))
}

/// Whether the constant is text of which the type keeps only a part.
fn is_cut(constant: &Expr, ty: &SqlType) -> bool {
    match (&constant.kind, ty) {
        (ExprKind::Literal(Datum::Text(text)), SqlType::Text { width }) => text.len() >= *width as usize,
        _ => false,
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Literal(_))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_expr, col, eq, int, null_int, param, plus, times, tumble};

    #[test]
    fn constants_are_computed() {
        check_expr(super::apply, eq(col("pid"), times(int(2), int(1000))), "pid = 2000");
        check_expr(super::apply, times(int(i128::from(i64::MAX)), int(2)), "-2");
        check_expr(super::apply, crate::testing::div(int(1), int(0)), "NULL");
    }

    #[test]
    fn null_spreads_through_strict_operators_only() {
        check_expr(super::apply, plus(col("pid"), null_int()), "NULL");
        check_expr(super::apply, eq(col("comm"), crate::testing::null_text()), "NULL");
        let is_null = crate::testing::is_null(null_int());
        check_expr(super::apply, is_null, "true");
        let or = crate::testing::or(eq(col("pid"), int(1)), crate::testing::null_bool());
        check_expr(super::apply, or, "pid = 1 OR NULL");
    }

    #[test]
    fn what_the_run_decides_stays() {
        check_expr(super::apply, plus(param(0), int(1)), "$1 + 1");
        check_expr(super::apply, tumble(1_000_000_000), "tumble(interval '1 second')");
    }
}
