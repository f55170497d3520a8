//! Random queries, run in several ways that must agree.
//!
//! Without a kernel: as lowered, after the passes (both by the IR interpreter), and with its parameters' values written into
//! the query, so that the plan's evaluator has computed them. On a kernel: loaded, and run by BPF_PROG_TEST_RUN on the same context.

pub use crate::generate::Subject;
use crate::generate::{Query, Random, query};
use crate::input::{Line, Place, Value};
use crate::interp::{self, Outcome, Setup};
use bpfquery::{Compiled, Options, Target, compile};
use bpfquery_catalog::Kernel;
use bpfquery_codegen::ir;
use bpfquery_diag::render;

/// What random queries are made over: the richest first. Not every kernel has all the columns.
pub const SUBJECTS: [Subject; 5] = [
    Subject {
        relation: Some("rawtracepoint.kmem_cache_alloc"),
        numbers: &["call_site", "gfp_flags", "node", "pid"],
        texts: &["comm"],
        programs: 1,
        test_runs: true,
    },
    Subject {
        relation: Some("rawtracepoint.sys_exit"),
        numbers: &["ret", "pid"],
        texts: &["comm"],
        programs: 1,
        test_runs: true,
    },
    Subject {
        relation: Some("rawtracepoint.kmem_cache_alloc e join rawtracepoint.sys_exit x on e.tid = x.tid"),
        numbers: &["e.call_site", "e.gfp_flags", "e.node", "e.pid", "x.ret", "x.pid"],
        texts: &["e.comm", "x.comm"],
        programs: 2,
        test_runs: true,
    },
    Subject {
        relation: Some("syscall.read"),
        numbers: &["fd", "count", "ret", "pid"],
        texts: &["comm"],
        programs: 2,
        test_runs: false,
    },
    Subject { relation: None, numbers: &[], texts: &["comm"], programs: 1, test_runs: true },
];

/// More than the plan gives each CPU states of its own for.
const MANY_GROUPS: u32 = 70_000;

/// One random query, compiled, with the events that it is run on.
pub struct Trial {
    /// The query.
    pub query: Query,
    /// Compiled with its parameters open.
    pub compiled: Compiled,
    /// The events: whose each is, and the raw context.
    pub events: Vec<(usize, [u64; 12])>,
    /// Groups that the query makes room for: more than each CPU has states of its own for, for some queries.
    max_groups: Option<u32>,
}

impl Trial {
    /// Its programs after the passes, as text.
    pub fn func(&self) -> String {
        self.compiled.programs.iter().map(|program| program.func.to_string()).collect()
    }
}

/// Makes the trial of this seed.
///
/// # Errors
/// A query that does not compile, or whose IR is not valid: all that are made should.
pub fn trial(seed: u64, subject: &Subject, kernel: &dyn Kernel, target: Target) -> Result<Trial, String> {
    let query = query(seed, subject);
    let max_groups = (seed % 5 == 4).then_some(MANY_GROUPS);
    let compiled = compiled(&query.sql, kernel, target, max_groups)?;
    for func in compiled.programs.iter().flat_map(|program| [&program.lowered.func, &program.func]) {
        ir::verify(func).map_err(|errors| format!("{}\nthe IR is not valid: {errors:?}\n{func}", query.sql))?;
    }
    let mut random = Random::new(seed ^ 0x5eed);
    let count = if subject.relation.is_none() { 1 } else { 4 * subject.programs };
    let mut event = |at: usize| {
        // Mostly in turn, so that rows find each other, and sometimes not.
        let turn = if random.below(5) == 0 { at + 1 } else { at };
        // Of what an argument's register holds beyond its type nothing is promised; here it is noise.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bits are what is wanted")]
        let context = std::array::from_fn(|_| random.edge() as u64);
        (turn % subject.programs, context)
    };
    let events = (0..count).map(&mut event).collect();
    Ok(Trial { query, compiled, events, max_groups })
}

/// Runs a trial through the interpreter, with its parameters open and written in.
///
/// # Errors
/// Results that are not the same.
pub fn interpret(
    trial: &Trial,
    subject: &Subject,
    kernel: &dyn Kernel,
    target: Target,
    process: &Process,
) -> Result<Outcome, String> {
    let lines: Vec<Line> = trial.events.iter().map(|event| line(subject, event, process)).collect();
    let setup = Setup { params: trial.query.params.clone(), ..Setup::default() };
    let open =
        interp::run(&trial.compiled, kernel, &lines, &setup).map_err(|why| format!("{}\n{why}", trial.query.sql))?;
    let folded = compiled(&trial.query.folded, kernel, target, trial.max_groups)?;
    let written = interp::run(&folded, kernel, &lines, &Setup::default());
    let written = written.map_err(|why| format!("{}\n{why}", trial.query.folded))?;
    if open.rows != written.rows {
        return Err(format!(
            "{}\nparameters {:?}\nopen:\n{}written in:\n{}",
            trial.query.sql, trial.query.params, open.rows, written.rows
        ));
    }
    Ok(open)
}

/// Who runs the programs: what the built-in columns say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `pid`.
    pub pid: u32,
    /// `comm`.
    pub comm: String,
}

fn compiled(sql: &str, kernel: &dyn Kernel, target: Target, max_groups: Option<u32>) -> Result<Compiled, String> {
    compile(sql, kernel, Options { target, max_groups, ..Options::default() })
        .map_err(|failure| format!("{sql}\n{}", render(&failure, sql)))
}

fn line(subject: &Subject, (program, context): &(usize, [u64; 12]), process: &Process) -> Line {
    let place = |name: &str| Place {
        text: name.to_string(),
        args: false,
        column: name.to_string(),
        indices: Vec::new(),
        members: Vec::new(),
    };
    let mut fields =
        vec![(place("pid"), Value::Int(process.pid.into())), (place("comm"), Value::Text(process.comm.clone().into()))];
    for (at, word) in context.iter().enumerate() {
        // The whole register, as the kernel passes it: `context` is what the interpreter reads, whatever the column's width.
        fields.push((place(&format!("context[{at}]")), Value::Int((*word).into())));
    }
    if subject.relation.is_none() {
        fields.truncate(2);
    }
    Line { program: *program, times: 1, fields }
}
