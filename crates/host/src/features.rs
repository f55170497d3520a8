//! Which kernel it is and what it can do, from files that cost nothing to read.

use bpfquery_catalog::{Feature, Identity};
use std::collections::BTreeSet;
use std::path::Path;

/// Identity and features of the machine whose `/sys` and `/proc` stand under `root`.
pub(crate) fn identify(root: &Path) -> Identity {
    let release = std::fs::read_to_string(root.join("proc/sys/kernel/osrelease")).unwrap_or_default();
    let release = release.trim().to_string();
    let version = version(&release);
    let features = Feature::ALL.into_iter().filter(|feature| has(root, version, *feature)).collect::<BTreeSet<_>>();
    Identity { release, arch: std::env::consts::ARCH.to_string(), version, features }
}

fn has(root: &Path, version: (u16, u16, u16), feature: Feature) -> bool {
    let device = |name: &str| root.join("sys/bus/event_source/devices").join(name).join("type").exists();
    let since = |major: u16, minor: u16| (version.0, version.1) >= (major, minor);
    let btf = || root.join("sys/kernel/btf/vmlinux").exists();
    match feature {
        // The PMUs are there if the kernel is built with them (4.17 for kprobe).
        Feature::Kprobe => device("kprobe"),
        Feature::Tracepoint => device("tracepoint"),
        Feature::PerfClock => device("software"),
        Feature::RawTracepoint => since(4, 17),
        // A build can lack them at any version; only loading a program tells, so the runtime may take this back.
        Feature::Trampoline => since(5, 5) && btf(),
        Feature::RingBuffer => since(5, 8),
        Feature::IsaV4 => since(6, 6),
        Feature::Btf => btf(),
        Feature::RecursionMisses | Feature::TaskStorage => since(5, 12),
    }
}

/// `6.1.0-28-cloud-amd64` is 6.1.0; what is missing or no number is 0.
fn version(release: &str) -> (u16, u16, u16) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions() {
        let check = |release: &str, expect| assert_eq!(version(release), expect, "{release}");
        check("6.1.0-28-cloud-amd64", (6, 1, 0));
        check("6.18.44-fc-v669", (6, 18, 44));
        check("7.2", (7, 2, 0));
        check("5.10.0+", (5, 10, 0));
        check("", (0, 0, 0));
        check("99999.1", (0, 1, 0));
    }
}
