//! Limits that no case can show, because the query would be the whole page.

use bpfquery::{Options, compile};
use bpfquery_diag::render;
use bpfquery_testkit::check::Snapshots;
use std::path::Path;

fn check(sql: &str, expect: &str) {
    let mut snapshots = Snapshots::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/snapshots"));
    let kernel = snapshots.get("small").expect("the pinned kernel");
    let Err(failure) = compile(sql, kernel, Options::default()) else { panic!("it compiles") };
    let told = render(&failure, sql);
    assert!(told.starts_with(expect), "{}", told.lines().next().unwrap_or_default());
}

#[test]
fn a_query_has_at_most_a_mebibyte() {
    let longest = format!("select 1{}", " ".repeat((1 << 20) - 8));
    check(&format!("{longest} "), "error[too-long]: the query is 1048577 bytes long; 1048576 is the most");
}

#[test]
fn a_query_has_at_most_1664_columns() {
    check(
        &format!("select pid{} from sched_switch", ", pid".repeat(1664)),
        "error[too-large]: a query has at most 1664",
    );
}
