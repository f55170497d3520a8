//! Comparisons.

use super::Select;
use crate::emit::mach::{BlockId, Src, Term, VReg};
use crate::ir::{self, BinOp, Op, Value};
use crate::passes::facts;
use bpfquery_isa::{Cond, Width};

/// One side of a comparison of lower halves.
#[derive(Clone, Copy)]
enum Half {
    Value(Value),
    Constant(i32),
}

impl Select<'_> {
    /// `if a cond b goto then; goto otherwise`
    pub(super) fn branch(&mut self, cond: ir::Cond, a: Value, b: Value, then: BlockId, otherwise: BlockId) -> Term {
        let cond = isa_cond(cond);
        let constant = |value: Value| self.constants[value.index()].is_some();
        let (cond, a, b) = if constant(a) && !constant(b) { (cond.swap(), b, a) } else { (cond, a, b) };
        if let Some(term) = self.bit_test(cond, a, b, then, otherwise) {
            return term;
        }
        if let Some((a, b)) = self.halves(cond, a, b).filter(|(a, b)| self.halves_save(*a, b)) {
            let a = self.low_bits(a, 32);
            let b = match b {
                Half::Value(b) => Src::Reg(self.low_bits(b, 32)),
                Half::Constant(imm) => Src::Imm(imm),
            };
            return Term::If { width: Width::W32, cond, a, b, then, otherwise };
        }
        let b = self.src(b);
        let a = self.reg(a);
        Term::If { width: Width::W64, cond, a, b, then, otherwise }
    }

    /// `(x & mask) != 0` is the bit test `x & mask`.
    fn bit_test(&mut self, cond: Cond, a: Value, b: Value, then: BlockId, otherwise: BlockId) -> Option<Term> {
        let zero = self.constants[b.index()] == Some(0);
        let (then, otherwise) = match cond {
            Cond::Ne | Cond::Ugt if zero => (then, otherwise),
            Cond::Eq | Cond::Ule if zero => (otherwise, then),
            _ => return None,
        };
        let Some(Op::Bin(BinOp::And, x, mask)) = facts::op_of(self.func, &self.defs, a) else { return None };
        let (x, mask) = (*x, *mask);
        if self.regs[a.index()].is_some() {
            return None;
        }
        let b = self.src(mask);
        let a: VReg = self.reg(x);
        Some(Term::If { width: Width::W64, cond: Cond::Set, a, b, then, otherwise })
    }

    /// Whether comparing lower halves spares an extension or a wide constant. Where it does not, the whole registers
    /// are compared: the verifier then learns more of them.
    fn halves_save(&self, a: Value, b: &Half) -> bool {
        let extension = |value: Value| {
            self.regs[value.index()].is_none()
                && matches!(facts::op_of(self.func, &self.defs, value), Some(Op::Extend { bits: 32, .. }))
        };
        match *b {
            Half::Value(b) => extension(a) || extension(b),
            // A wide constant: one that is negative only as an immediate.
            Half::Constant(imm) => extension(a) || (imm < 0 && self.bits[a.index()] == 32),
        }
    }

    /// The operands, if comparing their lower halves says the same.
    fn halves(&self, cond: Cond, a: Value, b: Value) -> Option<(Value, Half)> {
        let constant = self.constants[b.index()];
        let sign_extended =
            |value: Value| matches!(facts::op_of(self.func, &self.defs, value), Some(Op::Extend { signed: true, .. }));
        let zero_extended = |value: Value| self.bits[value.index()] <= 32;
        // Both are what their signed lower halves say: order and equality are kept, also the unsigned order.
        if sign_extended(a) {
            match constant.map(i32::try_from) {
                Some(Ok(imm)) => return Some((a, Half::Constant(imm))),
                _ if sign_extended(b) => return Some((a, Half::Value(b))),
                _ => return None,
            }
        }
        // Both are what their unsigned lower halves say; the signed order of these is another one.
        if zero_extended(a) && !cond.is_signed() {
            match constant.map(u32::try_from) {
                Some(Ok(number)) => return Some((a, Half::Constant(number as i32))),
                None if zero_extended(b) => return Some((a, Half::Value(b))),
                _ => return None,
            }
        }
        // Below 2^31 the signed order is the unsigned one.
        let positive = |value: Value| self.bits[value.index()] <= 31;
        if positive(a) && (positive(b) || constant.is_some_and(|number| i32::try_from(number).is_ok())) {
            return Some((
                a,
                match constant {
                    Some(number) => Half::Constant(number as i32),
                    None => Half::Value(b),
                },
            ));
        }
        None
    }
}

fn isa_cond(cond: ir::Cond) -> Cond {
    match cond {
        ir::Cond::Eq => Cond::Eq,
        ir::Cond::Ne => Cond::Ne,
        ir::Cond::Ult => Cond::Ult,
        ir::Cond::Ule => Cond::Ule,
        ir::Cond::Ugt => Cond::Ugt,
        ir::Cond::Uge => Cond::Uge,
        ir::Cond::Slt => Cond::Slt,
        ir::Cond::Sle => Cond::Sle,
        ir::Cond::Sgt => Cond::Sgt,
        ir::Cond::Sge => Cond::Sge,
    }
}
