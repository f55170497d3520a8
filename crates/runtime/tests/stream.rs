//! Rows of a stream: all of them, in order, in time, and counted where lost.

mod common;

use bpfquery_runtime::{Ended, Flow, Misses, Stop};
use common::{Seen, Worker, assert_whole, compile, open, run};
use std::time::{Duration, Instant};

fn dup_query(worker: &Worker, rest: &str) -> Vec<u8> {
    compile(&format!("select fildes from tracepoint.syscalls.sys_enter_dup where tid = {} {rest}", worker.tid))
}

fn after(millis: u64) -> Stop {
    Stop { after: Some(Duration::from_millis(millis)), ..Stop::default() }
}

#[test]
fn every_row_comes_in_order() {
    let worker = Worker::start();
    let session = open(&dup_query(&worker, ""));
    worker.dup(1_000_000..1_020_000);
    let mut seen = Seen::default();
    let report = run(session, after(1), &mut seen);
    let expect: Vec<String> = (1_000_000..1_020_000).map(|n: i32| n.to_string()).collect();
    assert!(seen.rows() == expect, "{} rows", seen.rows().len());
    assert!(seen.batches.iter().all(|batch| batch.len() <= 8192));
    assert_eq!((report.ended, report.received), (Ended::After, 20_000));
    assert!(report.to_string().starts_with("losses: none\nmisses: "), "{report}");
    assert_whole(&report);
}

#[test]
fn what_does_not_fit_is_counted() {
    // Nobody reads while three times as much is written as the ring buffer of 16 MiB holds, from two CPUs.
    let workers = [Worker::start().on_cpu(0), Worker::start().on_cpu(1)];
    let [one, two] = [workers[0].tid, workers[1].tid];
    let sql = format!("select fildes, ts, tid from tracepoint.syscalls.sys_enter_dup where tid = {one} or tid = {two}");
    let session = open(&compile(&sql));
    let many = 700_000;
    workers.iter().for_each(|worker| worker.begin(1_000_000..1_000_000 + many));
    workers.iter().for_each(Worker::wait);
    let mut rows = 0;
    let mut count = |batch: arrow_array::RecordBatch| {
        rows += batch.num_rows() as u64;
        Ok(Flow::Continue)
    };
    let report = session.run(after(1), &mut count).unwrap();
    let lost = report.counters.iter().find(|(name, _)| name == "rows_lost").map_or(0, |(_, lost)| *lost);
    assert!(lost > 0, "{report}");
    assert_eq!(rows + lost, 2 * many as u64, "{report}");
    assert_eq!((report.received, report.lost()), (rows, lost));
    assert!(!report.is_lossless() && report.to_string().contains("(the ring buffer was full)"), "{report}");
}

#[test]
fn limit_gives_exactly_so_many() {
    for limit in [0, 1, 10, 9_000] {
        let worker = Worker::start();
        let session = open(&dup_query(&worker, &format!("limit {limit}")));
        worker.dup(1_000_000..1_010_000);
        let mut seen = Seen::default();
        let report = run(session, after(10_000), &mut seen);
        let expect: Vec<String> = (1_000_000..1_000_000 + limit).map(|n: i32| n.to_string()).collect();
        assert!(seen.rows() == expect, "limit {limit}: {} rows", seen.rows().len());
        assert_eq!(report.ended, Ended::Limit);
    }
}

#[test]
fn a_reader_that_stops_ends_it() {
    let worker = Worker::start();
    let session = open(&dup_query(&worker, ""));
    worker.dup(1_000_000..1_030_000);
    let mut seen = Seen { enough: Some(2), ..Seen::default() };
    let report = run(session, after(10_000), &mut seen);
    assert_eq!((report.ended, seen.batches.len()), (Ended::Reader, 2));
}

#[test]
fn a_failing_reader_fails_the_run() {
    let worker = Worker::start();
    let session = open(&dup_query(&worker, ""));
    worker.dup([1_000_000]);
    let mut fail = |_| Err(bpfquery_diag::Failure::io("write rows", "no space"));
    let failure = session.run(after(10_000), &mut fail).unwrap_err();
    assert_eq!(bpfquery_diag::render(&failure, ""), "error: cannot write rows: no space\n");
}

#[test]
fn a_row_shows_within_50_ms() {
    let worker = Worker::start();
    let session = open(&dup_query(&worker, ""));
    let sender = std::thread::spawn(move || {
        let mut sent = Vec::new();
        for number in 1_000_000..1_000_020 {
            // Not in step with any pause of the reader.
            std::thread::sleep(Duration::from_millis(7 + number as u64 % 31));
            sent.push(Instant::now());
            worker.dup([number]);
        }
        sent
    });
    let mut shown = Vec::new();
    let mut note = |batch: arrow_array::RecordBatch| {
        shown.extend(std::iter::repeat_n(Instant::now(), batch.num_rows()));
        Ok(Flow::Continue)
    };
    session.run(after(1_200), &mut note).unwrap();
    let mut took: Vec<Duration> =
        sender.join().unwrap().iter().zip(&shown).map(|(sent, shown)| *shown - *sent).collect();
    took.sort();
    // On a machine with other work a few may take longer than that.
    assert!(took.len() == 20 && took[15] < Duration::from_millis(50), "{took:?}");
}

#[test]
fn no_from_is_one_row() {
    let session = open(&compile("select 1 + 1"));
    let mut seen = Seen::default();
    let report = run(session, after(10_000), &mut seen);
    assert_eq!((seen.rows(), report.ended), (vec!["2".to_string()], Ended::Complete));
    assert!(report.is_lossless(), "{report}");
}

#[test]
fn clocks_tick() {
    let ticks = |sql: &str| {
        let session = open(&compile(sql));
        let mut seen = Seen::default();
        let report = run(session, after(500), &mut seen);
        assert!(matches!(report.misses, Misses::Unknown(_)), "{report}");
        seen.rows()
    };
    // One CPU, every 50 ms, for 500 ms.
    let interval = ticks("select cpu from interval('50 milliseconds')").len();
    assert!((5..=11).contains(&interval), "{interval} ticks");
    // Every CPU that has work (a CPU that sleeps has no samples, as in bpftrace); the frequency is only approached.
    let busy = busy_cpus(Duration::from_millis(800));
    let profile = ticks("select cpu from profile(99)");
    busy.into_iter().for_each(|thread| thread.join().unwrap());
    let cpus: std::collections::BTreeSet<&String> = profile.iter().collect();
    assert!(profile.len() > 20 && cpus.len() >= 2, "{} samples on {cpus:?}", profile.len());
}

/// A thread on each of the first two CPUs that computes for so long.
fn busy_cpus(time: Duration) -> Vec<std::thread::JoinHandle<()>> {
    let compute = move |cpu| {
        let mut only = nix::sched::CpuSet::new();
        only.set(cpu).unwrap();
        nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &only).unwrap();
        let end = Instant::now() + time;
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    };
    (0..2).map(|cpu| std::thread::spawn(move || compute(cpu))).collect()
}
