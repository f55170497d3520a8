//! Boolean contexts: AND, OR, NOT, IS NULL, and clauses that ask for a condition.

use super::{Class, as_value, class, coerce};
use crate::{Expr, ExprKind, UnaryOp};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

/// The expression as the condition of `clause` (`WHERE`, `AND`, `CASE/WHEN`); a bare NULL is a boolean NULL.
pub fn condition(expr: Expr, clause: &str) -> Result<Expr, Diagnostic> {
    let expr = as_value(expr);
    match class(&expr.ty) {
        Class::Bool => Ok(expr),
        Class::Null => Ok(coerce(expr, &SqlType::Bool)),
        Class::Integer
        | Class::Text
        | Class::Timestamp
        | Class::Interval
        | Class::Pointer
        | Class::Double
        | Class::Decimal
        | Class::Histogram
        | Class::Memory => {
            let message = format!("argument of {clause} must be type boolean, not type {}", expr.ty);
            let diagnostic = Diagnostic::new("type-mismatch", expr.span, message);
            Err(match class(&expr.ty) {
                Class::Integer | Class::Pointer => diagnostic.help("compare it: x <> 0"),
                _ => diagnostic,
            })
        }
    }
}

/// `a AND b AND …`; nested ANDs become one.
pub fn and(list: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    let mut flat = Vec::new();
    for expr in list {
        match condition(expr, "AND")? {
            Expr { kind: ExprKind::And(inner), .. } => flat.extend(inner),
            other => flat.push(other),
        }
    }
    Ok(one_or(flat, span, ExprKind::And, true))
}

/// `a OR b OR …`; nested ORs become one.
pub fn or(list: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    let mut flat = Vec::new();
    for expr in list {
        match condition(expr, "OR")? {
            Expr { kind: ExprKind::Or(inner), .. } => flat.extend(inner),
            other => flat.push(other),
        }
    }
    Ok(one_or(flat, span, ExprKind::Or, false))
}

/// `NOT x`.
pub fn not(expr: Expr, span: Span) -> Result<Expr, Diagnostic> {
    let expr = condition(expr, "NOT")?;
    Ok(Expr::new(ExprKind::Unary(UnaryOp::Not, Box::new(expr)), SqlType::Bool, span))
}

/// `x IS NULL`, of any type that has values.
pub fn is_null(expr: Expr, span: Span) -> Result<Expr, Diagnostic> {
    let expr = as_value(expr);
    if class(&expr.ty) == Class::Memory {
        return Err(Diagnostic::new("type-mismatch", expr.span, format!("{} cannot be NULL", expr.ty))
            .help("it stands inside another struct; name one of its members"));
    }
    let expr = if expr.ty == SqlType::Null { coerce(expr, &SqlType::Bool) } else { expr };
    Ok(Expr::new(ExprKind::IsNull(Box::new(expr)), SqlType::Bool, span))
}

/// `x IS NOT NULL`.
pub fn is_not_null(expr: Expr, span: Span) -> Result<Expr, Diagnostic> {
    not(is_null(expr, span)?, span)
}

/// One operand stands for itself; none is the operator's neutral value.
fn one_or(mut list: Vec<Expr>, span: Span, make: fn(Vec<Expr>) -> ExprKind, neutral: bool) -> Expr {
    match list.len() {
        0 => Expr::bool(neutral, span),
        1 => list.remove(0),
        _ => Expr::new(make(list), SqlType::Bool, span),
    }
}
