//! What the tests share: pinned kernels, and the stages up to code generation.
#![allow(dead_code, reason = "every test file uses some of it")]

use bpfquery_catalog::Snapshot;
use bpfquery_diag::Result;
use bpfquery_plan::Query;
use bpfquery_sql::{BindOptions, bind, parse};
use std::path::Path;

/// A pinned kernel of `testdata/snapshots`.
pub(crate) fn kernel(name: &str) -> Snapshot {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../testdata/snapshots/{name}.snap"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Snapshot::from_bytes(&bytes).unwrap_or_else(|failure| panic!("{}: {failure:?}", path.display()))
}

/// The bound query.
pub(crate) fn bound(sql: &str, kernel: &Snapshot) -> Result<Query> {
    bind(&parse(sql)?, kernel, &BindOptions::default())
}

/// Everything before code generation.
pub(crate) fn compile(sql: &str, kernel: &Snapshot) -> Result<()> {
    let query = bound(sql, kernel)?;
    bpfquery_plan::split(&query).map(drop)
}
