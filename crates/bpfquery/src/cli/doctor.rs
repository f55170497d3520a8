//! `bpfquery doctor`

use crate::cli::{Result, output};
use bpfquery_catalog::Kernel;
use bpfquery_host::Live;
use bpfquery_runtime::{Finding, State, probe_features};
use std::fmt::Write;

pub(crate) fn run() -> Result {
    let kernel = Live::new();
    let identity = kernel.identity();
    let mut text =
        format!("bpfquery {} on Linux {} ({})\n\n", env!("CARGO_PKG_VERSION"), identity.release, identity.arch);
    let findings = probe_features();
    let wide =
        |get: fn(&Finding) -> &str| findings.iter().map(|finding| get(finding).chars().count()).max().unwrap_or(0);
    let (what, gives) = (wide(|finding| finding.what), wide(|finding| finding.gives));
    for finding in &findings {
        let mark = match finding.state {
            State::Works => "works  ",
            State::Missing => "missing",
        };
        let line = format!("{mark}  {:what$}  {:gives$}  {}", finding.what, finding.gives, finding.detail);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
        if !finding.help.is_empty() {
            let _ = writeln!(text, "         help: {}", finding.help);
        }
    }
    output::stdout(text.as_bytes())
}
