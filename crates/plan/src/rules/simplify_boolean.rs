//! Shorter conditions with the same three values.
//!
//! ```text
//! x AND true == x;  x AND false == false;  x OR false == x;  x OR true == true;  x AND x == x;  x OR x == x
//! NOT NOT x == x;  NOT (a < b) == a >= b;  NOT (x AND y) == NOT x OR NOT y;  NOT (x OR y) == NOT x AND NOT y
//! x IS NULL == false                                                       x never NULL
//! Filter[NULL] == Filter[false];  Filter[x OR NULL] == Filter[x]           a row passes only if the condition is true
//! ```
//! `x AND NULL` stays: it is false where x is. `x OR NOT x` stays: it is NULL where x is.

use super::every_expr;
use crate::{Datum, Expr, ExprKind, Plan, Seen, UnaryOp, mark};
use bpfquery_catalog::SqlType;

pub(crate) fn apply(plan: Plan) -> Plan {
    super::bottom_up(every_expr(plan, &simplify), &|plan| match plan {
        Plan::Filter { input, predicate } => Plan::Filter { input, predicate: as_condition(predicate) },
        other => other,
    })
}

pub(super) fn simplify(expr: Expr, nullable: &[bool]) -> Expr {
    let span = expr.span;
    match expr.kind {
        ExprKind::And(list) => connect(operands(list, false), false, ExprKind::And, span),
        ExprKind::Or(list) => connect(operands(list, true), true, ExprKind::Or, span),
        ExprKind::Unary(UnaryOp::Not, a) => not(*a, span),
        ExprKind::IsNull(ref a) if !a.nullable_over(nullable) => Expr::bool(false, span),
        _ => expr,
    }
}

/// The operands of an OR, or of an AND, with those of nested ones in their place, each once.
fn operands(list: Vec<Expr>, of_or: bool) -> Vec<Expr> {
    let (mut flat, mut seen): (Vec<Expr>, Seen) = Default::default();
    for expr in list {
        let these = match expr.kind {
            ExprKind::Or(inner) if of_or => inner,
            ExprKind::And(inner) if !of_or => inner,
            _ => vec![expr],
        };
        for e in these {
            let mark = mark((), [Some(&e)]);
            if seen.find(mark, |at| flat[at].same(&e)).is_none() {
                seen.note(mark, flat.len());
                flat.push(e);
            }
        }
    }
    flat
}

/// AND, where `decides` is false, and OR, where it is true.
fn connect(list: Vec<Expr>, decides: bool, make: fn(Vec<Expr>) -> ExprKind, span: bpfquery_diag::Span) -> Expr {
    let truth = |e: &Expr| match e.kind {
        ExprKind::Literal(Datum::Bool(value)) => Some(value),
        _ => None,
    };
    if list.iter().any(|e| truth(e) == Some(decides)) {
        return Expr::bool(decides, span);
    }
    let mut list: Vec<Expr> = list.into_iter().filter(|e| truth(e).is_none()).collect();
    match list.len() {
        0 => Expr::bool(!decides, span),
        1 => list.remove(0),
        _ => Expr::new(make(list), SqlType::Bool, span),
    }
}

fn not(a: Expr, span: bpfquery_diag::Span) -> Expr {
    let each = |list: Vec<Expr>| {
        list.into_iter()
            .map(|e| {
                let at = e.span;
                not(e, at)
            })
            .collect()
    };
    let kind = match a.kind {
        ExprKind::Literal(Datum::Bool(value)) => ExprKind::Literal(Datum::Bool(!value)),
        ExprKind::Unary(UnaryOp::Not, inner) => return *inner,
        ExprKind::Compare(op, x, y) => ExprKind::Compare(op.negated(), x, y),
        ExprKind::And(list) => ExprKind::Or(each(list)),
        ExprKind::Or(list) => ExprKind::And(each(list)),
        kind => ExprKind::Unary(UnaryOp::Not, Box::new(Expr { kind, ..a })),
    };
    Expr::new(kind, SqlType::Bool, span)
}

/// In a filter NULL is as good as false, alone or as an operand of AND and OR; below NOT it is not.
fn as_condition(expr: Expr) -> Expr {
    let Expr { kind, ty, span } = expr;
    let each = |list: Vec<Expr>| list.into_iter().map(as_condition).collect();
    match kind {
        ExprKind::And(list) => connect(each(list), false, ExprKind::And, span),
        ExprKind::Or(list) => connect(each(list), true, ExprKind::Or, span),
        ExprKind::Literal(Datum::Null) => Expr::bool(false, span),
        kind => Expr { kind, ty, span },
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Q, and, bool, check_expr, check_rule, col, eq, int, is_null, lt, not, null_bool, or};

    fn x() -> crate::Expr {
        eq(col("ppid"), int(1))
    }

    fn y() -> crate::Expr {
        lt(col("pid"), int(2))
    }

    #[test]
    fn neutral_and_deciding_operands() {
        check_expr(super::apply, and(x(), bool(true)), "ppid = 1");
        check_expr(super::apply, and(x(), bool(false)), "false");
        check_expr(super::apply, or(x(), bool(false)), "ppid = 1");
        check_expr(super::apply, or(x(), bool(true)), "true");
        check_expr(super::apply, and(x(), and(y(), x())), "ppid = 1 AND pid < 2");
    }

    #[test]
    fn null_decides_nothing() {
        check_expr(super::apply, and(x(), null_bool()), "ppid = 1 AND NULL");
        check_expr(super::apply, or(x(), null_bool()), "ppid = 1 OR NULL");
        check_expr(super::apply, or(x(), not(x())), "ppid = 1 OR ppid <> 1");
    }

    #[test]
    fn not_moves_inwards() {
        check_expr(super::apply, not(not(is_null(col("ppid")))), "ppid IS NULL");
        check_expr(super::apply, not(and(x(), y())), "ppid <> 1 OR pid >= 2");
        check_expr(super::apply, not(or(x(), not(y()))), "ppid <> 1 AND pid < 2");
    }

    #[test]
    fn is_null_of_what_never_is() {
        check_expr(super::apply, is_null(col("pid")), "false");
        check_expr(super::apply, is_null(col("ppid")), "ppid IS NULL");
        check_expr(super::apply, not(is_null(col("pid"))), "true");
    }

    #[test]
    fn a_filter_takes_null_for_false_and_a_column_does_not() {
        check_rule(super::apply, Q::scan().filter(and(x(), null_bool())), "Filter [false]\n  Scan");
        check_rule(super::apply, Q::scan().filter(or(x(), null_bool())), "Filter [ppid = 1]\n  Scan");
        check_expr(super::apply, null_bool(), "NULL");
        // x IS NULL is not x: a NULL below another operator is that operator's.
        check_rule(super::apply, Q::scan().filter(is_null(null_bool())), "Filter [NULL IS NULL]\n  Scan");
    }
}
