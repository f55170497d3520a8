//! Queries that user space answers alone: `information_schema`.

use crate::cli::args::RunArgs;
use crate::cli::params::values;
use crate::cli::{Result, Stop};
use bpfquery::Compiled;
use bpfquery_catalog::Kernel;
use bpfquery_diag::Failure;
use bpfquery_exec::{answer, arrow_schema};
use bpfquery_object::manifest::Parameter;
use bpfquery_sink::Emission;
use std::io;
use std::ops::ControlFlow;

/// Prints the rows. Nothing is loaded, and so nothing lost.
pub(crate) fn run(args: &RunArgs, compiled: &Compiled, kernel: &dyn Kernel) -> Result {
    let plan = &compiled.split.user;
    let parameter =
        |param: &bpfquery_plan::Param| Parameter { name: param.name.clone(), ty: param.ty.clone(), offset: None };
    let parameters: Vec<Parameter> = compiled.split.params.iter().map(parameter).collect();
    let params = values(&parameters, &args.params)?;
    let mut sink = args.format.sink(&arrow_schema(&plan.output), Emission::Whole, Box::new(io::stdout()));
    let mut closed = false;
    answer(plan, &params, kernel, &mut |batch| match sink.batch(&batch) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            closed = true;
            Ok(ControlFlow::Break(()))
        }
        Err(error) => Err(Failure::io("write to stdout", error)),
    })?;
    if closed { Err(Stop::Closed) } else { sink.finish().map_err(|error| Stop::stdout(&error)) }
}
