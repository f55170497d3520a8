//! The primitives over single values.

use super::bug;
use crate::{ArithOp, Datum, UnaryOp};
use bpfquery_catalog::SqlType;
use bpfquery_diag::Result;

/// The value in so many bits, two's complement or not: what is above is dropped.
pub fn wrap(value: i128, bits: u8, signed: bool) -> i128 {
    let spare = 128 - u32::from(bits.clamp(1, 128));
    if signed { value << spare >> spare } else { (value.cast_unsigned() << spare >> spare).cast_signed() }
}

/// `-x` and `~x`; NOT is three-valued logic and lives beside AND.
pub(super) fn unary(op: UnaryOp, a: Datum, ty: &SqlType) -> Result<Datum> {
    match (op, a) {
        (_, Datum::Null) => Ok(Datum::Null),
        (UnaryOp::Neg, Datum::Double(x)) => Ok(Datum::Double(-x)),
        (UnaryOp::Neg, Datum::Int(x)) if *ty == SqlType::Decimal => Ok(x.checked_neg().map_or(Datum::Null, Datum::Int)),
        (UnaryOp::Neg, Datum::Int(x)) => Ok(Datum::Int(in_type(x.wrapping_neg(), ty))),
        (UnaryOp::BitNot, Datum::Int(x)) => Ok(Datum::Int(in_type(!x, ty))),
        (op, a) => Err(bug(format!("{op:?} of {a:?}"))),
    }
}

/// `a op b` in the type `ty`.
pub(super) fn arith(op: ArithOp, a: Datum, b: Datum, ty: &SqlType) -> Result<Datum> {
    match (a, b, ty) {
        (Datum::Null, _, _) | (_, Datum::Null, _) => Ok(Datum::Null),
        (Datum::Double(a), Datum::Double(b), SqlType::Double) => doubles(op, a, b),
        (Datum::Int(a), Datum::Int(b), SqlType::Decimal) => decimals(op, a, b),
        (Datum::Int(a), Datum::Int(b), ty) if ty.scalar().is_some() => {
            Ok(integers(op, in_type(a, ty), in_type(b, ty), ty))
        }
        (a, b, _) => Err(bug(format!("{a:?} {} {b:?}", op.symbol()))),
    }
}

/// 64-bit arithmetic on operands that are already in the type. 128 bits hold every result before it wraps, but of `<<`.
fn integers(op: ArithOp, a: i128, b: i128, ty: &SqlType) -> Datum {
    let by = (b & 63) as u32;
    let exact = match op {
        ArithOp::Add => a + b,
        ArithOp::Sub => a - b,
        ArithOp::Mul => a.wrapping_mul(b),
        ArithOp::Div | ArithOp::Mod if b == 0 => return Datum::Null,
        ArithOp::Div => a / b,
        ArithOp::Mod => a % b,
        ArithOp::And => a & b,
        ArithOp::Or => a | b,
        ArithOp::Xor => a ^ b,
        ArithOp::Shl => a << by,
        ArithOp::Shr => a >> by,
    };
    Datum::Int(in_type(exact, ty))
}

/// decimal(38,0): whole numbers of 128 bits; what they do not hold is NULL.
fn decimals(op: ArithOp, a: i128, b: i128) -> Result<Datum> {
    let value = match op {
        ArithOp::Add => a.checked_add(b),
        ArithOp::Sub => a.checked_sub(b),
        ArithOp::Mul => a.checked_mul(b),
        ArithOp::Div => a.checked_div(b),
        ArithOp::Mod => a.checked_rem(b),
        ArithOp::And | ArithOp::Or | ArithOp::Xor | ArithOp::Shl | ArithOp::Shr => {
            return Err(bug(format!("{} of decimals", op.symbol())));
        }
    };
    Ok(value.map_or(Datum::Null, Datum::Int))
}

fn doubles(op: ArithOp, a: f64, b: f64) -> Result<Datum> {
    match op {
        ArithOp::Add => Ok(Datum::Double(a + b)),
        ArithOp::Sub => Ok(Datum::Double(a - b)),
        ArithOp::Mul => Ok(Datum::Double(a * b)),
        ArithOp::Div if b == 0.0 => Ok(Datum::Null),
        ArithOp::Div => Ok(Datum::Double(a / b)),
        ArithOp::Mod | ArithOp::And | ArithOp::Or | ArithOp::Xor | ArithOp::Shl | ArithOp::Shr => {
            Err(bug(format!("{} of doubles", op.symbol())))
        }
    }
}

/// The value in another type. Integers wrap; what comes from double or decimal and does not fit is NULL.
pub(super) fn cast(value: Datum, from: &SqlType, to: &SqlType) -> Result<Datum> {
    match (value, to) {
        (Datum::Null, _) => Ok(Datum::Null),
        (value, to) if from == to => Ok(value),
        (Datum::Bool(b), to) if to.scalar().is_some() => Ok(Datum::Int(i128::from(b))),
        (Datum::Int(x), SqlType::Bool) => Ok(Datum::Bool(x != 0)),
        (Datum::Int(x), SqlType::Double) => Ok(Datum::Double(x as f64)),
        (Datum::Int(x), SqlType::Decimal) => Ok(Datum::Int(x)),
        (Datum::Int(x), to) if to.scalar().is_some() => Ok(match in_type(x, to) {
            lossy if lossy != x && *from == SqlType::Decimal => Datum::Null,
            wrapped => Datum::Int(wrapped),
        }),
        (Datum::Double(x), to) if *to == SqlType::Decimal || to.scalar().is_some() => Ok(rounded(x, to)),
        (Datum::Text(mut bytes), SqlType::Text { width }) => {
            bytes.truncate((*width as usize).saturating_sub(1));
            Ok(Datum::Text(bytes))
        }
        (value, to) => Err(bug(format!("{value:?} as {to}"))),
    }
}

/// The nearest integer, the even one of two; NULL where the type does not hold it.
fn rounded(x: f64, to: &SqlType) -> Datum {
    let nearest = x.round_ties_even();
    // 2^127 is exact as a double; beyond it the conversion would saturate.
    if !nearest.is_finite() || nearest.abs() >= 2f64.powi(127) {
        return Datum::Null;
    }
    let value = nearest as i128;
    if *to == SqlType::Decimal || in_type(value, to) == value { Datum::Int(value) } else { Datum::Null }
}

/// 0 for x < 0, 1 for 0, 2 + k for 2^k <= x < 2^(k+1).
pub(super) fn bucket(value: Datum) -> Result<Datum> {
    match value {
        Datum::Null => Ok(Datum::Null),
        Datum::Int(x) if x < 0 => Ok(Datum::Int(0)),
        Datum::Int(0) => Ok(Datum::Int(1)),
        Datum::Int(x) => Ok(Datum::Int(2 + i128::from(x.ilog2()))),
        other => Err(bug(format!("bucket of {other:?}"))),
    }
}

/// The value as the type's bits hold it; types without bits hold all.
fn in_type(value: i128, ty: &SqlType) -> i128 {
    ty.scalar().map_or(value, |(bits, signed)| wrap(value, bits, signed))
}
