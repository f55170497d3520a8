//! `.BTF.ext`: which function and which source line an instruction belongs to, and how CO-RE relocates it.
//!
//! - Records stand by section, sections in order of first use, records in order of their instructions.
//! - Strings live in `.BTF`, and stand here as offsets: `Builder::string` makes them, `Btf::string` reads them.
//!   (A reader that copied them could be made to copy a long one for every record.)
//! - The reader takes what libbpf takes, and hostile bytes end in an error.
//!
//! Not checked: whether offsets and ids exist in `.BTF`; `Btf` reads those that do not as empty and void.
//!
//! Layout: `struct btf_ext_header`, `bpf_func_info`, `bpf_line_info`, `bpf_core_relo`; libbpf 1.7, Linux 6.18.

use crate::builder::StrOff;
use crate::kind::TypeId;
use crate::raw::{MAGIC, u32_at};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;

/// What CO-RE puts into an instruction: `enum bpf_core_relo_kind`, `include/uapi/linux/bpf.h`, 6.18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum CoreKind {
    /// A field's offset in bytes.
    FieldByteOffset = 0,
    /// A field's size in bytes.
    FieldByteSize = 1,
    /// 1 if the field exists, else 0.
    FieldExists = 2,
    /// 1 if the field is signed, else 0.
    FieldSigned = 3,
    /// By how much to shift a bitfield left.
    FieldLshiftU64 = 4,
    /// By how much to shift it right after that.
    FieldRshiftU64 = 5,
    /// The type's id in the object's own BTF.
    TypeIdLocal = 6,
    /// The type's id in the kernel's BTF.
    TypeIdTarget = 7,
    /// 1 if the type exists, else 0.
    TypeExists = 8,
    /// The type's size in bytes.
    TypeSize = 9,
    /// 1 if the enumerator exists, else 0.
    EnumvalExists = 10,
    /// The enumerator's value.
    EnumvalValue = 11,
    /// 1 if the type exists and looks the same, else 0.
    TypeMatches = 12,
}

impl CoreKind {
    /// All kinds, by number.
    pub const ALL: [CoreKind; 13] = [
        CoreKind::FieldByteOffset,
        CoreKind::FieldByteSize,
        CoreKind::FieldExists,
        CoreKind::FieldSigned,
        CoreKind::FieldLshiftU64,
        CoreKind::FieldRshiftU64,
        CoreKind::TypeIdLocal,
        CoreKind::TypeIdTarget,
        CoreKind::TypeExists,
        CoreKind::TypeSize,
        CoreKind::EnumvalExists,
        CoreKind::EnumvalValue,
        CoreKind::TypeMatches,
    ];

    fn of(number: u32) -> Result<CoreKind> {
        let kind = CoreKind::ALL.get(number as usize).copied();
        kind.ok_or_else(|| Error::new(format!("CO-RE relocation kind {number} is not known")))
    }

    /// The name that libbpf prints: `byte_off`.
    pub fn name(self) -> &'static str {
        match self {
            CoreKind::FieldByteOffset => "byte_off",
            CoreKind::FieldByteSize => "byte_sz",
            CoreKind::FieldExists => "field_exists",
            CoreKind::FieldSigned => "signed",
            CoreKind::FieldLshiftU64 => "lshift_u64",
            CoreKind::FieldRshiftU64 => "rshift_u64",
            CoreKind::TypeIdLocal => "local_type_id",
            CoreKind::TypeIdTarget => "target_type_id",
            CoreKind::TypeExists => "type_exists",
            CoreKind::TypeSize => "type_size",
            CoreKind::EnumvalExists => "enumval_exists",
            CoreKind::EnumvalValue => "enumval_value",
            CoreKind::TypeMatches => "type_matches",
        }
    }
}

/// A function's first instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// Bytes from the section's start, 8 per instruction slot.
    pub insn_off: u32,
    /// Its `Func`.
    pub func: TypeId,
}

/// A source line's first instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Bytes from the section's start, 8 per instruction slot.
    pub insn_off: u32,
    /// The file's name.
    pub file: StrOff,
    /// The line's text.
    pub text: StrOff,
    /// From 1; at most 4194303.
    pub line: u32,
    /// From 1; at most 1023, larger ones are stored as 1023.
    pub column: u32,
}

/// A CO-RE relocation of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreRelo {
    /// Bytes from the section's start, 8 per instruction slot.
    pub insn_off: u32,
    /// The root type in the object's own BTF.
    pub ty: TypeId,
    /// `0:1:2` for a field, the index for an enumerator, `0` for a type.
    pub access: StrOff,
    /// What to put into the instruction.
    pub kind: CoreKind,
}

/// The records of one ELF section of programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtSection {
    /// The ELF section's name.
    pub name: StrOff,
    /// The kernel wants one for each function, the first at 0.
    pub funcs: Vec<FuncInfo>,
    /// The kernel wants one at the start of each function, and at most one per instruction.
    pub lines: Vec<LineInfo>,
    /// CO-RE relocations.
    pub relos: Vec<CoreRelo>,
}

/// The contents of `.BTF.ext`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ext {
    /// By section.
    pub sections: Vec<ExtSection>,
}

const HEADER: u32 = 32;
/// Bits of a column in `line_col`, below the line.
const COLUMN_BITS: u32 = 10;
const COLUMN_MASK: u32 = (1 << COLUMN_BITS) - 1;

impl Ext {
    /// The section of that name, made on first use.
    pub fn section(&mut self, name: StrOff) -> &mut ExtSection {
        let known = self.sections.iter().position(|s| s.name == name);
        let index = known.unwrap_or_else(|| self.add(name));
        &mut self.sections[index]
    }

    fn add(&mut self, name: StrOff) -> usize {
        self.sections.push(ExtSection { name, ..ExtSection::default() });
        self.sections.len() - 1
    }

    /// The bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut parts: [Vec<u8>; 3] = Default::default();
        for section in &self.sections {
            part(&mut parts[0], section.name, func_words(section));
            part(&mut parts[1], section.name, line_words(section));
            part(&mut parts[2], section.name, relo_words(section));
        }
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend([1, 0]); // Version 1, no flags.
        bytes.extend(HEADER.to_le_bytes());
        let mut at = 0;
        for part in &parts {
            let len = part.len() as u32;
            bytes.extend([at, len].into_iter().flat_map(u32::to_le_bytes));
            at += len;
        }
        bytes.extend(parts.concat());
        bytes
    }

    /// Reads the bytes.
    pub fn read(bytes: &[u8]) -> Result<Ext> {
        let header = header_len(bytes)?;
        let mut reader = Reader::default();
        for (name, [insn_off, func]) in records(bytes, header, 8)? {
            reader.section(name).funcs.push(FuncInfo { insn_off, func: TypeId(func) });
        }
        for (name, [insn_off, file, text, place]) in records(bytes, header, 16)? {
            let (line, column) = (place >> COLUMN_BITS, place & COLUMN_MASK);
            let info = LineInfo { insn_off, file: StrOff(file), text: StrOff(text), line, column };
            reader.section(name).lines.push(info);
        }
        if header >= HEADER as usize {
            for (name, [insn_off, ty, access, kind]) in records(bytes, header, 24)? {
                let (ty, access, kind) = (TypeId(ty), StrOff(access), CoreKind::of(kind)?);
                reader.section(name).relos.push(CoreRelo { insn_off, ty, access, kind });
            }
        }
        Ok(reader.ext)
    }
}

/// Finds sections by name without looking at all of them for each record.
#[derive(Default)]
struct Reader {
    ext: Ext,
    index: BTreeMap<StrOff, usize>,
}

impl Reader {
    fn section(&mut self, name: u32) -> &mut ExtSection {
        let index = *self.index.entry(StrOff(name)).or_insert_with_key(|name| self.ext.add(*name));
        &mut self.ext.sections[index]
    }
}

/// Appends one section's records to a part: `{name, count, records}`; a part begins with its record's size.
fn part<const N: usize>(out: &mut Vec<u8>, name: StrOff, mut records: Vec<[u32; N]>) {
    // libbpf refuses a section without records.
    if records.is_empty() {
        return;
    }
    if out.is_empty() {
        out.extend((4 * N as u32).to_le_bytes());
    }
    // Stable, so that relocations of one instruction stay in the order given.
    records.sort_by_key(|r| r[0]);
    out.extend([name.0, records.len() as u32].into_iter().flat_map(u32::to_le_bytes));
    out.extend(records.into_iter().flatten().flat_map(u32::to_le_bytes));
}

fn func_words(section: &ExtSection) -> Vec<[u32; 2]> {
    section.funcs.iter().map(|f| [f.insn_off, f.func.0]).collect()
}

fn line_words(section: &ExtSection) -> Vec<[u32; 4]> {
    let place = |l: &LineInfo| l.line << COLUMN_BITS | l.column.min(COLUMN_MASK);
    section.lines.iter().map(|l| [l.insn_off, l.file.0, l.text.0, place(l)]).collect()
}

fn relo_words(section: &ExtSection) -> Vec<[u32; 4]> {
    section.relos.iter().map(|r| [r.insn_off, r.ty.0, r.access.0, r.kind as u32]).collect()
}

fn header_len(bytes: &[u8]) -> Result<usize> {
    let len = u32_at(bytes, 4) as usize;
    match bytes {
        [0x9f, 0xeb, 1, 0, ..] if len >= 24 && len.is_multiple_of(4) && len <= bytes.len() => Ok(len),
        _ => Err(Error::new("this is not little-endian .BTF.ext of version 1")),
    }
}

/// The records of the part whose offset and length stand at `at`: the section's name and the first N words of each.
fn records<const N: usize>(bytes: &[u8], header: usize, at: usize) -> Result<Vec<(u32, [u32; N])>> {
    let bad = || Error::new("a part of .BTF.ext goes beyond its end, or is malformed");
    let (start, len) = (header + u32_at(bytes, at) as usize, u32_at(bytes, at + 4) as usize);
    if len == 0 {
        return Ok(Vec::new());
    }
    let part = bytes.get(start..start + len).ok_or_else(bad)?;
    let size = u32_at(part, 0) as usize;
    if size < 4 * N || !size.is_multiple_of(4) || part.len() < 4 {
        return Err(bad());
    }
    let mut out = Vec::new();
    let mut at = 4;
    while at < part.len() {
        let name = u32_at(part, at);
        let range = section_range(part, at, size).ok_or_else(bad)?;
        at = range.end;
        for record in part[range].chunks_exact(size) {
            out.push((name, std::array::from_fn(|n| u32_at(record, 4 * n))));
        }
    }
    Ok(out)
}

/// Where the records of the section header at `at` are; `None` unless they lie in the part.
fn section_range(part: &[u8], at: usize, size: usize) -> Option<Range<usize>> {
    let count = u32_at(part, at.checked_add(4)?) as usize;
    let start = at + 8;
    let end = start.checked_add(count.checked_mul(size)?)?;
    (end <= part.len()).then_some(start..end)
}
