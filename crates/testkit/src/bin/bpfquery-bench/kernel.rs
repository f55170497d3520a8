//! What the kernel counts of programs (bpf stats), and the switch for it.
//!
//! What must hold: the switch is put back as it was, also after an error. Not checked: that nobody else uses it meanwhile.

use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string, write};
use std::ops::Sub;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// A program's runs so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    /// `enum bpf_prog_type` of uapi/linux/bpf.h.
    pub(crate) kind: u32,
    /// How many.
    pub(crate) count: u64,
    /// The time in them.
    pub(crate) ns: u64,
}

/// BPF_PROG_TYPE_TRACEPOINT: the hook of a perf tracepoint.
pub(crate) const TRACEPOINT: u32 = 5;

impl Sub for Runs {
    type Output = Runs;
    fn sub(self, before: Runs) -> Runs {
        Runs { kind: self.kind, count: self.count - before.count, ns: self.ns - before.ns }
    }
}

/// The programs that a process holds, by id; bpf_prog_show_fdinfo of kernel/bpf/syscall.c tells their figures.
pub(crate) fn runs(pid: u32) -> BTreeMap<u32, Runs> {
    let files = read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    files.filter_map(|file| program(&read_to_string(file.path()).ok()?)).collect()
}

fn program(fdinfo: &str) -> Option<(u32, Runs)> {
    let number = |key: &str| {
        let line = fdinfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().parse::<u64>().ok()
    };
    let small = |key: &str| number(key).and_then(|value| u32::try_from(value).ok());
    let runs = Runs { kind: small("prog_type")?, count: number("run_cnt")?, ns: number("run_time_ns")? };
    Some((small("prog_id")?, runs))
}

/// Statistics on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Statistics {
    before: String,
}

impl Statistics {
    pub(crate) fn on() -> Result<Statistics, String> {
        let before = read_to_string(SWITCH).map_err(|error| format!("{SWITCH}: {error}"))?;
        write(SWITCH, "1").map_err(|error| format!("{SWITCH}: {error}"))?;
        Ok(Statistics { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        // It could be written a moment ago.
        let _ = write(SWITCH, self.before.trim());
    }
}

#[cfg(test)]
mod tests {
    use super::{Runs, program};

    #[test]
    fn what_the_kernel_says_of_a_program_is_read() {
        let text =
            "pos:\t0\nflags:\t02\nprog_type:\t5\nprog_jited:\t1\nprog_id:\t77\nrun_time_ns:\t1200\nrun_cnt:\t10\n";
        assert_eq!(program(text), Some((77, Runs { kind: 5, count: 10, ns: 1200 })));
        assert_eq!(program("pos:\t0\nmap_id:\t3\n"), None);
    }
}
