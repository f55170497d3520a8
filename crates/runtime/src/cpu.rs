//! Which CPUs there are.

use bpfquery_diag::{Failure, Result};
use nix::errno::Errno;
use nix::libc;

/// How many CPUs the kernel keeps per-CPU values for.
pub(crate) fn possible() -> Result<usize> {
    libbpf_rs::num_possible_cpus().map_err(|error| Failure::io("count the CPUs", error))
}

/// The CPUs that are online, ascending.
pub(crate) fn online() -> nix::Result<Vec<i32>> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online");
    let text = text.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    parse(&text).ok_or(Errno::EIO)
}

/// Whether some are kept free of everything that was not put there: by `isolcpus=`, a partition of cpusets, or `nohz_full=`.
pub(crate) fn some_are_isolated() -> bool {
    ["isolated", "nohz_full"].iter().any(|which| {
        let text = std::fs::read_to_string(format!("/sys/devices/system/cpu/{which}"));
        // Where there is none, the kernel says nothing, or "(null)".
        text.is_ok_and(|text| text.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// `0-3,5` is 0, 1, 2, 3, 5.
fn parse(text: &str) -> Option<Vec<i32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<i32>().ok()?..=last.parse::<i32>().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lists() {
        assert_eq!(parse("0-3,5\n"), Some(vec![0, 1, 2, 3, 5]));
        assert_eq!(parse("0\n"), Some(vec![0]));
        assert_eq!(parse("0,2-3"), Some(vec![0, 2, 3]));
        assert_eq!(parse(""), None);
        assert_eq!(parse("x"), None);
    }
}
