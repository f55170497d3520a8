//! What a run cost, against what is known of it: the load's own count, and the kernel's own figures.

mod common;

use bpfquery_runtime::{Analysis, Options, Stop, predict};
use common::{Seen, Worker, compile, compile_for, open_with, run};
use std::time::Duration;

/// Runs a query while a worker makes calls, and tells what it cost.
fn analysed(object: &[u8], max_groups: Option<u32>, work: &dyn Fn()) -> Analysis {
    let options = Options { analyze: true, max_groups, ..Options::default() };
    let session = open_with(object, &options);
    work();
    let stop = Stop { after: Some(Duration::from_millis(1)), ..Stop::default() };
    run(session, stop, &mut Seen::default()).analysis.expect("it was asked for")
}

/// Each figure within a tenth of the kernel's.
fn check_memory(sql: &str, object: &[u8]) {
    let (predicted, cpus) = predict(object).expect("an object");
    assert!(cpus > 0 && !predicted.is_empty());
    let found = analysed(object, None, &|| {}).maps;
    assert_eq!(found.len(), predicted.len(), "{sql}");
    for (cost, map) in found.iter().zip(&predicted) {
        let kernel = cost.map.bytes;
        assert_eq!((&cost.map.name, cost.map.kind), (&map.name, map.kind));
        assert!(map.bytes.abs_diff(kernel) * 10 <= kernel, "{sql}: {map:?}, and the kernel says {kernel}");
    }
}

/// Every kind of map that queries have.
#[test]
fn memory_is_as_predicted() {
    for sql in [
        "select comm, count(*) from sched_switch group by comm",
        "select count(*), sum(fildes), hist(fildes) from tracepoint.syscalls.sys_enter_dup",
        "select cpu, count(*) from tracepoint.syscalls.sys_enter_dup group by cpu",
        "select id, count(*), hist(id) from tracepoint.raw_syscalls.sys_enter group by id",
        "select fildes % 1000 as few, sum(fildes) from tracepoint.syscalls.sys_enter_dup group by few",
        "select tumble(interval '1 second') as w, tid, count(*), max(fildes) from tracepoint.syscalls.sys_enter_dup \
         group by w, tid",
        "select tid, filename, flags from tracepoint.syscalls.sys_enter_openat where tid = 1",
        "select str(filename, 128) as a, str(filename, 300) as b, count(*) from tracepoint.syscalls.sys_enter_openat \
         where tid = 1 group by a, b",
    ] {
        check_memory(sql, &compile(sql));
    }
    let shared = "select fildes, count(*), hist(fildes) from tracepoint.syscalls.sys_enter_dup group by fildes";
    check_memory(shared, &compile_for(shared, 70_000));
}

#[test]
fn runs_and_entries_are_counted() {
    let worker = Worker::start();
    let sql = format!(
        "select fildes, count(*) from tracepoint.syscalls.sys_enter_dup where tid = {} group by fildes",
        worker.tid
    );
    let calls = 1000;
    let analysis = analysed(&compile(&sql), Some(123), &|| worker.dup(1_000_000..1_000_000 + calls));
    let program = &analysis.programs[0];
    // Others may call it, too.
    assert!(program.runs >= calls as u64 && program.ns >= program.runs, "{program:?}");
    assert!(program.instructions > 10 && program.machine_code > 50, "{program:?}");
    assert_eq!(program.hook, "tracepoint.syscalls.sys_enter_dup");
    let groups = &analysis.maps[0];
    assert_eq!((groups.map.name.as_str(), groups.map.max_entries), ("groups", 123));
    assert_eq!(groups.entries, Some(123));
}

#[test]
fn nothing_is_timed_unasked() {
    let worker = Worker::start();
    let sql = format!("select count(*) from tracepoint.syscalls.sys_enter_dup where tid = {}", worker.tid);
    let session = open_with(&compile(&sql), &Options::default());
    let stop = Stop { after: Some(Duration::from_millis(1)), ..Stop::default() };
    assert_eq!(run(session, stop, &mut Seen::default()).analysis, None);
}
