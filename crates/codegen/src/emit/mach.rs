//! Machine code before registers have numbers: BPF's instruction forms over virtual registers.
//!
//! What holds: registers 0 to 9 are the machine's own, higher numbers are virtual; `r10` never appears, frame accesses
//! say [`Base`]. A virtual register may be written more than once (two-address forms, block parameters); that each
//! use is reached by a write is `regalloc::check`'s business. Not checked: that constants fit the reader's idea.

use crate::ir::{CoreId, GlobalId, MapId, SlotId, Stop};
use bpfquery_diag::Span;
use bpfquery_isa::{AluOp, Cond, Extend, Helper, Narrow, Purpose, Size, Width};
use std::fmt;

/// How many registers the allocator may give out: `r0` to `r9`.
pub const REGISTERS: u32 = 10;

/// A register of the machine (0 to 9) or a virtual one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VReg(pub u32);

impl VReg {
    /// `r0`: results.
    pub const R0: VReg = VReg(0);

    /// The register of the argument at `index`, counted from 0.
    pub fn arg(index: usize) -> VReg {
        // A helper has at most five arguments, so the sum stays below 6.
        VReg(index as u32 + 1)
    }

    /// Whether it is one of the machine's own.
    pub fn is_physical(self) -> bool {
        self.0 < REGISTERS
    }

    /// The position in tables over all registers.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for VReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_physical() { write!(f, "r{}", self.0) } else { write!(f, "t{}", self.0) }
    }
}

/// A machine block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockId(pub u32);

impl BlockId {
    /// The position in the function's list.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The second operand of arithmetic, comparisons and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Src {
    /// A register.
    Reg(VReg),
    /// A constant.
    Imm(i32),
}

/// What a memory access is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// A register.
    Reg(VReg),
    /// A stack slot of the IR.
    Slot(SlotId),
    /// A stack word that the allocator made.
    Spill(u32),
}

/// What a two-slot load puts into a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wide {
    /// A number that does not fit 32 bits.
    Value(i64),
    /// A map.
    Map(MapId),
    /// A global variable's byte at this offset from the variable's start.
    Global(GlobalId, i32),
}

/// A machine instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields are the words of the pseudo-C in each variant's doc")]
pub enum Inst {
    /// `dst = src`
    Mov { width: Width, dst: VReg, src: Src },
    /// `dst op= src`; `op` is never `Mov`
    Alu { width: Width, op: AluOp, dst: VReg, src: Src },
    /// `dst = (s8)src` and its like
    MovSx { extend: Extend, dst: VReg, src: VReg },
    /// `dst = *(size *)(base + off)`
    Load { size: Size, dst: VReg, base: Base, off: i16 },
    /// `dst = *(signed size *)(base + off)`
    LoadSx { size: Narrow, dst: VReg, base: Base, off: i16 },
    /// `*(size *)(base + off) = src`
    Store { size: Size, base: Base, off: i16, src: Src },
    /// `lock *(u64 *)(base + off) += src`
    AtomicAdd { base: Base, off: i16, src: VReg },
    /// `dst = value ll`
    Wide { dst: VReg, value: Wide },
    /// `dst = r10; dst += offset of the slot + off`
    FrameAddr { dst: VReg, slot: SlotId, off: i32 },
    /// `r0 = helper(r1, …)`
    Call { helper: Helper, args: u8 },
    /// `r0 = start; for each byte of r1: r0 = (r0 & r2[byte].0) << 1 | r0 & r2[byte].1`; a loop, written as one
    Scan { bytes: i32, start: i64, stop: Stop },
}

/// How a machine block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields are the words of the pseudo-C in each variant's doc")]
pub enum Term {
    /// `goto target`
    Jump(BlockId),
    /// `if a cond b goto then; goto otherwise`
    If { width: Width, cond: Cond, a: VReg, b: Src, then: BlockId, otherwise: BlockId },
    /// `exit`
    Exit,
}

/// An instruction with what is known of its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The instruction.
    pub inst: Inst,
    /// The SQL that it computes.
    pub span: Span,
    /// The relocation that rewrites its constant.
    pub core: Option<CoreId>,
    /// What it is there for.
    pub purpose: Purpose,
}

/// A machine block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MBlock {
    /// Instructions in order.
    pub lines: Vec<Line>,
    /// How it ends.
    pub term: Term,
    /// The SQL that the end comes from.
    pub span: Span,
    /// Whether it hardly ever runs.
    pub cold: bool,
}

/// A function over virtual registers; the first block is the entry, where `r1` holds the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MFunc {
    /// Blocks.
    pub blocks: Vec<MBlock>,
    /// How many registers are named, with the machine's own.
    pub registers: u32,
    /// Registers whose bounds the kernel's verifier must see; see [`crate::passes::bounded`].
    pub bounded: Vec<VReg>,
}

impl MFunc {
    /// A new virtual register.
    pub fn fresh(&mut self) -> VReg {
        self.registers += 1;
        VReg(self.registers - 1)
    }
}

impl Base {
    fn reg(self) -> Option<VReg> {
        match self {
            Base::Reg(reg) => Some(reg),
            Base::Slot(_) | Base::Spill(_) => None,
        }
    }

    fn map(self, f: &mut impl FnMut(VReg) -> VReg) -> Base {
        match self {
            Base::Reg(reg) => Base::Reg(f(reg)),
            Base::Slot(_) | Base::Spill(_) => self,
        }
    }
}

impl Src {
    fn reg(self) -> Option<VReg> {
        match self {
            Src::Reg(reg) => Some(reg),
            Src::Imm(_) => None,
        }
    }

    fn map(self, f: &mut impl FnMut(VReg) -> VReg) -> Src {
        match self {
            Src::Reg(reg) => Src::Reg(f(reg)),
            Src::Imm(_) => self,
        }
    }
}

impl Inst {
    /// The registers it reads.
    pub fn uses(&self) -> impl Iterator<Item = VReg> + use<> {
        let (first, second, args) = match *self {
            Inst::Mov { src, .. } => (None, src.reg(), 0),
            Inst::Alu { dst, src, .. } => (Some(dst), src.reg(), 0),
            Inst::MovSx { src, .. } => (Some(src), None, 0),
            Inst::Load { base, .. } | Inst::LoadSx { base, .. } => (base.reg(), None, 0),
            Inst::Store { base, src, .. } => (base.reg(), src.reg(), 0),
            Inst::AtomicAdd { base, src, .. } => (base.reg(), Some(src), 0),
            Inst::Wide { .. } | Inst::FrameAddr { .. } => (None, None, 0),
            Inst::Call { args, .. } => (None, None, args),
            Inst::Scan { .. } => (None, None, 2),
        };
        first.into_iter().chain(second).chain((0..usize::from(args)).map(VReg::arg))
    }

    /// Whether it reads this register.
    pub fn reads(&self, reg: VReg) -> bool {
        self.uses().any(|used| used == reg)
    }

    /// The register it writes; a call writes `r0` and destroys `r1` to `r5`, see [`Inst::clobbers`].
    pub fn def(&self) -> Option<VReg> {
        match *self {
            Inst::Mov { dst, .. }
            | Inst::Alu { dst, .. }
            | Inst::MovSx { dst, .. }
            | Inst::Load { dst, .. }
            | Inst::LoadSx { dst, .. }
            | Inst::Wide { dst, .. }
            | Inst::FrameAddr { dst, .. } => Some(dst),
            Inst::Call { .. } | Inst::Scan { .. } => Some(VReg::R0),
            Inst::Store { .. } | Inst::AtomicAdd { .. } => None,
        }
    }

    /// The registers whose values are lost beside the one it writes.
    pub fn clobbers(&self) -> std::ops::Range<u32> {
        match self {
            Inst::Call { .. } | Inst::Scan { .. } => 1..6,
            _ => 0..0,
        }
    }

    /// The copy that it is, if it is one: destination and source.
    pub fn copy(&self) -> Option<(VReg, VReg)> {
        match *self {
            Inst::Mov { width: Width::W64, dst, src: Src::Reg(src) } => Some((dst, src)),
            _ => None,
        }
    }

    /// The same with other registers; `dst` of two-address forms counts as written.
    #[must_use]
    pub fn map(self, mut read: impl FnMut(VReg) -> VReg, mut write: impl FnMut(VReg) -> VReg) -> Inst {
        match self {
            Inst::Mov { width, dst, src } => Inst::Mov { width, src: src.map(&mut read), dst: write(dst) },
            Inst::Alu { width, op, dst, src } => Inst::Alu { width, op, src: src.map(&mut read), dst: write(dst) },
            Inst::MovSx { extend, dst, src } => Inst::MovSx { extend, src: read(src), dst: write(dst) },
            Inst::Load { size, dst, base, off } => Inst::Load { size, base: base.map(&mut read), dst: write(dst), off },
            Inst::LoadSx { size, dst, base, off } => {
                Inst::LoadSx { size, base: base.map(&mut read), dst: write(dst), off }
            }
            Inst::Store { size, base, off, src } => {
                Inst::Store { size, base: base.map(&mut read), off, src: src.map(&mut read) }
            }
            Inst::AtomicAdd { base, off, src } => Inst::AtomicAdd { base: base.map(&mut read), off, src: read(src) },
            Inst::Wide { dst, value } => Inst::Wide { dst: write(dst), value },
            Inst::FrameAddr { dst, slot, off } => Inst::FrameAddr { dst: write(dst), slot, off },
            Inst::Call { .. } | Inst::Scan { .. } => self,
        }
    }
}

impl Term {
    /// The registers it reads.
    pub fn uses(&self) -> impl Iterator<Item = VReg> + use<> {
        let (first, second) = match *self {
            Term::Jump(_) => (None, None),
            Term::If { a, b, .. } => (Some(a), b.reg()),
            Term::Exit => (Some(VReg::R0), None),
        };
        first.into_iter().chain(second)
    }

    /// Whether it reads this register.
    pub fn reads(&self, reg: VReg) -> bool {
        self.uses().any(|used| used == reg)
    }

    /// Where it may go.
    pub fn targets(&self) -> impl DoubleEndedIterator<Item = BlockId> + Clone + use<> {
        let (first, second) = match *self {
            Term::Jump(target) => (Some(target), None),
            Term::If { then, otherwise, .. } => (Some(then), Some(otherwise)),
            Term::Exit => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// The same with other registers.
    #[must_use]
    pub fn map(self, mut read: impl FnMut(VReg) -> VReg) -> Term {
        match self {
            Term::If { width, cond, a, b, then, otherwise } => {
                Term::If { width, cond, a: read(a), b: b.map(&mut read), then, otherwise }
            }
            Term::Jump(_) | Term::Exit => self,
        }
    }

    /// The same with other targets.
    #[must_use]
    pub fn retarget(self, mut f: impl FnMut(BlockId) -> BlockId) -> Term {
        match self {
            Term::Jump(target) => Term::Jump(f(target)),
            Term::If { width, cond, a, b, then, otherwise } => {
                Term::If { width, cond, a, b, then: f(then), otherwise: f(otherwise) }
            }
            Term::Exit => self,
        }
    }
}
