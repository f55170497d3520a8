//! Waiting until programs that have begun have ended.
//!
//! All programs here run inside an RCU read-side section (kernel/trace/bpf_trace.c, kernel/bpf/trampoline.c, Linux 5.10 to
//! 7.2), so what is needed is a synchronize_rcu(). It takes some 10 to 30 ms.

use crate::cpu;
use bpfquery_diag::{Failure, Result};
use libbpf_sys::{BPF_ANY, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, bpf_map_create, bpf_map_create_opts};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// MEMBARRIER_CMD_GLOBAL, include/uapi/linux/membarrier.h.
const GLOBAL: libc::c_long = 1;

/// Returns when every program that was under way has ended.
pub(crate) fn in_flight_programs_end() -> Result<()> {
    if barrier() {
        return Ok(());
    }
    replace_inner_map().map_err(|errno| Failure::io("wait for running programs", errno.desc()))
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
    use super::{barrier, in_flight_programs_end, replace_inner_map};

    #[test]
    fn either_way_works_here() {
        // Needs root, and two CPUs.
        assert!(barrier());
        assert_eq!(replace_inner_map(), Ok(()));
        in_flight_programs_end().unwrap();
    }
}
