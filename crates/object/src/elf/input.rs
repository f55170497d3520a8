//! What an object is made of: plain data.

use bpfquery_btf::{Builder, CoreKind, MapDef, TypeId};
use bpfquery_isa::Assembled;

/// Everything that goes into one object file.
#[derive(Clone, Debug)]
pub struct ObjectInput {
    /// The types that maps, variables and CO-RE records refer to. Functions, variables and sections are added to it.
    pub btf: Builder,
    /// The programs. Those of one section lie one after the other in it.
    pub programs: Vec<ProgramInput>,
    /// Maps and data sections; `isa::MapRef` is an index in here.
    pub maps: Vec<MapInput>,
    /// CO-RE records; `isa::CoreRef` is an index in here.
    pub cores: Vec<CoreInput>,
    /// What line info points into.
    pub source: SourceText,
    /// What the object says of its licence; GPL-compatible, or the kernel refuses many helpers.
    pub license: String,
    /// The bytes of the section `.bpfquery`.
    pub manifest: Vec<u8>,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInput {
    /// A C identifier. The kernel shows its first 15 bytes.
    pub name: String,
    /// What libbpf derives type and attachment from: `tracepoint/syscalls/sys_enter_openat`, `kprobe/vfs_read`.
    pub section: String,
    /// Its instructions.
    pub code: Assembled,
}

/// What an instruction can refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapInput {
    /// A map, defined through BTF.
    Map(MapDef),
    /// A data section, which libbpf turns into an array map of one element.
    Data(DataInput),
}

/// A data section. Each kind may be there once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataInput {
    /// Which one.
    pub section: DataSection,
    /// Bytes, more than 0.
    pub size: u32,
    /// The first bytes of its contents; the rest is zero. Empty for `.bss`.
    pub init: Vec<u8>,
    /// Its variables, in order of their offsets.
    pub variables: Vec<Variable>,
}

/// The data sections that libbpf knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataSection {
    /// `.rodata`: set before loading, then constant; the verifier knows the values.
    Rodata,
    /// `.data`: with initial values.
    Data,
    /// `.bss`: all zero at first.
    Bss,
}

impl DataSection {
    /// The section's name.
    pub const fn name(self) -> &'static str {
        match self {
            DataSection::Rodata => ".rodata",
            DataSection::Data => ".data",
            DataSection::Bss => ".bss",
        }
    }
}

/// A variable of a data section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// A C identifier, different from those of all other variables, maps and programs.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// Bytes from the section's start.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// What CO-RE puts into the instructions that name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreInput {
    /// The root type, in the object's own BTF.
    pub ty: TypeId,
    /// `0:1:2` for a field, the index for an enumerator, `0` for a type.
    pub access: String,
    /// What is put into the instruction.
    pub kind: CoreKind,
}

/// The text that the spans of instructions point into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceText {
    /// The file's name as it is shown; never opened.
    pub file: String,
    /// The SQL.
    pub text: String,
}

impl SourceText {
    /// The line number and column, both from 1, and the line's text, of a byte offset. Columns are bytes, as clang's.
    /// An offset behind the end, or inside a character, is taken back to the last place before it.
    pub fn place(&self, offset: u32) -> (u32, u32, &str) {
        let offset = self.text.floor_char_boundary(offset as usize);
        let before = &self.text[..offset];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() as u32 + 1;
        let text = self.text[start..].lines().next().unwrap_or_default();
        (line, (offset - start) as u32 + 1, text)
    }
}
