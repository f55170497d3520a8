//! `bpfquery compile`

use crate::cli::args::CompileArgs;
use crate::cli::{Result, Stop, input, output};
use bpfquery::Options;
use bpfquery_diag::{Code, Diagnostic, Failure};

pub(crate) fn run(args: &CompileArgs) -> Result {
    let sql = input::sql(&args.source)?;
    let (kernel, target) = input::kernel(&args.target)?;
    let options = Options { target, pid: None, keep_hook: args.keep_hook, max_groups: args.max_groups };
    let compiled = bpfquery::compile(&sql, &*kernel, options).map_err(|failure| Stop::Failed(failure, sql))?;
    if !compiled.needs_kernel() {
        return Err(Stop::Failed(nothing_to_compile(), String::new()));
    }
    // What is compiled for one kernel must run there; of a portable object the kernel that runs it decides.
    if target == bpfquery::Target::This {
        let hooks = compiled.split.kernel.iter().map(|fragment| &fragment.relation.hook);
        hooks.into_iter().try_for_each(|hook| bpfquery_catalog::require(kernel.identity(), hook))?;
    }
    output::file(&args.output, &compiled.object)
}

/// What user space answers has no program.
fn nothing_to_compile() -> Failure {
    Diagnostic {
        code: Code("usage"),
        message: "information_schema is answered in user space: there is no object of this query".to_string(),
        span: None,
        details: Vec::new(),
        helps: vec!["bpfquery run answers it".to_string()],
    }
    .into()
}
