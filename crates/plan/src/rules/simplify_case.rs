//! CASE and COALESCE without the arms that are never, or always, taken.
//!
//! ```text
//! CASE … WHEN false THEN a …                  == CASE … …                  NULL likewise
//! CASE … WHEN true THEN a … END               == CASE … ELSE a END
//! CASE ELSE e END                             == e
//! CASE WHEN c THEN v … ELSE v END             == v                         all values equal
//! CASE WHEN c THEN true ELSE false END        == c                         c never NULL
//! CASE WHEN c THEN false ELSE true END        == NOT c                     c never NULL
//! coalesce(…, NULL, …) == coalesce(…, …);  coalesce(…, x, …) == coalesce(…, x)   x never NULL;  coalesce(x) == x
//! ```

use super::every_expr;
use super::fold_constants::is_null;
use crate::{Datum, Expr, ExprKind, Plan, Seen, UnaryOp, mark};
use bpfquery_catalog::SqlType;
use bpfquery_diag::Span;

pub(crate) fn apply(plan: Plan) -> Plan {
    every_expr(plan, &simplify)
}

pub(super) fn simplify(expr: Expr, nullable: &[bool]) -> Expr {
    let Expr { kind, ty, span } = expr;
    match kind {
        ExprKind::Case { arms, otherwise } => case(arms, *otherwise, ty, span, nullable),
        ExprKind::Coalesce(list) => coalesce(list, ty, span, nullable),
        kind => Expr { kind, ty, span },
    }
}

fn case(arms: Vec<(Expr, Expr)>, mut otherwise: Expr, ty: SqlType, span: Span, nullable: &[bool]) -> Expr {
    let mut kept = Vec::new();
    for (when, then) in arms {
        match &when.kind {
            ExprKind::Literal(Datum::Bool(true)) => {
                otherwise = then;
                break;
            }
            ExprKind::Literal(_) => {}
            _ => kept.push((when, then)),
        }
    }
    if kept.iter().all(|(_, then)| then.same(&otherwise)) {
        return otherwise;
    }
    if let [(when, then)] = kept.as_slice()
        && !when.nullable_over(nullable)
    {
        match (truth(then), truth(&otherwise)) {
            (Some(true), Some(false)) => return when.clone(),
            (Some(false), Some(true)) => {
                return Expr::new(ExprKind::Unary(UnaryOp::Not, Box::new(when.clone())), SqlType::Bool, span);
            }
            _ => {}
        }
    }
    Expr::new(ExprKind::Case { arms: kept, otherwise: Box::new(otherwise) }, ty, span)
}

fn coalesce(list: Vec<Expr>, ty: SqlType, span: Span, nullable: &[bool]) -> Expr {
    let (mut kept, mut seen): (Vec<Expr>, Seen) = Default::default();
    for expr in list.into_iter().filter(|e| !is_null(e)) {
        let mark = mark((), [Some(&expr)]);
        if seen.find(mark, |at| kept[at].same(&expr)).is_some() {
            continue;
        }
        seen.note(mark, kept.len());
        let last = !expr.nullable_over(nullable);
        kept.push(expr);
        if last {
            break;
        }
    }
    match kept.len() {
        0 => Expr::new(ExprKind::Literal(Datum::Null), ty, span),
        1 => kept.remove(0),
        _ => Expr::new(ExprKind::Coalesce(kept), ty, span),
    }
}

fn truth(expr: &Expr) -> Option<bool> {
    match expr.kind {
        ExprKind::Literal(Datum::Bool(value)) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{bool, case, check_expr, coalesce, col, eq, int, null_bool, null_int};

    #[test]
    fn arms_that_are_never_taken() {
        let x = || eq(col("ppid"), int(1));
        check_expr(
            super::apply,
            case(&[(bool(false), int(1)), (x(), int(2))], int(3)),
            "CASE WHEN ppid = 1 THEN 2 ELSE 3 END",
        );
        check_expr(super::apply, case(&[(null_bool(), int(1))], int(3)), "3");
        check_expr(
            super::apply,
            case(&[(x(), int(1)), (bool(true), int(2)), (x(), int(4))], int(3)),
            "CASE WHEN ppid = 1 THEN 1 ELSE 2 END",
        );
        check_expr(super::apply, case(&[(x(), int(7))], int(7)), "7");
    }

    #[test]
    fn a_truth_that_may_be_null_is_not_its_condition() {
        check_expr(super::apply, case(&[(eq(col("pid"), int(1)), bool(true))], bool(false)), "pid = 1");
        check_expr(super::apply, case(&[(eq(col("pid"), int(1)), bool(false))], bool(true)), "NOT pid = 1");
        check_expr(
            super::apply,
            case(&[(eq(col("ppid"), int(1)), bool(true))], bool(false)),
            "CASE WHEN ppid = 1 THEN true ELSE false END",
        );
    }

    #[test]
    fn coalesce_ends_at_what_is_never_null() {
        check_expr(super::apply, coalesce(&[null_int(), col("ppid"), col("pid"), col("cpu")]), "coalesce(ppid, pid)");
        check_expr(super::apply, coalesce(&[col("pid"), col("ppid")]), "pid");
        check_expr(super::apply, coalesce(&[col("ppid"), col("ppid")]), "ppid");
    }
}
