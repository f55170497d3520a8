//! Whatever the end, nothing of a query is left in the kernel; commands end it.

mod common;

use bpfquery_catalog::Hook;
use bpfquery_host::Live;
use bpfquery_runtime::{Command, Ended, Flow, Options, Session, Stop};
use common::made::Made;
use common::{Seen, Worker, compile, compile_as, gone, loaded, open, open_with, own, run};
use std::time::{Duration, Instant};

fn query(worker: &Worker, name: &str) -> Vec<u8> {
    let sql = format!("select fildes from tracepoint.syscalls.sys_enter_dup where tid = {}", worker.tid);
    compile_as(name, &sql)
}

#[test]
fn a_dropped_session_leaves_nothing() {
    let worker = Worker::start();
    let session = open(&query(&worker, &own("drop")));
    assert_eq!(loaded(&own("drop")).len(), 1);
    drop(session);
    gone(&own("drop"));
}

#[test]
fn an_ended_run_leaves_nothing() {
    let worker = Worker::start();
    let session = open(&query(&worker, &own("end")));
    run(session, Stop { after: Some(Duration::ZERO), ..Stop::default() }, &mut Seen::default());
    gone(&own("end"));
}

#[test]
fn an_error_halfway_through_attaching_leaves_nothing() {
    let hook = |event: &str| Hook::RawTracepoint { event: event.into() };
    let made = Made::new(&[(&own("first"), hook("sys_enter")), (&own("second"), hook("no_such_event"))]);
    let opened = Session::open(&made.bytes(), &Live::new(), &Options::default());
    let failure = opened.err().expect("there is no such event");
    assert!(bpfquery_diag::render(&failure, "").contains("rawtracepoint.no_such_event"), "{failure:?}");
    gone(&own("first"));
    gone(&own("second"));
}

#[test]
fn a_failing_run_leaves_nothing() {
    let worker = Worker::start();
    let session = open(&query(&worker, &own("fail")));
    worker.dup([1_000_000]);
    let mut fail = |_| Err(bpfquery_diag::Failure::io("write rows", "no space"));
    session.run(Stop::default(), &mut fail).unwrap_err();
    gone(&own("fail"));
}

/// An object that was compiled just now finds members in its own types, one from a file in the kernel's: at the same places.
#[test]
fn members_are_where_they_are_whoever_says_so() {
    for compiled_here in [false, true] {
        let command = Command::spawn(&["true"]).unwrap();
        let pid = command.pid().unwrap();
        let sql = format!("select p.tgid as t, p.pid as i from rawtracepoint.sched_process_exec where p.tgid = {pid}");
        let session = open_with(&compile(&sql), &Options { compiled_here, ..Options::default() });
        let mut seen = Seen::default();
        run(session, Stop { command: Some(command), ..Stop::default() }, &mut seen);
        assert_eq!(seen.rows(), [format!("{pid} {pid}")], "{compiled_here}");
    }
}

#[test]
fn the_end_of_a_command_ends_the_query() {
    let command = Command::spawn(&["sh", "-c", "cat /etc/hostname > /dev/null; exit 3"]).unwrap();
    let sql = format!(
        "select str(filename) from tracepoint.syscalls.sys_enter_openat where pid = {}",
        command.pid().unwrap()
    );
    let session = open(&compile(&sql));
    let mut seen = Seen::default();
    let report = run(session, Stop { command: Some(command), ..Stop::default() }, &mut seen);
    // The shell is traced from its first moment on: from what its loader opens.
    assert_eq!(report.ended, Ended::Command(3));
    assert!(seen.rows().iter().any(|row| row.contains("libc.so")), "{:?}", seen.rows());
}

#[test]
fn a_command_is_told_to_end_with_the_query() {
    let command = Command::spawn(&["sleep", "1000"]).unwrap();
    let pid = command.pid().unwrap();
    let session = open(&compile("select cpu from rawtracepoint.sys_enter where pid = 0"));
    let stop = Stop { after: Some(Duration::from_millis(50)), command: Some(command), ..Stop::default() };
    assert_eq!(run(session, stop, &mut Seen::default()).ended, Ended::After);
    // It is our child, so it stays a zombie until it is waited for.
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        assert!(Instant::now() < deadline, "{stat}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_command_that_does_not_exist() {
    let command = Command::spawn(&["/nonexistent"]).unwrap();
    let session = open(&compile_as(&own("cmd"), "select cpu from rawtracepoint.sys_enter where pid = 0"));
    let mut ignore = |_| Ok(Flow::Continue);
    let failure = session.run(Stop { command: Some(command), ..Stop::default() }, &mut ignore).unwrap_err();
    assert!(bpfquery_diag::render(&failure, "").contains("cannot start the command \"/nonexistent\""), "{failure:?}");
    gone(&own("cmd"));
}
