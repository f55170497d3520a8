//! Any stage of a query as text.

use crate::pipeline::{Compiled, Program};
use bpfquery_codegen::ir::WithSql;
use bpfquery_diag::{Failure, Result};
use bpfquery_object::Manifest;
use std::fmt::Write;

/// A noun of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The syntax tree, as SQL with everything said.
    Ast,
    /// The plan as bound.
    Bound,
    /// The optimised plan.
    Plan,
    /// The optimised plan, with the rules that made it.
    Rules,
    /// The cut between kernel and user space.
    Split,
    /// SSA as lowered.
    Ir,
    /// SSA after the passes.
    Opt,
    /// Instructions.
    Asm,
    /// Maps and variables, and the memory that they take.
    Maps,
    /// What the object says of itself, as JSON.
    Manifest,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Stage; 10] = [
        Stage::Ast,
        Stage::Bound,
        Stage::Plan,
        Stage::Rules,
        Stage::Split,
        Stage::Ir,
        Stage::Opt,
        Stage::Asm,
        Stage::Maps,
        Stage::Manifest,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Ast => "ast",
            Stage::Bound => "bound",
            Stage::Plan => "plan",
            Stage::Rules => "rules",
            Stage::Split => "split",
            Stage::Ir => "ir",
            Stage::Opt => "opt",
            Stage::Asm => "asm",
            Stage::Maps => "maps",
            Stage::Manifest => "manifest",
        }
    }
}

/// The text of one stage, ending in a newline.
pub fn explain(compiled: &Compiled, sql: &str, stage: Stage) -> Result<String> {
    let mut text = match stage {
        Stage::Ast => compiled.ast.to_string(),
        Stage::Bound => compiled.bound.to_string(),
        Stage::Plan => compiled.plan.to_string(),
        Stage::Rules => {
            let rules: String = compiled.rules.iter().fold(String::new(), |mut text, applied| {
                let _ = writeln!(text, "-- {}\n{}", applied.rule, applied.text.trim_end());
                text
            });
            rules
        }
        Stage::Split => compiled.split.to_string(),
        Stage::Ir => each(compiled, |program| WithSql { func: &program.lowered.func, sql }.to_string()),
        Stage::Opt => each(compiled, |program| WithSql { func: &program.func, sql }.to_string()),
        Stage::Asm => each(compiled, asm),
        Stage::Maps => maps(compiled),
        Stage::Manifest => manifest(compiled)?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Every program's text; of several, each below its name.
fn each(compiled: &Compiled, text: impl Fn(&Program) -> String) -> String {
    match compiled.programs.as_slice() {
        [only] => text(only),
        several => several.iter().fold(String::new(), |mut all, program| {
            let _ = write!(all, "-- {}\n{}", program.func.name, text(program));
            if !all.ends_with('\n') {
                all.push('\n');
            }
            all
        }),
    }
}

fn asm(program: &Program) -> String {
    let maps = &program.func.maps;
    let name = |map: bpfquery_isa::MapRef| {
        let index = map.0 as usize;
        match index.checked_sub(maps.len()) {
            None => Some(maps[index].name.as_str()),
            Some(0) => Some(".rodata"),
            Some(_) => Some(".bss"),
        }
    };
    program.code.display(&name).to_string()
}

fn maps(compiled: &Compiled) -> String {
    let mut text = String::new();
    // All programs of an object have the same tables.
    let Some(Program { func, .. }) = compiled.programs.first() else { return text };
    for map in &func.maps {
        let _ = writeln!(
            text,
            "map {}: {:?}, key {} bytes, value {} bytes, {} entries",
            map.name, map.kind, map.key_size, map.value_size, map.max_entries
        );
    }
    for global in &func.globals {
        let _ =
            writeln!(text, "variable {}: {:?}+{}, {} bytes", global.name, global.section, global.offset, global.size);
    }
    text
}

fn manifest(compiled: &Compiled) -> Result<String> {
    if !compiled.needs_kernel() {
        return Ok(String::new());
    }
    let bytes = bpfquery_object::elf::read_manifest(&compiled.object)?;
    let manifest = Manifest::from_bytes(&bytes).map_err(|e| Failure::bug("manifest", e))?;
    Ok(format!("{manifest:#?}"))
}
