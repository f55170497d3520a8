//! The one scalar evaluator: what every primitive means.
//!
//! What must hold: for every expression that runs in the kernel this gives the kernel's value; constant folding, the user plan and
//! the tests' oracle all use it. NULL in, NULL out, unless a primitive says otherwise. Not checked: that the row's values are of
//! their columns' types; a value that is of no fitting kind is a bug, never a panic.

mod order;
mod scalar;

pub use order::{compare_rows, order};
pub use scalar::wrap;

use crate::{CompareOp, Datum, Expr, ExprKind, Like, UnaryOp};
use bpfquery_diag::{Failure, Result};

/// The value of the expression for a row. Fails only where the expression reads memory or the clock, which user space cannot.
pub fn eval(expr: &Expr, row: &[Datum], params: &[Datum]) -> Result<Datum> {
    Evaluator { row, params }.eval(expr)
}

/// Whether a filter lets the row pass: its predicate is true, not NULL.
pub fn passes(predicate: &Expr, row: &[Datum], params: &[Datum]) -> Result<bool> {
    Ok(eval(predicate, row, params)? == Datum::Bool(true))
}

fn bug(detail: impl Into<String>) -> Failure {
    Failure::bug("eval", detail)
}

struct Evaluator<'a> {
    row: &'a [Datum],
    params: &'a [Datum],
}

impl Evaluator<'_> {
    fn eval(&self, expr: &Expr) -> Result<Datum> {
        match &expr.kind {
            ExprKind::Literal(datum) => Ok(datum.clone()),
            ExprKind::Column(id) => self.at(self.row, "column", id.0),
            ExprKind::Param(id) => self.at(self.params, "parameter", id.0),
            ExprKind::Unary(UnaryOp::Not, a) => Ok(negated(self.condition(a)?)),
            ExprKind::Unary(op, a) => scalar::unary(*op, self.eval(a)?, &expr.ty),
            ExprKind::Arith(op, a, b) => scalar::arith(*op, self.eval(a)?, self.eval(b)?, &expr.ty),
            ExprKind::Compare(op, a, b) => self.compare(*op, a, b),
            ExprKind::Like(text, how, pattern) => self.like(text, *how, pattern),
            ExprKind::And(list) => self.fold(list, false),
            ExprKind::Or(list) => self.fold(list, true),
            ExprKind::IsNull(a) => Ok(Datum::Bool(self.eval(a)?.is_null())),
            ExprKind::Case { arms, otherwise } => self.eval(self.case(arms, otherwise)?),
            ExprKind::Coalesce(list) => Ok(self.coalesce(list)?.0),
            ExprKind::Cast(a) => scalar::cast(self.eval(a)?, &a.ty, &expr.ty),
            ExprKind::Bucket(a) => scalar::bucket(self.eval(a)?),
            ExprKind::Field { .. } | ExprKind::ReadText(_) => Err(bug("memory is read in the kernel only")),
            ExprKind::Tumble { .. } => Err(bug("windows are found in the kernel only")),
        }
    }

    fn at(&self, values: &[Datum], what: &str, at: u32) -> Result<Datum> {
        values.get(at as usize).cloned().ok_or_else(|| bug(format!("{what} {at} of {}", values.len())))
    }

    /// The value of a boolean; `None` for NULL.
    fn condition(&self, expr: &Expr) -> Result<Option<bool>> {
        match self.eval(expr)? {
            Datum::Null => Ok(None),
            Datum::Bool(value) => Ok(Some(value)),
            other => Err(bug(format!("{other:?} is no boolean"))),
        }
    }

    /// AND (`decides` is false) and OR (`decides` is true): one deciding operand decides; otherwise NULL if any is NULL.
    fn fold(&self, list: &[Expr], decides: bool) -> Result<Datum> {
        let mut unknown = false;
        for expr in list {
            match self.condition(expr)? {
                Some(value) if value == decides => return Ok(Datum::Bool(decides)),
                Some(_) => {}
                None => unknown = true,
            }
        }
        Ok(if unknown { Datum::Null } else { Datum::Bool(!decides) })
    }

    fn compare(&self, op: CompareOp, a: &Expr, b: &Expr) -> Result<Datum> {
        let (x, x_cut) = self.text_and_cut(a)?;
        let (y, y_cut) = self.text_and_cut(b)?;
        if x.is_null() || y.is_null() {
            return Ok(Datum::Null);
        }
        if let (Datum::Text(x), Datum::Text(y)) = (&x, &y) {
            let ordering = order::texts(x, x_cut, y, y_cut);
            return Ok(ordering.map_or(Datum::Null, |o| Datum::Bool(op.holds(o))));
        }
        let ordering = order::values(&x, &y).ok_or_else(|| bug(format!("{x:?} {} {y:?}", op.symbol())))?;
        Ok(Datum::Bool(op.holds(ordering)))
    }

    fn like(&self, text: &Expr, how: Like, pattern: &Expr) -> Result<Datum> {
        let (text, cut) = self.text_and_cut(text)?;
        let (pattern, lost) = self.text_and_cut(pattern)?;
        match (&text, &pattern) {
            (Datum::Null, _) | (_, Datum::Null) => Ok(Datum::Null),
            // Without its end a pattern says nothing.
            (Datum::Text(_), Datum::Text(_)) if lost => Ok(Datum::Null),
            (Datum::Text(text), Datum::Text(pattern)) => {
                Ok(how.parse(pattern).and_then(|p| p.matches(text, cut)).map_or(Datum::Null, Datum::Bool))
            }
            (text, pattern) => Err(bug(format!("{text:?} LIKE {pattern:?}"))),
        }
    }

    /// A value, and whether it is text of which something was cut off by a cast on the way here.
    fn text_and_cut(&self, expr: &Expr) -> Result<(Datum, bool)> {
        match &expr.kind {
            ExprKind::Cast(inner) if expr.ty.is_text() => {
                let (whole, cut) = self.text_and_cut(inner)?;
                let kept = scalar::cast(whole.clone(), &inner.ty, &expr.ty)?;
                let cut = cut || kept != whole;
                Ok((kept, cut))
            }
            ExprKind::Case { arms, otherwise } => self.text_and_cut(self.case(arms, otherwise)?),
            ExprKind::Coalesce(list) => self.coalesce(list),
            _ => Ok((self.eval(expr)?, false)),
        }
    }

    /// The one of the values that counts.
    fn case<'e>(&self, arms: &'e [(Expr, Expr)], otherwise: &'e Expr) -> Result<&'e Expr> {
        for (when, then) in arms {
            if self.condition(when)? == Some(true) {
                return Ok(then);
            }
        }
        Ok(otherwise)
    }

    fn coalesce(&self, list: &[Expr]) -> Result<(Datum, bool)> {
        for expr in list {
            let value = self.text_and_cut(expr)?;
            if !value.0.is_null() {
                return Ok(value);
            }
        }
        Ok((Datum::Null, false))
    }
}

fn negated(value: Option<bool>) -> Datum {
    value.map_or(Datum::Null, |v| Datum::Bool(!v))
}

#[cfg(test)]
mod tests;
