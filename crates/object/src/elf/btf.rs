//! `.BTF` and `.BTF.ext`: functions, variables, source lines and CO-RE records.
//!
//! What holds: every program has a function and, at its first instruction, a source line; the kernel refuses line
//! info that leaves one out (`check_btf_line`, kernel/bpf/verifier.c, 6.18).

use super::check::bug;
use super::input::{CoreInput, DataInput, MapInput, ObjectInput, ProgramInput, SourceText};
use bpfquery_btf::{Builder, CoreRelo, Ext, FuncInfo, LineInfo, Linkage, MapDef, MapSection, SecVar, StrOff, TypeId};
use bpfquery_diag::Result;
use bpfquery_isa::Slot;

/// The two sections, and where the maps are in `.maps`.
pub(super) struct Written {
    pub(super) btf: Vec<u8>,
    pub(super) ext: Vec<u8>,
    /// `None` if there is no map.
    pub(super) maps: Option<MapSection>,
}

/// `offsets` are the programs' places in their sections, in bytes.
pub(super) fn write(input: &ObjectInput, offsets: &[u32]) -> Result<Written> {
    let mut btf = input.btf.clone();
    let defs: Vec<MapDef> = input.maps.iter().filter_map(map_def).cloned().collect();
    let maps = (!defs.is_empty()).then(|| btf.maps(&defs));
    for map in &input.maps {
        if let MapInput::Data(data) = map {
            data_section(&mut btf, data);
        }
    }
    let accesses: Vec<StrOff> = input.cores.iter().map(|core| btf.string(&core.access)).collect();
    let cores = Cores { inputs: &input.cores, accesses: &accesses };
    let mut ext = Ext::default();
    for (program, offset) in input.programs.iter().zip(offsets) {
        add_program(&mut btf, &mut ext, program, *offset, &input.source, &cores);
    }
    let btf = btf.finish().map_err(|error| bug(error.to_string()))?;
    Ok(Written { btf, ext: ext.write(), maps })
}

fn map_def(map: &MapInput) -> Option<&MapDef> {
    match map {
        MapInput::Map(def) => Some(def),
        MapInput::Data(_) => None,
    }
}

fn data_section(btf: &mut Builder, data: &DataInput) {
    let mut vars = Vec::new();
    for variable in &data.variables {
        let var = btf.var(&variable.name, variable.ty, Linkage::Global);
        vars.push(SecVar { var, offset: variable.offset, size: variable.size });
    }
    btf.datasec(data.section.name(), data.size, &vars);
}

struct Cores<'a> {
    inputs: &'a [CoreInput],
    accesses: &'a [StrOff],
}

/// Every program is `int name(void *ctx)`, as clang has it.
fn add_program(
    btf: &mut Builder,
    ext: &mut Ext,
    program: &ProgramInput,
    base: u32,
    source: &SourceText,
    cores: &Cores<'_>,
) {
    let (int, ctx) = (btf.plain_int(4, true), btf.ptr(TypeId::VOID));
    let proto = btf.func_proto(int, &[("ctx", ctx)]);
    let func = btf.func(&program.name, proto, Linkage::Global);
    let lines = lines(btf, program, base, source);
    let section = ext.section(btf.string(&program.section));
    section.funcs.push(FuncInfo { insn_off: base, func });
    section.lines.extend(lines);
    section.relos.extend(program.code.cores.iter().map(|(slot, core)| {
        let (input, access) = (&cores.inputs[core.0 as usize], cores.accesses[core.0 as usize]);
        CoreRelo { insn_off: base + 8 * slot.0, ty: input.ty, access, kind: input.kind }
    }));
}

fn lines(btf: &mut Builder, program: &ProgramInput, base: u32, source: &SourceText) -> Vec<LineInfo> {
    let file = btf.string(&source.file);
    let known = &program.code.lines;
    // What comes before the first known place belongs to it.
    let first = known.first().map_or(0, |(_, span)| span.0);
    let start = known.first().is_none_or(|(slot, _)| slot.0 != 0).then_some((Slot(0), first));
    let places = start.into_iter().chain(known.iter().map(|(slot, span)| (*slot, span.0)));
    let mut out: Vec<LineInfo> = Vec::new();
    for (slot, offset) in places {
        let (line, column, text) = source.place(offset);
        let text = btf.string(text);
        let info = LineInfo { insn_off: base + 8 * slot.0, file, text, line, column };
        // Two spans may start at one place, and nothing changes then.
        if out.last().is_none_or(|last| (last.line, last.column) != (line, column)) {
            out.push(info);
        }
    }
    out
}
