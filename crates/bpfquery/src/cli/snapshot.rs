//! `bpfquery snapshot`

use crate::cli::args::SnapshotArgs;
use crate::cli::{Result, input, output};
use bpfquery_catalog::{Selection, Snapshot, Subset, subset};
use bpfquery_diag::Failure;
use bpfquery_host::Live;
use std::path::Path;

pub(crate) fn run(args: &SnapshotArgs) -> Result {
    let snapshot = match &args.only {
        None => Live::new().capture()?,
        Some(selection) => selected(selection)?,
    };
    output::file(&args.output, &snapshot.to_bytes())
}

fn selected(file: &Path) -> Result<Snapshot> {
    let wrong = |error: String| Failure::io(format!("read {}", file.display()), error);
    let text = String::from_utf8(input::read(file)?).map_err(|_| wrong("it is not UTF-8".to_string()))?;
    let Subset { snapshot, missing } = subset(&Live::new(), &Selection::parse(&text).map_err(wrong)?)?;
    missing.iter().for_each(|what| output::tell(&format!("note: this kernel has no {what}")));
    Ok(snapshot)
}
