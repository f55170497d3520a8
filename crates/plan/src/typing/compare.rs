//! Comparisons: which operands fit, and the casts that make them fit.

use super::{Class, adapt, as_value, class, coerce, no_operator};
use crate::{CompareOp, Expr, ExprKind};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

/// `a op b`. Integers of any width and sign compare mathematically; an enumeration compares with integers and with its names;
/// a pointer compares with pointers, integers and NULL; text compares byte by byte (PostgreSQL's collation `C`).
pub fn compare(op: CompareOp, a: Expr, b: Expr, span: Span) -> Result<Expr, Diagnostic> {
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
