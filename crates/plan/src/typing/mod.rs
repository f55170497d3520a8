//! The type rules: which operands an operator takes, and the type of what it gives.
//!
//! What must hold: an expression that a rule here returns is well-typed, so that lowering and the evaluator never look at types
//! that do not fit. Not checked: that an expression can run in the kernel (the split decides) and that its columns exist (binding).
//!
//! The rules are PostgreSQL's, with unsigned types added: integers of any width compute in 64 bits; `-` gives `bigint`; any other
//! operator gives `unsigned bigint` if both operands are unsigned (a constant that is not negative counts as either), else `bigint`.

mod arith;
mod boolean;
mod cast;
mod compare;
mod like;
mod unify;

pub use arith::{arith, bit_not, negate};
pub use boolean::{and, condition, is_not_null, is_null, not, or};
pub use cast::{cast, coerce};
pub use compare::compare;
pub use like::like;
pub use unify::{case, coalesce, unify};

use crate::{Datum, Expr, ExprKind};
use bpfquery_catalog::{DEFAULT_TEXT, Pointee, SqlType};
use bpfquery_diag::{Diagnostic, Span, nearest};

/// The families of types: operators ask for these, not for widths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Bool,
    /// Integers and enumerations.
    Integer,
    Text,
    Timestamp,
    Interval,
    Pointer,
    Double,
    Decimal,
    Histogram,
    /// Structs and arrays: only their members have values.
    Memory,
    Null,
}

pub(crate) fn class(ty: &SqlType) -> Class {
    match ty {
        SqlType::Bool => Class::Bool,
        SqlType::Int { .. } | SqlType::Enum(_) => Class::Integer,
        SqlType::Text { .. } => Class::Text,
        SqlType::Timestamp => Class::Timestamp,
        SqlType::Interval => Class::Interval,
        SqlType::Pointer { .. } => Class::Pointer,
        SqlType::Double => Class::Double,
        SqlType::Decimal => Class::Decimal,
        SqlType::Histogram { .. } => Class::Histogram,
        SqlType::Struct(_) | SqlType::Array { .. } => Class::Memory,
        SqlType::Null => Class::Null,
    }
}

/// An integer constant with PostgreSQL's type for it, or `None` where 64 bits do not hold it: `integer`, `bigint`, and (not
/// PostgreSQL's) `unsigned bigint` above.
pub fn integer(value: i128, span: Span) -> Option<Expr> {
    let ty = if i32::try_from(value).is_ok() {
        SqlType::I32
    } else if i64::try_from(value).is_ok() {
        SqlType::I64
    } else if u64::try_from(value).is_ok() {
        SqlType::U64
    } else {
        return None;
    };
    Some(Expr::int(value, ty, span))
}

/// A text constant: its buffer is as wide as the text and its NUL.
pub fn text(value: impl Into<Vec<u8>>, span: Span) -> Expr {
    let bytes: Vec<u8> = value.into();
    let width = u32::try_from(bytes.len() + 1).unwrap_or(u32::MAX);
    Expr::new(ExprKind::Literal(Datum::Text(bytes)), SqlType::Text { width }, span)
}

/// A bare NULL.
pub fn null(span: Span) -> Expr {
    Expr::new(ExprKind::Literal(Datum::Null), SqlType::Null, span)
}

/// `char *` is text wherever it stands: reads it, with the default width. Anything else is left alone.
pub fn as_value(expr: Expr) -> Expr {
    match &expr.ty {
        SqlType::Pointer { to: Pointee::Char, .. } => {
            let span = expr.span;
            Expr::new(ExprKind::ReadText(Box::new(expr)), SqlType::Text { width: DEFAULT_TEXT }, span)
        }
        _ => expr,
    }
}

/// PostgreSQL's "unknown" constants: NULL takes the other operand's type, and so does a text constant beside an integer or an
/// enumeration (`state = 'TASK_RUNNING'`, `pid = '5'`).
pub(crate) fn adapt(expr: Expr, to: &SqlType) -> Result<Expr, Diagnostic> {
    if expr.ty == SqlType::Null {
        return Ok(coerce(expr, to));
    }
    let ExprKind::Literal(datum) = &expr.kind else { return Ok(expr) };
    match (datum, to) {
        (Datum::Text(bytes), SqlType::Enum(e)) => {
            let name = String::from_utf8_lossy(bytes).into_owned();
            match e.values.iter().find(|(_, n)| *n == name) {
                Some((value, _)) => Ok(Expr::int(i128::from(*value), to.clone(), expr.span)),
                None => Err(Diagnostic::new("unknown-enum-name", expr.span, format!("{to} has no value \"{name}\""))
                    .did_you_mean(nearest(&name, e.values.iter().map(|(_, n)| n.as_str())))),
            }
        }
        (Datum::Text(bytes), SqlType::Int { .. }) => {
            let name = String::from_utf8_lossy(bytes).into_owned();
            name.trim().parse().ok().and_then(|value| integer(value, expr.span)).ok_or_else(|| {
                Diagnostic::new("type-mismatch", expr.span, format!("'{name}' is not an integer"))
                    .detail(format!("it stands beside a value of type {to}"))
            })
        }
        _ => Ok(expr),
    }
}

/// The value of an expression that depends on nothing.
pub(crate) fn constant(expr: &Expr) -> Option<Datum> {
    match &expr.kind {
        ExprKind::Literal(datum) => Some(datum.clone()),
        _ => None,
    }
}

pub(crate) fn no_operator(op: &str, a: &Expr, b: &Expr, span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::new("type-mismatch", span, format!("operator does not exist: {} {op} {}", a.ty, b.ty));
    let classes = [class(&a.ty), class(&b.ty)];
    if let Some(memory) = [a, b].into_iter().find(|e| class(&e.ty) == Class::Memory) {
        return diagnostic.help(format!("{} has no value of its own; name one of its members", memory.ty));
    }
    let has = |c: Class| classes.contains(&c);
    if has(Class::Interval) && (has(Class::Integer) || has(Class::Text)) {
        return diagnostic.help("write a duration as interval '10 ms'");
    }
    if has(Class::Pointer) && has(Class::Text) {
        return diagnostic.help("str(x) reads the text at an address");
    }
    diagnostic
}

#[cfg(test)]
mod tests;
