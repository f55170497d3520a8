//! Conditions as branches: where to go when true, when false, when NULL.

use super::choice::kept;
use super::{Lowerer, key};
use crate::ir::{Block, Cond, Value};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Failure, Result};
use bpfquery_plan::{CompareOp, Datum, Expr, ExprKind, UnaryOp};

/// Where a three-valued condition goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) yes: Block,
    pub(super) no: Block,
    pub(super) null: Block,
}

impl Lowerer<'_> {
    /// Ends the current block by going to one of three.
    pub(super) fn cond(&mut self, expr: &Expr, yes: Block, no: Block, null: Block) -> Result<()> {
        self.ways(expr, Ways { yes, no, null })
    }

    fn ways(&mut self, expr: &Expr, to: Ways) -> Result<()> {
        self.build.set_span(expr.span);
        match &expr.kind {
            ExprKind::Literal(Datum::Bool(truth)) => {
                self.build.jump(if *truth { to.yes } else { to.no }, &[]);
                Ok(())
            }
            ExprKind::Literal(Datum::Null) => {
                self.build.jump(to.null, &[]);
                Ok(())
            }
            ExprKind::Unary(UnaryOp::Not, a) => self.ways(a, Ways { yes: to.no, no: to.yes, null: to.null }),
            ExprKind::And(list) => self.all(list, to, false),
            // a OR b = NOT (NOT a AND NOT b), also where one is NULL.
            ExprKind::Or(list) => self.all(list, Ways { yes: to.no, no: to.yes, null: to.null }, true),
            ExprKind::IsNull(a) => self.is_null(a, to),
            ExprKind::Compare(op, a, b) if a.ty.is_text() || b.ty.is_text() => self.compare_text(expr, *op, a, b, to),
            ExprKind::Compare(op, a, b) => self.compare(expr, *op, a, b, to),
            ExprKind::Like(text, how, pattern) => self.like(expr, text, *how, pattern, to),
            _ => {
                let value = self.scalar(expr, to.null)?;
                let zero = self.build.iconst(0);
                self.build.branch(Cond::Ne, value, zero, to.yes, to.no);
                Ok(())
            }
        }
    }

    /// `yes` if all operands (negated: none of them) are true, `no` if one is false, else `null`. Once an operand was NULL
    /// the others only decide between `no` and `null`: a second chain, entered from the first and never left for it.
    fn all(&mut self, list: &[Expr], to: Ways, negated: bool) -> Result<()> {
        let step = |this: &mut Self, expr: &Expr, yes: Block, null: Block| {
            let ways = if negated { Ways { yes: to.no, no: yes, null } } else { Ways { yes, no: to.no, null } };
            this.ways(expr, ways)
        };
        // x = 1 OR x = 2: where x is NULL all operands are.
        let together = is_null_at_once(list);
        let mut unknown: Option<Block> = None;
        for (i, expr) in list.iter().enumerate() {
            let last = i + 1 == list.len();
            let next = if last { to.yes } else { self.build.block() };
            let next_unknown = match to.null {
                null if last || together || null == to.no => null,
                // Where NULL and true go the same way, the chain goes on as if the operand had been true.
                null if null == to.yes => next,
                _ => self.build.block(),
            };
            step(self, expr, next, next_unknown)?;
            if let Some(block) = unknown {
                self.build.switch_to(block);
                step(self, expr, next_unknown, next_unknown)?;
            }
            unknown = (next_unknown != to.null && next_unknown != next).then_some(next_unknown);
            if !last {
                self.build.switch_to(next);
            }
        }
        Ok(())
    }

    fn is_null(&mut self, operand: &Expr, to: Ways) -> Result<()> {
        if operand.ty.is_text() {
            self.text_is_there(operand, to.yes)?;
        } else if operand.ty == SqlType::Null {
            self.build.jump(to.yes, &[]);
            return Ok(());
        } else if operand.ty.scalar().is_some() {
            self.scalar(operand, to.yes)?;
        } else {
            return Err(Failure::bug("lower", format!("IS NULL of {}", operand.ty)));
        }
        self.build.jump(to.no, &[]);
        Ok(())
    }

    fn compare(&mut self, expr: &Expr, op: CompareOp, a: &Expr, b: &Expr, to: Ways) -> Result<()> {
        let left = self.scalar(a, to.null)?;
        let right = self.scalar(b, to.null)?;
        self.build.set_span(expr.span);
        match (Range::of(a), Range::of(b)) {
            (Range::Signed, Range::Unsigned) => self.if_negative(left, op, true, to),
            (Range::Unsigned, Range::Signed) => self.if_negative(right, op, false, to),
            (Range::Signed, _) | (_, Range::Signed) => {
                self.build.branch(signed(op), left, right, to.yes, to.no);
                return Ok(());
            }
            (Range::Unsigned | Range::Both, Range::Unsigned | Range::Both) => {}
        }
        self.build.branch(unsigned(op), left, right, to.yes, to.no);
        Ok(())
    }

    /// Where a signed side is negative, the comparison with an unsigned bigint is decided; goes on where it is not.
    fn if_negative(&mut self, side: Value, op: CompareOp, is_left: bool, to: Ways) {
        let go_on = self.build.block();
        let holds = match op {
            CompareOp::Eq => false,
            CompareOp::Ne => true,
            CompareOp::Lt | CompareOp::Le => is_left,
            CompareOp::Gt | CompareOp::Ge => !is_left,
        };
        let zero = self.build.iconst(0);
        self.build.branch(Cond::Slt, side, zero, if holds { to.yes } else { to.no }, go_on);
        self.build.switch_to(go_on);
    }
}

/// Whether all operands compare one expression with constants, and are NULL where that is NULL and nowhere else.
fn is_null_at_once(list: &[Expr]) -> bool {
    let subject = |expr: &Expr| match &expr.kind {
        ExprKind::Compare(CompareOp::Eq | CompareOp::Ne, a, b) => match (&b.kind, &a.ty) {
            // A constant that fills the width asks for what may have been cut.
            (ExprKind::Literal(Datum::Text(text)), SqlType::Text { .. }) => {
                kept(a).is_ok_and(|width| text.len() + 1 < width as usize).then(|| key(a))
            }
            (ExprKind::Literal(Datum::Int(_)), _) => Some(key(a)),
            _ => None,
        },
        _ => None,
    };
    let first = list.first().and_then(subject);
    first.is_some() && list.iter().skip(1).all(|expr| subject(expr) == first)
}

/// What a 64-bit register may hold of an expression, as comparisons care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    /// May be negative.
    Signed,
    /// May be above 2^63 - 1.
    Unsigned,
    /// Neither: both comparisons are right.
    Both,
}

impl Range {
    fn of(expr: &Expr) -> Range {
        if let ExprKind::Literal(Datum::Int(n)) = &expr.kind {
            return match n {
                n if *n < 0 => Range::Signed,
                n if *n > i128::from(i64::MAX) => Range::Unsigned,
                _ => Range::Both,
            };
        }
        match expr.ty.scalar() {
            Some((_, true)) => Range::Signed,
            Some((64, false)) => Range::Unsigned,
            _ => Range::Both,
        }
    }
}

fn signed(op: CompareOp) -> Cond {
    match op {
        CompareOp::Eq => Cond::Eq,
        CompareOp::Ne => Cond::Ne,
        CompareOp::Lt => Cond::Slt,
        CompareOp::Le => Cond::Sle,
        CompareOp::Gt => Cond::Sgt,
        CompareOp::Ge => Cond::Sge,
    }
}

fn unsigned(op: CompareOp) -> Cond {
    match op {
        CompareOp::Eq => Cond::Eq,
        CompareOp::Ne => Cond::Ne,
        CompareOp::Lt => Cond::Ult,
        CompareOp::Le => Cond::Ule,
        CompareOp::Gt => Cond::Ugt,
        CompareOp::Ge => Cond::Uge,
    }
}
