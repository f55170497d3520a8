//! LIMIT and OFFSET: whole numbers.

use crate::ast::{Expr, ExprKind, UnaryOp};
use crate::number;
use bpfquery_diag::{Diagnostic, Result};
use bpfquery_plan::Plan;

/// The plan with its rows counted.
pub(super) fn limit(input: Plan, limit: Option<&Expr>, offset: Option<&Expr>) -> Result<Plan> {
    let count = limit.map(|expr| rows(expr, "LIMIT")).transpose()?.flatten();
    let skipped = offset.map(|expr| rows(expr, "OFFSET")).transpose()?.flatten().unwrap_or(0);
    Ok(match (count, skipped) {
        (None, 0) => input,
        (count, offset) => Plan::Limit { input: Box::new(input), count, offset },
    })
}

/// A number of rows; NULL is none, as in PostgreSQL.
fn rows(expr: &Expr, clause: &str) -> Result<Option<u64>> {
    let wrong = |code, fact: String| Diagnostic::new(code, expr.span, fact);
    match &expr.kind {
        ExprKind::Null => Ok(None),
        ExprKind::Number(digits) => match number::integer(digits).and_then(|n| u64::try_from(n).ok()) {
            Some(count) => Ok(Some(count)),
            None => Err(wrong("out-of-range", format!("{clause} {digits} is not a number of rows")).into()),
        },
        ExprKind::Unary(UnaryOp::Neg, _) => Err(wrong("out-of-range", format!("{clause} must not be negative")).into()),
        ExprKind::Param(_) => Err(wrong("unsupported", format!("a parameter in {clause} is not supported yet")).into()),
        _ => Err(wrong("unsupported", format!("{clause} takes a number")).help(format!("{clause} 10")).into()),
    }
}
