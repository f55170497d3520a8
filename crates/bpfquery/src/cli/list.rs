//! `bpfquery list`

use crate::cli::args::{ListArgs, Target};
use crate::cli::{Result, Stop, input, output};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use bpfquery_catalog::{Feature, Kernel, Listed, list, may_fit};
use bpfquery_diag::Failure;
use bpfquery_host::Live;
use bpfquery_runtime::{missing_capabilities, trampolines_work};
use bpfquery_sink::{Emission, Format};
use std::io;
use std::sync::Arc;

pub(crate) fn run(args: &ListArgs) -> Result {
    let kernel = kernel(args)?;
    let found = list(&*kernel, &args.pattern)?;
    if found.is_empty() {
        output::tell(&format!("note: no relation is named like \"{}\"", args.pattern));
    }
    match args.format {
        None => {
            let names: String = found.into_iter().flat_map(|listed| [listed.name, "\n".to_string()]).collect();
            output::stdout(names.as_bytes())
        }
        Some(format) => shown(&found, format),
    }
}

/// The kernel to list, with trampolines only where they work. Without the capabilities nobody can tell, and the kernel's files decide.
fn kernel(args: &ListArgs) -> Result<Box<dyn Kernel>> {
    let asked = ["fentry", "fexit"].iter().any(|kind| may_fit(&args.pattern, kind));
    if args.target != Target::This || !asked || !missing_capabilities().is_empty() {
        return Ok(input::kernel(&args.target)?.0);
    }
    let live = Live::new().mapping(bpfquery_runtime::map);
    let works = live.identity().features.contains(&Feature::Trampoline) && trampolines_work();
    Ok(Box::new(live.with_feature(Feature::Trampoline, works)))
}

fn shown(found: &[Listed], format: Format) -> Result {
    let text =
        |get: fn(&Listed) -> Option<&str>| -> ArrayRef { Arc::new(found.iter().map(get).collect::<StringArray>()) };
    let columns = [
        ("relation", text(|listed| Some(&listed.name)), false),
        ("kind", text(|listed| Some(listed.kind)), false),
        ("module", text(|listed| listed.module.as_deref()), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns);
    let batch = batch.map_err(|error| Failure::bug("list", error.to_string()))?;
    let mut sink = format.sink(&batch.schema(), Emission::Whole, Box::new(io::stdout()));
    sink.batch(&batch).and_then(|()| sink.finish()).map_err(|error| Stop::stdout(&error))
}
