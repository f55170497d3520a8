//! From text to the cut plan takes time in proportion to the query: up to 1,000 expressions, of each kind that makes a query long.
//!
//! Not checked: how long that is, which `make bench` tells; the backend's time, which codegen's own tests hold. Time is the processor's,
//! so that neighbours do not count; of several times the least counts, and eight times the expressions may take 32 times as long.

#![allow(clippy::print_stdout, reason = "the table of times is what one runs this test for")]

use bpfquery_plan::{optimise, split};
use bpfquery_sql::{BindOptions, bind, parse};
use bpfquery_testkit::check::Snapshots;
use nix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::time::Duration;

/// How often each query is looked at.
const TIMES: usize = 5;
/// Expressions of the shorter and the longer query.
const SIZES: [usize; 2] = [125, 1000];
/// The most that the longer one may take, in times of the shorter; 8 is proportion, 64 the square.
const MOST: u32 = 32;

type Growing = (&'static str, fn(usize) -> String);

const QUERIES: [Growing; 6] = [
    ("columns", |n| format!("select {} from sched_switch", list(n, |i| format!("pid + {i} as c{i}")))),
    ("aggregates", |n| {
        format!("select {} from sched_switch group by cpu", list(n, |i| format!("sum(pid + {i}) as c{i}")))
    }),
    ("a list", |n| format!("select pid from sched_switch where pid in ({})", list(n, |i| (2 * i).to_string()))),
    ("arms of CASE", |n| {
        let arms: String = (0..n).map(|i| format!(" when pid = {} then {i}", 2 * i)).collect();
        format!("select case{arms} else 0 end as c from sched_switch")
    }),
    ("conditions", |n| format!("select pid from sched_switch where {}", conditions(n))),
    ("arguments", |n| format!("select coalesce({}) as c from sched_switch", list(n, |i| format!("nullif(pid, {i})")))),
];

fn list(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect::<Vec<_>>().join(", ")
}

/// In groups, for the parser chains no more than 400 operators.
fn conditions(n: usize) -> String {
    let group = |first: usize| (first..first + 25).map(|i| format!("pid <> {i}")).collect::<Vec<_>>().join(" and ");
    (0..n / 25).map(|g| format!("({})", group(25 * g))).collect::<Vec<_>>().join(" or ")
}

#[test]
fn a_query_eight_times_as_long_takes_no_square_of_that() {
    let mut snapshots = Snapshots::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/snapshots"));
    let kernel = snapshots.get("small").expect("the pinned kernel");
    for (what, query) in QUERIES {
        let times = SIZES.map(|size| {
            let sql = query(size);
            let steps = (0..TIMES).map(|_| steps(&sql, kernel));
            steps.reduce(|best, next| std::array::from_fn(|i| best[i].min(next[i]))).expect("it is done several times")
        });
        println!(
            "{what:<13} parse, bind, optimise, split: {:?} of {}, {:?} of {}",
            times[0], SIZES[0], times[1], SIZES[1]
        );
        let [short, long] = times.map(|steps| steps.iter().sum::<Duration>());
        assert!(long < short * MOST, "{what}: {short:?} for {} and {long:?} for {}", SIZES[0], SIZES[1]);
    }
}

/// How long each step takes.
fn steps(sql: &str, kernel: &dyn bpfquery_catalog::Kernel) -> [Duration; 4] {
    let start = worked();
    let ast = fine(parse(sql), sql);
    let parsed = worked();
    let bound = fine(bind(&ast, kernel, &BindOptions::default()), sql);
    let is_bound = worked();
    let (plan, _) = fine(optimise(bound), sql);
    let optimised = worked();
    fine(split(&plan), sql);
    [parsed - start, is_bound - parsed, optimised - is_bound, worked() - optimised]
}

/// How long this process, in which nothing else runs, has had a processor; the parser has a thread of its own.
fn worked() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("Linux has this clock").into()
}

fn fine<T>(result: bpfquery_diag::Result<T>, sql: &str) -> T {
    result.unwrap_or_else(|failure| panic!("{sql:.60}: {}", bpfquery_diag::render(&failure, sql)))
}
