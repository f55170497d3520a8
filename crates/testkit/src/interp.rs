//! A compiled query run without a kernel: events through the IR interpreter, what it leaves through exec's engine.
//!
//! What must hold: the function as lowered and the function after the passes give the same rows and the same losses.

use crate::hit::{Hit, hit};
use crate::input::Line;
use crate::rows;
use bpfquery::{Compiled, Program};
use bpfquery_catalog::{Hook, Kernel, SqlType, parse_duration};
use bpfquery_codegen::interp::{self, World};
use bpfquery_codegen::ir::{Func, Global, GlobalId};
use bpfquery_codegen::lower::{Counter, Lowered, TALLY_COPIES, TALLY_STRIDE};
use bpfquery_diag::Failure;
use bpfquery_exec::{Engine, Entry, answer};
use bpfquery_object::manifest::{GROUPS, Parameter, REST, ROWS, Tallies, Variable, param_bytes};
use bpfquery_plan::{Datum, Param};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::ControlFlow;

/// What the loader would set.
#[derive(Clone, Debug)]
pub struct Setup {
    /// CPUs of the machine.
    pub cpus: u32,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, ns.
    pub wall_offset: i64,
    /// CLOCK_MONOTONIC at the query's start, ns.
    pub start: u64,
    /// Parameters: name and value as text.
    pub params: Vec<(String, String)>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { cpus: 2, wall_offset: 0, start: 0, params: Vec::new() }
    }
}

/// What a run gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The rows, as JSON lines.
    pub rows: String,
    /// The counters that are not zero: `read_faults 2`, a line each.
    pub losses: String,
}

/// Runs the query on these events, both as lowered and after the passes.
///
/// # Errors
/// Events that do not fit the relation; a trap; results that are not the same.
pub fn run(compiled: &Compiled, kernel: &dyn Kernel, lines: &[Line], setup: &Setup) -> Result<Outcome, String> {
    if !compiled.needs_kernel() {
        return listing(compiled, kernel, setup);
    }
    let hits = hits(compiled, kernel, lines)?;
    let lowered = run_functions(compiled, |program| &program.lowered.func, &hits, setup)?;
    let optimised = run_functions(compiled, |program| &program.func, &hits, setup)?;
    if lowered != optimised {
        return Err(format!("the passes changed the result: {lowered:?} became {optimised:?}"));
    }
    Ok(optimised)
}

/// What is known of the kernel.
fn listing(compiled: &Compiled, kernel: &dyn Kernel, setup: &Setup) -> Result<Outcome, String> {
    let params = parameters(&compiled.split.params, setup)?;
    let mut lines = String::new();
    let answered = answer(&compiled.split.user, &params, kernel, &mut |batch| {
        lines.push_str(&rows::json(&batch).map_err(|error| Failure::bug("sink", error))?);
        Ok(ControlFlow::Continue(()))
    });
    answered.map_err(|failure| bpfquery_diag::render(&failure, ""))?;
    Ok(Outcome { rows: lines, losses: String::new() })
}

/// Every hit in order, with the program that it is one of; a query without FROM has one.
fn hits(compiled: &Compiled, kernel: &dyn Kernel, lines: &[Line]) -> Result<Vec<(usize, Hit)>, String> {
    let first = compiled.split.kernel.first().ok_or("the query has no kernel part")?;
    let once = [Line { program: 0, times: 1, fields: Vec::new() }];
    let lines = if first.relation.hook == Hook::Once && lines.is_empty() { &once } else { lines };
    let mut hits = Vec::new();
    for line in lines {
        let found = compiled.split.kernel.get(line.program).zip(compiled.programs.get(line.program));
        let (fragment, program) = found.ok_or_else(|| format!("there is no program k{}", line.program))?;
        let context = program.lowered.func.context.bytes as usize;
        for _ in 0..line.times {
            hits.push((line.program, hit(kernel, &fragment.relation, context, line)?));
        }
    }
    Ok(hits)
}

fn run_functions<'a>(
    compiled: &'a Compiled,
    stage: impl Fn(&'a Program) -> &'a Func,
    hits: &[(usize, Hit)],
    setup: &Setup,
) -> Result<Outcome, String> {
    let funcs: Vec<&Func> = compiled.programs.iter().map(stage).collect();
    let first = compiled.programs.first().ok_or("the query has no kernel part")?;
    let params = parameters(&compiled.split.params, setup)?;
    let mut world = World::new(funcs.iter().copied(), setup.cpus).map_err(|error| format!("{error:?}"))?;
    preset(compiled, &first.lowered, &mut world, &params, setup)?;
    let mut engine = Engine::new(compiled.split.user.clone(), params, setup.wall_offset);
    let mut rows = String::new();
    for (program, hit) in hits {
        if engine.is_done() {
            break;
        }
        world.kernel = hit.kernel.clone();
        world.user = hit.user.clone();
        hit.failures.iter().for_each(|(helper, result)| world.fail_next(*helper, *result));
        interp::run(funcs[*program], &mut world, &hit.event)
            .map_err(|trap| format!("the program did what is forbidden: {trap}"))?;
        for record in world.take_records(ROWS) {
            engine.push(&record).map_err(|error| format!("{error:?}"))?;
        }
        drain(&mut engine, &mut rows)?;
    }
    if let Some(entries) = world.entries(GROUPS) {
        emit(&mut engine, entries, world.entries(REST).unwrap_or_default(), &mut rows)?;
    }
    Ok(Outcome { rows, losses: losses(&first.lowered, &world) })
}

/// Writes what the loader writes into `.rodata`.
fn preset(
    compiled: &Compiled,
    lowered: &Lowered,
    world: &mut World,
    params: &[Datum],
    setup: &Setup,
) -> Result<(), String> {
    let mut put = |id: Option<GlobalId>, bytes: &[u8]| {
        if let Some(id) = id {
            let at = lowered.func.global(id).offset as usize;
            world.section_mut(Global::Rodata)[at..at + bytes.len()].copy_from_slice(bytes);
        }
    };
    put(lowered.start_ns, &setup.start.to_le_bytes());
    put(lowered.wall_offset, &setup.wall_offset.to_le_bytes());
    for ((param, value), id) in compiled.split.params.iter().zip(params).zip(&lowered.params) {
        let parameter = Parameter { name: param.name.clone(), ty: param.ty.clone(), offset: None };
        put(*id, &param_bytes(&parameter, value)?);
    }
    Ok(())
}

/// The parameters' values in the plan's order.
pub(crate) fn parameters(params: &[Param], setup: &Setup) -> Result<Vec<Datum>, String> {
    let value = |param: &Param| {
        let given = setup.params.iter().find(|(name, _)| *name == param.name);
        let (_, text) = given.ok_or_else(|| format!("parameter {} has no value", param.name))?;
        datum(text, &param.ty).ok_or_else(|| format!("{text} is no {}", param.ty))
    };
    params.iter().map(value).collect()
}

fn datum(text: &str, ty: &SqlType) -> Option<Datum> {
    match ty {
        SqlType::Text { .. } => Some(Datum::Text(text.as_bytes().to_vec())),
        SqlType::Bool => text.parse().ok().map(Datum::Bool),
        SqlType::Interval => parse_duration(text).map(|ns| Datum::Int(ns.into())),
        _ => crate::input::int(text).map(Datum::Int),
    }
}

/// Prints what the engine holds.
pub(crate) fn drain(engine: &mut Engine, rows: &mut String) -> Result<(), String> {
    if let Some(batch) = engine.take().map_err(|error| format!("{error:?}"))? {
        rows.push_str(&rows::json(&batch)?);
    }
    Ok(())
}

/// One emission for each window, in their order; one for all groups where there are no windows.
fn emit(
    engine: &mut Engine,
    entries: Vec<interp::Entry>,
    rest: Vec<interp::Entry>,
    rows: &mut String,
) -> Result<(), String> {
    let failed = |error| format!("{error:?}");
    let entry = |entry: interp::Entry| Entry { key: entry.key, states: entry.values };
    // A window may have begun before the machine: its start is below zero then.
    let mut emissions: BTreeMap<Option<i64>, Vec<Entry>> = BTreeMap::new();
    for entry in entries.into_iter().map(entry) {
        let window = engine.window(&entry.key).map(|(start, _)| start.cast_signed());
        emissions.entry(window).or_default().push(entry);
    }
    let rest: Vec<Entry> = rest.into_iter().map(entry).collect();
    if emissions.is_empty() && !rest.is_empty() {
        return Err("groups beside no array".to_string());
    }
    for groups in emissions.values() {
        engine.push_entries(false, groups).map_err(failed)?;
        engine.push_entries(true, &rest).map_err(failed)?;
        engine.end_groups().map_err(failed)?;
        drain(engine, rows)?;
    }
    Ok(())
}

fn losses(lowered: &Lowered, world: &World) -> String {
    let mut text = String::new();
    let count = |counter: Counter| -> u64 {
        let places = lowered.counters.iter().filter(|counted| counted.counter == counter);
        let words = places.map(|counted| {
            let at = (lowered.func.global(counted.variable).offset + counted.at) as usize;
            let bytes = world.section(Global::Bss).get(at..at + 8).unwrap_or_default();
            bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte))
        });
        words.sum()
    };
    for counter in Counter::ALL {
        if let count @ 1.. = count(counter) {
            let _ = writeln!(text, "{} {count}", counter.name());
        }
    }
    for (name, count) in bpfquery_runtime::join_facts(&tallies(lowered, world)) {
        if count > 0 {
            let _ = writeln!(text, "{name} {count}");
        }
    }
    text
}

/// The tallies of all CPUs together.
fn tallies(lowered: &Lowered, world: &World) -> Vec<(String, u64)> {
    let Some(at) = lowered.tallies_at.map(|id| lowered.func.global(id).offset) else { return Vec::new() };
    let list = lowered.tallies.iter().map(|t| Variable { name: t.name().to_string(), offset: at + t.offset() });
    let all = Tallies { stride: TALLY_STRIDE, copies: TALLY_COPIES, list: list.collect() };
    all.sums(world.section(Global::Bss))
}
