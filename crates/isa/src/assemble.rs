//! A program to bytes.
//!
//! What holds: every label used is defined once, every jump fits its 16 bits, every map is one of the object's, the
//! last instruction does not fall off the end. Not checked: reachability and the verifier's limits.

use crate::encode::encode;
use crate::{CoreRef, Imm64, Insn, Invalid, Item, Label, MapRef, Program, Slot, Span};
use std::collections::BTreeMap;
use std::fmt;

/// A program as the object file holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembled {
    /// Eight-byte slots, little-endian.
    pub code: Vec<u8>,
    /// The constants that the loader fills in, by slot.
    pub relocs: Vec<Reloc>,
    /// Where the source position changes: the slot, and the piece of SQL from there on.
    pub lines: Vec<(Slot, Span)>,
    /// The instructions that CO-RE rewrites, by slot.
    pub cores: Vec<(Slot, CoreRef)>,
    /// The number of slots, which is what the kernel counts as instructions.
    pub insn_count: u32,
}

/// A two-slot constant to be filled in by the loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloc {
    /// The constant's first slot.
    pub slot: Slot,
    /// The map that it refers to.
    pub map: MapRef,
    /// What of the map.
    pub kind: RelocKind,
}

/// What a relocated constant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocKind {
    /// The map itself.
    Map,
    /// The address of a byte in a data section.
    MapValue {
        /// Bytes from the section's start; also in the instruction's constant.
        offset: u32,
    },
}

/// Why a program cannot be assembled. Each is a mistake of the compiler, never of the query, except `TooFar`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsmError {
    /// A jump to a label that is nowhere.
    UndefinedLabel(Label),
    /// A label in two places.
    DuplicateLabel(Label),
    /// A jump over more than a 16-bit number of slots.
    TooFar {
        /// The jump.
        from: Slot,
        /// Where it goes.
        to: Label,
    },
    /// A map that the object does not have.
    UnknownMap(MapRef),
    /// No exit or jump at the end, or nothing at all.
    FallsOffEnd,
    /// An instruction that no kernel takes.
    Invalid(Slot, Invalid),
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AsmError::UndefinedLabel(label) => write!(f, "a jump goes to {label}, which is nowhere"),
            AsmError::DuplicateLabel(label) => write!(f, "{label} is in two places"),
            AsmError::TooFar { from, to } => write!(f, "the jump at {} to {to} is longer than 32767 slots", from.0),
            AsmError::UnknownMap(map) => write!(f, "map {} is not in the object", map.0),
            AsmError::FallsOffEnd => write!(f, "the program does not end in exit or goto"),
            AsmError::Invalid(slot, why) => write!(f, "instruction {}: {why}", slot.0),
        }
    }
}

impl std::error::Error for AsmError {}

/// The bytes of a program, and what the object file must say about them. `maps` is how many maps the object has.
pub fn assemble(program: &Program, maps: usize) -> Result<Assembled, AsmError> {
    let labels = place_labels(program)?;
    let mut out = Assembled::default();
    for line in program.lines() {
        let slot = Slot(out.insn_count);
        line.insn.check().map_err(|why| AsmError::Invalid(slot, why))?;
        if let Insn::LoadImm64 { value, .. } = line.insn {
            relocate(&mut out, slot, value, maps)?;
        }
        if let Some(span) = line.span
            && out.lines.last().map(|last| last.1) != Some(span)
        {
            out.lines.push((slot, span));
        }
        out.cores.extend(line.core.map(|core| (slot, core)));
        let distance = line.insn.target().map_or(Ok(0), |to| distance(slot, to, &labels))?;
        let (first, second) = encode(&line.insn, distance);
        for raw in [Some(first), second].into_iter().flatten() {
            out.code.extend_from_slice(&raw.to_bytes());
            out.insn_count += 1;
        }
    }
    match program.items.last() {
        Some(Item::Insn(line)) if line.insn.ends_block() => Ok(out),
        _ => Err(AsmError::FallsOffEnd),
    }
}

fn place_labels(program: &Program) -> Result<BTreeMap<Label, u32>, AsmError> {
    let mut labels = BTreeMap::new();
    let mut slot = 0;
    for item in &program.items {
        match item {
            Item::Insn(line) => slot += line.insn.slots(),
            Item::Label(label) => {
                if labels.insert(*label, slot).is_some() {
                    return Err(AsmError::DuplicateLabel(*label));
                }
            }
        }
    }
    Ok(labels)
}

/// A jump's offset counts from the slot after it.
fn distance(from: Slot, to: Label, labels: &BTreeMap<Label, u32>) -> Result<i16, AsmError> {
    let target = labels.get(&to).ok_or(AsmError::UndefinedLabel(to))?;
    let distance = i64::from(*target) - i64::from(from.0) - 1;
    i16::try_from(distance).map_err(|_| AsmError::TooFar { from, to })
}

fn relocate(out: &mut Assembled, slot: Slot, value: Imm64, maps: usize) -> Result<(), AsmError> {
    let (map, kind) = match value {
        Imm64::Value(_) => return Ok(()),
        Imm64::Map(map) => (map, RelocKind::Map),
        Imm64::MapValue { map, offset } => (map, RelocKind::MapValue { offset }),
    };
    if map.0 as usize >= maps {
        return Err(AsmError::UnknownMap(map));
    }
    out.relocs.push(Reloc { slot, map, kind });
    Ok(())
}
