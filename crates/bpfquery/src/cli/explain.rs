//! `bpfquery explain`

use crate::cli::args::{ExplainArgs, Stages};
use crate::cli::{Result, Stop, input, output};
use bpfquery::{Options, Stage, compile, explain};
use bpfquery_diag::Failure;

pub(crate) fn run(args: &ExplainArgs) -> Result {
    let sql = input::sql(&args.source)?;
    let (kernel, target) = input::kernel(&args.target)?;
    let options = Options { target, pid: args.pid, keep_hook: args.keep_hook };
    let text = compile(&sql, &*kernel, options).and_then(|compiled| match args.stage {
        Stages::One(stage) => explain(&compiled, &sql, stage),
        Stages::All => {
            let titled = |stage: Stage| {
                Ok::<_, Failure>(format!("==== {}\n{}\n", stage.name(), explain(&compiled, &sql, stage)?))
            };
            Stage::ALL.into_iter().map(titled).collect()
        }
    });
    match text {
        Ok(text) => output::stdout(text.as_bytes()),
        Err(failure) => Err(Stop::Failed(failure, sql)),
    }
}
