//! The pipeline: each step one function of one crate, each noun kept so that it can be shown.
//!
//! ```text
//!  text ─parse→ Ast ─bind→ Query ─optimise→ Query ─split→ Split ─cheapest_hook→ Split
//!       ─lower→ Lowered ─passes→ Func ─generate→ Program ─build→ bytes
//! ```
//!
//! A query of `information_schema` ends at its split: it has a user half only.

use crate::facts::facts;
use bpfquery_catalog::{Check, Feature, Kernel, Scope, checks};
use bpfquery_codegen::lower::{Facts, Lowered, Unit, lower};
use bpfquery_codegen::{emit, passes};
use bpfquery_diag::Result;
use bpfquery_plan::{
    Applied, Fragment, Output, Query, Split, cheapest_hook, chosen_store, known_fields, optimise, split_with,
    task_storage,
};
use bpfquery_sql::{Ast, BindOptions, bind, parse};

/// Which kernels an object is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// All from 5.10 on: only what they all have.
    #[default]
    Portable,
    /// The kernel that was compiled for: its instruction set too.
    This,
}

/// What compiling is told beside the query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which kernels.
    pub target: Target,
    /// Only events of this process (thread group, initial pid namespace).
    pub pid: Option<u32>,
    /// Whether each relation is attached as it is named: `cheapest_hook` is left out, so that its result can be compared.
    pub keep_hook: bool,
    /// Groups that a hash holds, if it is to be another number than usual.
    pub max_groups: Option<u32>,
}

/// Every stage's noun of one query.
pub struct Compiled {
    /// The syntax tree.
    pub ast: Ast,
    /// The bound plan.
    pub bound: Query,
    /// The optimised plan.
    pub plan: Query,
    /// The rules that changed the plan, and then the split, in order.
    pub rules: Vec<Applied>,
    /// The cut between kernel and user space.
    pub split: Split,
    /// The kernel's part: a program for each fragment, in their order.
    pub programs: Vec<Program>,
    /// What must be so on the kernel that runs it.
    pub checks: Vec<Check>,
    /// The ELF object; empty where user space answers alone.
    pub object: Vec<u8>,
}

impl Compiled {
    /// Whether there is something to load: what is known of the kernel is told without it.
    pub fn needs_kernel(&self) -> bool {
        !self.split.kernel.is_empty()
    }
}

/// A fragment, stage by stage.
pub struct Program {
    /// In SSA, as lowered.
    pub lowered: Lowered,
    /// The same after the passes.
    pub func: bpfquery_codegen::ir::Func,
    /// The same as instructions.
    pub code: bpfquery_isa::Program,
}

/// The program's name in the object and in `bpftool prog list`.
pub const PROGRAM: &str = "bpfquery";

/// Compiles a query for a kernel.
pub fn compile(sql: &str, kernel: &dyn Kernel, options: Options) -> Result<Compiled> {
    let ast = parse(sql)?;
    let bound = bind(&ast, kernel, &BindOptions { pid: options.pid })?;
    let (known, field_rules) = match options.target {
        Target::This => known_fields(bound.clone()),
        Target::Portable => (bound.clone(), None),
    };
    let (plan, plan_rules) = optimise(known)?;
    let mut rules: Vec<Applied> = field_rules.into_iter().chain(plan_rules).collect();
    let mut split = split_with(&plan, options.max_groups)?;
    if split.kernel.is_empty() {
        return Ok(Compiled {
            ast,
            bound,
            plan,
            rules,
            split,
            programs: Vec::new(),
            checks: Vec::new(),
            object: Vec::new(),
        });
    }
    rules.extend(chosen_store(&split));
    if !options.keep_hook {
        let (moved, applied) = cheapest_hook(split, kernel, scope(options.target))?;
        split = moved;
        rules.extend(applied);
    }
    if options.target == Target::This && kernel.identity().features.contains(&Feature::TaskStorage) {
        let (moved, applied) = task_storage(split);
        split = moved;
        rules.extend(applied);
    }
    let facts = split.kernel.iter().map(|f| facts(f, kernel, options.target)).collect::<Result<Vec<_>>>()?;
    let programs = programs(&split, &facts, isa(kernel, options.target))?;
    let mut checks: Vec<Check> = split.kernel.iter().flat_map(|f| checks(&f.relation, &f.columns())).collect();
    checks.extend(facts.into_iter().flat_map(|(_, checks)| checks));
    checks.dedup();
    let target = match options.target {
        Target::Portable => "portable".to_string(),
        Target::This => kernel.identity().release.clone(),
    };
    let object = bpfquery_object::build(&bpfquery_object::Parts {
        sql,
        split: &split,
        programs: programs.iter().map(|p| bpfquery_object::Part { lowered: &p.lowered, code: &p.code }).collect(),
        checks: checks.clone(),
        target,
        kernel,
    })?;
    Ok(Compiled { ast, bound, plan, rules, split, programs, checks, object })
}

/// From fragments to instructions.
fn programs(split: &Split, facts: &[(Facts, Vec<Check>)], target: emit::Target) -> Result<Vec<Program>> {
    let name = |fragment: &Fragment| match fragment.output {
        Output::Hold { .. } => format!("{PROGRAM}_hold"),
        Output::Rows { .. } | Output::Groups { .. } => PROGRAM.to_string(),
    };
    let units = split.kernel.iter().zip(facts);
    let units: Vec<Unit<'_>> =
        units.map(|(f, (facts, _))| Unit { name: name(f), fragment: f, facts: facts.clone() }).collect();
    let generate = |lowered: Lowered| {
        let mut func = lowered.func.clone();
        passes::run(&mut func)?;
        let code = emit::generate(&func, target)?;
        Ok(Program { lowered, func, code })
    };
    lower(&units, &split.params)?.into_iter().map(generate).collect()
}

fn isa(kernel: &dyn Kernel, target: Target) -> emit::Target {
    let newest = target == Target::This && kernel.identity().features.contains(&Feature::IsaV4);
    emit::Target { isa_v4: newest }
}

/// For which kernels a hook must do.
fn scope(target: Target) -> Scope {
    match target {
        Target::Portable => Scope::Portable,
        Target::This => Scope::This,
    }
}
