//! Whoever else looks at an event sees what it saw before the query came.
//!
//! Needs root.

#![allow(unsafe_code, reason = "perf events are made by a system call")]

mod common;

use common::{Worker, compile, open};
use libbpf_sys::{PERF_TYPE_TRACEPOINT, perf_event_attr};
use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;

/// Counts a tracepoint's events of one thread, as `perf stat -e` does.
struct Counter(File);

impl Counter {
    fn of(event: &str, tid: i32) -> Counter {
        let at = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
        let id = at.iter().find_map(|root| std::fs::read_to_string(format!("{root}/events/{event}/id")).ok());
        let mut attr = perf_event_attr { type_: PERF_TYPE_TRACEPOINT, ..perf_event_attr::default() };
        attr.config = id.expect("tracefs is mounted").trim().parse().expect("an id is a number");
        attr.size = size_of::<perf_event_attr>() as u32;
        let (any_cpu, no_group, close_on_exec): (libc::c_int, libc::c_int, libc::c_ulong) = (-1, -1, 1 << 3);
        // SAFETY: the attribute is valid for the call, and says its own size.
        let fd =
            unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attr, tid, any_cpu, no_group, close_on_exec) };
        assert!(fd >= 0, "perf_event_open: {}", std::io::Error::last_os_error());
        // SAFETY: the kernel just made this descriptor, which is an int, and nobody else has it.
        Counter(unsafe { File::from_raw_fd(fd as i32) })
    }

    fn count(&mut self) -> u64 {
        let mut count = [0; 8];
        self.0.read_exact(&mut count).unwrap();
        u64::from_ne_bytes(count)
    }
}

/// One of system calls, and one that is a tracepoint of its own; filters keep nothing, or all.
#[test]
fn perf_still_sees_events() {
    let worker = Worker::start();
    for (event, relation) in
        [("syscalls/sys_enter_dup", "syscalls.sys_enter_dup"), ("raw_syscalls/sys_enter", "raw_syscalls.sys_enter")]
    {
        let mut counter = Counter::of(event, worker.tid);
        let mut seen = |what: &str| {
            let before = counter.count();
            worker.dup(vec![1_000_000; 100]);
            let seen = counter.count() - before;
            assert!(seen >= 100, "{event} {what}: {seen}");
        };
        seen("alone");
        for tid in [worker.tid, 0] {
            let _session = open(&compile(&format!("select count(*) from tracepoint.{relation} where tid = {tid}")));
            seen("beside a query");
        }
    }
}
