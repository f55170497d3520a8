//! The instruction type.
//!
//! What holds: an instruction that [`Insn::check`] accepts can be encoded, and the kernel's verifier does not refuse
//! it for its form alone. The types leave four things to `check`: the frame pointer is never written, a constant
//! shift is smaller than the width, a constant divisor is not zero, and a label is within reach (which only
//! [`crate::assemble`] can know).

use crate::{AluOp, AtomicOp, Cond, Extend, Helper, Narrow, Reg, Size, Swap, SwapBits, Width};
use std::fmt;

/// A place in a program that jumps go to; printed `b7`.
///
/// In a decoded program the number is the slot of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(pub u32);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

/// Index of a map in the object that the program belongs to; data sections (`.rodata`, `.bss`) count as maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapRef(pub u32);

/// Index of a CO-RE record that applies to an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreRef(pub u32);

/// Index of an eight-byte slot from the start of a program. Most instructions take one; a 64-bit constant takes two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// The first kernel version (major, minor) that has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Since(pub u8, pub u8);

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The second operand of arithmetic and comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// A constant, sign-extended to 64 bits by 64-bit instructions.
    Imm(i32),
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Operand {
        Operand::Reg(reg)
    }
}

impl From<i32> for Operand {
    fn from(imm: i32) -> Operand {
        Operand::Imm(imm)
    }
}

/// What a two-slot load puts into a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Imm64 {
    /// The number itself.
    Value(u64),
    /// The map, as the first argument of map helpers.
    Map(MapRef),
    /// The address of a byte in the only element of an array map: a variable in `.rodata`, `.data` or `.bss`.
    MapValue {
        /// The data section.
        map: MapRef,
        /// Bytes from the section's start.
        offset: u32,
    },
}

/// One BPF instruction. The functions of the same names build them; their docs say what they emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields are the words of the pseudo-C in each variant's doc")]
pub enum Insn {
    /// `dst op= src`, or `dst = src` for `Mov`
    Alu { width: Width, op: AluOp, dst: Reg, src: Operand },
    /// `dst = -dst`
    Neg { width: Width, dst: Reg },
    /// `dst = (s8)src` and its like; from kernel 6.6
    MovSx { extend: Extend, dst: Reg, src: Reg },
    /// `dst = be16 dst` and its like
    Endian { swap: Swap, bits: SwapBits, dst: Reg },
    /// `dst = *(size *)(base + off)`, zero-extended
    Load { size: Size, dst: Reg, base: Reg, off: i16 },
    /// `dst = *(signed size *)(base + off)`, sign-extended; from kernel 6.6
    LoadSx { size: Narrow, dst: Reg, base: Reg, off: i16 },
    /// `*(size *)(base + off) = src`
    Store { size: Size, base: Reg, off: i16, src: Reg },
    /// `*(size *)(base + off) = imm`, the constant sign-extended to the size
    StoreImm { size: Size, base: Reg, off: i16, imm: i32 },
    /// `dst = value ll`
    LoadImm64 { dst: Reg, value: Imm64 },
    /// `lock *(size *)(base + off) op= src`; with `fetch`, `src` becomes the old value
    Atomic { op: AtomicOp, fetch: bool, width: Width, base: Reg, off: i16, src: Reg },
    /// `src = xchg(base + off, src)`; from kernel 5.12
    Exchange { width: Width, base: Reg, off: i16, src: Reg },
    /// `r0 = cmpxchg(base + off, r0, src)`: stores `src` if the memory was `r0`; from kernel 5.12
    CompareExchange { width: Width, base: Reg, off: i16, src: Reg },
    /// `goto target`
    Jump { target: Label },
    /// `if dst cond src goto target`
    JumpIf { width: Width, cond: Cond, dst: Reg, src: Operand, target: Label },
    /// `call helper`
    Call { helper: Helper },
    /// `exit`
    Exit,
}

/// Why an instruction is not one that the kernel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// `r10` is read-only.
    WritesFramePointer,
    /// A constant shift is negative or not smaller than the width.
    ShiftTooFar(i32),
    /// A division or remainder by the constant zero.
    DivisionByZero,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::WritesFramePointer => write!(f, "the frame pointer r10 is written"),
            Invalid::ShiftTooFar(by) => write!(f, "a shift by {by} bits is as wide as the register"),
            Invalid::DivisionByZero => write!(f, "the constant divisor is zero"),
        }
    }
}

impl std::error::Error for Invalid {}

impl Insn {
    /// How many eight-byte slots the instruction takes: 2 for a 64-bit constant, else 1.
    pub const fn slots(&self) -> u32 {
        match self {
            Insn::LoadImm64 { .. } => 2,
            _ => 1,
        }
    }

    /// Refuses what the types allow but no kernel takes.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.written() == Some(Reg::R10) {
            return Err(Invalid::WritesFramePointer);
        }
        if let Insn::Alu { width, op, src: Operand::Imm(imm), .. } = *self {
            match op {
                AluOp::Lsh | AluOp::Rsh | AluOp::Arsh if !(0..width.bits() as i32).contains(&imm) => {
                    return Err(Invalid::ShiftTooFar(imm));
                }
                AluOp::Div | AluOp::Mod | AluOp::SDiv | AluOp::SMod if imm == 0 => {
                    return Err(Invalid::DivisionByZero);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The register that the instruction writes, if it is one. A call also destroys `r1` to `r5`.
    pub const fn written(&self) -> Option<Reg> {
        match *self {
            Insn::Alu { dst, .. }
            | Insn::Neg { dst, .. }
            | Insn::MovSx { dst, .. }
            | Insn::Endian { dst, .. }
            | Insn::Load { dst, .. }
            | Insn::LoadSx { dst, .. }
            | Insn::LoadImm64 { dst, .. } => Some(dst),
            Insn::Atomic { fetch: true, src, .. } | Insn::Exchange { src, .. } => Some(src),
            Insn::CompareExchange { .. } | Insn::Call { .. } => Some(Reg::R0),
            Insn::Atomic { fetch: false, .. }
            | Insn::Store { .. }
            | Insn::StoreImm { .. }
            | Insn::Jump { .. }
            | Insn::JumpIf { .. }
            | Insn::Exit => None,
        }
    }

    /// The label that the instruction may jump to.
    pub const fn target(&self) -> Option<Label> {
        match *self {
            Insn::Jump { target } | Insn::JumpIf { target, .. } => Some(target),
            _ => None,
        }
    }

    /// Whether control never reaches the next instruction.
    pub const fn ends_block(&self) -> bool {
        matches!(self, Insn::Jump { .. } | Insn::Exit)
    }

    /// The first kernel whose verifier and x86-64 JIT know the instruction; a helper's own version for calls.
    ///
    /// 4.14: unsigned `<`, `<=` and signed counterparts (`92b31a9af73b`). 5.1: 32-bit jumps (`092ed0968bb6`).
    /// 5.12: atomics other than add (`5ffa25502b5a`). 6.6: sign-extending loads and moves, signed division and the
    /// unconditional byte swap (`1f9a1ea821ff`, `8100928c8814`, `ec0e2da95f72`, `0845c3db7bf5`).
    pub const fn since(&self) -> Since {
        match *self {
            Insn::MovSx { .. }
            | Insn::LoadSx { .. }
            | Insn::Endian { swap: Swap::Always, .. }
            | Insn::Alu { op: AluOp::SDiv | AluOp::SMod, .. } => Since(6, 6),
            Insn::Exchange { .. }
            | Insn::CompareExchange { .. }
            | Insn::Atomic { fetch: true, .. }
            | Insn::Atomic { op: AtomicOp::Or | AtomicOp::And | AtomicOp::Xor, .. } => Since(5, 12),
            Insn::JumpIf { width: Width::W32, .. } => Since(5, 1),
            Insn::JumpIf { cond: Cond::Ult | Cond::Ule | Cond::Slt | Cond::Sle, .. } => Since(4, 14),
            Insn::Call { helper } => helper.since(),
            _ => Since(3, 19),
        }
    }
}
