//! Arithmetic and comparisons that change nothing, or always say the same.
//!
//! ```text
//! x + 0, 0 + x, x - 0, x * 1, 1 * x, x / 1, x | 0, x # 0, x << 0, x >> 0  == x, as the operator's type
//! x * 0, x & 0, x % 1, x - x, x # x                                       == 0        x never NULL
//! x = x, x <= x, x >= x  == true;  x <> x, x < x, x > x  == false                     x never NULL, and no text
//! x = true, x <> false   == x;     x = false, x <> true  == NOT x                     booleans
//! ```
//! Integers and durations only: of doubles `x * 0` may be NaN. Text that was cut is not even equal to itself.

use super::every_expr;
use crate::typing::coerce;
use crate::{ArithOp, CompareOp, Datum, Expr, ExprKind, Plan, UnaryOp};
use bpfquery_catalog::SqlType;
use std::cmp::Ordering;

pub(crate) fn apply(plan: Plan) -> Plan {
    every_expr(plan, &simplify)
}

pub(super) fn simplify(expr: Expr, nullable: &[bool]) -> Expr {
    let simpler = match &expr.kind {
        ExprKind::Arith(op, a, b) if expr.ty.scalar().is_some() => arith(*op, a, b, &expr, nullable),
        ExprKind::Compare(op, a, b) => compare(*op, a, b, &expr, nullable),
        _ => None,
    };
    simpler.unwrap_or(expr)
}

fn arith(op: ArithOp, a: &Expr, b: &Expr, whole: &Expr, nullable: &[bool]) -> Option<Expr> {
    use ArithOp::{Add, And, Div, Mod, Mul, Or, Shl, Shr, Sub, Xor};
    let x = |e: &Expr| Some(coerce(e.clone(), &whole.ty));
    match (op, integer(a), integer(b)) {
        (Add | Sub | Or | Xor | Shl | Shr, _, Some(0)) | (Mul | Div, _, Some(1)) => return x(a),
        (Add | Or | Xor, Some(0), _) | (Mul, Some(1), _) => return x(b),
        _ => {}
    }
    let zero = match (op, integer(a), integer(b)) {
        (Mul | And, _, Some(0)) | (Mod, _, Some(1)) => !a.nullable_over(nullable),
        (Mul | And, Some(0), _) => !b.nullable_over(nullable),
        (Sub | Xor, _, _) => a.same(b) && !a.nullable_over(nullable),
        _ => false,
    };
    zero.then(|| Expr::int(0, whole.ty.clone(), whole.span))
}

fn compare(op: CompareOp, a: &Expr, b: &Expr, whole: &Expr, nullable: &[bool]) -> Option<Expr> {
    if let (true, Some((x, truth))) = (a.ty == SqlType::Bool, against_truth(a, b)) {
        return match (op, truth) {
            (CompareOp::Eq, true) | (CompareOp::Ne, false) => Some(x.clone()),
            (CompareOp::Eq, false) | (CompareOp::Ne, true) => {
                Some(Expr::new(ExprKind::Unary(UnaryOp::Not, Box::new(x.clone())), SqlType::Bool, whole.span))
            }
            _ => None,
        };
    }
    let itself = !a.ty.is_text() && a.same(b) && !a.nullable_over(nullable);
    itself.then(|| Expr::bool(op.holds(Ordering::Equal), whole.span))
}

fn against_truth<'a>(a: &'a Expr, b: &'a Expr) -> Option<(&'a Expr, bool)> {
    match (&a.kind, &b.kind) {
        (_, ExprKind::Literal(Datum::Bool(truth))) => Some((a, *truth)),
        (ExprKind::Literal(Datum::Bool(truth)), _) => Some((b, *truth)),
        _ => None,
    }
}

fn integer(expr: &Expr) -> Option<i128> {
    match expr.kind {
        ExprKind::Literal(Datum::Int(value)) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{bool, check_expr, col, eq, int, minus, plus, times};

    #[test]
    fn neutral_operands_go_and_the_type_stays() {
        check_expr(super::apply, plus(col("flags"), int(0)), "flags::bigint");
        check_expr(super::apply, times(int(1), col("flags")), "flags::bigint");
        check_expr(super::apply, minus(col("pid"), int(0)), "pid::bigint");
    }

    #[test]
    fn what_may_be_null_is_not_zero() {
        check_expr(super::apply, times(col("pid"), int(0)), "0");
        check_expr(super::apply, times(col("ppid"), int(0)), "ppid * 0");
        check_expr(super::apply, minus(col("pid"), col("pid")), "0");
        check_expr(super::apply, minus(col("ppid"), col("ppid")), "ppid - ppid");
    }

    #[test]
    fn what_may_be_null_is_not_equal_to_itself() {
        check_expr(super::apply, eq(col("pid"), col("pid")), "true");
        check_expr(super::apply, eq(col("ppid"), col("ppid")), "ppid = ppid");
        check_expr(super::apply, eq(col("comm"), col("comm")), "comm = comm");
    }

    #[test]
    fn truth_is_not_compared() {
        let is = || eq(col("ppid"), int(1));
        check_expr(super::apply, eq(is(), bool(true)), "ppid = 1");
        check_expr(super::apply, eq(bool(false), is()), "NOT ppid = 1");
    }
}
