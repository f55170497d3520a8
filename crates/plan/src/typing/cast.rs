//! Casts: those that the rules insert, and those that the user writes.

use super::{Class, adapt, as_value, class};
use crate::{Datum, Expr, ExprKind};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

/// The expression in another type that is known to fit: a constant takes the type, anything else is cast.
pub fn coerce(expr: Expr, ty: &SqlType) -> Expr {
    if expr.ty == *ty {
        return expr;
    }
    let span = expr.span;
    if expr.ty == SqlType::Null && !matches!(expr.kind, ExprKind::Param(_)) {
        // Whatever it computes, it is NULL.
        return Expr::new(ExprKind::Literal(Datum::Null), ty.clone(), span);
    }
    match (&expr.kind, ty) {
        // A parameter that nobody has typed yet takes the type.
        (ExprKind::Param(_), _) if expr.ty == SqlType::Null => Expr::new(expr.kind, ty.clone(), span),
        (ExprKind::Literal(Datum::Null), _) => Expr::new(expr.kind, ty.clone(), span),
        (ExprKind::Literal(Datum::Int(value)), SqlType::Int { .. } | SqlType::Decimal) if fits(*value, ty) => {
            Expr::int(*value, ty.clone(), span)
        }
        // A constant's text is shorter than its new buffer: nothing to cut.
        (ExprKind::Literal(Datum::Text(bytes)), SqlType::Text { width }) if bytes.len() < *width as usize => {
            Expr::new(expr.kind, ty.clone(), span)
        }
        _ => Expr::new(ExprKind::Cast(Box::new(expr)), ty.clone(), span),
    }
}

/// `CAST(x AS ty)`, `x::ty`. Integers narrow by wrapping (PostgreSQL: an error), a double rounds to the nearest even integer and
/// is NULL out of range (PostgreSQL: an error), a duration becomes an integer of nanoseconds (PostgreSQL: no such cast).
pub fn cast(expr: Expr, ty: &SqlType, span: Span) -> Result<Expr, Diagnostic> {
    let expr = adapt(as_value(expr), ty)?;
    let from = class(&expr.ty);
    let to = class(ty);
    let same = expr.ty == *ty;
    let allowed = match to {
        Class::Integer => {
            matches!(
                from,
                Class::Integer | Class::Bool | Class::Pointer | Class::Interval | Class::Double | Class::Decimal
            )
        }
        Class::Bool => matches!(from, Class::Bool | Class::Integer),
        Class::Text => from == Class::Text,
        Class::Double | Class::Decimal => matches!(from, Class::Integer | Class::Double | Class::Decimal),
        Class::Pointer => matches!(from, Class::Pointer | Class::Integer),
        Class::Timestamp | Class::Interval | Class::Histogram | Class::Memory | Class::Null => same,
    };
    if !allowed && !same {
        let diagnostic = Diagnostic::new("type-mismatch", span, format!("cannot cast type {} to {ty}", expr.ty));
        return Err(if to == Class::Text && from == Class::Integer {
            diagnostic.help("str(x) reads the text at an address; formatting numbers as text is not supported yet")
        } else {
            diagnostic
        });
    }
    let mut cast = coerce(expr, ty);
    cast.span = span;
    Ok(cast)
}

/// Whether a type holds the value.
fn fits(value: i128, ty: &SqlType) -> bool {
    match ty {
        SqlType::Int { bits, signed: true } => {
            let half = 1i128 << (bits - 1);
            (-half..half).contains(&value)
        }
        SqlType::Int { bits, signed: false } => (0..1i128 << bits).contains(&value),
        _ => true,
    }
}
