//! What this kernel and these privileges allow, found out by trying.
//!
//! Programs that do nothing are loaded; none is attached to anything that happens.

use crate::capability::missing_capabilities;
use crate::messages;
use libbpf_sys::{bpf_insn, bpf_prog_load_opts};
use nix::errno::Errno;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Whether something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Works,
    /// It does not.
    Missing,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was tried: `ring buffer`.
    pub what: &'static str,
    /// What it is good for: `rows of a stream`.
    pub gives: &'static str,
    /// Whether it works.
    pub state: State,
    /// What the kernel said, or what was found; may be empty.
    pub detail: String,
    /// How to get it; empty where it works.
    pub help: String,
}

/// Tries everything that queries need on the running kernel.
pub fn probe_features() -> Vec<Finding> {
    messages::listen(false);
    let findings = vec![
        capabilities(),
        tracefs(),
        btf(),
        memlock(),
        finding("ring buffer", "rows of a stream", ring_buffer(), "use Linux 5.8 or newer"),
        finding("per-CPU hash maps", "GROUP BY", groups_map(), "use Linux 4.6 or newer with CONFIG_BPF_SYSCALL=y"),
        finding("tracepoints", "tracepoint.*", program(libbpf_sys::BPF_PROG_TYPE_TRACEPOINT), PERF_EVENTS),
        finding("raw tracepoints", "rawtracepoint.*", program(libbpf_sys::BPF_PROG_TYPE_RAW_TRACEPOINT), PERF_EVENTS),
        finding("kprobes", "kprobe.*, kretprobe.*", kprobe(), "use a kernel built with CONFIG_KPROBE_EVENTS=y"),
        finding("BTF trampolines", "fentry.*, fexit.*", trampoline(), TRAMPOLINES),
        finding("perf software clock", "interval(…), profile(…)", perf_clock(), PERF_EVENTS),
        finding("test runs", "SELECT without FROM", test_run(), "use Linux 5.10 or newer"),
    ];
    messages::take();
    findings
}

const PERF_EVENTS: &str = "use a kernel built with CONFIG_BPF_EVENTS=y and CONFIG_PERF_EVENTS=y";
const TRAMPOLINES: &str =
    "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, CONFIG_FTRACE=y and CONFIG_FUNCTION_TRACER=y";

type Tried = Result<String, String>;

fn finding(what: &'static str, gives: &'static str, tried: Tried, help: &str) -> Finding {
    let missing = missing_capabilities();
    match tried {
        Ok(detail) => Finding { what, gives, state: State::Works, detail, help: String::new() },
        Err(detail) if !missing.is_empty() => {
            let help = "first get the capabilities: run as root".to_string();
            Finding { what, gives, state: State::Missing, detail, help }
        }
        Err(detail) => Finding { what, gives, state: State::Missing, detail, help: help.to_string() },
    }
}

fn capabilities() -> Finding {
    let missing: Vec<&str> = missing_capabilities().iter().map(|capability| capability.name()).collect();
    let (state, detail, help) = match missing.is_empty() {
        true => (State::Works, "CAP_BPF and CAP_PERFMON".to_string(), String::new()),
        false => (
            State::Missing,
            format!("{} missing", missing.join(" and ")),
            "run as root, or: setcap cap_bpf,cap_perfmon+ep /path/to/bpfquery".to_string(),
        ),
    };
    Finding { what: "capabilities", gives: "loading and attaching", state, detail, help }
}

fn tracefs() -> Finding {
    let places = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
    // A directory that may not be entered is there, and hides what is in it.
    let missing = |place: &str| {
        let found = Path::new(place).join("events").metadata();
        matches!(found, Err(error) if error.kind() != ErrorKind::PermissionDenied)
    };
    let readable = |place: &str| std::fs::read_dir(format!("{place}/events")).map(|_| place.to_string());
    let (tried, help) = match places.into_iter().find(|place| !missing(place)).map(readable) {
        Some(Ok(place)) => (Ok(place), ""),
        Some(Err(error)) => (Err(error.to_string()), "run as root, or use rawtracepoint.*, kprobe.* or fentry.*"),
        None => (Err("it is not mounted".to_string()), "mount -t tracefs tracefs /sys/kernel/tracing"),
    };
    finding("tracefs", "formats of tracepoints", tried, help)
}

fn btf() -> Finding {
    let path = "/sys/kernel/btf/vmlinux";
    let tried = std::fs::metadata(path).map(|_| path.to_string()).map_err(|error| format!("{path}: {error}"));
    finding(
        "BTF of the kernel",
        "columns by type",
        tried,
        "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as most are",
    )
}

/// Before 5.11 maps are charged to RLIMIT_MEMLOCK.
fn memlock() -> Finding {
    use nix::sys::resource::{Resource, getrlimit};
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let hard = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(_, hard)| hard);
    let raisable = nix::unistd::geteuid().is_root();
    let tried = if version >= (5, 11) {
        Ok("memory is charged to the cgroup".to_string())
    } else if hard >= 64 << 20 || raisable {
        Ok(format!("{hard} bytes may be locked"))
    } else {
        Err(format!("{hard} bytes may be locked"))
    };
    finding("memory for maps", "ring buffer and groups", tried, "ulimit -l unlimited")
}

fn ring_buffer() -> Tried {
    map(libbpf_sys::BPF_MAP_TYPE_RINGBUF, 0, 0, 4096)
}

fn groups_map() -> Tried {
    map(libbpf_sys::BPF_MAP_TYPE_PERCPU_HASH, 8, 8, 1)
}

fn map(kind: libbpf_sys::bpf_map_type, key: u32, value: u32, entries: u32) -> Tried {
    // SAFETY: the name is a C string, and no options is an allowed choice.
    let fd = unsafe { libbpf_sys::bpf_map_create(kind, c"bpfquery".as_ptr(), key, value, entries, std::ptr::null()) };
    owned(fd).map(|_| String::new())
}

fn program(kind: libbpf_sys::bpf_prog_type) -> Tried {
    load(kind, &mut bpf_prog_load_opts::default()).map(|_| String::new())
}

/// A program that returns 0.
fn load(kind: libbpf_sys::bpf_prog_type, opts: &mut bpf_prog_load_opts) -> Result<OwnedFd, String> {
    let insn = |code| bpf_insn { code, ..Default::default() };
    // BPF_ALU64 | BPF_MOV | BPF_K and BPF_JMP | BPF_EXIT.
    let code = [insn(0xb7), insn(0x95)];
    opts.sz = size_of::<bpf_prog_load_opts>() as libbpf_sys::size_t;
    let (name, license) = (c"bpfquery".as_ptr(), c"Dual MIT/GPL".as_ptr());
    // SAFETY: names are C strings, there are as many instructions as is said, and the options say their size.
    let fd = unsafe { libbpf_sys::bpf_prog_load(kind, name, license, code.as_ptr(), code.len() as u64, opts) };
    owned(fd)
}

fn kprobe() -> Tried {
    let path = "/sys/bus/event_source/devices/kprobe/type";
    std::fs::metadata(path).map_err(|_| "the kernel is built without them".to_string())?;
    program(libbpf_sys::BPF_PROG_TYPE_KPROBE)
}

/// Whether BTF trampolines can be attached on this kernel. A kernel of any version may be built without, which nothing but
/// trying tells; it takes some milliseconds, so it is asked only where another relation could be suggested.
pub fn trampolines_work() -> bool {
    messages::listen(false);
    let works = trampoline().is_ok();
    messages::take();
    works
}

/// Loads and attaches to a function that only the kernel's own tests call (net/bpf/test_run.c).
fn trampoline() -> Tried {
    let kind = libbpf_sys::BPF_TRACE_FENTRY;
    // SAFETY: the name is a C string.
    let id = unsafe { libbpf_sys::libbpf_find_vmlinux_btf_id(c"bpf_fentry_test1".as_ptr(), kind) };
    let id = u32::try_from(id).map_err(|_| "the kernel's BTF lacks the test function".to_string())?;
    let mut opts = bpf_prog_load_opts { expected_attach_type: kind, attach_btf_id: id, ..Default::default() };
    let program = load(libbpf_sys::BPF_PROG_TYPE_TRACING, &mut opts).map_err(|error| format!("loading: {error}"))?;
    // SAFETY: no name and a program's descriptor is how a trampoline is attached.
    let link = unsafe { libbpf_sys::bpf_raw_tracepoint_open(std::ptr::null(), program.as_raw_fd()) };
    owned(link).map(|_| String::new()).map_err(|error| format!("attaching: {error}"))
}

fn perf_clock() -> Tried {
    program(libbpf_sys::BPF_PROG_TYPE_PERF_EVENT)?;
    crate::attach::try_clock().map(|()| String::new()).map_err(|errno| errno.desc().to_string())
}

fn test_run() -> Tried {
    let program = load(libbpf_sys::BPF_PROG_TYPE_RAW_TRACEPOINT, &mut bpf_prog_load_opts::default())?;
    let context = [0u64; 8];
    let mut opts = libbpf_sys::bpf_test_run_opts {
        sz: size_of::<libbpf_sys::bpf_test_run_opts>() as libbpf_sys::size_t,
        ctx_in: context.as_ptr().cast(),
        ctx_size_in: 64,
        ..Default::default()
    };
    // SAFETY: the context is as long as is said, and the options say their size.
    let ret = unsafe { libbpf_sys::bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut opts) };
    if ret == 0 { Ok(String::new()) } else { Err(Errno::from_raw(-ret).desc().to_string()) }
}

/// A descriptor that libbpf returned, or what went wrong.
fn owned(fd: i32) -> Result<OwnedFd, String> {
    if fd < 0 {
        return Err(Errno::from_raw(-fd).desc().to_string());
    }
    // SAFETY: the kernel just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
