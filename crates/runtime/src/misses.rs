//! Events that the kernel skipped a program for, from the kernel's own counters.
//!
//! What must hold: where a kernel skips without counting, the answer is "unknown", never 0.
//!
//! | hook | skipped when | counted |
//! |---|---|---|
//! | tracepoint | another tracing program runs on the CPU (`bpf_prog_active`, trace_call_bpf) | since 6.7 (dd8657894c11) |
//! | kprobe, kretprobe | the same; inside another kprobe; no free return instance | since 6.7 (3acf8ace6823) |
//! | raw tracepoint | the program itself runs on the CPU; since 6.2 (05b24ff9b2cf) | since 6.2 |
//! | fentry, fexit | the same; since 5.12 (ca06f55b9002) | since 5.12 (9ed9e9ba2337) |
//! | interval, profile | another tracing program runs on the CPU (bpf_overflow_handler) | never |
//!
//! Before 6.2 and 5.12 those two skip nothing: a program may interrupt itself. That costs nothing where all it writes to is the row
//! and its own stack. But a group's state is read and written back without a lock, so that what came in between is lost; scratch
//! memory and the row that a thread holds are written over, and rows are made of two events. Nobody counts that.
//!
//! Versions are those of Linus's tree; a stable kernel that has such a change early is taken for one without.

use crate::report::Misses;
use bpfquery_catalog::{Hook, Identity};
use bpfquery_object::Manifest;
use bpfquery_plan::Source;
use libbpf_rs::{Link, MapCore, Object};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// What kprobes missed outside of programs. To be read before the links are dropped.
pub(crate) fn of_links(links: &[Link]) -> u64 {
    links.iter().filter_map(|link| kprobe_missed(link.as_fd())).sum()
}

/// What all programs missed, with what their links did.
pub(crate) fn all(object: &Object, manifest: &Manifest, identity: &Identity, of_links: u64) -> Misses {
    let groups = matches!(manifest.user.source, Source::Groups { .. });
    let keeps = groups || object.maps().any(|map| KEPT.iter().any(|name| map.name() == *name));
    let unknown = manifest.programs.iter().find_map(|program| uncounted(&program.hook, identity.version, keeps));
    match unknown {
        Some(what) => Misses::Unknown(format!("Linux {} has no counter for {what}", short(identity.version))),
        None => {
            let programs = object.progs();
            Misses::Known(of_links + programs.filter_map(|program| recursion_misses(program.as_fd())).sum::<u64>())
        }
    }
}

/// Maps whose values a program writes to bit by bit: scratch memory (codegen's lower/memory.rs) and held rows (lower/hold.rs).
const KEPT: [&str; 3] = ["scratch", "scratch_hold", "held"];

/// What is lost, or mixed up, uncounted; `keeps` says whether programs write to memory that outlives them, other than rows.
fn uncounted(hook: &Hook, version: (u16, u16, u16), keeps: bool) -> Option<&'static str> {
    let before = |major, minor| (version.0, version.1) < (major, minor);
    match hook {
        Hook::Tracepoint { .. } => before(6, 7).then_some("perf tracepoints"),
        Hook::Kprobe { .. } => before(6, 7).then_some("kprobes"),
        Hook::Kretprobe { .. } => before(6, 7).then_some("kretprobes"),
        Hook::Interval { .. } | Hook::Profile { .. } => Some("ticks of the perf clock"),
        Hook::RawTracepoint { .. } => (keeps && before(6, 2)).then_some("raw tracepoints that interrupt themselves"),
        Hook::Fentry { .. } | Hook::Fexit { .. } => {
            (keeps && before(5, 12)).then_some("functions that interrupt themselves")
        }
        Hook::Once | Hook::Listing(_) => None,
    }
}

fn short(version: (u16, u16, u16)) -> String {
    format!("{}.{}", version.0, version.1)
}

/// `recursion_misses` of a program; 0 before 5.12.
fn recursion_misses(program: BorrowedFd<'_>) -> Option<u64> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut size = size_of_val(&info) as u32;
    // SAFETY: the structure is as large as is said; the kernel writes no more.
    let ret = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut size) };
    (ret == 0).then_some(info.recursion_misses)
}

/// `missed` of a link to a kprobe or kretprobe.
fn kprobe_missed(link: BorrowedFd<'_>) -> Option<u64> {
    let mut info = libbpf_sys::bpf_link_info::default();
    let mut size = size_of_val(&info) as u32;
    // SAFETY: as above. Before 5.15 the descriptor is a perf event's, and the kernel refuses it.
    let ret = unsafe { libbpf_sys::bpf_link_get_info_by_fd(link.as_raw_fd(), &raw mut info, &raw mut size) };
    if ret != 0 || info.type_ != libbpf_sys::BPF_LINK_TYPE_PERF_EVENT {
        return None;
    }
    // SAFETY: every bit pattern is a number; `type_` says which member of the union the kernel filled.
    unsafe {
        let event = info.__bindgen_anon_1.perf_event;
        matches!(event.type_, libbpf_sys::BPF_PERF_EVENT_KPROBE | libbpf_sys::BPF_PERF_EVENT_KRETPROBE)
            .then_some(event.__bindgen_anon_1.kprobe.missed)
    }
}

#[cfg(test)]
mod tests {
    use super::uncounted;
    use bpfquery_catalog::Hook;

    #[test]
    fn what_each_kernel_counts() {
        let event = || "x".to_string();
        let tracepoint = Hook::Tracepoint { category: event(), event: event() };
        let raw = Hook::RawTracepoint { event: event() };
        let kretprobe = Hook::Kretprobe { function: event(), module: None };
        let fexit = Hook::Fexit { function: event(), module: None };
        let check = |hook: &Hook, version: (u16, u16), keeps, counted: bool| {
            let found = uncounted(hook, (version.0, version.1, 0), keeps).is_none();
            assert_eq!(found, counted, "{hook} {version:?} {keeps}");
        };
        check(&tracepoint, (6, 6), false, false);
        check(&tracepoint, (6, 7), true, true);
        check(&kretprobe, (5, 10), false, false);
        check(&kretprobe, (7, 2), false, true);
        check(&raw, (5, 10), false, true);
        check(&raw, (6, 1), true, false);
        check(&raw, (6, 2), true, true);
        check(&fexit, (5, 10), false, true);
        check(&fexit, (5, 10), true, false);
        check(&fexit, (5, 12), true, true);
        check(&Hook::Profile { hz: 99 }, (7, 2), false, false);
        check(&Hook::Once, (5, 10), true, true);
    }
}
