//! Refuses input that would make an object that no loader takes. Each refusal is a mistake of the compiler.

use super::input::{DataInput, DataSection, MapInput, ObjectInput};
use bpfquery_diag::{Failure, Result};
use bpfquery_isa::{Assembled, Reloc, RelocKind};
use std::collections::BTreeSet;

/// The name of this pass in a bug report.
pub(super) const PASS: &str = "object";

pub(super) fn check(input: &ObjectInput) -> Result<()> {
    check_names(input)?;
    let mut sections = BTreeSet::new();
    for map in &input.maps {
        match map {
            MapInput::Map(_) => {}
            MapInput::Data(data) => check_data(data, &mut sections)?,
        }
    }
    for program in &input.programs {
        ensure(!program.section.is_empty() && !program.section.starts_with('.'), || {
            format!("program {} has the section {:?}", program.name, program.section)
        })?;
        check_code(&program.code, input).map_err(|what| bug(format!("program {}: {what}", program.name)))?;
    }
    ensure(!input.programs.is_empty(), || "no program".into())
}

pub(super) fn bug(detail: impl Into<String>) -> Failure {
    Failure::bug(PASS, detail)
}

/// ELF symbols share one space of names, and libbpf finds maps and variables by them.
fn check_names(input: &ObjectInput) -> Result<()> {
    let mut used = BTreeSet::new();
    let programs = input.programs.iter().map(|program| &program.name);
    let maps = input.maps.iter().flat_map(|map| match map {
        MapInput::Map(def) => vec![&def.name],
        MapInput::Data(data) => data.variables.iter().map(|variable| &variable.name).collect(),
    });
    for name in programs.chain(maps) {
        ensure(is_c_identifier(name), || format!("{name:?} is not a C identifier"))?;
        ensure(used.insert(name), || format!("two things are called {name}"))?;
    }
    ensure(!input.license.contains('\0'), || "the licence has a NUL".into())
}

fn check_data(data: &DataInput, sections: &mut BTreeSet<DataSection>) -> Result<()> {
    let name = data.section.name();
    ensure(sections.insert(data.section), || format!("there are two {name} sections"))?;
    ensure(data.size > 0 && data.init.len() <= data.size as usize, || format!("{name} has the wrong size"))?;
    ensure(data.section != DataSection::Bss || data.init.is_empty(), || format!("{name} has contents"))?;
    let mut end = 0;
    for variable in &data.variables {
        ensure(variable.offset >= end, || format!("{} overlaps what is before it in {name}", variable.name))?;
        end = variable.offset.saturating_add(variable.size);
        ensure(end <= data.size, || format!("{} ends behind the end of {name}", variable.name))?;
    }
    Ok(())
}

fn check_code(code: &Assembled, input: &ObjectInput) -> std::result::Result<(), String> {
    let slots = code.insn_count;
    let fits = |condition: bool, what: &str| if condition { Ok(()) } else { Err(what.to_owned()) };
    fits(slots > 0 && code.code.len() == slots as usize * 8, "the length is not its number of instructions")?;
    fits(code.relocs.iter().all(|reloc| reloc.slot.0 + 1 < slots), "a relocation lies behind the end")?;
    fits(code.lines.iter().all(|(slot, _)| slot.0 < slots), "a source line lies behind the end")?;
    fits(code.lines.is_sorted_by(|a, b| a.0 < b.0), "the source lines are not in order")?;
    fits(code.cores.iter().all(|(slot, _)| slot.0 < slots), "a CO-RE record lies behind the end")?;
    fits(code.cores.iter().all(|(_, core)| (core.0 as usize) < input.cores.len()), "a CO-RE record is missing")?;
    fits(code.relocs.iter().all(|reloc| points_at(reloc, input)), "a relocation points at nothing")
}

fn points_at(reloc: &Reloc, input: &ObjectInput) -> bool {
    match (reloc.kind, input.maps.get(reloc.map.0 as usize)) {
        (RelocKind::Map, Some(MapInput::Map(_))) => true,
        (RelocKind::MapValue { offset }, Some(MapInput::Data(data))) => offset < data.size,
        _ => false,
    }
}

/// What the kernel takes as the name of a function or variable in BTF (`btf_name_valid_identifier`, 6.18), without dots.
fn is_c_identifier(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.len() < 128 && name.starts_with(|c: char| word(c) && !c.is_ascii_digit()) && name.chars().all(word)
}

fn ensure(condition: bool, what: impl FnOnce() -> String) -> Result<()> {
    if condition { Ok(()) } else { Err(bug(what())) }
}
