//! Expressions whose value fits a register. Values are kept extended to 64 bits in the signedness of their type.

use super::Lowerer;
use super::field::Place;
use crate::ir::{Access, BinOp, Block, Cond, Global, Type, Value};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Diagnostic, Failure, Result};
use bpfquery_plan::{Datum, Expr, ExprKind, ParamId, UnaryOp};

impl Lowerer<'_> {
    /// The value of an expression; goes to `null` where it is NULL.
    pub(super) fn scalar(&mut self, expr: &Expr, null: Block) -> Result<Value> {
        self.build.set_span(expr.span);
        match &expr.kind {
            ExprKind::Literal(datum) => self.literal(datum, expr, null),
            ExprKind::Column(id) => {
                let column = self.column(*id)?;
                self.scalar_column(column, null)
            }
            ExprKind::Param(id) => self.param(*id),
            ExprKind::Unary(UnaryOp::Neg, a) => {
                let a = self.scalar(a, null)?;
                self.build.set_span(expr.span);
                let zero = self.build.iconst(0);
                Ok(self.build.bin(BinOp::Sub, zero, a))
            }
            ExprKind::Unary(UnaryOp::BitNot, a) => {
                let a = self.scalar(a, null)?;
                self.build.set_span(expr.span);
                Ok(self.build.bin_imm(BinOp::Xor, a, -1))
            }
            ExprKind::Unary(UnaryOp::Not, _)
            | ExprKind::Compare(..)
            | ExprKind::Like(..)
            | ExprKind::And(_)
            | ExprKind::Or(_)
            | ExprKind::IsNull(_) => self.truth(expr, null),
            ExprKind::Arith(op, a, b) => self.arith(expr, *op, a, b, null),
            ExprKind::Case { arms, otherwise } => self.case(arms, otherwise, null),
            ExprKind::Coalesce(list) => self.coalesce(list, null),
            ExprKind::Cast(a) => self.cast(expr, a, null),
            ExprKind::Field { base, path, at } => self.field(expr, &Place { base, path, at }, null),
            ExprKind::Tumble { size_ns } => Ok(self.tumble(*size_ns)),
            ExprKind::Bucket(a) => self.bucket(a, null),
            ExprKind::ReadText(_) => Err(Failure::bug("lower", "text as a number")),
        }
    }

    fn literal(&mut self, datum: &Datum, expr: &Expr, null: Block) -> Result<Value> {
        match datum {
            Datum::Int(n) => {
                // A literal lies within 64 bits of its type's signedness; the low half is its two's complement.
                let low = u64::try_from(n & i128::from(u64::MAX)).unwrap_or_default();
                Ok(self.build.iconst(low.cast_signed()))
            }
            Datum::Bool(b) => Ok(self.build.iconst(i64::from(*b))),
            Datum::Null => {
                self.build.jump(null, &[]);
                let unreached = self.build.block();
                self.build.switch_to(unreached);
                Ok(self.build.iconst(0))
            }
            Datum::Double(_) | Datum::Text(_) | Datum::Histogram(_) => {
                Err(Failure::bug("lower", format!("literal of type {} as a number", expr.ty)))
            }
        }
    }

    fn param(&mut self, id: ParamId) -> Result<Value> {
        let (address, ty) = self.param_address(id)?;
        let word = self.build.load(Access::U64, address, 0);
        // The loader writes 8 bytes, extended in the parameter's own type.
        match ty.scalar() {
            Some(_) => Ok(word),
            None => Err(Failure::bug("lower", format!("parameter of type {ty} as a number"))),
        }
    }

    /// Where a parameter's value stands in `.rodata`: 8 bytes, or text with zeros behind it.
    pub(super) fn param_address(&mut self, id: ParamId) -> Result<(Value, SqlType)> {
        let index = id.0 as usize;
        let Some(param) = self.params.get(index) else {
            return Err(Failure::bug("lower", format!("parameter {index}")));
        };
        let bytes = match &param.ty {
            SqlType::Text { width } => width.next_multiple_of(8) as usize,
            _ => 8,
        };
        let known = self.globals.params.get(index).copied().flatten();
        let global = known.unwrap_or_else(|| self.global(format!("param_{index}"), Global::Rodata, vec![0; bytes]));
        if let Some(slot) = self.globals.params.get_mut(index) {
            *slot = Some(global);
        }
        Ok((self.build.global_addr(global), param.ty.clone()))
    }

    /// A condition as 0 or 1.
    fn truth(&mut self, expr: &Expr, null: Block) -> Result<Value> {
        let (yes, no, join) = (self.build.block(), self.build.block(), self.build.block());
        let result = self.build.param(join, Type::Int);
        self.cond(expr, yes, no, null)?;
        for (block, truth) in [(yes, 1), (no, 0)] {
            self.build.switch_to(block);
            let truth = self.build.iconst(truth);
            self.build.jump(join, &[truth]);
        }
        self.build.switch_to(join);
        Ok(result)
    }

    fn case(&mut self, arms: &[(Expr, Expr)], otherwise: &Expr, null: Block) -> Result<Value> {
        let join = self.build.block();
        let result = self.build.param(join, Type::Int);
        for (when, then) in arms {
            let (hit, miss) = (self.build.block(), self.build.block());
            self.cond(when, hit, miss, miss)?;
            self.build.switch_to(hit);
            let value = self.scalar(then, null)?;
            self.build.jump(join, &[value]);
            self.build.switch_to(miss);
        }
        let value = self.scalar(otherwise, null)?;
        self.build.jump(join, &[value]);
        self.build.switch_to(join);
        Ok(result)
    }

    fn coalesce(&mut self, list: &[Expr], null: Block) -> Result<Value> {
        let join = self.build.block();
        let result = self.build.param(join, Type::Int);
        for (i, expr) in list.iter().enumerate() {
            let next = if i + 1 == list.len() { null } else { self.build.block() };
            let value = self.scalar(expr, next)?;
            self.build.jump(join, &[value]);
            self.build.switch_to(next);
        }
        self.build.switch_to(join);
        Ok(result)
    }

    fn cast(&mut self, expr: &Expr, operand: &Expr, null: Block) -> Result<Value> {
        if let (SqlType::Struct(_) | SqlType::Array { .. }, SqlType::Pointer { .. }) = (&operand.ty, &expr.ty) {
            return self.address(operand, null);
        }
        let (Some((from, from_signed)), Some((to, to_signed))) = (operand.ty.scalar(), expr.ty.scalar()) else {
            let message = format!("a cast from {} to {} is not supported yet in the kernel", operand.ty, expr.ty);
            return Err(Diagnostic::new("unsupported", expr.span, message).into());
        };
        let value = self.scalar(operand, null)?;
        self.build.set_span(expr.span);
        if expr.ty == SqlType::Bool && operand.ty != SqlType::Bool {
            return Ok(self.is_nonzero(value));
        }
        // A value is kept extended in its own signedness: a wider type holds it as it is, unless a sign would be lost.
        let wider = to > from && (to_signed || !from_signed);
        let fits = to >= 64 || wider || (to == from && from_signed == to_signed);
        Ok(if fits { value } else { self.build.extend(to, to_signed, value) })
    }

    fn is_nonzero(&mut self, value: Value) -> Value {
        let join = self.build.block();
        let result = self.build.param(join, Type::Int);
        let (zero, one) = (self.build.iconst(0), self.build.iconst(1));
        self.build.branch_with(Cond::Ne, value, zero, (join, &[one]), (join, &[zero]));
        self.build.switch_to(join);
        result
    }

    /// The log2 bucket: 0 below 0, and 1 and as many as the number has bits. Halves the width in five steps, each a test, and what is
    /// left then, 0 to 3, has as many bits as it is, or 2.
    fn bucket(&mut self, operand: &Expr, null: Block) -> Result<Value> {
        let signed = operand.ty.scalar().is_some_and(|(_, signed)| signed);
        let mut x = self.scalar(operand, null)?;
        let join = self.build.block();
        let result = self.build.param(join, Type::Int);
        let zero = self.build.iconst(0);
        if signed {
            let go_on = self.build.block();
            self.build.branch_with(Cond::Slt, x, zero, (join, &[zero]), (go_on, &[]));
            self.build.switch_to(go_on);
        }
        let mut bits = self.build.iconst(1);
        for step in [32, 16, 8, 4, 2] {
            let (more, next) = (self.build.block(), self.build.block());
            let next_x = self.build.param(next, Type::Int);
            let next_bits = self.build.param(next, Type::Int);
            // Beyond 31 bits a number is no immediate.
            let (least, tested) = match step {
                32 => (1, self.build.bin_imm(BinOp::Lshr, x, 32)),
                _ => (1 << step, x),
            };
            let least = self.build.iconst(least);
            self.build.branch_with(Cond::Ult, tested, least, (next, &[x, bits]), (more, &[]));
            self.build.switch_to(more);
            let high = self.build.bin_imm(BinOp::Lshr, x, step);
            let longer = self.build.bin_imm(BinOp::Add, bits, step);
            self.build.jump(next, &[high, longer]);
            self.build.switch_to(next);
            (x, bits) = (next_x, next_bits);
        }
        let two = self.build.iconst(2);
        let (last, rest) = (self.build.block(), self.build.iconst(3));
        let left = self.build.param(last, Type::Int);
        self.build.branch_with(Cond::Ult, x, rest, (last, &[x]), (last, &[two]));
        self.build.switch_to(last);
        let sum = self.build.bin(BinOp::Add, bits, left);
        self.build.jump(join, &[sum]);
        self.build.switch_to(join);
        Ok(result)
    }
}
