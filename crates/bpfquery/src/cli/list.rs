//! `bpfquery list`

use crate::cli::args::ListArgs;
use crate::cli::{Result, input, output};

pub(crate) fn run(args: &ListArgs) -> Result {
    let (kernel, _) = input::kernel(&args.target)?;
    let found = bpfquery_catalog::list(&*kernel, &args.pattern)?;
    if found.is_empty() {
        output::tell(&format!("note: no relation is named like \"{}\"", args.pattern));
    }
    let names: String = found.into_iter().flat_map(|listed| [listed.name, "\n".to_string()]).collect();
    output::stdout(names.as_bytes())
}
