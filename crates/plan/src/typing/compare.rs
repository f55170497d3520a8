//! Comparisons: which operands fit, and the casts that make them fit.

use super::{Class, adapt, as_value, class, coerce, integer, no_operator};
use crate::{CompareOp, Datum, Expr, ExprKind};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

/// `a op b`. Integers of any width and sign compare mathematically; an enumeration compares with integers and with its names;
/// a pointer compares with pointers, integers and NULL; text compares byte by byte (PostgreSQL's collation `C`).
pub fn compare(op: CompareOp, a: Expr, b: Expr, span: Span) -> Result<Expr, Diagnostic> {
    if let Some(exact) = against_fraction(op, &a, &b, span).or_else(|| against_fraction(op.mirrored(), &b, &a, span)) {
        return Ok(exact);
    }
    let (a, b) = operands(op.symbol(), a, b, span)?;
    Ok(Expr::new(ExprKind::Compare(op, Box::new(a), Box::new(b)), SqlType::Bool, span))
}

fn operands(op: &str, a: Expr, b: Expr, span: Span) -> Result<(Expr, Expr), Diagnostic> {
    let (a, b) = (as_value(a), as_value(b));
    let a = adapt(a, &b.ty)?;
    let b = adapt(b, &a.ty)?;
    match (class(&a.ty), class(&b.ty)) {
        (Class::Null, Class::Null) => Ok((coerce(a, &SqlType::I64), coerce(b, &SqlType::I64))),
        (Class::Integer, Class::Integer) => match (&a.ty, &b.ty) {
            (SqlType::Enum(x), SqlType::Enum(y)) if x != y => {
                Err(no_operator(op, &a, &b, span).help("cast one of them: x::bigint"))
            }
            _ => Ok((a, b)),
        },
        (Class::Bool, Class::Bool)
        | (Class::Text, Class::Text)
        | (Class::Timestamp, Class::Timestamp)
        | (Class::Interval, Class::Interval)
        | (Class::Pointer | Class::Integer, Class::Pointer)
        | (Class::Pointer, Class::Integer)
        | (Class::Decimal, Class::Integer | Class::Decimal)
        | (Class::Integer, Class::Decimal) => Ok((a, b)),
        (Class::Double, Class::Integer | Class::Decimal | Class::Double)
        | (Class::Integer | Class::Decimal, Class::Double) => {
            Ok((coerce(a, &SqlType::Double), coerce(b, &SqlType::Double)))
        }
        _ => Err(no_operator(op, &a, &b, span)),
    }
}

/// An integer against a constant with a fraction compares exactly, as PostgreSQL's numeric constants do, and in the kernel:
/// `x < 1.5 == x < 2`, `x > 1.5 == x > 1`, `x = 1.5 == x <> x` (false, or NULL where x is).
fn against_fraction(op: CompareOp, x: &Expr, constant: &Expr, span: Span) -> Option<Expr> {
    let ExprKind::Literal(Datum::Double(c)) = constant.kind else { return None };
    if class(&x.ty) != Class::Integer || !c.is_finite() || c.abs() >= 2f64.powi(64) {
        return None;
    }
    let whole = c.fract() == 0.0;
    let (op, bound) = match op {
        CompareOp::Lt | CompareOp::Ge => (op, c.ceil()),
        CompareOp::Le | CompareOp::Gt => (op, c.floor()),
        CompareOp::Eq | CompareOp::Ne if whole => (op, c),
        CompareOp::Eq | CompareOp::Ne => {
            let kind = ExprKind::Compare(op.negated(), Box::new(x.clone()), Box::new(x.clone()));
            return Some(Expr::new(kind, SqlType::Bool, span));
        }
    };
    // Whole and below 2^64 in size: the conversion is exact.
    let bound = integer(bound as i128, constant.span)?;
    Some(Expr::new(ExprKind::Compare(op, Box::new(x.clone()), Box::new(bound)), SqlType::Bool, span))
}
