//! Arithmetic: the types of `+ - * / % & | # << >>`, `-x` and `~x`.

use super::{Class, adapt, as_value, class, coerce, constant, no_operator};
use crate::{ArithOp, Datum, Expr, ExprKind, UnaryOp};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

/// `a op b`.
pub fn arith(op: ArithOp, a: Expr, b: Expr, span: Span) -> Result<Expr, Diagnostic> {
    let (a, b) = (as_value(a), as_value(b));
    let a = adapt(a, &b.ty)?;
    let b = adapt(b, &a.ty)?;
    let (a, b) = match (class(&a.ty), class(&b.ty)) {
        // NULL op NULL: PostgreSQL cannot choose an operator; the answer is NULL whatever it chooses.
        (Class::Null, Class::Null) => (coerce(a, &SqlType::I64), coerce(b, &SqlType::I64)),
        _ => (a, b),
    };
    let Some(ty) = result(op, &a, &b) else { return Err(no_operator(op.symbol(), &a, &b, span)) };
    let (a, b) = if ty == SqlType::Double { (coerce(a, &ty), coerce(b, &ty)) } else { (a, b) };
    Ok(Expr::new(ExprKind::Arith(op, Box::new(a), Box::new(b)), ty, span))
}

/// `-x`: `bigint` of integers, otherwise the operand's type.
pub fn negate(a: Expr, span: Span) -> Result<Expr, Diagnostic> {
    let a = as_value(a);
    let ty = match class(&a.ty) {
        Class::Integer | Class::Null => SqlType::I64,
        Class::Interval | Class::Double | Class::Decimal => a.ty.clone(),
        Class::Bool | Class::Text | Class::Timestamp | Class::Pointer | Class::Histogram | Class::Memory => {
            return Err(no_unary("-", &a, span));
        }
    };
    // A constant is negated here, so that `-1` is a constant of type integer wherever one is asked for.
    if let (Some(Datum::Int(value)), Class::Integer) = (constant(&a), class(&a.ty))
        && let Some(literal) = super::integer(-value, span)
    {
        return Ok(literal);
    }
    let a = if a.ty == SqlType::Null { coerce(a, &ty) } else { a };
    Ok(Expr::new(ExprKind::Unary(UnaryOp::Neg, Box::new(a)), ty, span))
}

/// `~x`, of integers only.
pub fn bit_not(a: Expr, span: Span) -> Result<Expr, Diagnostic> {
    let a = as_value(a);
    let ty = match class(&a.ty) {
        Class::Integer if is_unsigned(&a.ty) => SqlType::U64,
        Class::Integer | Class::Null => SqlType::I64,
        _ => return Err(no_unary("~", &a, span)),
    };
    let a = if a.ty == SqlType::Null { coerce(a, &ty) } else { a };
    Ok(Expr::new(ExprKind::Unary(UnaryOp::BitNot, Box::new(a)), ty, span))
}

fn no_unary(op: &str, a: &Expr, span: Span) -> Diagnostic {
    Diagnostic::new("type-mismatch", span, format!("operator does not exist: {op} {}", a.ty))
}

/// The type of `a op b`; `None` where there is no such operator.
fn result(op: ArithOp, a: &Expr, b: &Expr) -> Option<SqlType> {
    use ArithOp::{Add, Div, Mod, Mul, Sub};
    use Class::{Decimal, Double, Integer, Interval, Timestamp};
    let numeric = matches!(op, Add | Sub | Mul | Div | Mod);
    match (class(&a.ty), class(&b.ty)) {
        (Integer, Integer) => Some(integer_result(op, a, b)),
        (Double, Integer | Decimal | Double) | (Integer | Decimal, Double) if numeric && op != Mod => {
            Some(SqlType::Double)
        }
        (Decimal, Integer | Decimal) | (Integer, Decimal) if numeric => Some(SqlType::Decimal),
        (Timestamp, Timestamp) if op == Sub => Some(SqlType::Interval),
        (Timestamp, Interval) if matches!(op, Add | Sub) => Some(SqlType::Timestamp),
        (Interval, Timestamp) if op == Add => Some(SqlType::Timestamp),
        (Interval, Interval) if matches!(op, Add | Sub) => Some(SqlType::Interval),
        (Interval, Integer) if matches!(op, Mul | Div) => Some(SqlType::Interval),
        (Integer, Interval) if op == Mul => Some(SqlType::Interval),
        _ => None,
    }
}

fn integer_result(op: ArithOp, a: &Expr, b: &Expr) -> SqlType {
    let unsigned = match op {
        ArithOp::Sub => false,
        // A shift keeps the signedness of what it shifts.
        ArithOp::Shl | ArithOp::Shr => is_unsigned(&a.ty),
        ArithOp::Add | ArithOp::Mul | ArithOp::Div | ArithOp::Mod | ArithOp::And | ArithOp::Or | ArithOp::Xor => {
            let fits = |e: &Expr| is_unsigned(&e.ty) || not_negative(e);
            (is_unsigned(&a.ty) || is_unsigned(&b.ty)) && fits(a) && fits(b)
        }
    };
    if unsigned { SqlType::U64 } else { SqlType::I64 }
}

fn is_unsigned(ty: &SqlType) -> bool {
    matches!(ty.scalar(), Some((_, false)))
}

fn not_negative(expr: &Expr) -> bool {
    matches!(constant(expr), Some(Datum::Int(value)) if value >= 0)
}
