//! Random queries, run in several ways that must agree.
//!
//! Without a kernel: as lowered, after the passes (both by the IR interpreter), and with its parameters' values written into
//! the query, so that the plan's evaluator has computed them. On a kernel: loaded, and run by BPF_PROG_TEST_RUN on the same context.

use crate::generate::{Query, Random, Source, query};
use crate::input::{Line, Place, Value};
use crate::interp::{self, Outcome, Setup};
use bpfquery::{Compiled, Options, Target, compile};
use bpfquery_catalog::Kernel;
use bpfquery_codegen::ir;
use bpfquery_diag::render;

/// A relation whose programs can be test-run, and the columns that queries use.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// After FROM; none for queries without.
    pub relation: Option<&'static str>,
    /// Its columns.
    pub sources: &'static [Source],
}

/// What random queries are made over: the richest first. Not every kernel has all the columns.
pub const SUBJECTS: [Subject; 3] = [
    Subject {
        relation: Some("rawtracepoint.kmem_cache_alloc"),
        sources: &[
            Source { name: "call_site", argument: Some((0, 8)) },
            Source { name: "gfp_flags", argument: Some((3, 4)) },
            Source { name: "node", argument: Some((4, 4)) },
            Source { name: "pid", argument: None },
        ],
    },
    Subject {
        relation: Some("rawtracepoint.sys_exit"),
        sources: &[Source { name: "ret", argument: Some((1, 8)) }, Source { name: "pid", argument: None }],
    },
    Subject { relation: None, sources: &[] },
];

/// One random query, compiled, with the events that it is run on.
pub struct Trial {
    /// The query.
    pub query: Query,
    /// Compiled with its parameters open.
    pub compiled: Compiled,
    /// For each event the raw context.
    pub contexts: Vec<[u64; 12]>,
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
    let query = query(seed, subject.relation, subject.sources);
    let compiled = compiled(&query.sql, kernel, target)?;
    for func in compiled.programs.iter().flat_map(|program| [&program.lowered.func, &program.func]) {
        ir::verify(func).map_err(|errors| format!("{}\nthe IR is not valid: {errors:?}\n{func}", query.sql))?;
    }
    let mut random = Random::new(seed ^ 0x5eed);
    let events = if subject.relation.is_none() { 1 } else { 4 };
    // Of what an argument's register holds beyond its type nothing is promised; here it is noise.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bits are what is wanted")]
    let contexts = (0..events).map(|_| std::array::from_fn(|_| random.edge() as u64)).collect();
    Ok(Trial { query, compiled, contexts })
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
    let lines: Vec<Line> = trial.contexts.iter().map(|context| line(subject, context, process)).collect();
    let setup = Setup { params: trial.query.params.clone(), ..Setup::default() };
    let open =
        interp::run(&trial.compiled, kernel, &lines, &setup).map_err(|why| format!("{}\n{why}", trial.query.sql))?;
    let folded = compiled(&trial.query.folded, kernel, target)?;
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

fn compiled(sql: &str, kernel: &dyn Kernel, target: Target) -> Result<Compiled, String> {
    compile(sql, kernel, Options { target, ..Options::default() })
        .map_err(|failure| format!("{sql}\n{}", render(&failure, sql)))
}

fn line(subject: &Subject, context: &[u64; 12], process: &Process) -> Line {
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
    Line { program: 0, times: 1, fields }
}
