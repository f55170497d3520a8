//! The numbers of the instruction set, and one instruction to its slots.
//!
//! What holds: this file and `decode.rs` are the only ones that know opcodes.

use crate::{AluOp, AtomicOp, Cond, Imm64, Insn, Narrow, Operand, Reg, Size, Swap, Width};

/// Instruction classes: the low three bits of the opcode.
pub(crate) mod class {
    pub(crate) const LD: u8 = 0;
    pub(crate) const LDX: u8 = 1;
    pub(crate) const ST: u8 = 2;
    pub(crate) const STX: u8 = 3;
    pub(crate) const ALU: u8 = 4;
    pub(crate) const JMP: u8 = 5;
    pub(crate) const JMP32: u8 = 6;
    pub(crate) const ALU64: u8 = 7;
}

/// Modes of loads and stores: the high three bits.
pub(crate) mod mode {
    pub(crate) const IMM: u8 = 0x00;
    pub(crate) const MEM: u8 = 0x60;
    pub(crate) const MEMSX: u8 = 0x80;
    pub(crate) const ATOMIC: u8 = 0xc0;
}

/// Operations of arithmetic and jumps that have no operator of their own: the high four bits.
pub(crate) mod code {
    pub(crate) const NEG: u8 = 0x80;
    pub(crate) const END: u8 = 0xd0;
    pub(crate) const JA: u8 = 0x00;
    pub(crate) const CALL: u8 = 0x80;
    pub(crate) const EXIT: u8 = 0x90;
}

/// The operand is a register; without it, the constant. For byte swaps: big-endian.
pub(crate) const SOURCE_REG: u8 = 0x08;

/// The flag and the whole-value operations of atomics, in the constant.
pub(crate) mod atomic {
    pub(crate) const FETCH: i32 = 0x01;
    pub(crate) const XCHG: i32 = 0xe1;
    pub(crate) const CMPXCHG: i32 = 0xf1;
}

/// One eight-byte slot, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) code: u8,
    pub(crate) dst: u8,
    pub(crate) src: u8,
    pub(crate) off: i16,
    pub(crate) imm: i32,
}

impl Raw {
    /// The slot's bytes in a little-endian object.
    pub(crate) fn to_bytes(self) -> [u8; 8] {
        let [o0, o1] = self.off.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        [self.code, self.dst | self.src << 4, o0, o1, i0, i1, i2, i3]
    }

    /// The slot that those bytes are.
    pub(crate) fn from_bytes(b: [u8; 8]) -> Raw {
        Raw {
            code: b[0],
            dst: b[1] & 0x0f,
            src: b[1] >> 4,
            off: i16::from_le_bytes([b[2], b[3]]),
            imm: i32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        }
    }
}

/// The slots of an instruction; `distance` is what a jump skips, and is not used by others.
pub(crate) fn encode(insn: &Insn, distance: i16) -> (Raw, Option<Raw>) {
    let one = |raw| (raw, None);
    match *insn {
        Insn::Alu { width, op, dst, src } => {
            let (bits, off) = alu_bits(op);
            one(with_operand(Raw { code: alu_class(width) | bits, dst: dst.number(), off, ..Raw::default() }, src))
        }
        Insn::Neg { width, dst } => {
            one(Raw { code: alu_class(width) | code::NEG, dst: dst.number(), ..Raw::default() })
        }
        Insn::MovSx { extend, dst, src } => one(with_operand(
            Raw {
                code: alu_class(extend.width()) | alu_bits(AluOp::Mov).0,
                dst: dst.number(),
                off: extend.bits() as i16,
                ..Raw::default()
            },
            Operand::Reg(src),
        )),
        Insn::Endian { swap, bits, dst } => {
            one(Raw { code: swap_code(swap), dst: dst.number(), imm: bits.bits() as i32, ..Raw::default() })
        }
        Insn::Load { size, dst, base, off } => one(memory(class::LDX | mode::MEM | size_bits(size), dst, base, off)),
        Insn::LoadSx { size, dst, base, off } => {
            one(memory(class::LDX | mode::MEMSX | size_bits(Narrow::size(size)), dst, base, off))
        }
        Insn::Store { size, base, off, src } => one(memory(class::STX | mode::MEM | size_bits(size), base, src, off)),
        Insn::StoreImm { size, base, off, imm } => {
            one(Raw { imm, ..memory(class::ST | mode::MEM | size_bits(size), base, Reg::R0, off) })
        }
        Insn::LoadImm64 { dst, value } => imm64(dst, value),
        Insn::Atomic { op, fetch, width, base, off, src } => {
            one(atomic_raw(width, base, off, src, atomic_bits(op) | if fetch { atomic::FETCH } else { 0 }))
        }
        Insn::Exchange { width, base, off, src } => one(atomic_raw(width, base, off, src, atomic::XCHG)),
        Insn::CompareExchange { width, base, off, src } => one(atomic_raw(width, base, off, src, atomic::CMPXCHG)),
        Insn::Jump { .. } => one(Raw { code: class::JMP | code::JA, off: distance, ..Raw::default() }),
        Insn::JumpIf { width, cond, dst, src, .. } => one(with_operand(
            Raw { code: jump_class(width) | cond_bits(cond), dst: dst.number(), off: distance, ..Raw::default() },
            src,
        )),
        Insn::Call { helper } => one(Raw { code: class::JMP | code::CALL, imm: helper.id() as i32, ..Raw::default() }),
        Insn::Exit => one(Raw { code: class::JMP | code::EXIT, ..Raw::default() }),
    }
}

fn with_operand(raw: Raw, src: Operand) -> Raw {
    match src {
        Operand::Reg(reg) => Raw { code: raw.code | SOURCE_REG, src: reg.number(), ..raw },
        Operand::Imm(imm) => Raw { imm, ..raw },
    }
}

fn memory(code: u8, dst: Reg, src: Reg, off: i16) -> Raw {
    Raw { code, dst: dst.number(), src: src.number(), off, imm: 0 }
}

fn atomic_raw(width: Width, base: Reg, off: i16, src: Reg, imm: i32) -> Raw {
    Raw { imm, ..memory(class::STX | mode::ATOMIC | size_bits(width.size()), base, src, off) }
}

/// A map or variable is left as clang leaves it: source register 0, the offset in the first constant, and a
/// relocation; libbpf fills in the rest (`bpf_object__relocate_data`).
fn imm64(dst: Reg, value: Imm64) -> (Raw, Option<Raw>) {
    let value = match value {
        Imm64::Value(value) => value,
        Imm64::Map(_) => 0,
        Imm64::MapValue { offset, .. } => u64::from(offset),
    };
    let code = class::LD | mode::IMM | size_bits(Size::DW);
    let low = Raw { code, dst: dst.number(), imm: value as u32 as i32, ..Raw::default() };
    (low, Some(Raw { imm: (value >> 32) as u32 as i32, ..Raw::default() }))
}

fn alu_class(width: Width) -> u8 {
    match width {
        Width::W32 => class::ALU,
        Width::W64 => class::ALU64,
    }
}

fn jump_class(width: Width) -> u8 {
    match width {
        Width::W32 => class::JMP32,
        Width::W64 => class::JMP,
    }
}

pub(crate) fn size_bits(size: Size) -> u8 {
    match size {
        Size::W => 0x00,
        Size::H => 0x08,
        Size::B => 0x10,
        Size::DW => 0x18,
    }
}

/// The operation's bits, and the offset field: 1 makes division and remainder signed.
pub(crate) fn alu_bits(op: AluOp) -> (u8, i16) {
    match op {
        AluOp::Add => (0x00, 0),
        AluOp::Sub => (0x10, 0),
        AluOp::Mul => (0x20, 0),
        AluOp::Div => (0x30, 0),
        AluOp::SDiv => (0x30, 1),
        AluOp::Or => (0x40, 0),
        AluOp::And => (0x50, 0),
        AluOp::Lsh => (0x60, 0),
        AluOp::Rsh => (0x70, 0),
        AluOp::Mod => (0x90, 0),
        AluOp::SMod => (0x90, 1),
        AluOp::Xor => (0xa0, 0),
        AluOp::Mov => (0xb0, 0),
        AluOp::Arsh => (0xc0, 0),
    }
}

pub(crate) fn swap_code(swap: Swap) -> u8 {
    match swap {
        Swap::ToLe => class::ALU | code::END,
        Swap::ToBe => class::ALU | code::END | SOURCE_REG,
        Swap::Always => class::ALU64 | code::END,
    }
}

pub(crate) fn atomic_bits(op: AtomicOp) -> i32 {
    match op {
        AtomicOp::Add => 0x00,
        AtomicOp::Or => 0x40,
        AtomicOp::And => 0x50,
        AtomicOp::Xor => 0xa0,
    }
}

pub(crate) fn cond_bits(cond: Cond) -> u8 {
    match cond {
        Cond::Eq => 0x10,
        Cond::Ugt => 0x20,
        Cond::Uge => 0x30,
        Cond::Set => 0x40,
        Cond::Ne => 0x50,
        Cond::Sgt => 0x60,
        Cond::Sge => 0x70,
        Cond::Ult => 0xa0,
        Cond::Ule => 0xb0,
        Cond::Slt => 0xc0,
        Cond::Sle => 0xd0,
    }
}
