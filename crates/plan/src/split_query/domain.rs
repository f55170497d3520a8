//! Which integers an expression can be.
//!
//! What must hold: the value is within the bounds whatever the row, as the program computes it. Not used: what filters leave over.

use crate::{ArithOp, Datum, Expr, ExprKind, UnaryOp};
use bpfquery_catalog::SqlType;

/// The least and the greatest value of an integer or truth (0, 1); wide where nothing is known.
pub(super) fn bounds(expr: &Expr) -> Option<(i128, i128)> {
    let whole = of_type(&expr.ty)?;
    let found = match &expr.kind {
        ExprKind::Literal(Datum::Int(n)) => (*n, *n),
        // NULL is no value.
        ExprKind::Literal(Datum::Null) => whole,
        ExprKind::Literal(Datum::Bool(b)) => (i128::from(*b), i128::from(*b)),
        // On another kernel a field may be wider than its type here.
        ExprKind::Field { .. } => return Some((i64::MIN.into(), u64::MAX.into())),
        ExprKind::Unary(UnaryOp::Neg, a) => bounds(a).map_or(whole, |(low, high)| (-high, -low)),
        ExprKind::Unary(UnaryOp::BitNot, a) => bounds(a).map_or(whole, |(low, high)| (!high, !low)),
        ExprKind::Arith(op, a, b) => bounds(a).zip(bounds(b)).and_then(|(a, b)| arith(*op, a, b)).unwrap_or(whole),
        ExprKind::Case { arms, otherwise } => union(arms.iter().map(|(_, then)| then).chain([&**otherwise]))?,
        ExprKind::Coalesce(list) => union(list.iter())?,
        ExprKind::Cast(a) => bounds(a)?,
        ExprKind::Bucket(_) => (0, i128::from(crate::BUCKETS) - 1),
        _ => whole,
    };
    // What its type does not hold has wrapped, to anywhere.
    Some(if found.0 < whole.0 || found.1 > whole.1 { whole } else { found })
}

/// What a type holds. Times and addresses are no small numbers.
fn of_type(ty: &SqlType) -> Option<(i128, i128)> {
    match ty {
        SqlType::Bool => Some((0, 1)),
        SqlType::Int { .. } | SqlType::Enum(_) => {
            let (bits, signed) = ty.scalar()?;
            let half = 1_i128 << (bits - 1);
            Some(if signed { (-half, half - 1) } else { (0, 2 * half - 1) })
        }
        _ => None,
    }
}

/// The bounds of all of them; a NULL among them has none.
fn union<'a>(exprs: impl Iterator<Item = &'a Expr>) -> Option<(i128, i128)> {
    let mut both: Option<(i128, i128)> = None;
    for expr in exprs.filter(|e| e.kind != ExprKind::Literal(Datum::Null)) {
        let (low, high) = bounds(expr)?;
        both = Some(both.map_or((low, high), |(l, h)| (l.min(low), h.max(high))));
    }
    both
}

/// `None` where too little is known.
fn arith(op: ArithOp, a: (i128, i128), b: (i128, i128)) -> Option<(i128, i128)> {
    let constant = (b.0 == b.1).then_some(b.0);
    let corners = |f: &dyn Fn(i128, i128) -> Option<i128>| {
        let all = [f(a.0, b.0)?, f(a.0, b.1)?, f(a.1, b.0)?, f(a.1, b.1)?];
        Some((all.into_iter().min()?, all.into_iter().max()?))
    };
    match op {
        ArithOp::Add => corners(&i128::checked_add),
        ArithOp::Sub => corners(&i128::checked_sub),
        ArithOp::Mul => corners(&i128::checked_mul),
        ArithOp::Div => constant.filter(|c| *c > 0).map(|c| (a.0 / c, a.1 / c)),
        ArithOp::Mod => {
            let most = constant.filter(|c| *c != 0)?.abs() - 1;
            Some((if a.0 < 0 { a.0.max(-most) } else { 0 }, a.1.clamp(0, most)))
        }
        // One operand that is never negative bounds the result from both sides.
        ArithOp::And => [a, b].into_iter().filter(|x| x.0 >= 0).map(|x| x.1).min().map(|most| (0, most)),
        ArithOp::Or | ArithOp::Xor if a.0 >= 0 && b.0 >= 0 => {
            let bits = 128 - a.1.max(b.1).leading_zeros();
            (bits < 64).then(|| (0, (1 << bits) - 1))
        }
        ArithOp::Shr => constant.filter(|c| (0..64).contains(c)).map(|c| (a.0 >> c, a.1 >> c)),
        ArithOp::Or | ArithOp::Xor | ArithOp::Shl => None,
    }
}

#[cfg(test)]
mod tests {
    use super::bounds;
    use crate::eval::eval;
    use crate::{ArithOp, ColumnId, Datum, Expr, ExprKind};
    use bpfquery_catalog::SqlType;
    use bpfquery_diag::Span;

    fn arith(op: ArithOp, ty: &SqlType, a: Expr, b: i128) -> Expr {
        let b = Expr::int(b, ty.clone(), Span::default());
        Expr::new(ExprKind::Arith(op, Box::new(a), Box::new(b)), ty.clone(), Span::default())
    }

    /// Every operator with every constant, over values at the edges: what is computed lies within the bounds.
    #[test]
    fn values_lie_within() {
        let ops = [ArithOp::Add, ArithOp::Sub, ArithOp::Mul, ArithOp::Div, ArithOp::Mod];
        let bits = [ArithOp::And, ArithOp::Or, ArithOp::Xor, ArithOp::Shl, ArithOp::Shr];
        for ty in [SqlType::I64, SqlType::U64] {
            let column = Expr::new(ExprKind::Column(ColumnId(0)), ty.clone(), Span::default());
            let (least, most) =
                if ty == SqlType::I64 { (i64::MIN.into(), i64::MAX.into()) } else { (0, u64::MAX.into()) };
            let edges: Vec<i128> =
                [least, -65, -1, 0, 1, 7, 63, 64, 1000, most].into_iter().filter(|x| *x >= least).collect();
            for (first, second) in ops.iter().chain(&bits).flat_map(|a| ops.iter().chain(&bits).map(move |b| (*a, *b)))
            {
                for (c, d) in edges.iter().flat_map(|c| edges.iter().map(move |d| (*c, *d))) {
                    let expr = arith(second, &ty, arith(first, &ty, column.clone(), c), d);
                    let (low, high) = bounds(&expr).expect("an integer");
                    for x in &edges {
                        if let Ok(Datum::Int(value)) = eval(&expr, &[Datum::Int(*x)], &[]) {
                            assert!(
                                (low..=high).contains(&value),
                                "{x} {first:?} {c} {second:?} {d}: {value} in {low}..{high}"
                            );
                        }
                    }
                }
            }
        }
    }
}
