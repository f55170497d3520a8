//! Two-address arithmetic and extensions.

use super::{Cheap, Select};
use crate::emit::mach::{Inst, Src, VReg};
use crate::ir::{BinOp, CoreWhat, Op, Value};
use crate::passes::{cfg, facts};
use bpfquery_isa::{AluOp, Extend, Narrow, Width};

impl Select<'_> {
    /// `dst = a op b` as `dst = a; dst op= b`.
    pub(super) fn bin(&mut self, op: BinOp, dst: VReg, a: Value, b: Value) {
        self.bin_at(Width::W64, op, dst, a, b);
    }

    fn bin_at(&mut self, width: Width, op: BinOp, dst: VReg, a: Value, b: Value) {
        let (a, b) = if is_commutative(op) && self.goes_second(a, b) { (b, a) } else { (a, b) };
        if let Some(Cheap::Core(core, imm)) = self.cheap(b)
            && takes_core(op, self.func.core(core).what)
        {
            self.put(dst, a);
            self.emit_core(Inst::Alu { width: Width::W64, op: alu(op), dst, src: Src::Imm(imm) }, core);
            return;
        }
        let src = match self.constants[b.index()].and_then(|number| immediate(op, width, number)) {
            Some(imm) => Src::Imm(imm),
            None => Src::Reg(self.reg(b)),
        };
        if width == Width::W64 && matches!((op, src), (BinOp::And, Src::Imm(-1)) | (BinOp::Add, Src::Imm(0))) {
            return self.put(dst, a);
        }
        // Nothing may be subtracted from a frame address (adjust_ptr_min_max_vals, kernel/bpf/verifier.c, 6.18).
        let (op, src) = match (op, src) {
            (BinOp::Sub, Src::Imm(imm)) if imm != i32::MIN => (BinOp::Add, Src::Imm(-imm)),
            _ => (op, src),
        };
        // A mask without the upper half, or numbers that have none, may as well be computed on the lower half.
        let width = if width == Width::W64 && self.fits_half(op, a, b, src) { Width::W32 } else { width };
        self.put(dst, a);
        self.alu(width, alu(op), dst, src);
    }

    /// Whether the operands of a commutative operation are better exchanged: what is an immediate, or lives on, is
    /// read; what dies is overwritten.
    fn goes_second(&self, a: Value, b: Value) -> bool {
        if self.is_cheap(a) != self.is_cheap(b) {
            return self.is_cheap(a);
        }
        // Users come before definitions here: a value that has a register already is used again below.
        self.regs[a.index()].is_some() && self.regs[b.index()].is_none()
    }

    fn fits_half(&self, op: BinOp, a: Value, b: Value, src: Src) -> bool {
        let positive = matches!(src, Src::Imm(imm) if imm >= 0);
        let small = |value: Value| self.bits[value.index()] <= 32;
        match op {
            BinOp::And => positive && small(a),
            BinOp::Or | BinOp::Xor => small(a) && small(b) && (positive || matches!(src, Src::Reg(_))),
            BinOp::UDiv | BinOp::UMod => small(a) && small(b),
            _ => false,
        }
    }

    /// The low `bits` of a value, extended.
    pub(super) fn extend(&mut self, bits: u8, signed: bool, dst: VReg, value: Value) {
        if signed { self.sign_extend(bits, dst, value) } else { self.zero_extend(bits, dst, value) }
    }

    fn zero_extend(&mut self, bits: u8, dst: VReg, value: Value) {
        if self.bits[value.index()] <= bits {
            return self.put(dst, value);
        }
        if bits == 32 && self.in_half(dst, value) {
            return;
        }
        let src = self.low_bits(value, u32::from(bits));
        if bits == 32 {
            self.emit(Inst::Mov { width: Width::W32, dst, src: Src::Reg(src) });
        } else {
            self.copy(dst, src);
            self.alu(Width::W64, AluOp::And, dst, Src::Imm((1 << bits) - 1));
        }
    }

    /// Computes the low half of a sum and its like in 32 bits, which clears the upper half.
    fn in_half(&mut self, dst: VReg, value: Value) -> bool {
        let Some(Op::Bin(op, a, b)) = facts::op_of(self.func, &self.defs, value) else { return false };
        let (op, a, b) = (*op, *a, *b);
        let alone = self.uses[value.index()] == 1 && self.cheap(value).is_none();
        let low = matches!(op, BinOp::Add | BinOp::Sub | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor);
        let core = matches!(self.cheap(a), Some(Cheap::Core(..))) || matches!(self.cheap(b), Some(Cheap::Core(..)));
        if alone && low && !core {
            self.bin_at(Width::W32, op, dst, a, b);
        }
        alone && low && !core
    }

    fn sign_extend(&mut self, bits: u8, dst: VReg, value: Value) {
        if self.bits[value.index()] < bits {
            return self.put(dst, value);
        }
        if self.target.isa_v4 {
            if self.load_signed(bits, dst, value) {
                return;
            }
            let src = self.low_bits(value, u32::from(bits));
            let extend = match bits {
                8 => Extend::W64From8,
                16 => Extend::W64From16,
                _ => Extend::W64From32,
            };
            return self.emit(Inst::MovSx { extend, dst, src });
        }
        let src = self.low_bits(value, u32::from(bits));
        let by = Src::Imm(64 - i32::from(bits));
        self.copy(dst, src);
        self.alu(Width::W64, AluOp::Lsh, dst, by);
        self.alu(Width::W64, AluOp::Arsh, dst, by);
    }

    /// A sign-extending load, where the extension is the load's only user.
    fn load_signed(&mut self, bits: u8, dst: VReg, value: Value) -> bool {
        // The load moves to the extension's place; only a load of what nobody writes may.
        let Some(Op::Load { access, base, offset }) = facts::op_of(self.func, &self.defs, value) else { return false };
        let (access, base, offset) = (*access, *base, *offset);
        if self.uses[value.index()] != 1
            || access.bytes() * 8 != u32::from(bits)
            || !cfg::is_constant_memory(self.func, base)
        {
            return false;
        }
        let size = match bits {
            8 => Narrow::B,
            16 => Narrow::H,
            _ => Narrow::W,
        };
        let (base, off) = self.base(base, offset);
        self.emit(Inst::LoadSx { size, dst, base, off });
        true
    }
}

fn is_commutative(op: BinOp) -> bool {
    matches!(op, BinOp::Add | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor)
}

/// Where a relocated immediate may stand: libbpf rewrites the constant of any arithmetic instruction
/// (tools/lib/bpf/relo_core.c, bpf_core_patch_insn). As a shift only what is one, below 64 on every kernel.
fn takes_core(op: BinOp, what: CoreWhat) -> bool {
    match op {
        BinOp::Add => true,
        BinOp::Shl | BinOp::Lshr | BinOp::Ashr => matches!(what, CoreWhat::LshiftU64 | CoreWhat::RshiftU64),
        _ => false,
    }
}

/// The immediate for a constant right side; shifts take their count modulo the width, 0 divides through a register.
fn immediate(op: BinOp, width: Width, number: i64) -> Option<i32> {
    match op {
        BinOp::Shl | BinOp::Lshr | BinOp::Ashr => Some((number & i64::from(width.bits() - 1)) as i32),
        BinOp::UDiv | BinOp::UMod if number == 0 => None,
        _ if width == Width::W32 => Some(number as i32),
        _ => i32::try_from(number).ok(),
    }
}

fn alu(op: BinOp) -> AluOp {
    match op {
        BinOp::Add => AluOp::Add,
        BinOp::Sub => AluOp::Sub,
        BinOp::Mul => AluOp::Mul,
        BinOp::UDiv => AluOp::Div,
        BinOp::UMod => AluOp::Mod,
        BinOp::And => AluOp::And,
        BinOp::Or => AluOp::Or,
        BinOp::Xor => AluOp::Xor,
        BinOp::Shl => AluOp::Lsh,
        BinOp::Lshr => AluOp::Rsh,
        BinOp::Ashr => AluOp::Arsh,
    }
}
