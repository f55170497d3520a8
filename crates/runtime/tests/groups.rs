//! Groups: whole runs, windows, and what does not fit.

#![allow(unsafe_code, reason = "system calls that nobody wraps")]

mod common;

use bpfquery_runtime::{Ended, Options, Stop};
use common::{Seen, Worker, assert_whole, compile, open, open_with, run};
use std::time::{Duration, Instant};

fn after(millis: u64) -> Stop {
    Stop { after: Some(Duration::from_millis(millis)), ..Stop::default() }
}

/// The wall clock, ns since the UTC epoch.
fn wall_ns() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock behind 1970");
    i64::try_from(now.as_nanos()).expect("a clock before 2262")
}

#[test]
fn two_cpus_are_counted_to_the_last_one() {
    let workers = [Worker::start().on_cpu(0), Worker::start().on_cpu(1)];
    let [one, two] = [workers[0].tid, workers[1].tid];
    let sql = format!(
        "select tid, count(*), sum(fildes), min(fildes), max(fildes) from tracepoint.syscalls.sys_enter_dup \
         where tid = {one} or tid = {two} group by tid order by tid"
    );
    let session = open(&compile(&sql));
    let numbers = 1_000_000..1_200_000;
    workers.iter().for_each(|worker| worker.begin(numbers.clone()));
    workers.iter().for_each(Worker::wait);
    let mut seen = Seen::default();
    let report = run(session, after(1), &mut seen);
    let sum: i64 = numbers.clone().map(i64::from).sum();
    let row = |tid: i32| format!("{tid} 200000 {sum} 1000000 1199999");
    assert_eq!(seen.rows(), [row(one.min(two)), row(one.max(two))]);
    assert_eq!((report.ended, report.received), (Ended::After, 2));
    assert_whole(&report);
}

#[test]
fn without_group_by_there_is_one_row() {
    let worker = Worker::start();
    let sql = format!("select count(*), max(fildes) from tracepoint.syscalls.sys_enter_dup where tid = {}", worker.tid);
    let rows = |work: &dyn Fn()| {
        let session = open(&compile(&sql));
        work();
        let mut seen = Seen::default();
        run(session, after(1), &mut seen);
        seen.rows()
    };
    assert_eq!(rows(&|| worker.dup([1_000_007, 1_000_001])), ["2 1000007"]);
    assert_eq!(rows(&|| {}), ["0 NULL"]);
}

#[test]
fn thousands_of_groups_are_each_read_once() {
    let worker = Worker::start();
    let sql = format!(
        "select fildes, count(*) from tracepoint.syscalls.sys_enter_dup where tid = {} group by fildes order by fildes",
        worker.tid
    );
    let session = open(&compile(&sql));
    let numbers = 1_000_000..1_004_000;
    worker.dup(numbers.clone().chain(numbers.clone()));
    let mut seen = Seen::default();
    let report = run(session, after(1), &mut seen);
    let expect: Vec<String> = numbers.map(|n| format!("{n} 2")).collect();
    assert!(seen.rows() == expect, "{} groups", seen.rows().len());
    assert_whole(&report);
}

#[test]
fn every_cpu_has_slots_of_its_own() {
    let workers = [Worker::start().on_cpu(0), Worker::start().on_cpu(1)];
    let [one, two] = [workers[0].tid, workers[1].tid];
    let sql = format!(
        "select cpu, fildes % 3 as rest, count(*), max(fildes) from tracepoint.syscalls.sys_enter_dup \
         where tid = {one} or tid = {two} group by cpu, rest order by cpu, rest"
    );
    let session = open(&compile(&sql));
    workers[0].dup(1_000_000..1_000_300);
    workers[1].dup(1_000_001..1_000_003);
    let mut seen = Seen::default();
    let report = run(session, after(1), &mut seen);
    // 1,000,000 is 1 modulo 3.
    let expect = ["0 0 100 1000299", "0 1 100 1000297", "0 2 100 1000298", "1 0 1 1000002", "1 2 1 1000001"];
    assert_eq!(seen.rows(), expect);
    assert_eq!(report.received, 5);
    assert_whole(&report);
}

#[test]
fn numbers_that_no_system_call_has_are_groups_too() {
    let tid = nix::unistd::gettid();
    let sql = format!(
        "select id, count(*) from tracepoint.raw_syscalls.sys_enter \
         where tid = {tid} and (id > 9000 or id < 0 or id = 121) group by id order by id"
    );
    let session = open(&compile(&sql));
    for number in [9999, -1, 9999, 121, 511, 9001, -1, 9999] {
        // SAFETY: there are no such system calls but 121, getpgid, which reads no memory.
        unsafe { libc::syscall(number, 0) };
    }
    let mut seen = Seen::default();
    let report = run(session, after(1), &mut seen);
    assert_eq!(seen.rows(), ["-1 2", "121 1", "9001 1", "9999 3"]);
    assert_whole(&report);
}

#[test]
fn many_groups_come_in_many_batches_each_once() {
    let worker = Worker::start();
    let rows = |order: &str| {
        let sql = format!(
            "select fildes, count(*) from tracepoint.syscalls.sys_enter_dup where tid = {} group by fildes {order}",
            worker.tid
        );
        let options = Options { max_groups: Some(40_000), ..Options::default() };
        let session = open_with(&compile(&sql), &options);
        worker.dup(1_000_000..1_030_000);
        let mut seen = Seen::default();
        assert_whole(&run(session, after(1), &mut seen));
        seen
    };
    let all = rows("");
    let mut found = all.rows();
    found.sort();
    assert!(found == (1_000_000..1_030_000).map(|n| format!("{n} 1")).collect::<Vec<_>>(), "{} groups", found.len());
    assert!(all.batches.len() > 1, "all of them in one batch");
    assert_eq!(rows("order by fildes desc limit 2 offset 1").rows(), ["1029998 1", "1029997 1"]);
}

#[test]
fn groups_that_do_not_fit_are_counted() {
    let worker = Worker::start();
    let sql = format!(
        "select fildes, count(*) from tracepoint.syscalls.sys_enter_dup where tid = {} group by fildes",
        worker.tid
    );
    let session = open(&compile(&sql));
    let many = 100_000;
    worker.dup(1_000_000..1_000_000 + many);
    let mut seen = Seen::default();
    let report = run(session, after(1), &mut seen);
    assert!(report.lost() > 0 && !report.is_lossless(), "{report}");
    assert_eq!(seen.rows().len() as u64 + report.lost(), many as u64, "{report}");
}

#[test]
fn windows_come_as_they_close_and_hold_every_event_once() {
    let worker = Worker::start();
    let sql = format!(
        "select tumble(interval '200 milliseconds') as w, count(*), min(fildes), max(fildes) \
         from tracepoint.syscalls.sys_enter_dup where tid = {} group by w",
        worker.tid
    );
    let object = compile(&sql);
    let before = wall_ns();
    let session = open(&object);
    let live = wall_ns();
    let started = Instant::now();
    let sender = std::thread::spawn(move || {
        // When each number was sent, at the earliest and at the latest.
        let mut sent = Vec::new();
        while started.elapsed() < Duration::from_millis(1_500) {
            let from = wall_ns();
            worker.dup([1_000_000 + i32::try_from(sent.len()).unwrap()]);
            sent.push((from, wall_ns(), started.elapsed()));
            if sent.len() % 3 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        sent
    });
    let mut seen = Seen::default();
    let report = run(session, after(2_000), &mut seen);
    let sent = sender.join().unwrap();
    // A batch is a window: the last number of each is followed by the first of the next.
    assert!(seen.batches.iter().all(|batch| batch.len() == 1), "{:?}", seen.batches);
    let mut next = 1_000_000;
    for row in seen.rows() {
        let numbers: Vec<i64> = row.split(' ').skip(1).map(|n| n.parse().unwrap()).collect();
        assert_eq!((numbers[1], numbers[2]), (next, next + numbers[0] - 1), "{row}");
        next = numbers[2] + 1;
    }
    // The run ended 2 s behind `started` or later: what was sent before is there. A machine that stopped for a while sends on.
    let in_time = sent.iter().filter(|(.., at)| *at < Duration::from_millis(2_000)).count() as i64;
    let counted = next - 1_000_000;
    assert!((in_time..=sent.len() as i64).contains(&counted), "{counted} of {in_time} to {}", sent.len());
    let starts: Vec<i64> = seen.rows().iter().map(|row| row.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{starts:?}");
    assert!(starts.iter().all(|start| start % 200_000_000 == 0), "{starts:?}");
    // Whatever number was surely sent within one window has made that window.
    let window = |at: i64| at - at % 200_000_000;
    let sure = sent[..counted as usize].iter().filter(|(from, to, _)| window(*from) == window(*to));
    assert!(sure.clone().count() > 0 && sure.clone().all(|(from, ..)| starts.contains(&window(*from))), "{starts:?}");
    // The window that the query began in is partial. On a busy machine the first number comes a window later, and then
    // that one was empty: nothing of it is shown or said. What lies between the two clock readings may be either.
    let began_within = seen.partial.first().is_some_and(|p| p.started_within && p.start_ns == starts[0]);
    if starts[0] <= before {
        assert!(began_within, "{:?} of {starts:?}, begun behind {before}", seen.partial);
    }
    if starts[0] > live {
        assert!(!seen.partial.iter().any(|p| p.started_within), "{:?} of {starts:?}, live at {live}", seen.partial);
    }
    assert!(seen.partial.len() <= 2 && seen.partial == report.partial_windows, "{:?}", seen.partial);
    assert_whole(&report);
}
