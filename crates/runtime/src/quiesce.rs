//! Waiting until programs that have begun have ended.
//!
//! What must hold: after [`Quiesce::wait`] no program is under way that began before it.
//!
//! All programs here run inside an RCU read-side section (kernel/trace/bpf_trace.c, kernel/bpf/trampoline.c, Linux 5.10 to
//! 7.2), so a synchronize_rcu() does for all of them. It takes some 5 to 30 ms.
//!
//! Programs of tracepoints, raw or not, run with preemption disabled up to Linux 6.19: `__DO_TRACE` in
//! include/linux/tracepoint.h, for system calls since 6.13 `__BPF_DECLARE_TRACE_SYSCALL` in include/trace/bpf_probe.h and
//! `perf_syscall_enter` in kernel/trace/trace_syscalls.c; 7.0 protects them by SRCU instead. A CPU on which this thread runs is
//! not within such a section, so it is enough to have run on each of them once: 0.1 ms for two.

use crate::cpu;
use bpfquery_catalog::{Hook, Identity};
use bpfquery_diag::{Failure, Result};
use bpfquery_object::Manifest;
use libbpf_sys::{BPF_ANY, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, bpf_map_create, bpf_map_create_opts};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// MEMBARRIER_CMD_GLOBAL, include/uapi/linux/membarrier.h.
const GLOBAL: libc::c_long = 1;
/// With more CPUs than this, one grace period takes less time than going to each.
const MOST_VISITS: usize = 128;

/// How to wait for an object's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quiesce {
    /// Whether all of them run with preemption disabled.
    unpreempted: bool,
}

impl Quiesce {
    /// For the programs of this object on this kernel.
    pub(crate) fn of(manifest: &Manifest, identity: &Identity) -> Quiesce {
        let tracepoint = |hook: &Hook| matches!(hook, Hook::Tracepoint { .. } | Hook::RawTracepoint { .. });
        let all = manifest.programs.iter().all(|program| tracepoint(&program.hook));
        Quiesce { unpreempted: all && identity.version.0 < 7 }
    }

    /// Returns when every program that was under way has ended.
    pub(crate) fn wait(self) -> Result<()> {
        if (self.unpreempted && visit_every_cpu().is_some()) || barrier() {
            return Ok(());
        }
        replace_inner_map().map_err(|errno| Failure::io("wait for running programs", errno.desc()))
    }
}

/// Runs on each CPU that is online. `None` where this thread may not, because cpusets keep it off some, or should not: a CPU that is
/// isolated has work of its own, which would wait for us, or, at real-time priority, we for it, perhaps for ever.
fn visit_every_cpu() -> Option<()> {
    if cpu::some_are_isolated() {
        return None;
    }
    let this_thread = Pid::from_raw(0);
    let online = cpu::online().ok().filter(|cpus| cpus.len() <= MOST_VISITS)?;
    let home = sched_getaffinity(this_thread).ok()?;
    let visited = online.into_iter().try_for_each(|cpu| {
        let cpu = usize::try_from(cpu).ok()?;
        let mut only = CpuSet::new();
        only.set(cpu).ok()?;
        sched_setaffinity(this_thread, &only).ok()?;
        // It returns on the new CPU (affine_move_task, kernel/sched/core.c); a CPU that went offline lets it go elsewhere.
        (sched_getcpu().ok()? == cpu).then_some(())
    });
    // Where it may run again is as before; if that fails it stays where it is, which is allowed, too.
    let _ = sched_setaffinity(this_thread, &home);
    visited
}

/// membarrier(GLOBAL) waits for all, but not where one CPU is online, and not with nohz_full CPUs, where it is refused
/// (kernel/sched/membarrier.c, Linux 5.10 to 6.18). A sandbox may refuse it, too.
fn barrier() -> bool {
    let several = cpu::online().is_ok_and(|cpus| cpus.len() > 1);
    // SAFETY: the system call takes two integers and no memory.
    several && unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0) } == 0
}

/// Changing a map of maps returns only when no program can still use the old one (maybe_wait_bpf_programs,
/// kernel/bpf/syscall.c, Linux 4.20 to 7.2).
fn replace_inner_map() -> nix::Result<()> {
    let inner = array(BPF_MAP_TYPE_ARRAY, 0)?;
    let outer = array(BPF_MAP_TYPE_ARRAY_OF_MAPS, inner.as_raw_fd().cast_unsigned())?;
    let (key, value) = (0u32, inner.as_raw_fd());
    // SAFETY: key and value are 4 bytes each, as the map says.
    let ret = unsafe {
        libbpf_sys::bpf_map_update_elem(
            outer.as_raw_fd(),
            (&raw const key).cast(),
            (&raw const value).cast(),
            BPF_ANY.into(),
        )
    };
    if ret < 0 { Err(Errno::from_raw(-ret)) } else { Ok(()) }
}

/// A map of one element of 4 bytes.
fn array(kind: libbpf_sys::bpf_map_type, inner_map_fd: u32) -> nix::Result<OwnedFd> {
    let opts = bpf_map_create_opts {
        sz: size_of::<bpf_map_create_opts>() as libbpf_sys::size_t,
        inner_map_fd,
        ..Default::default()
    };
    // SAFETY: the name is a C string, and the options say their size.
    let fd = unsafe { bpf_map_create(kind, c"bpfquery_wait".as_ptr(), 4, 4, 1, &raw const opts) };
    if fd < 0 {
        return Err(Errno::from_raw(-fd));
    }
    // SAFETY: the kernel just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::{Quiesce, barrier, replace_inner_map, visit_every_cpu};
    use nix::sched::sched_getaffinity;
    use nix::unistd::Pid;

    #[test]
    fn each_way_works_here() {
        // Needs root, and two CPUs.
        assert!(barrier());
        assert_eq!(replace_inner_map(), Ok(()));
        let home = sched_getaffinity(Pid::from_raw(0));
        assert_eq!(visit_every_cpu(), Some(()));
        assert_eq!(sched_getaffinity(Pid::from_raw(0)), home);
        for unpreempted in [false, true] {
            Quiesce { unpreempted }.wait().unwrap();
        }
    }
}
