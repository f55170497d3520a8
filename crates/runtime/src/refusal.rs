//! What the kernel's refusals mean.

use crate::capability::{Capability, missing_capabilities};
use crate::verifier;
use bpfquery_catalog::{Feature, Hook, Kernel, obstacle};
use bpfquery_diag::{Failure, Unsupported};
use bpfquery_object::Manifest;
use nix::errno::Errno;

/// Why loading failed: `errno` as libbpf returned it, `said` what it printed meanwhile.
pub(crate) fn load_failure(errno: i32, said: &[String], manifest: &Manifest, kernel: &dyn Kernel) -> Failure {
    if let Some(failure) = out_of_resources("load the program", errno) {
        return failure;
    }
    let missing = missing_capabilities();
    if denied(errno) && !missing.is_empty() {
        return lacks(&missing, said).into();
    }
    let log = verifier::log_of(said);
    if let Some(refusal) = known_lack(said, log.as_deref(), manifest, kernel) {
        return refusal.into();
    }
    match log {
        Some(log) if !log.is_empty() => Failure::bug("verifier", verifier::explain(&log, manifest)),
        _ => unexplained(errno, said, manifest, kernel),
    }
}

/// Why attaching failed.
pub(crate) fn attach_failure(errno: i32, said: &[String], hook: &Hook, kernel: &dyn Kernel) -> Failure {
    if let Some(failure) = out_of_resources(&format!("attach to {hook}"), errno) {
        return failure;
    }
    let missing = missing_capabilities();
    if denied(errno) && !missing.is_empty() {
        return lacks(&missing, said).into();
    }
    let release = &kernel.identity().release;
    let refusal = Unsupported::new(format!("attaching to {hook} on {release}"));
    let refusal = said.iter().fold(refusal, |refusal, said| refusal.detail(tidy(said)));
    let refusal = match said.is_empty() {
        true => refusal.detail(Errno::from_raw(errno).desc()),
        false => refusal,
    };
    match (hook, Errno::from_raw(errno)) {
        // Debian's kernels know a level that asks for CAP_SYS_ADMIN, whatever else there is.
        (_, Errno::EACCES | Errno::EPERM) if by_perf_event(hook) && perf_event_paranoid() > 2 => refusal
            .help("run as root, or allow perf events to those with CAP_PERFMON: sysctl kernel.perf_event_paranoid=2"),
        (Hook::Tracepoint { event, .. }, Errno::EACCES) => refusal
            .help("run as root, or with CAP_DAC_READ_SEARCH: tracefs belongs to root")
            .help(format!("or use rawtracepoint.{event}, which does not need tracefs")),
        (Hook::Tracepoint { .. }, Errno::ENOENT) => {
            refusal.help("mount -t tracefs tracefs /sys/kernel/tracing, if it is not mounted")
        }
        (Hook::Kprobe { function, .. } | Hook::Kretprobe { function, .. }, Errno::ENOENT | Errno::EINVAL) => {
            // What the kernel does not tell stays untold.
            let known = kernel.traceable(function) == Ok(Some(false)) || kernel.refuses_kprobe(function) == Ok(true);
            let why = if known { obstacle(kernel, function).ok() } else { None };
            why.into_iter()
                .fold(refusal, Unsupported::detail)
                .help(format!("the kernel has no function {function} that can be probed; see `bpfquery list`"))
        }
        (Hook::Profile { .. }, Errno::EINVAL) => {
            refusal.help("the most samples a second are in /proc/sys/kernel/perf_event_max_sample_rate")
        }
        _ => refusal,
    }
    .into()
}

/// What this process has run out of: the kernel could, at another time.
fn out_of_resources(doing: &str, errno: i32) -> Option<Failure> {
    let errno = Errno::from_raw(errno);
    matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM).then(|| Failure::io(doing, errno.desc()))
}

/// Whether the hook is opened by perf_event_open.
fn by_perf_event(hook: &Hook) -> bool {
    match hook {
        Hook::Tracepoint { .. }
        | Hook::Kprobe { .. }
        | Hook::Kretprobe { .. }
        | Hook::Interval { .. }
        | Hook::Profile { .. } => true,
        Hook::RawTracepoint { .. } | Hook::Fentry { .. } | Hook::Fexit { .. } | Hook::Once | Hook::Listing(_) => false,
    }
}

fn perf_event_paranoid() -> i32 {
    let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    level.trim().parse().unwrap_or(0)
}

fn denied(errno: i32) -> bool {
    matches!(Errno::from_raw(errno), Errno::EPERM | Errno::EACCES)
}

fn lacks(missing: &[Capability], said: &[String]) -> Unsupported {
    let names: Vec<&str> = missing.iter().map(|capability| capability.name()).collect();
    let refusal = Unsupported::new(format!("running without {}", names.join(" and ")));
    let refusal = match said.last() {
        Some(said) => refusal.detail(tidy(said)),
        None => refusal,
    };
    refusal.help("run as root, or with CAP_BPF and CAP_PERFMON in the initial user namespace")
}

/// What the kernel is known to lack, from what libbpf and the verifier say of it.
fn known_lack(said: &[String], log: Option<&str>, manifest: &Manifest, kernel: &dyn Kernel) -> Option<Unsupported> {
    let release = &kernel.identity().release;
    let line = |part: &str| {
        let lines = said.iter().map(String::as_str).chain(log).flat_map(str::lines);
        lines.into_iter().find(|line| line.contains(part)).map(tidy)
    };
    if let Some(detail) = line("failed to resolve CO-RE relocation").or_else(|| line("invalid CO-RE relocation")) {
        let refusal = Unsupported::new(format!("a type that the query reads, on {release}"));
        return Some(refusal.detail(detail).help("compile the query on this machine to see which column it is"));
    }
    if let Some(detail) = line("unknown func ").or_else(|| line("program of this type cannot use helper")) {
        return Some(Unsupported::new(format!("a BPF helper that the query needs, on {release}")).detail(detail));
    }
    if let Some(detail) = line("failed to find kernel BTF type ID of") {
        return Some(Unsupported::new(format!("{} on {release}", hooks(manifest))).detail(detail));
    }
    if let Some(detail) = line("Error in bpf_create_map_xattr").or_else(|| line("failed to create:")) {
        return Some(no_map(detail, kernel));
    }
    let trampoline = |hook: &Hook| matches!(hook, Hook::Fentry { .. } | Hook::Fexit { .. });
    if manifest.programs.iter().any(|program| trampoline(&program.hook))
        && !log.is_some_and(verifier::is_about_instructions)
    {
        return Some(no_trampolines(said, kernel, manifest));
    }
    None
}

fn no_map(detail: String, kernel: &dyn Kernel) -> Unsupported {
    let identity = kernel.identity();
    if !identity.features.contains(&Feature::RingBuffer) {
        return Unsupported::new(Feature::RingBuffer.title()).since("5.8").detail(detail);
    }
    let refusal = Unsupported::new(format!("a map of this size on {}", identity.release)).detail(detail);
    match identity.version < (5, 11, 0) {
        // Before 5.11 maps are charged to RLIMIT_MEMLOCK, which libbpf raises if it may (bump_rlimit_memlock, libbpf 1.7).
        true => refusal.help("raise the limit of locked memory: ulimit -l unlimited"),
        false => refusal.help("raise the memory limit of the cgroup, which maps are charged to"),
    }
}

fn no_trampolines(said: &[String], kernel: &dyn Kernel, manifest: &Manifest) -> Unsupported {
    let identity = kernel.identity();
    let refusal = Unsupported::new(Feature::Trampoline.title());
    // A newer kernel may still be built without them, and then its age is not why.
    let refusal = if identity.version < (5, 5, 0) { refusal.since("5.5") } else { refusal };
    let refusal = refusal.detail(format!("kernel {} cannot attach {}", identity.release, hooks(manifest)));
    let refusal = match said.first() {
        Some(first) => refusal.detail(tidy(first)),
        None => refusal,
    };
    if identity.features.contains(&Feature::Kprobe) {
        refusal.help("use kprobe.FUNCTION or kretprobe.FUNCTION")
    } else {
        refusal.help("look for a tracepoint with `bpfquery list 'tracepoint.*'`")
    }
}

fn unexplained(errno: i32, said: &[String], manifest: &Manifest, kernel: &dyn Kernel) -> Failure {
    let errno = Errno::from_raw(errno);
    let refusal = Unsupported::new(format!("loading {} on {}", hooks(manifest), kernel.identity().release));
    let refusal = refusal.detail(errno.desc());
    said.iter().fold(refusal, |refusal, said| refusal.detail(tidy(said))).into()
}

fn hooks(manifest: &Manifest) -> String {
    let names: Vec<String> = manifest.programs.iter().map(|program| program.hook.to_string()).collect();
    names.join(", ")
}

/// A message of libbpf as a detail: its first line, without its prefix.
fn tidy(said: &str) -> String {
    let line = said.trim().lines().next().unwrap_or("");
    line.strip_prefix("libbpf: ").unwrap_or(line).to_string()
}
