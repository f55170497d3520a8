//! From the compiler's nouns to what an object is made of: types with the SQL's names, maps, variables, CO-RE records.
//!
//! What must hold: the names that a user sees in `bpftool map dump` are the output columns', made valid and unique; a CO-RE
//! record's instruction already holds the value for the object's own types, which libbpf checks.

use crate::elf::{
    CoreInput, DataInput, DataSection, MapInput, ObjectInput, ProgramInput, SourceText, Variable as DataVariable,
};
use crate::manifest::{GROUPS, HELD, Manifest, Parameter, Program, REST, Tallies, Variable};
use bpfquery_btf::{Builder, CoreKind, CoreSpec, CoreTypes, Leaf, MapDef, MapPart, NewMember, TypeId, c_identifier};
use bpfquery_catalog::{Check, Hook, Kernel, VMLINUX};
use bpfquery_codegen::ir::{self, CoreWhat, Func, Global, MapData, MapKind};
use bpfquery_codegen::lower::{Lowered, TALLY_COPIES, TALLY_STRIDE};
use bpfquery_diag::{Failure, Result};
use bpfquery_isa as isa;
use bpfquery_plan::{Field, Fragment, Layout, Output, Split, Stored};
use std::collections::BTreeSet;

/// What an object is built from.
pub struct Parts<'a> {
    /// The query's text.
    pub sql: &'a str,
    /// What the query was cut into.
    pub split: &'a Split,
    /// A program for each fragment, in their order. All have the same tables.
    pub programs: Vec<Part<'a>>,
    /// What must be so on the kernel that runs it.
    pub checks: Vec<Check>,
    /// `portable`, or a kernel's release.
    pub target: String,
    /// The kernel that was compiled for.
    pub kernel: &'a dyn Kernel,
}

/// A program of an object.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The fragment, lowered.
    pub lowered: &'a Lowered,
    /// Its instructions.
    pub code: &'a isa::Program,
}

/// The licence that objects declare, so that GPL helpers load; the kernel knows it as GPL-compatible
/// (include/linux/license.h, Linux 6.12).
const LICENSE: &str = "Dual MIT/GPL";

/// The object's bytes.
pub fn build(parts: &Parts<'_>) -> Result<Vec<u8>> {
    let func = &first(parts)?.func;
    let mut btf = Builder::new();
    let cores = cores(&mut btf, func, parts.kernel, parts.target == "portable")?;
    let mut maps = Vec::new();
    for map in &func.maps {
        maps.push(MapInput::Map(map_def(&mut btf, map, parts.split)));
    }
    for (section, global) in [(DataSection::Rodata, Global::Rodata), (DataSection::Bss, Global::Bss)] {
        maps.push(MapInput::Data(data(&mut btf, func, section, global)));
    }
    // The record of the ring buffer is nobody's value type, but a reader of the object's BTF finds it by this name.
    for fragment in &parts.split.kernel {
        if let Output::Rows { layout, .. } = &fragment.output {
            structure(&mut btf, "row", layout);
        }
    }
    let programs = programs(parts, maps.len())?;
    let used = used_sections(&programs, func.maps.len());
    let (maps, programs) = drop_unused(maps, programs, &used);
    crate::elf::write(&ObjectInput {
        btf,
        programs,
        maps,
        cores,
        source: SourceText { file: "query.sql".to_string(), text: parts.sql.to_string() },
        license: LICENSE.to_string(),
        manifest: manifest(parts)?.to_bytes()?,
    })
}

/// What libbpf derives a program's type and attachment from (libbpf 1.7, section_defs).
pub fn section_name(hook: &Hook) -> String {
    match hook {
        Hook::Tracepoint { category, event } => format!("tracepoint/{category}/{event}"),
        Hook::RawTracepoint { event } => format!("raw_tp/{event}"),
        Hook::Kprobe { function, .. } => format!("kprobe/{function}"),
        Hook::Kretprobe { function, .. } => format!("kretprobe/{function}"),
        Hook::Fentry { function, module: None } => format!("fentry/{function}"),
        Hook::Fentry { function, module: Some(module) } => format!("fentry/{module}:{function}"),
        Hook::Fexit { function, module: None } => format!("fexit/{function}"),
        Hook::Fexit { function, module: Some(module) } => format!("fexit/{module}:{function}"),
        Hook::Interval { .. } | Hook::Profile { .. } => "perf_event".to_string(),
        Hook::Once | Hook::Listing(_) => "raw_tp".to_string(),
    }
}

/// Whose tables stand for all programs'.
fn first<'a>(parts: &Parts<'a>) -> Result<&'a Lowered> {
    let first = parts.programs.first().map(|part| part.lowered);
    match first.filter(|_| parts.programs.len() == parts.split.kernel.len()) {
        Some(first) => Ok(first),
        None => Err(Failure::bug("object", "programs and fragments do not belong together")),
    }
}

fn programs(parts: &Parts<'_>, maps: usize) -> Result<Vec<ProgramInput>> {
    let program = |(part, fragment): (&Part<'_>, &Fragment)| {
        let code = isa::assemble(part.code, maps).map_err(|e| Failure::bug("assemble", e.to_string()))?;
        let section = section_name(&fragment.relation.hook);
        Ok(ProgramInput { name: part.lowered.func.name.clone(), section, code })
    };
    parts.programs.iter().zip(&parts.split.kernel).map(program).collect()
}

fn map_def(btf: &mut Builder, map: &MapData, split: &Split) -> MapDef {
    let outputs = || split.kernel.iter().map(|fragment| &fragment.output);
    let hold = outputs().find(|output| matches!(output, Output::Hold { .. }));
    let output = outputs().find(|output| !matches!(output, Output::Hold { .. }));
    let (key, value) = match (map.name.as_str(), if map.name == HELD { hold } else { output }) {
        (HELD, Some(Output::Hold { layout, .. })) => {
            let key = btf.plain_int(4, map.kind == MapKind::TaskStorage);
            (MapPart::Type(key), MapPart::Type(structure(btf, "held_row", layout)))
        }
        (GROUPS | REST, Some(Output::Groups { key, state, .. })) => {
            let key = match map.kind {
                MapKind::Hash | MapKind::PerCpuHash => structure(btf, "group_key", key),
                _ => btf.plain_int(4, false),
            };
            (MapPart::Type(key), MapPart::Type(structure(btf, "group_state", state)))
        }
        _ if map.key_size == 0 => (MapPart::None, MapPart::None),
        _ => {
            let (byte, key) = (btf.plain_int(1, false), btf.plain_int(map.key_size, false));
            (MapPart::Type(key), MapPart::Type(btf.array(byte, map.value_size)))
        }
    };
    MapDef {
        name: map.name.clone(),
        map_type: map_type(map.kind),
        key,
        value,
        max_entries: map.max_entries,
        // BPF_F_NO_PREALLOC, which task storage asks for.
        map_flags: u32::from(map.kind == MapKind::TaskStorage),
        pinned: false,
    }
}

/// enum bpf_map_type, include/uapi/linux/bpf.h.
fn map_type(kind: MapKind) -> u32 {
    match kind {
        MapKind::Hash => 1,
        MapKind::Array => 2,
        MapKind::PerCpuHash => 5,
        MapKind::PerCpuArray => 6,
        MapKind::RingBuffer => 27,
        MapKind::TaskStorage => 29,
    }
}

/// A struct with a member for each field, named after the column.
fn structure(btf: &mut Builder, name: &str, layout: &Layout) -> TypeId {
    let mut used = BTreeSet::new();
    let mut members = Vec::new();
    for field in &layout.fields {
        let name = c_identifier(&field.name, &mut used);
        match field.stored {
            Stored::Wide => {
                let word = btf.plain_int(8, false);
                let high = c_identifier(&format!("{name}_high"), &mut used);
                members.push(NewMember::new(name, word, field.offset));
                members.push(NewMember::new(high, word, field.offset + 8));
            }
            _ => members.push(NewMember::new(name, field_type(btf, field), field.offset)),
        }
    }
    if let Some((offset, bytes)) = layout.nulls {
        let bits = btf.plain_int(bytes, false);
        members.push(NewMember::new(c_identifier("nulls", &mut used), bits, offset));
    }
    members.sort_by_key(|member| member.bit_offset);
    btf.structure(name, layout.size, &members)
}

fn field_type(btf: &mut Builder, field: &Field) -> TypeId {
    match field.stored {
        Stored::Int { bytes, signed } => btf.plain_int(bytes, signed),
        Stored::Text { bytes } => {
            let char = btf.char();
            btf.array(char, bytes)
        }
        Stored::Wide => btf.plain_int(8, false),
        Stored::Buckets => {
            let counter = btf.plain_int(8, false);
            btf.array(counter, bpfquery_plan::BUCKETS)
        }
    }
}

fn data(btf: &mut Builder, func: &Func, section: DataSection, global: Global) -> DataInput {
    let mut variables = Vec::new();
    let mut init = Vec::new();
    let mut size = 0;
    for data in func.globals.iter().filter(|data| data.section == global) {
        let ty = match data.size {
            bytes @ (1 | 2 | 4 | 8) => btf.plain_int(bytes, false),
            bytes => {
                let byte = btf.plain_int(1, false);
                btf.array(byte, bytes)
            }
        };
        variables.push(DataVariable { name: data.name.clone(), ty, offset: data.offset, size: data.size });
        size = (data.offset + data.size).next_multiple_of(8);
        init.resize(data.offset as usize, 0);
        init.extend(&data.init);
    }
    if global == Global::Bss {
        init.clear();
    }
    DataInput { section, size, init, variables }
}

/// Which of the map references are used; maps proper always are.
fn used_sections(programs: &[ProgramInput], maps: usize) -> Vec<bool> {
    let relocs = || programs.iter().flat_map(|program| &program.code.relocs);
    (0..maps + 2).map(|i| i < maps || relocs().any(|reloc| reloc.map.0 as usize == i)).collect()
}

/// Leaves out data sections that nothing refers to, and numbers the rest anew.
fn drop_unused(
    maps: Vec<MapInput>,
    mut programs: Vec<ProgramInput>,
    used: &[bool],
) -> (Vec<MapInput>, Vec<ProgramInput>) {
    let before = |index: usize| used.iter().take(index).filter(|used| **used).count();
    for reloc in programs.iter_mut().flat_map(|program| &mut program.code.relocs) {
        reloc.map = isa::MapRef(u32::try_from(before(reloc.map.0 as usize)).unwrap_or(u32::MAX));
    }
    let kept = maps.into_iter().zip(used).filter(|(_, used)| **used).map(|(map, _)| map).collect();
    (kept, programs)
}

/// The CO-RE records, in the order of the function's relocations, with the types that they need.
fn cores(btf: &mut Builder, func: &Func, kernel: &dyn Kernel, portable: bool) -> Result<Vec<CoreInput>> {
    let mut objects: Vec<&str> = func.cores.iter().map(|core| core.object.as_str()).collect();
    objects.sort_unstable();
    objects.dedup();
    let mut inputs: Vec<Option<CoreInput>> = vec![None; func.cores.len()];
    for object in objects {
        let base = match object {
            VMLINUX => kernel.btf()?,
            module => kernel
                .module_btf(module)?
                .ok_or_else(|| Failure::bug("object", format!("no BTF of module {module}")))?,
        };
        if portable {
            crate::ambiguous::refuse(&base, func.cores.iter().filter(|core| core.object == object))?;
        }
        let mut types = CoreTypes::new(&base);
        let mut places = Vec::new();
        for (i, core) in func.cores.iter().enumerate().filter(|(_, core)| core.object == object) {
            let root = TypeId(core.root);
            let access = match (core.what, core.guess) {
                (CoreWhat::TypeSize, _) => Ok(types.whole(root)),
                (_, Some(guess)) if core.members.is_empty() => types.named_field(root, &core.text, leaf(guess)),
                _ => types.field(root, &core.members),
            };
            places.push((i, access.map_err(|e| Failure::bug("object", format!("{}: {e}", core.text)))?));
        }
        let specs = types.finish(btf).map_err(|e| Failure::bug("object", e.to_string()))?;
        for (i, place) in places {
            inputs[i] = Some(core_input(&func.cores[i], &specs[place.index()])?);
        }
    }
    Ok(inputs.into_iter().flatten().collect())
}

/// What a member that is not there is guessed to be.
fn leaf(guess: ir::Guess) -> Leaf {
    match guess {
        ir::Guess::Int { bytes, signed } => Leaf::Int { size: bytes, signed },
        ir::Guess::Pointer => Leaf::Ptr,
    }
}

fn core_input(core: &ir::CoreReloc, spec: &CoreSpec) -> Result<CoreInput> {
    let kind = match core.what {
        CoreWhat::ByteOffset => CoreKind::FieldByteOffset,
        CoreWhat::ByteSize => CoreKind::FieldByteSize,
        CoreWhat::Exists => CoreKind::FieldExists,
        CoreWhat::TypeSize => CoreKind::TypeSize,
        CoreWhat::LshiftU64 => CoreKind::FieldLshiftU64,
        CoreWhat::RshiftU64 => CoreKind::FieldRshiftU64,
    };
    if spec.value(kind) != Some(u64::from(core.local)) {
        let detail =
            format!("{}: {:?} is {} here, {:?} in the object", core.text, core.what, core.local, spec.value(kind));
        return Err(Failure::bug("object", detail));
    }
    Ok(CoreInput { ty: spec.ty, access: spec.access.clone(), kind })
}

fn manifest(parts: &Parts<'_>) -> Result<Manifest> {
    let lowered = first(parts)?;
    let func = &lowered.func;
    let offset = |id: Option<ir::GlobalId>| id.map(|id| func.global(id).offset);
    let params = parts.split.params.iter().enumerate().map(|(i, param)| Parameter {
        name: param.name.clone(),
        ty: param.ty.clone(),
        offset: offset(lowered.params.get(i).copied().flatten()),
    });
    let counters = lowered
        .counters
        .iter()
        .map(|c| Variable { name: c.counter.name().to_string(), offset: func.global(c.variable).offset + c.at });
    let tallies = offset(lowered.tallies_at).map(|at| Tallies {
        stride: TALLY_STRIDE,
        copies: TALLY_COPIES,
        list: lowered
            .tallies
            .iter()
            .map(|t| Variable { name: t.name().to_string(), offset: at + t.offset() })
            .collect(),
    });
    let programs = parts
        .programs
        .iter()
        .zip(&parts.split.kernel)
        .map(|(part, fragment)| Program { name: part.lowered.func.name.clone(), hook: fragment.relation.hook.clone() });
    Ok(Manifest {
        generator: concat!("bpfquery ", env!("CARGO_PKG_VERSION")).to_string(),
        target: parts.target.clone(),
        arch: parts.kernel.identity().arch.clone(),
        sql: parts.sql.to_string(),
        programs: programs.collect(),
        checks: parts.checks.clone(),
        params: params.collect(),
        start_ns: offset(lowered.start_ns),
        wall_offset: offset(lowered.wall_offset),
        counters: counters.collect(),
        tallies,
        user: parts.split.user.clone(),
    })
}
