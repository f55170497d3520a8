//! Writes a small snapshot of the running kernel: `pin_snapshot SELECTION.txt OUT.snap`. With one argument, `OUT.snap`,
//! a whole one. The selection's form is that of [`bpfquery_catalog::Selection`].

use bpfquery_catalog::{Selection, Snapshot, subset};
use bpfquery_host::Live;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (snapshot, out) = match arguments.as_slice() {
        [out] => (Live::new().capture().map_err(told)?, out),
        [selection, out] => (selected(&std::fs::read_to_string(selection)?)?, out),
        _ => return Err("usage: pin_snapshot [SELECTION.txt] OUT.snap".into()),
    };
    Ok(std::fs::write(out, snapshot.to_bytes())?)
}

fn selected(text: &str) -> Result<Snapshot, Failure> {
    let subset = subset(&Live::new(), &Selection::parse(text)?).map_err(told)?;
    for name in subset.missing {
        eprintln!("not in this kernel: {name}");
    }
    Ok(subset.snapshot)
}

fn told(failure: bpfquery_diag::Failure) -> Failure {
    bpfquery_diag::render(&failure, "").into()
}
