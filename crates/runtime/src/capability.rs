//! Privileges: which are there, which are missing, and how to be rid of them.

use std::fmt;

/// A capability that queries need (include/uapi/linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// `CAP_BPF` (5.8): loading programs, making maps; on 5.10 also reading maps.
    Bpf,
    /// `CAP_PERFMON` (5.8): attaching to tracepoints, functions and clocks; reading kernel memory.
    Perfmon,
}

impl Capability {
    /// All that a query needs.
    pub const ALL: [Capability; 2] = [Capability::Bpf, Capability::Perfmon];

    /// `CAP_BPF`.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Bpf => "CAP_BPF",
            Capability::Perfmon => "CAP_PERFMON",
        }
    }

    fn bit(self) -> u32 {
        match self {
            Capability::Bpf => 39,
            Capability::Perfmon => 38,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Stands for all that a query needs (`bpf_capable` and `perfmon_capable`, include/linux/capability.h, Linux 5.10).
const SYS_ADMIN: u32 = 21;

/// What this thread lacks of what every query needs; empty as well where `/proc` does not tell.
pub fn missing_capabilities() -> Vec<Capability> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    effective(&status).map_or_else(Vec::new, missing)
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn missing(effective: u64) -> Vec<Capability> {
    let has = |bit: u32| effective & (1 << bit) != 0;
    Capability::ALL.into_iter().filter(|capability| !has(capability.bit()) && !has(SYS_ADMIN)).collect()
}

/// _LINUX_CAPABILITY_VERSION_3, include/uapi/linux/capability.h.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up every capability of this thread but CAP_BPF, which 5.10 wants for reading maps. What is open stays open; what
/// cannot be given up is kept.
pub(crate) fn drop_all_but_bpf() {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: version 3 takes a header and two sets (man 2 capget).
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } != 0 {
        return;
    }
    let keep = 1 << (Capability::Bpf.bit() - 32);
    let admin_alone = sets[1].effective & keep == 0;
    // Where CAP_SYS_ADMIN stands for CAP_BPF it is what reading maps needs.
    let low = if admin_alone { 1 << SYS_ADMIN } else { 0 };
    for (set, keep) in sets.iter_mut().zip([low, keep]) {
        set.effective &= keep;
        set.permitted &= keep;
        set.inheritable = 0;
    }
    // SAFETY: as above; the kernel only takes away what is not in the sets.
    unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) };
}

#[cfg(test)]
mod tests {
    use super::{Capability, drop_all_but_bpf, effective, missing};

    #[test]
    fn what_is_missing() {
        let check = |status: &str, expect: &[Capability]| {
            assert_eq!(missing(effective(status).unwrap()), expect, "{status}");
        };
        check("Name:\tx\nCapEff:\t0000000000000000\n", &Capability::ALL);
        check("CapEff:\t000001ffffffffff", &[]);
        check("CapEff:\t0000008000000000", &[Capability::Perfmon]);
        check("CapEff:\t0000004000000000", &[Capability::Bpf]);
        check("CapEff:\t0000000000200000", &[]);
        assert_eq!(effective("Name:\tx\n"), None);
    }

    #[test]
    fn dropping_keeps_cap_bpf_alone() {
        // Capabilities belong to threads, so only this one loses them.
        let left = std::thread::spawn(|| {
            let read = || effective(&std::fs::read_to_string("/proc/thread-self/status").unwrap()).unwrap();
            let before = read();
            drop_all_but_bpf();
            (before, read())
        });
        let (before, after) = left.join().unwrap();
        assert_ne!(before & (1 << 39), 0, "this test needs root");
        assert_eq!(after, 1 << 39);
    }
}
