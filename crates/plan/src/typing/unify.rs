//! One type for several values: CASE, COALESCE, GREATEST (PostgreSQL 16, 10.5 "UNION, CASE, and Related Constructs").

use super::{Class, adapt, as_value, boolean::condition, class, coerce, constant, null};
use crate::{Datum, Expr, ExprKind};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Span};

/// Brings all to one type, which is returned: NULL takes any; integers the widest (unsigned if all are, `bigint` where unsigned and
/// signed meet); texts the widest; integers beside `decimal` or `double` become that. `construct` is named in the message: `CASE`.
pub fn unify(list: &mut [Expr], construct: &str) -> Result<SqlType, Diagnostic> {
    let values: Vec<Expr> = list.iter().map(|expr| as_value(expr.clone())).collect();
    let mut common = leading_type(&values);
    let values = values.into_iter().map(|expr| adapt(expr, &common)).collect::<Result<Vec<_>, _>>()?;
    let mut so_far: Option<&Expr> = None;
    for expr in values.iter().filter(|expr| expr.ty != SqlType::Null) {
        common = match so_far {
            None => expr.ty.clone(),
            Some(_) => meet(&common, &expr.ty).ok_or_else(|| mismatch(construct, &common, expr))?,
        };
        so_far = Some(expr);
    }
    if all_unsigned_but_constants(&values) && matches!(common, SqlType::Int { .. }) {
        common = unsigned_type(&values);
    }
    for (slot, value) in list.iter_mut().zip(values) {
        *slot = coerce(value, &common);
    }
    Ok(common)
}

/// `CASE WHEN … THEN … ELSE … END`.
pub fn case(arms: Vec<(Expr, Expr)>, otherwise: Option<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    let (conditions, mut values): (Vec<_>, Vec<_>) = arms.into_iter().unzip();
    let conditions = conditions.into_iter().map(|c| condition(c, "CASE/WHEN")).collect::<Result<Vec<_>, _>>()?;
    values.push(otherwise.unwrap_or_else(|| null(span)));
    let ty = unify(&mut values, "CASE")?;
    // The last of the values is the ELSE that was pushed above.
    let otherwise = values.pop().map(Box::new).unwrap_or_else(|| Box::new(null(span)));
    Ok(Expr::new(ExprKind::Case { arms: conditions.into_iter().zip(values).collect(), otherwise }, ty, span))
}

/// `COALESCE(a, b, …)`; at least one.
pub fn coalesce(mut list: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    let ty = unify(&mut list, "COALESCE")?;
    Ok(Expr::new(ExprKind::Coalesce(list), ty, span))
}

/// The type that text constants and NULLs are read as: that of the first value which is neither.
fn leading_type(values: &[Expr]) -> SqlType {
    let plain = |e: &&Expr| !matches!(constant(e), Some(Datum::Text(_) | Datum::Null));
    values
        .iter()
        .find(plain)
        .or_else(|| values.iter().find(|e| e.ty != SqlType::Null))
        .map_or(SqlType::Null, |e| e.ty.clone())
}

fn meet(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    match (class(a), class(b)) {
        _ if a == b && class(a) != Class::Memory => Some(a.clone()),
        (Class::Integer, Class::Integer) => Some(meet_integers(a, b)),
        (Class::Text, Class::Text) => match (a, b) {
            (SqlType::Text { width: x }, SqlType::Text { width: y }) => Some(SqlType::Text { width: *x.max(y) }),
            _ => None,
        },
        (Class::Double, Class::Integer | Class::Decimal) | (Class::Integer | Class::Decimal, Class::Double) => {
            Some(SqlType::Double)
        }
        (Class::Decimal, Class::Integer) | (Class::Integer, Class::Decimal) => Some(SqlType::Decimal),
        _ => None,
    }
}

fn meet_integers(a: &SqlType, b: &SqlType) -> SqlType {
    let ((x, x_signed), (y, y_signed)) = (a.scalar().unwrap_or((64, true)), b.scalar().unwrap_or((64, true)));
    match x_signed == y_signed {
        true => SqlType::Int { bits: x.max(y), signed: x_signed },
        false => SqlType::I64,
    }
}

/// Whether constants aside all are unsigned, and no constant is negative: then nothing needs a sign.
fn all_unsigned_but_constants(values: &[Expr]) -> bool {
    let mut unsigned = false;
    values.iter().filter(|e| e.ty != SqlType::Null).all(|e| match constant(e) {
        Some(Datum::Int(value)) => value >= 0,
        Some(Datum::Null) => true,
        _ => {
            let is = matches!(e.ty.scalar(), Some((_, false)));
            unsigned |= is;
            is
        }
    }) && unsigned
}

fn unsigned_type(values: &[Expr]) -> SqlType {
    let bits = values
        .iter()
        .map(|e| match constant(e) {
            Some(Datum::Int(value)) => match u128::try_from(value).map_or(64, |v| 128 - v.leading_zeros()) {
                0..=8 => 8,
                9..=16 => 16,
                17..=32 => 32,
                _ => 64,
            },
            Some(_) => 8,
            None => e.ty.scalar().map_or(64, |(bits, _)| bits),
        })
        .max();
    SqlType::Int { bits: bits.unwrap_or(64), signed: false }
}

fn mismatch(construct: &str, common: &SqlType, expr: &Expr) -> Diagnostic {
    Diagnostic::new("type-mismatch", expr.span, format!("{construct} types {common} and {} cannot be matched", expr.ty))
}
