//! Processes by their numbers.
//!
//! What must hold: programs in the kernel see the numbers of the initial pid namespace, so that a number of another one is never
//! taken for one of these.

use bpfquery_diag::{Result, Unsupported};
use std::path::Path;

/// What the initial pid namespace is called: PROC_PID_INIT_INO, include/linux/proc_ns.h (Linux 3.8 to 6.18).
const INITIAL: &str = "pid:[4026531836]";

/// Whether numbers of processes, as this process knows them, are the kernel's own.
///
/// # Errors
/// [`bpfquery_diag::Failure::Kernel`] in a pid namespace of its own, as containers have.
pub fn check_pid_namespace() -> Result<()> {
    // Without /proc nobody knows; most likely it is the initial one.
    let own = std::fs::read_link("/proc/self/ns/pid").ok();
    if own.is_none_or(|own| own == Path::new(INITIAL)) {
        return Ok(());
    }
    Err(Unsupported::new("-p and :cpid in a pid namespace, as in a container")
        .detail("pid and tid are those of the initial namespace, where this process has no view of them")
        .help("filter by comm or cgroup_id, or run bpfquery outside: nsenter --target 1 --pid")
        .into())
}

/// Whether there is such a process, as far as /proc tells.
pub fn process_exists(pid: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new(&format!("/proc/{pid}")).exists()
}
