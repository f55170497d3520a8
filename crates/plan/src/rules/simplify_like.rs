//! Patterns that ask for less than they might.
//!
//! ```text
//! x LIKE 'abc'       == x = 'abc'                  no wildcard, and the case counts
//! x ILIKE '10%'      == x LIKE '10%'               no letter
//! x LIKE '%'         == true                       x never NULL
//! Filter[x LIKE '%'] == Filter[x IS NOT NULL]      also as an operand of its AND and OR
//! ```
//! `x LIKE '%'` stays elsewhere: it is NULL where x is. What starts with a constant is known as such by lowering.

use super::every_expr;
use crate::like::Pattern;
use crate::{CompareOp, Datum, Expr, ExprKind, Like, Plan, UnaryOp};
use bpfquery_catalog::SqlType;

pub(crate) fn apply(plan: Plan) -> Plan {
    super::bottom_up(every_expr(plan, &simplify), &|plan| match plan {
        Plan::Filter { input, predicate } => Plan::Filter { input, predicate: as_condition(predicate) },
        other => other,
    })
}

pub(super) fn simplify(expr: Expr, nullable: &[bool]) -> Expr {
    let Some((text, how, pattern)) = constant(&expr) else { return expr };
    if how.fold && !pattern.has_letters() {
        let mut plain = expr;
        if let ExprKind::Like(_, how, _) = &mut plain.kind {
            how.fold = false;
        }
        return simplify(plain, nullable);
    }
    if is_anything(&pattern) && !text.nullable_over(nullable) {
        return Expr::bool(true, expr.span);
    }
    match pattern.start() {
        Some(start) if !pattern.is_open() && !how.fold => {
            let wanted = crate::typing::text(start, expr.span);
            let kind = ExprKind::Compare(CompareOp::Eq, Box::new(text.clone()), Box::new(wanted));
            Expr::new(kind, SqlType::Bool, expr.span)
        }
        _ => expr,
    }
}

/// A LIKE with a constant pattern, taken apart.
fn constant(expr: &Expr) -> Option<(&Expr, Like, Pattern)> {
    let ExprKind::Like(text, how, pattern) = &expr.kind else { return None };
    let ExprKind::Literal(Datum::Text(bytes)) = &pattern.kind else { return None };
    Some((text, *how, how.parse(bytes)?))
}

fn is_anything(pattern: &Pattern) -> bool {
    pattern.is_open() && pattern.steps() == 0
}

/// In a filter NULL is as good as false, alone or as an operand of AND and OR; below NOT it is not.
fn as_condition(expr: Expr) -> Expr {
    let anything = constant(&expr).is_some_and(|(_, _, pattern)| is_anything(&pattern));
    let Expr { kind, ty, span } = expr;
    let each = |list: Vec<Expr>| list.into_iter().map(as_condition).collect();
    let kind = match kind {
        ExprKind::And(list) => ExprKind::And(each(list)),
        ExprKind::Or(list) => ExprKind::Or(each(list)),
        ExprKind::Like(text, _, _) if anything => {
            let is_null = Expr::new(ExprKind::IsNull(text), SqlType::Bool, span);
            ExprKind::Unary(UnaryOp::Not, Box::new(is_null))
        }
        kind => kind,
    };
    Expr { kind, ty, span }
}

#[cfg(test)]
mod tests {
    use crate::testing::{AT, Q, and, check_expr, check_rule, col, eq, int, not, text};
    use crate::{Expr, Like, typing};

    fn like(x: &str, pattern: &str, fold: bool) -> Expr {
        typing::like(col(x), Like { escape: Some('\\'), fold }, text(pattern), AT).expect("texts")
    }

    #[test]
    fn without_a_wildcard_it_is_equality() {
        check_expr(super::apply, like("comm", "dd", false), "comm = 'dd'");
        check_expr(super::apply, like("comm", "100\\%", false), "comm = '100%'");
        check_expr(super::apply, like("comm", "", false), "comm = ''");
        check_expr(super::apply, like("comm", "dd", true), "comm ILIKE 'dd'");
        check_expr(super::apply, like("comm", "10", true), "comm = '10'");
        check_expr(super::apply, like("comm", "1_", true), "comm LIKE '1_'");
        check_expr(super::apply, like("comm", "d_", false), "comm LIKE 'd_'");
    }

    #[test]
    fn anything_is_all_but_null() {
        check_expr(super::apply, like("comm", "%%", true), "true");
        check_expr(super::apply, like("filename", "%", false), "str(filename) LIKE '%'");
        let both = and(like("filename", "%", false), eq(col("pid"), int(1)));
        check_rule(super::apply, Q::scan().filter(both), "Filter [str(filename) IS NOT NULL AND pid = 1]\n  Scan");
        let not = Q::scan().filter(not(like("filename", "%", false)));
        check_rule(super::apply, not, "Filter [str(filename) NOT LIKE '%']\n  Scan");
    }
}
