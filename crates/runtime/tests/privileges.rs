//! What a lack of privileges, or of a feature, reads like; and what doctor says of both.

#![allow(unsafe_code, reason = "capabilities have no safe interface")]

mod common;

use bpfquery_diag::render;
use bpfquery_host::Live;
use bpfquery_runtime::{Capability, Finding, Options, Session, State, missing_capabilities, probe_features};
use common::compile;

/// Runs something on a thread of its own that keeps only these capabilities, as bits.
fn with_capabilities<T: Send + 'static>(kept: u64, run: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        // struct __user_cap_header_struct and two of struct __user_cap_data_struct, include/uapi/linux/capability.h.
        let header = [0x2008_0522u32, 0];
        let (low, high) = (kept as u32, (kept >> 32) as u32);
        let sets = [[low, low, 0], [high, high, 0]];
        // SAFETY: version 3 takes a header and two sets (man 2 capset).
        let ret = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
        assert_eq!(ret, 0, "this test needs root");
        run()
    });
    thread.join().unwrap()
}

const BPF: u64 = 1 << 39;
const PERFMON: u64 = 1 << 38;

fn refusal(kept: u64, sql: &'static str) -> String {
    let object = compile(sql);
    with_capabilities(kept, move || match Session::open(&object, &Live::new(), &Options::default()) {
        Ok(_) => "it runs".to_string(),
        Err(failure) => format!("{} {}", failure.exit_code(), render(&failure, sql)),
    })
}

#[test]
fn a_refusal_names_the_missing_capability() {
    let sql = "select cpu from rawtracepoint.sys_enter where pid = 0";
    let check = |kept, part: &str| {
        let found = refusal(kept, sql);
        assert!(found.starts_with(part), "{found}");
    };
    check(0, "3 unsupported: running without CAP_BPF and CAP_PERFMON\n");
    check(PERFMON, "3 unsupported: running without CAP_BPF\n");
    check(BPF, "3 unsupported: running without CAP_PERFMON\n");
    check(BPF | PERFMON, "it runs");
    assert!(refusal(0, sql).contains("help: run as root"), "{}", refusal(0, sql));
}

#[test]
fn the_least_privileges_are_enough_for_each_kind_of_hook() {
    for sql in [
        "select count(*) from rawtracepoint.sys_enter where pid = 0",
        "select cpu, count(*) from rawtracepoint.sys_enter where pid = 0 group by cpu",
        "select cpu from interval('1 second')",
        "select cpu from profile(9)",
        "select 1",
    ] {
        assert_eq!(refusal(BPF | PERFMON, sql), "it runs", "{sql}");
    }
}

#[test]
fn what_is_missing_is_known() {
    assert_eq!(with_capabilities(0, missing_capabilities), Capability::ALL);
    assert_eq!(with_capabilities(BPF, missing_capabilities), [Capability::Perfmon]);
    assert_eq!(with_capabilities(1 << 21, missing_capabilities), []);
}

fn state(findings: &[Finding], what: &str) -> State {
    findings.iter().find(|finding| finding.what == what).unwrap_or_else(|| panic!("{what}: {findings:#?}")).state
}

#[test]
fn doctor_agrees_with_what_runs() {
    let findings = probe_features();
    for (what, sql) in [
        ("tracepoints", "select count(*) from tracepoint.syscalls.sys_enter_dup where pid = 0"),
        ("raw tracepoints", "select cpu from rawtracepoint.sys_enter where pid = 0"),
        ("perf software clock", "select cpu from interval('1 second')"),
        ("test runs", "select 1"),
        ("BTF trampolines", "select cpu from fentry.do_nanosleep where pid = 0"),
    ] {
        let object = compile(sql);
        let opened = Session::open(&object, &Live::new(), &Options::default());
        let works = state(&findings, what) == State::Works;
        let said = opened.as_ref().err().map(|failure| render(failure, sql));
        assert_eq!(works, opened.is_ok(), "{what}: {said:?} {findings:#?}");
        if let Some(said) = said {
            assert!(said.starts_with("unsupported: ") && said.contains("\nhelp: "), "{said}");
        }
    }
    for finding in &findings {
        let works = finding.state == State::Works;
        assert_eq!(works, finding.help.is_empty(), "{finding:?}");
        assert!(works || !finding.detail.is_empty(), "{finding:?}");
    }
}

#[test]
fn doctor_without_privileges_says_how_to_get_them() {
    let findings = with_capabilities(0, probe_features);
    assert_eq!(state(&findings, "capabilities"), State::Missing);
    assert_eq!(state(&findings, "ring buffer"), State::Missing);
    let help = |what: &str| findings.iter().find(|finding| finding.what == what).map(|f| f.help.clone());
    assert_eq!(
        help("capabilities").as_deref(),
        Some("run as root, or: setcap cap_bpf,cap_perfmon+ep /path/to/bpfquery")
    );
    assert_eq!(help("ring buffer").as_deref(), Some("first get the capabilities: run as root"));
}

#[test]
fn doctor_knows_a_directory_that_it_may_not_enter() {
    const SETUID: u64 = 1 << 7;
    let findings = with_capabilities(SETUID, || {
        // SAFETY: takes a number, and is of this thread alone (man 2 setfsuid); with it go the rights to pass over modes.
        unsafe { libc::setfsuid(65534) };
        probe_features()
    });
    let tracefs = findings.iter().find(|finding| finding.what == "tracefs").unwrap();
    assert!(tracefs.detail.contains("ermission denied"), "{tracefs:?}");
}
