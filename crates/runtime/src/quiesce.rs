//! Waiting until programs that have begun have ended.

use bpfquery_diag::{Failure, Result};
use nix::errno::Errno;
use std::time::Duration;

/// MEMBARRIER_CMD_GLOBAL, include/uapi/linux/membarrier.h.
const GLOBAL: libc::c_long = 1;
/// How long to wait where there is no barrier: no program that the verifier accepts and that holds no lock takes so long.
const LONG_ENOUGH: Duration = Duration::from_millis(100);

/// Returns when every program that was under way has ended.
///
/// All programs here run inside an RCU read-side section, and membarrier(GLOBAL) is a synchronize_rcu()
/// (kernel/sched/membarrier.c, Linux 5.10 to 6.18). It takes some 10 to 30 ms.
pub(crate) fn in_flight_programs_end() -> Result<()> {
    // SAFETY: the system call takes two integers and no memory.
    let ret = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0) };
    match (ret, Errno::last()) {
        (0, _) => Ok(()),
        // A kernel with nohz_full CPUs refuses (EINVAL), one may be built without (ENOSYS), a sandbox may forbid (EPERM).
        (_, Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {
            std::thread::sleep(LONG_ENOUGH);
            Ok(())
        }
        (_, errno) => Err(Failure::io("wait for running programs (membarrier)", errno)),
    }
}
