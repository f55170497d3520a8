//! Signals that end a query in good order.
//!
//! What must hold: the first one ends the query; from then on the defaults hold, so a second one kills, even while the
//! reader of our output does not read. Handlers belong to the process, so one query at a time takes signals.

use crate::stop::Ended;
use bpfquery_diag::{Failure, Result};
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The number of the signal that came, negative if the terminal sent it; 0 before.
static CAME: AtomicI32 = AtomicI32::new(0);
/// What is written to when one came, so that a poll wakes up. Never closed: a handler may run at any time.
static WAKE: OnceLock<EventFd> = OnceLock::new();

/// Takes signals until it is dropped.
pub(crate) struct Signals {
    before: Vec<(Signal, SigAction)>,
}

impl Signals {
    pub(crate) fn take() -> Result<Signals> {
        let fail = |errno: Errno| Failure::io("take over signals", errno);
        if WAKE.get().is_none() {
            let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC).map_err(fail)?;
            WAKE.get_or_init(|| wake);
        }
        CAME.store(0, Ordering::SeqCst);
        // All of them are held back while the handler runs, so that none comes before the defaults are back.
        let mask: SigSet = ENDING.into_iter().collect();
        let ours = SigAction::new(SigHandler::SigAction(came), SaFlags::SA_RESTART, mask);
        let mut signals = Signals { before: Vec::new() };
        for signal in ENDING {
            // SAFETY: the handler calls only what a handler may.
            let before = unsafe { sigaction(signal, &ours) }.map_err(fail)?;
            signals.before.push((signal, before));
            if signal == Signal::SIGHUP && matches!(before.handler(), SigHandler::SigIgn) {
                // nohup: it is meant to go on without its terminal.
                // SAFETY: this is what was there before.
                unsafe { sigaction(signal, &before) }.map_err(fail)?;
            }
        }
        Ok(signals)
    }

    /// Readable when a signal came.
    pub(crate) fn event(&self) -> Option<BorrowedFd<'_>> {
        WAKE.get().map(AsFd::as_fd)
    }

    /// The signal that came.
    pub(crate) fn came(&self) -> Option<Ended> {
        let came = CAME.load(Ordering::SeqCst);
        (came != 0).then_some(Ended::Signal { number: came.abs(), by_terminal: came < 0 })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            // SAFETY: this is what was there before we came. It cannot fail, the signal being a valid one.
            let _ = unsafe { sigaction(*signal, before) };
        }
        if let Some(wake) = WAKE.get() {
            // Emptied for the next query; it is not readable if none came.
            let _ = wake.read();
        }
    }
}

extern "C" fn came(number: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid siginfo (SA_SIGINFO). signal and write are async-signal-safe (man 7 signal-safety),
    // and errno is put back.
    unsafe {
        let errno = Errno::last_raw();
        // What the terminal sends comes from the kernel (SI_KERNEL), what `kill` sends from a process (SI_USER, 0).
        let by_terminal = (*info).si_code > 0;
        CAME.store(if by_terminal { -number } else { number }, Ordering::SeqCst);
        for signal in ENDING {
            libc::signal(signal as libc::c_int, libc::SIG_DFL);
        }
        if let Some(wake) = WAKE.get() {
            let one = 1u64;
            libc::write(wake.as_raw_fd(), (&raw const one).cast(), 8);
        }
        Errno::set_raw(errno);
    }
}
