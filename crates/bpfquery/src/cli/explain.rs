//! `bpfquery explain`

use crate::cli::args::{ExplainArgs, Stages, Target};
use crate::cli::{Result, Stop, analyze, input, output};
use bpfquery::{Compiled, Options, Stage, compile, explain};
use bpfquery_catalog::Kernel;
use bpfquery_diag::Failure;

pub(crate) fn run(args: &ExplainArgs) -> Result {
    let sql = input::sql(&args.source)?;
    // Only the running kernel's programs can be run.
    let (kernel, target) = input::kernel(if args.analyze { &Target::This } else { &args.target })?;
    let options = Options { target, pid: args.pid, keep_hook: args.keep_hook, max_groups: args.max_groups };
    let text = compile(&sql, &*kernel, options).and_then(|compiled| text(args, &*kernel, &compiled, &sql));
    match text {
        Ok(text) => output::stdout(text.as_bytes()),
        Err(failure) => Err(Stop::Failed(failure, sql)),
    }
}

fn text(
    args: &ExplainArgs,
    kernel: &dyn Kernel,
    compiled: &Compiled,
    sql: &str,
) -> std::result::Result<String, Failure> {
    match args.stage {
        Some(Stages::One(stage)) => explain(compiled, sql, stage),
        Some(Stages::All) => {
            let titled =
                |stage: Stage| Ok::<_, Failure>(format!("==== {}\n{}\n", stage.name(), explain(compiled, sql, stage)?));
            Stage::ALL.into_iter().map(titled).collect()
        }
        None => {
            let plan = explain(compiled, sql, Stage::Plan)?;
            let behind = match args.analyze {
                _ if !compiled.needs_kernel() => "nothing is loaded: user space answers it\n".to_string(),
                true => analyze::analyze(args, kernel, compiled)?,
                false => analyze::memory(&compiled.object)?,
            };
            Ok(format!("{plan}\n{behind}"))
        }
    }
}
