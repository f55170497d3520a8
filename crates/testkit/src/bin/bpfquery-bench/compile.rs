//! From SQL text to the object's bytes.
//!
//! What must hold: the snapshot is in memory before, so that only compiling is timed; of several times the least counts for a
//! case, for nothing but other work makes it longer.

use bpfquery::{Options, compile};
use bpfquery_catalog::Snapshot;
use bpfquery_testkit::case::read_all;
use bpfquery_testkit::check::{PIDS, Snapshots, with_pids};
use std::path::Path;
use std::time::Instant;

/// How often each query is compiled.
const TIMES: usize = 5;

/// Expressions of the queries that grow.
pub(crate) const SIZES: [usize; 4] = [125, 250, 500, 1000];

/// The kernel that growing queries are compiled for.
const GROWING_FOR: &str = "linux-6.12";

/// Times in ms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    /// Of each case that compiles, by its name, the longest first.
    pub(crate) cases: Vec<(String, f64)>,
    /// Cases that do not compile, and why.
    pub(crate) failed: Vec<(String, String)>,
    /// Of queries that grow: what grows, and a time for each of [`SIZES`].
    pub(crate) growing: Vec<(&'static str, Vec<f64>)>,
}

/// What grows, and the query of a size.
type Growing = (&'static str, fn(usize) -> String);

/// Compiles all cases and the queries that grow.
///
/// # Errors
/// Cases or snapshots that cannot be read, and a query of ours that does not compile.
pub(crate) fn measure(cases: &Path) -> Result<Times, String> {
    let mut snapshots = Snapshots::new(&cases.join("../snapshots"));
    let mut times = Times::default();
    for case in read_all(cases)?.iter().filter(|case| case.section("error").is_none()) {
        let kernel = snapshots.get(case.directives.snapshot.as_deref().unwrap_or("small"))?;
        match least_ms(&with_pids(&case.sql, &PIDS), kernel) {
            Ok(ms) => times.cases.push((case.name.clone(), ms)),
            Err(error) => times.failed.push((case.name.clone(), error)),
        }
    }
    times.cases.sort_by(|a, b| b.1.total_cmp(&a.1));
    let kernel = snapshots.get(GROWING_FOR)?;
    let queries: [Growing; 2] = [("columns `pid + i`", columns), ("aggregates `sum(id + i)` of a group", aggregates)];
    for (what, query) in queries {
        let all: Result<Vec<f64>, String> = SIZES.iter().map(|size| least_ms(&query(*size), kernel)).collect();
        times.growing.push((what, all.map_err(|error| format!("{what}: {error}"))?));
    }
    Ok(times)
}

fn columns(size: usize) -> String {
    list(size, |i| format!("pid + {i}")) + " from tracepoint.raw_syscalls.sys_enter"
}

fn aggregates(size: usize) -> String {
    list(size, |i| format!("sum(id + {i})")) + " from tracepoint.raw_syscalls.sys_enter group by pid"
}

fn list(size: usize, expression: impl Fn(usize) -> String) -> String {
    let columns: Vec<String> = (0..size).map(|i| format!("{} as c{i}", expression(i))).collect();
    format!("select {}", columns.join(", "))
}

fn least_ms(sql: &str, kernel: &Snapshot) -> Result<f64, String> {
    let mut least = f64::INFINITY;
    for _ in 0..TIMES {
        let began = Instant::now();
        let compiled = compile(sql, kernel, Options::default());
        least = least.min(began.elapsed().as_secs_f64() * 1e3);
        compiled.map_err(|failure| bpfquery_diag::render(&failure, sql))?;
    }
    Ok(least)
}
