//! Programs to their hooks.
//!
//! What must hold: all or nothing. A link that is dropped detaches, so an error halfway leaves nothing attached.

use crate::refusal::attach_failure;
use crate::{cpu, messages};
use bpfquery_catalog::{Hook, Kernel, event_id};
use bpfquery_diag::{Failure, Result};
use bpfquery_object::Manifest;
use libbpf_rs::{AsRawLibbpf, Link, Object, ProgramInput, ProgramMut};
use libbpf_sys::{
    PERF_COUNT_SW_CPU_CLOCK, PERF_TYPE_SOFTWARE, PERF_TYPE_TRACEPOINT, bpf_perf_event_opts, perf_event_attr,
};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

/// Attaches every program of the object.
pub(crate) fn attach(object: &Object, manifest: &Manifest, kernel: &dyn Kernel) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    for program in &manifest.programs {
        let loaded = find(object, &program.name)?;
        messages::take();
        let result = match &program.hook {
            Hook::Interval { period_ns } => every_period(&loaded, *period_ns, &mut links),
            Hook::Profile { hz } => on_every_cpu(&loaded, *hz, &mut links),
            Hook::Once | Hook::Listing(_) => Ok(()),
            Hook::Tracepoint { category, event } => {
                let id = kernel.format(category, event)?.as_deref().and_then(event_id);
                at_tracepoint(&loaded, id, &mut links)
            }
            // By the section's name, which is the hook's: the same way as bpftool.
            Hook::RawTracepoint { .. }
            | Hook::Kprobe { .. }
            | Hook::Kretprobe { .. }
            | Hook::Fentry { .. }
            | Hook::Fexit { .. } => by_section(&loaded, &mut links),
        };
        result.map_err(|errno| attach_failure(errno as i32, &messages::take(), &program.hook, kernel))?;
    }
    Ok(links)
}

/// The program of this name.
pub(crate) fn find<'a>(object: &'a Object, name: &str) -> Result<ProgramMut<'a>> {
    let found = object.progs_mut().find(|program| program.name() == name);
    found.ok_or_else(|| Failure::bug("runtime", format!("the loaded object lost its program {name}")))
}

/// Runs a program without events of its own once.
pub(crate) fn run_once(object: &Object, name: &str) -> Result<()> {
    // A raw tracepoint's context is the array of its arguments, at most 12 (MAX_BPF_FUNC_ARGS, include/linux/bpf.h); the
    // program reads none.
    let mut context = [0; 64];
    let input = ProgramInput { context_in: Some(&mut context), ..ProgramInput::default() };
    let ran = find(object, name)?.test_run(input);
    ran.map(|_| ()).map_err(|error| Failure::io("run the program once (BPF_PROG_TEST_RUN)", error))
}

/// Opens the software clock on a CPU and closes it again.
pub(crate) fn try_clock() -> nix::Result<()> {
    let mut attr = clock_event();
    attr.__bindgen_anon_1.sample_period = 1_000_000_000;
    open_event(&attr, first_cpu()).map(|_| ())
}

fn by_section(program: &ProgramMut<'_>, links: &mut Vec<Link>) -> nix::Result<()> {
    // SAFETY: the program belongs to a loaded object, which is alive.
    let link = unsafe { libbpf_sys::bpf_program__attach(program.as_libbpf_object().as_ptr()) };
    links.push(owned(link)?);
    Ok(())
}

/// The event belongs to one CPU, and is never switched on: programs run on all CPUs all the same (perf_trace_run_bpf_submit and
/// perf_syscall_enter, kernel/trace, Linux 5.10 to 6.18), and the one CPU need not count what nobody reads. libbpf switches it on.
fn at_tracepoint(program: &ProgramMut<'_>, id: Option<u64>, links: &mut Vec<Link>) -> nix::Result<()> {
    let mut attr =
        perf_event_attr { type_: PERF_TYPE_TRACEPOINT, config: id.ok_or(Errno::ENOENT)?, ..Default::default() };
    attr.size = SIZE_OF_ATTR;
    attr.set_disabled(1);
    links.push(attach_event(program, open_event(&attr, first_cpu())?, Switch::Off)?);
    Ok(())
}

/// A timer on the first CPU, so that there is one tick a period.
fn every_period(program: &ProgramMut<'_>, period_ns: u64, links: &mut Vec<Link>) -> nix::Result<()> {
    let mut attr = clock_event();
    attr.__bindgen_anon_1.sample_period = period_ns;
    links.push(attach_event(program, open_event(&attr, first_cpu())?, Switch::On)?);
    Ok(())
}

/// A sampling timer on each CPU.
fn on_every_cpu(program: &ProgramMut<'_>, hz: u64, links: &mut Vec<Link>) -> nix::Result<()> {
    let mut attr = clock_event();
    attr.set_freq(1);
    attr.__bindgen_anon_1.sample_freq = hz;
    for cpu in cpu::online()? {
        links.push(attach_event(program, open_event(&attr, cpu)?, Switch::On)?);
    }
    Ok(())
}

/// The software clock of perf, off until a program is attached.
fn clock_event() -> perf_event_attr {
    let mut attr =
        perf_event_attr { type_: PERF_TYPE_SOFTWARE, config: PERF_COUNT_SW_CPU_CLOCK.into(), ..Default::default() };
    attr.size = SIZE_OF_ATTR;
    attr.set_disabled(1);
    attr
}

/// The structure is far smaller than 4 GiB.
const SIZE_OF_ATTR: u32 = size_of::<perf_event_attr>() as u32;

fn first_cpu() -> i32 {
    cpu::online().ok().and_then(|cpus| cpus.first().copied()).unwrap_or(0)
}

fn open_event(attr: &perf_event_attr, cpu: i32) -> nix::Result<OwnedFd> {
    const ANY_PROCESS: libc::c_int = -1;
    const NO_GROUP: libc::c_int = -1;
    /// PERF_FLAG_FD_CLOEXEC, include/uapi/linux/perf_event.h.
    const CLOEXEC: libc::c_ulong = 1 << 3;
    // SAFETY: the attribute is valid for the call, and says its own size.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, attr, ANY_PROCESS, cpu, NO_GROUP, CLOEXEC) };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel just made this descriptor, which is an int, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Whether an event goes on by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Switch {
    On,
    Off,
}

/// Attaches to an event. The link owns the event.
fn attach_event(program: &ProgramMut<'_>, event: OwnedFd, switch: Switch) -> nix::Result<Link> {
    let options = bpf_perf_event_opts {
        sz: size_of::<bpf_perf_event_opts>() as libbpf_sys::size_t,
        dont_enable: switch == Switch::Off,
        ..Default::default()
    };
    let (program, fd) = (program.as_libbpf_object().as_ptr(), event.as_raw_fd());
    // SAFETY: the program belongs to a loaded object, which is alive; the options say their own size, and live through the call.
    let link = unsafe { libbpf_sys::bpf_program__attach_perf_event_opts(program, fd, &raw const options) };
    let link = owned(link)?;
    // On success alone does libbpf take the descriptor (bpf_program__attach_perf_event_opts, libbpf 1.7).
    let _given = event.into_raw_fd();
    Ok(link)
}

fn owned(link: *mut libbpf_sys::bpf_link) -> nix::Result<Link> {
    match std::ptr::NonNull::new(link) {
        // SAFETY: libbpf made it and gives it away.
        Some(link) => Ok(unsafe { Link::from_ptr(link) }),
        None => Err(Errno::last()),
    }
}
