//! Integer arithmetic.

use super::Lowerer;
use crate::ir::{BinOp, Block, Cond, Type, Value};
use bpfquery_diag::Result;
use bpfquery_plan::{ArithOp, Datum, Expr, ExprKind};

impl Lowerer<'_> {
    /// `a op b` in the signedness of the expression's type.
    pub(super) fn arith(&mut self, expr: &Expr, op: ArithOp, a: &Expr, b: &Expr, null: Block) -> Result<Value> {
        let signed = expr.ty.scalar().is_none_or(|(_, signed)| signed);
        let left = self.scalar(a, null)?;
        let right = self.scalar(b, null)?;
        self.build.set_span(expr.span);
        let op = match op {
            ArithOp::Add => BinOp::Add,
            ArithOp::Sub => BinOp::Sub,
            ArithOp::Mul => BinOp::Mul,
            ArithOp::And => BinOp::And,
            ArithOp::Or => BinOp::Or,
            ArithOp::Xor => BinOp::Xor,
            ArithOp::Shl => BinOp::Shl,
            ArithOp::Shr if a.ty.scalar().is_some_and(|(_, signed)| signed) => BinOp::Ashr,
            ArithOp::Shr => BinOp::Lshr,
            ArithOp::Div => return Ok(self.divide(BinOp::UDiv, left, right, literal(b), signed, null)),
            ArithOp::Mod => return Ok(self.divide(BinOp::UMod, left, right, literal(b), signed, null)),
        };
        Ok(self.build.bin(op, left, right))
    }

    /// Division that truncates toward zero, NULL by zero. BPF before ISA v4 (6.6) divides unsigned only: the signs are taken
    /// off first and put on again, which also wraps INT_MIN / -1 as it must.
    fn divide(&mut self, op: BinOp, a: Value, b: Value, known: Option<i128>, signed: bool, null: Block) -> Value {
        let zero = self.build.iconst(0);
        if known.is_none_or(|n| n == 0) {
            let go_on = self.build.block();
            self.build.branch(Cond::Eq, b, zero, null, go_on);
            self.build.switch_to(go_on);
        }
        if !signed {
            return self.build.bin(op, a, b);
        }
        let divisor = match known {
            Some(n) if n > 0 => b,
            _ => self.magnitude(b),
        };
        let dividend = self.magnitude(a);
        let result = self.build.bin(op, dividend, divisor);
        // The quotient is negative where the signs differ, the remainder where the dividend is.
        let sign = match (op, known) {
            (BinOp::UDiv, Some(n)) if n > 0 => a,
            (BinOp::UDiv, _) => self.build.bin(BinOp::Xor, a, b),
            _ => a,
        };
        let join = self.build.block();
        let quotient = self.build.param(join, Type::Int);
        let negate = self.build.block();
        self.build.branch_with(Cond::Slt, sign, zero, (negate, &[]), (join, &[result]));
        self.build.switch_to(negate);
        let negated = self.build.bin(BinOp::Sub, zero, result);
        self.build.jump(join, &[negated]);
        self.build.switch_to(join);
        quotient
    }

    /// |x|, with INT_MIN as 2^63.
    fn magnitude(&mut self, x: Value) -> Value {
        let zero = self.build.iconst(0);
        let (join, negate) = (self.build.block(), self.build.block());
        let result = self.build.param(join, Type::Int);
        self.build.branch_with(Cond::Slt, x, zero, (negate, &[]), (join, &[x]));
        self.build.switch_to(negate);
        let negated = self.build.bin(BinOp::Sub, zero, x);
        self.build.jump(join, &[negated]);
        self.build.switch_to(join);
        result
    }
}

fn literal(expr: &Expr) -> Option<i128> {
    match &expr.kind {
        ExprKind::Literal(Datum::Int(n)) => Some(*n),
        _ => None,
    }
}
