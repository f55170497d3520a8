//! One function per instruction; the doc of each is what it emits.

use crate::{AluOp, AtomicOp, Cond, Extend, Helper, Imm64, Insn, Label, MapRef, Narrow, Operand, Reg};
use crate::{Size, Swap, SwapBits, Width};

/// `dst op= src` on 64 bits
pub fn alu64(op: AluOp, dst: Reg, src: impl Into<Operand>) -> Insn {
    Insn::Alu { width: Width::W64, op, dst, src: src.into() }
}

/// `dst op= src` on the lower 32 bits, clearing the upper
pub fn alu32(op: AluOp, dst: Reg, src: impl Into<Operand>) -> Insn {
    Insn::Alu { width: Width::W32, op, dst, src: src.into() }
}

/// `r1 = src`
pub fn mov64(dst: Reg, src: impl Into<Operand>) -> Insn {
    alu64(AluOp::Mov, dst, src)
}

/// `w1 = src`
pub fn mov32(dst: Reg, src: impl Into<Operand>) -> Insn {
    alu32(AluOp::Mov, dst, src)
}

/// `dst = -dst`
pub fn neg(width: Width, dst: Reg) -> Insn {
    Insn::Neg { width, dst }
}

/// `dst = (s8)src`
pub fn mov_sx(extend: Extend, dst: Reg, src: Reg) -> Insn {
    Insn::MovSx { extend, dst, src }
}

/// `dst = be16 dst`
pub fn endian(swap: Swap, bits: SwapBits, dst: Reg) -> Insn {
    Insn::Endian { swap, bits, dst }
}

/// `dst = *(size *)(base + off)`
pub fn load(size: Size, dst: Reg, base: Reg, off: i16) -> Insn {
    Insn::Load { size, dst, base, off }
}

/// `dst = *(signed size *)(base + off)`
pub fn load_sx(size: Narrow, dst: Reg, base: Reg, off: i16) -> Insn {
    Insn::LoadSx { size, dst, base, off }
}

/// `*(size *)(base + off) = src`
pub fn store(size: Size, base: Reg, off: i16, src: Reg) -> Insn {
    Insn::Store { size, base, off, src }
}

/// `*(size *)(base + off) = imm`
pub fn store_imm(size: Size, base: Reg, off: i16, imm: i32) -> Insn {
    Insn::StoreImm { size, base, off, imm }
}

/// `dst = value ll`
pub fn load_imm64(dst: Reg, value: u64) -> Insn {
    Insn::LoadImm64 { dst, value: Imm64::Value(value) }
}

/// `dst = map[name] ll`
pub fn load_map(dst: Reg, map: MapRef) -> Insn {
    Insn::LoadImm64 { dst, value: Imm64::Map(map) }
}

/// `dst = map[name][0]+offset ll`
pub fn load_map_value(dst: Reg, map: MapRef, offset: u32) -> Insn {
    Insn::LoadImm64 { dst, value: Imm64::MapValue { map, offset } }
}

/// `lock *(size *)(base + off) op= src`
pub fn atomic(op: AtomicOp, width: Width, base: Reg, off: i16, src: Reg) -> Insn {
    Insn::Atomic { op, fetch: false, width, base, off, src }
}

/// `src = atomic_fetch_op((size *)(base + off), src)`
pub fn atomic_fetch(op: AtomicOp, width: Width, base: Reg, off: i16, src: Reg) -> Insn {
    Insn::Atomic { op, fetch: true, width, base, off, src }
}

/// `src = xchg_64(base + off, src)`
pub fn exchange(width: Width, base: Reg, off: i16, src: Reg) -> Insn {
    Insn::Exchange { width, base, off, src }
}

/// `r0 = cmpxchg_64(base + off, r0, src)`
pub fn compare_exchange(width: Width, base: Reg, off: i16, src: Reg) -> Insn {
    Insn::CompareExchange { width, base, off, src }
}

/// `goto target`
pub fn jump(target: Label) -> Insn {
    Insn::Jump { target }
}

/// `if dst cond src goto target` on 64 bits
pub fn jump_if64(cond: Cond, dst: Reg, src: impl Into<Operand>, target: Label) -> Insn {
    Insn::JumpIf { width: Width::W64, cond, dst, src: src.into(), target }
}

/// `if dst cond src goto target` on the lower 32 bits
pub fn jump_if32(cond: Cond, dst: Reg, src: impl Into<Operand>, target: Label) -> Insn {
    Insn::JumpIf { width: Width::W32, cond, dst, src: src.into(), target }
}

/// `call helper`
pub fn call(helper: Helper) -> Insn {
    Insn::Call { helper }
}

/// `exit`
pub fn exit() -> Insn {
    Insn::Exit
}
