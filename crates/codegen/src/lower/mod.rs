//! A fragment of a plan becomes a function of the IR.
//!
//! What must hold:
//! - This is the only module that sees a plan.
//! - NULL is control flow: an expression is lowered together with the block to go to when it is NULL; where the value is,
//!   it is not NULL.
//! - An event has one time: `ts`, `elapsed` and windows all come from one reading of the clock.
//! - Every operation that can fail has a path on which the failure is counted in `.bss`.
//!
//! Not checked: that the function is right as SSA; [`crate::ir`]'s verifier does that.

mod arith;
mod choice;
mod column;
mod compare_text;
mod cond;
mod counter;
mod field;
mod find_group;
mod fragment;
mod groups;
mod hold;
mod known;
mod like;
mod memory;
mod rows;
mod scalar;
mod task;
mod text;

use crate::ir::{Block, Builder, Func, Global, GlobalData, GlobalId, Value};
use bpfquery_catalog::FieldPath;
use bpfquery_diag::Result;
use bpfquery_plan::{Fragment, Param};

use known::key;

pub use counter::{Counted, Counter, TALLY_COPIES, TALLY_STRIDE, Tally};

/// What lowering must know of the kernel that it compiles for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `task_struct.real_parent` and `task_struct.tgid`, for `ppid`.
    pub parent: Option<(FieldPath, FieldPath)>,
    /// Where `task_struct.comm` stands on the one kernel that is compiled for, if programs may read it there.
    pub comm: Option<i16>,
    /// The same of `task_struct.real_parent` and `task_struct.tgid`.
    pub typed_parent: Option<(i16, i16)>,
}

/// A function, and what the loader must know of its globals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// The program.
    pub func: Func,
    /// CLOCK_MONOTONIC ns at which the query started; the loader sets it.
    pub start_ns: Option<GlobalId>,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC in ns; the loader sets it.
    pub wall_offset: Option<GlobalId>,
    /// Parameters by [`bpfquery_plan::ParamId`]; `None` where the kernel part does not use it.
    pub params: Vec<Option<GlobalId>>,
    /// Counters of what was lost, in order of first use.
    pub counters: Vec<Counted>,
    /// Counters that each CPU has for itself, in order of first use: [`TALLY_COPIES`] of them, [`TALLY_STRIDE`] apart.
    pub tallies: Vec<Tally>,
    /// Where the first copy is.
    pub tallies_at: Option<GlobalId>,
}

/// A fragment to be lowered.
#[derive(Clone, Debug)]
pub struct Unit<'a> {
    /// The program's name.
    pub name: String,
    /// What it does.
    pub fragment: &'a Fragment,
    /// What its columns need to know of the kernel.
    pub facts: Facts,
}

/// Lowers the fragments of one object. Maps, variables and relocations are the object's: all functions have the same tables.
pub fn lower(units: &[Unit<'_>], params: &[Param]) -> Result<Vec<Lowered>> {
    let mut done: Vec<Lowered> = Vec::new();
    let mut globals = Globals { params: vec![None; params.len()], ..Globals::default() };
    for unit in units {
        let (lowered, known) = lower_one(unit, params, done.last().map(|before| &before.func), &globals)?;
        globals = known;
        done.push(lowered);
    }
    let last = done.last().cloned();
    for (lowered, Lowered { func: last, .. }) in done.iter_mut().zip(last.iter().cycle()) {
        lowered.func.maps.clone_from(&last.maps);
        lowered.func.globals.clone_from(&last.globals);
        lowered.func.cores.clone_from(&last.cores);
        globals.describe(lowered);
    }
    Ok(done)
}

fn lower_one(
    unit: &Unit<'_>,
    params: &[Param],
    before: Option<&Func>,
    globals: &Globals,
) -> Result<(Lowered, Globals)> {
    let mut memory = memory::Plan::default();
    // The first try learns how much memory the buffers need; if it is more than the stack has, the second try puts the
    // large ones into per-CPU scratch memory.
    loop {
        let mut lowerer = Lowerer::new(unit, params, memory);
        if let Some(before) = before {
            lowerer.build.adopt(before);
        }
        lowerer.globals = globals.clone();
        let (lowered, globals, needed) = lowerer.run()?;
        match needed {
            Some(more) if more != memory => memory = more,
            _ => return Ok((lowered, globals)),
        }
    }
}

/// The state of lowering one fragment.
struct Lowerer<'a> {
    build: Builder,
    context: Value,
    fragment: &'a Fragment,
    params: &'a [Param],
    facts: &'a Facts,
    globals: Globals,
    memory: memory::Buffers,
    /// The one reading of the clock, once it dominates what follows.
    now: Option<Value>,
    /// Whether a key is being written.
    keying: bool,
    known: known::Known,
    /// Returns 0, or does first what must be done on every way out.
    exit: Block,
    /// The row that was taken from the thread.
    held: Option<hold::Held>,
    /// What the way out does with it.
    release: Option<hold::Release>,
    /// This CPU's tallies, once they are found.
    tallies: Option<Value>,
}

#[derive(Clone, Default)]
struct Globals {
    rodata: u32,
    bss: u32,
    start_ns: Option<GlobalId>,
    wall_offset: Option<GlobalId>,
    params: Vec<Option<GlobalId>>,
    counters: Vec<Counted>,
    tallies: Vec<Tally>,
    tallies_at: Option<GlobalId>,
}

impl Globals {
    /// Tells where the loader finds them.
    fn describe(&self, lowered: &mut Lowered) {
        lowered.start_ns = self.start_ns;
        lowered.wall_offset = self.wall_offset;
        lowered.params.clone_from(&self.params);
        lowered.counters.clone_from(&self.counters);
        lowered.tallies.clone_from(&self.tallies);
        lowered.tallies_at = self.tallies_at;
    }
}

impl<'a> Lowerer<'a> {
    fn new(unit: &'a Unit<'a>, params: &'a [Param], memory: memory::Plan) -> Lowerer<'a> {
        let fragment = unit.fragment;
        let (mut build, context) = Builder::new(&unit.name, column::context(&fragment.relation.hook));
        build.set_span(fragment.span);
        let exit = build.block();
        Lowerer {
            build,
            context,
            fragment,
            params,
            facts: &unit.facts,
            globals: Globals::default(),
            memory: memory::Buffers::new(memory),
            now: None,
            keying: false,
            known: known::Known::default(),
            exit,
            held: None,
            release: None,
            tallies: None,
        }
    }

    fn run(mut self) -> Result<(Lowered, Globals, Option<memory::Plan>)> {
        self.fragment()?;
        let needed = self.memory.needed()?;
        let mut func = self.build.finish();
        // A NULL literal, or a condition that cannot be NULL, leaves blocks behind that nothing goes to.
        crate::passes::shape::Shape::default().remove_unreachable(&mut func);
        let mut lowered = Lowered {
            func,
            start_ns: None,
            wall_offset: None,
            params: Vec::new(),
            counters: Vec::new(),
            tallies: Vec::new(),
            tallies_at: None,
        };
        self.globals.describe(&mut lowered);
        Ok((lowered, self.globals, needed))
    }

    /// Declares a variable in `.rodata` (with its initial bytes) or `.bss` (zero); one that another program of the object has
    /// declared stays the one.
    fn global(&mut self, name: String, section: Global, init: Vec<u8>) -> GlobalId {
        let size = if init.is_empty() { 8 } else { u32::try_from(init.len()).unwrap_or(u32::MAX) };
        self.variable(name, section, init, size)
    }

    /// The same with as many bytes as are said.
    fn variable(&mut self, name: String, section: Global, init: Vec<u8>, size: u32) -> GlobalId {
        let same = |known: &GlobalData| (&known.name, known.section, &known.init) == (&name, section, &init);
        if let Some(at) = self.build.func().globals.iter().position(same) {
            return GlobalId(u32::try_from(at).unwrap_or(u32::MAX));
        }
        let at = match section {
            Global::Rodata => &mut self.globals.rodata,
            Global::Bss => &mut self.globals.bss,
        };
        let offset = *at;
        *at += size.next_multiple_of(8);
        self.build.global(GlobalData { name, section, offset, size, init })
    }
}
