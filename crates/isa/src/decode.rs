//! Bytes to instructions.
//!
//! What holds: hostile bytes give an error, never a panic; what decodes, encodes to the same bytes; unused fields
//! must be zero, as the kernel's verifier wants them. Jumps must land on the start of an instruction; labels are the
//! target's slot.

use crate::encode::{
    Raw, SOURCE_REG, alu_bits, atomic, atomic_bits, class, code, cond_bits, mode, size_bits, swap_code,
};
use crate::{AluOp, AtomicOp, Cond, Extend, Helper, Imm64, Insn, Invalid, Label, Narrow, Operand, Reg, Reloc};
use crate::{RelocKind, Size, Slot, Swap, SwapBits, Width};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Why bytes are not a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The length is not a multiple of eight.
    Length(usize),
    /// No known instruction has this form.
    Unknown(Slot, [u8; 8]),
    /// A helper that is not known here.
    UnknownHelper(Slot, u32),
    /// A two-slot constant at the end, or with something else in its second slot.
    HalfConstant(Slot),
    /// A jump out of the program or into a constant.
    BadTarget(Slot),
    /// A relocation that is not on a two-slot constant, or disagrees with it.
    BadReloc(Slot),
    /// An instruction that no kernel takes.
    Invalid(Slot, Invalid),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Length(length) => write!(f, "{length} bytes are not a whole number of instructions"),
            DecodeError::Unknown(slot, bytes) => write!(f, "instruction {}: unknown form {bytes:02x?}", slot.0),
            DecodeError::UnknownHelper(slot, id) => write!(f, "instruction {}: unknown helper {id}", slot.0),
            DecodeError::HalfConstant(slot) => write!(f, "instruction {}: broken 64-bit constant", slot.0),
            DecodeError::BadTarget(slot) => write!(f, "instruction {}: jumps to no instruction", slot.0),
            DecodeError::BadReloc(slot) => write!(f, "instruction {}: does not fit its relocation", slot.0),
            DecodeError::Invalid(slot, why) => write!(f, "instruction {}: {why}", slot.0),
        }
    }
}

impl std::error::Error for DecodeError {}

/// The instructions in some bytes, each with its slot. Without relocations, map addresses are plain numbers.
pub fn decode(bytes: &[u8]) -> Result<Vec<(Slot, Insn)>, DecodeError> {
    decode_with(bytes, &[])
}

/// The same with the object's relocations, so that maps are maps again.
pub fn decode_with(bytes: &[u8], relocs: &[Reloc]) -> Result<Vec<(Slot, Insn)>, DecodeError> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() || u32::try_from(chunks.len()).is_err() {
        return Err(DecodeError::Length(bytes.len()));
    }
    let mut relocs: BTreeMap<Slot, Reloc> = relocs.iter().map(|reloc| (reloc.slot, *reloc)).collect();
    let mut out = Vec::new();
    let mut slots = chunks.iter().zip(0u32..);
    while let Some((chunk, number)) = slots.next() {
        let slot = Slot(number);
        let raw = Raw::from_bytes(*chunk);
        let insn = if raw.code == class::LD | mode::IMM | size_bits(Size::DW) {
            let second = slots.next().map(|(chunk, _)| Raw::from_bytes(*chunk));
            wide(slot, raw, second, relocs.remove(&slot))?
        } else {
            one(slot, raw, chunks.len())?.ok_or(DecodeError::Unknown(slot, *chunk))?
        };
        insn.check().map_err(|why| DecodeError::Invalid(slot, why))?;
        out.push((slot, insn));
    }
    match relocs.keys().next() {
        Some(slot) => Err(DecodeError::BadReloc(*slot)),
        None => check_targets(out),
    }
}

fn check_targets(insns: Vec<(Slot, Insn)>) -> Result<Vec<(Slot, Insn)>, DecodeError> {
    let starts: BTreeSet<u32> = insns.iter().map(|(slot, _)| slot.0).collect();
    for (slot, insn) in &insns {
        if insn.target().is_some_and(|target| !starts.contains(&target.0)) {
            return Err(DecodeError::BadTarget(*slot));
        }
    }
    Ok(insns)
}

fn wide(slot: Slot, raw: Raw, second: Option<Raw>, reloc: Option<Reloc>) -> Result<Insn, DecodeError> {
    let high = second.filter(|high| *high == Raw { imm: high.imm, ..Raw::default() });
    let (Some(high), Some(dst), 0, 0) = (high, Reg::new(raw.dst), raw.src, raw.off) else {
        return Err(DecodeError::HalfConstant(slot));
    };
    let number = u64::from(high.imm as u32) << 32 | u64::from(raw.imm as u32);
    let value = match reloc {
        None => Imm64::Value(number),
        Some(Reloc { map, kind: RelocKind::Map, .. }) if number == 0 => Imm64::Map(map),
        Some(Reloc { map, kind: RelocKind::MapValue { offset }, .. }) if number == u64::from(offset) => {
            Imm64::MapValue { map, offset }
        }
        Some(_) => return Err(DecodeError::BadReloc(slot)),
    };
    Ok(Insn::LoadImm64 { dst, value })
}

/// A one-slot instruction; `None` for an unknown form.
fn one(slot: Slot, raw: Raw, slots: usize) -> Result<Option<Insn>, DecodeError> {
    let (Some(dst), Some(src)) = (Reg::new(raw.dst), Reg::new(raw.src)) else { return Ok(None) };
    Ok(match raw.code & 0x07 {
        class::LDX if raw.imm == 0 => load(raw, dst, src),
        class::ST if raw.src == 0 && raw.code & 0xe0 == mode::MEM => {
            Some(Insn::StoreImm { size: size_of(raw.code), base: dst, off: raw.off, imm: raw.imm })
        }
        class::STX => store(raw, dst, src),
        class::ALU | class::ALU64 => alu(raw, dst, src),
        class::JMP | class::JMP32 => return jump(slot, raw, dst, src, slots),
        _ => None,
    })
}

fn load(raw: Raw, dst: Reg, base: Reg) -> Option<Insn> {
    let (size, off) = (size_of(raw.code), raw.off);
    match raw.code & 0xe0 {
        mode::MEM => Some(Insn::Load { size, dst, base, off }),
        mode::MEMSX => {
            let size = Narrow::ALL.into_iter().find(|narrow| narrow.size() == size)?;
            Some(Insn::LoadSx { size, dst, base, off })
        }
        _ => None,
    }
}

fn store(raw: Raw, base: Reg, src: Reg) -> Option<Insn> {
    let (size, off) = (size_of(raw.code), raw.off);
    match raw.code & 0xe0 {
        mode::MEM if raw.imm == 0 => Some(Insn::Store { size, base, off, src }),
        mode::ATOMIC => {
            let width = Width::ALL.into_iter().find(|width| width.size() == size)?;
            match raw.imm {
                atomic::XCHG => Some(Insn::Exchange { width, base, off, src }),
                atomic::CMPXCHG => Some(Insn::CompareExchange { width, base, off, src }),
                imm => {
                    let fetch = imm & atomic::FETCH != 0;
                    let op = AtomicOp::ALL.into_iter().find(|op| atomic_bits(*op) == imm & !atomic::FETCH)?;
                    Some(Insn::Atomic { op, fetch, width, base, off, src })
                }
            }
        }
        _ => None,
    }
}

fn alu(raw: Raw, dst: Reg, src: Reg) -> Option<Insn> {
    let width = if raw.code & 0x07 == class::ALU64 { Width::W64 } else { Width::W32 };
    match raw.code & 0xf0 {
        code::NEG if raw == (Raw { code: raw.code & !SOURCE_REG, dst: raw.dst, ..Raw::default() }) => {
            Some(Insn::Neg { width, dst })
        }
        code::NEG => None,
        code::END => {
            let swap = Swap::ALL.into_iter().find(|swap| swap_code(*swap) == raw.code)?;
            let bits = SwapBits::ALL.into_iter().find(|bits| bits.bits() as i32 == raw.imm)?;
            (raw.src == 0 && raw.off == 0).then_some(Insn::Endian { swap, bits, dst })
        }
        bits => {
            let operand = operand(raw, src)?;
            if let Operand::Reg(src) = operand
                && bits == alu_bits(AluOp::Mov).0
                && raw.off != 0
            {
                let extend = |e: &Extend| e.width() == width && e.bits() as i16 == raw.off;
                return Extend::ALL.into_iter().find(extend).map(|extend| Insn::MovSx { extend, dst, src });
            }
            let op = AluOp::ALL.into_iter().find(|op| alu_bits(*op) == (bits, raw.off))?;
            Some(Insn::Alu { width, op, dst, src: operand })
        }
    }
}

fn jump(slot: Slot, raw: Raw, dst: Reg, src: Reg, slots: usize) -> Result<Option<Insn>, DecodeError> {
    let whole = raw.code & 0x07 == class::JMP;
    let bare = raw.code & SOURCE_REG == 0 && raw.dst == 0 && raw.src == 0;
    Ok(match raw.code & 0xf0 {
        code::JA if whole && bare && raw.imm == 0 => Some(Insn::Jump { target: target(slot, raw.off, slots)? }),
        code::CALL if whole && bare && raw.off == 0 => {
            let id = raw.imm as u32;
            Some(Insn::Call { helper: Helper::from_id(id).ok_or(DecodeError::UnknownHelper(slot, id))? })
        }
        code::EXIT if whole && bare && raw.off == 0 && raw.imm == 0 => Some(Insn::Exit),
        bits => {
            let cond = Cond::ALL.into_iter().find(|cond| cond_bits(*cond) == bits);
            let (Some(cond), Some(src)) = (cond, operand(raw, src)) else { return Ok(None) };
            let width = if whole { Width::W64 } else { Width::W32 };
            Some(Insn::JumpIf { width, cond, dst, src, target: target(slot, raw.off, slots)? })
        }
    })
}

/// The second operand, if the field that it does not use is zero.
fn operand(raw: Raw, src: Reg) -> Option<Operand> {
    match raw.code & SOURCE_REG != 0 {
        true => (raw.imm == 0).then_some(Operand::Reg(src)),
        false => (raw.src == 0).then_some(Operand::Imm(raw.imm)),
    }
}

fn target(slot: Slot, distance: i16, slots: usize) -> Result<Label, DecodeError> {
    let target = i64::from(slot.0) + 1 + i64::from(distance);
    match u32::try_from(target) {
        Ok(target) if (target as usize) < slots => Ok(Label(target)),
        _ => Err(DecodeError::BadTarget(slot)),
    }
}

fn size_of(code: u8) -> Size {
    match code & 0x18 {
        0x00 => Size::W,
        0x08 => Size::H,
        0x10 => Size::B,
        _ => Size::DW,
    }
}
