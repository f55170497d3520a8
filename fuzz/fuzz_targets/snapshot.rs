//! Any bytes as a snapshot: refused, or queries compile or are refused; never a panic.
#![no_main]

use bpfquery::{Options, compile};
use bpfquery_catalog::{Kernel, Snapshot};
use libfuzzer_sys::fuzz_target;

const QUERIES: [&str; 6] = [
    "select * from sched_switch",
    "select str(args.filename) from tracepoint.syscalls.sys_enter_openat",
    "select str(args.path -> dentry -> d_name.name) from kprobe.vfs_open",
    "select hist(retval) from kretprobe.vfs_read where comm = 'dd'",
    "select ppid, prev_comm, count(*) from rawtracepoint.sched_switch group by 1, 2",
    "select * from fexit.vfs_read",
];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(kernel) = Snapshot::from_bytes(bytes) {
        let _ = kernel.events();
        for query in QUERIES {
            let _ = compile(query, &kernel, Options::default());
        }
    }
});
