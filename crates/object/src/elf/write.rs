//! Sections, symbols and relocations.

use super::check::{bug, check};
use super::input::{DataInput, DataSection, MapInput, ObjectInput, ProgramInput};
use super::{MANIFEST_SECTION, btf};
use bpfquery_btf::SecVar;
use bpfquery_diag::Result;
use object::elf::R_BPF_64_64;
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind};
use object::{SymbolFlags, SymbolKind, SymbolScope};
use std::collections::BTreeMap;

/// The object's bytes. An error is a bug of whoever made the input.
pub fn write(input: &ObjectInput) -> Result<Vec<u8>> {
    check(input)?;
    let mut elf = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let places = add_programs(&mut elf, &input.programs);
    let offsets: Vec<u32> = places.iter().map(|(_, offset)| *offset).collect();
    let written = btf::write(input, &offsets)?;
    let vars = written.maps.as_ref().map_or(&[][..], |maps| &maps.vars);
    let targets = add_maps(&mut elf, &input.maps, vars);
    for (program, (section, offset)) in input.programs.iter().zip(&places) {
        relocate(&mut elf, program, *section, *offset, &targets)?;
    }
    let license = [input.license.as_bytes(), &[0]].concat();
    add_section(&mut elf, "license", SectionKind::Data, &license, 1);
    add_section(&mut elf, ".BTF", SectionKind::Metadata, &written.btf, 4);
    add_section(&mut elf, ".BTF.ext", SectionKind::Metadata, &written.ext, 4);
    add_section(&mut elf, MANIFEST_SECTION, SectionKind::Metadata, &input.manifest, 8);
    elf.write().map_err(|error| bug(error.to_string()))
}

/// Each program's section and offset in it, with its symbol added.
fn add_programs(elf: &mut Object<'_>, programs: &[ProgramInput]) -> Vec<(SectionId, u32)> {
    let mut sections: BTreeMap<&str, SectionId> = BTreeMap::new();
    let mut places = Vec::new();
    for program in programs {
        let section = *sections
            .entry(&program.section)
            .or_insert_with(|| elf.add_section(Vec::new(), program.section.clone().into(), SectionKind::Text));
        let offset = elf.append_section_data(section, &program.code.code, 8);
        let size = program.code.code.len() as u64;
        add_symbol(elf, &program.name, SymbolKind::Text, section, offset, size);
        // A section of more than 4 GiB would need 2^29 instructions; the kernel takes a million a program.
        places.push((section, offset as u32));
    }
    places
}

/// What the instructions that name a map point at: a map's own symbol, or a data section's.
fn add_maps(elf: &mut Object<'_>, maps: &[MapInput], vars: &[SecVar]) -> Vec<SymbolId> {
    let size: u32 = vars.iter().map(|var| var.size).sum();
    let defined = (size > 0).then(|| add_section(elf, ".maps", SectionKind::Data, &vec![0; size as usize], 8));
    let mut vars = vars.iter();
    let mut targets = Vec::new();
    for map in maps {
        targets.push(match (map, defined) {
            (MapInput::Data(data), _) => add_data(elf, data),
            (MapInput::Map(def), Some(section)) => {
                let var = vars.next().expect("the BTF builder gives one variable for each map");
                add_symbol(elf, &def.name, SymbolKind::Data, section, var.offset.into(), var.size.into())
            }
            (MapInput::Map(_), None) => unreachable!("a map's definition is never empty: it has a type"),
        });
    }
    targets
}

fn add_data(elf: &mut Object<'_>, data: &DataInput) -> SymbolId {
    let name = data.section.name();
    let mut contents = data.init.clone();
    contents.resize(data.size as usize, 0);
    let section = match data.section {
        DataSection::Rodata => add_section(elf, name, SectionKind::ReadOnlyData, &contents, 8),
        DataSection::Data => add_section(elf, name, SectionKind::Data, &contents, 8),
        DataSection::Bss => {
            let section = elf.add_section(Vec::new(), name.into(), SectionKind::UninitializedData);
            elf.append_section_bss(section, data.size.into(), 8);
            section
        }
    };
    for variable in &data.variables {
        let (offset, size) = (variable.offset.into(), variable.size.into());
        add_symbol(elf, &variable.name, SymbolKind::Data, section, offset, size);
    }
    elf.section_symbol(section)
}

/// The offset into a data section stands in the instruction itself, so no addend is written over it.
fn relocate(
    elf: &mut Object<'_>,
    program: &ProgramInput,
    section: SectionId,
    base: u32,
    targets: &[SymbolId],
) -> Result<()> {
    for reloc in &program.code.relocs {
        let offset = u64::from(base) + 8 * u64::from(reloc.slot.0);
        let symbol = targets[reloc.map.0 as usize];
        let flags = RelocationFlags::Elf { r_type: R_BPF_64_64 };
        let relocation = Relocation { offset, symbol, addend: 0, flags };
        elf.add_relocation(section, relocation).map_err(|error| bug(error.to_string()))?;
    }
    Ok(())
}

fn add_section(elf: &mut Object<'_>, name: &str, kind: SectionKind, data: &[u8], align: u64) -> SectionId {
    let section = elf.add_section(Vec::new(), name.into(), kind);
    elf.set_section_data(section, data.to_vec(), align);
    section
}

fn add_symbol(
    elf: &mut Object<'_>,
    name: &str,
    kind: SymbolKind,
    section: SectionId,
    value: u64,
    size: u64,
) -> SymbolId {
    elf.add_symbol(Symbol {
        name: name.into(),
        value,
        size,
        kind,
        // Visible everywhere: libbpf makes hidden variables and functions static.
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}
