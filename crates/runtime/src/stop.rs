//! When a query ends, and waiting for that.

use crate::command::Command;
use crate::signals::Signals;
use bpfquery_diag::{Failure, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::time::{Duration, Instant};

/// What ends a query, besides its own LIMIT and its reader.
#[derive(Debug, Default)]
pub struct Stop {
    /// After this time, from the start of [`crate::Session::run`] on.
    pub after: Option<Duration>,
    /// When this child ends; it starts to run once everything is attached.
    pub command: Option<Command>,
    /// On SIGINT, SIGTERM and SIGHUP; a second one kills. For one query of a process at a time.
    pub signals: bool,
}

/// Why a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There is nothing more to come: no FROM.
    Complete,
    /// [`Stop::after`].
    After,
    /// A signal, by number. `by_terminal`: sent by the terminal, so to the child as well.
    Signal {
        /// SIGINT is 2.
        number: i32,
        /// Whether all of the terminal's foreground processes got it.
        by_terminal: bool,
    },
    /// The child ended with this exit code; 128 + N for one killed by signal N.
    Command(i32),
    /// LIMIT is reached.
    Limit,
    /// The reader wants no more: a closed pipe.
    Reader,
}

/// Waits for what ends a query.
pub(crate) struct Watch {
    deadline: Option<Instant>,
    command: Option<Command>,
    signals: Option<Signals>,
}

impl Watch {
    /// Takes over signals, but does not let the command go yet.
    pub(crate) fn new(stop: Stop) -> Result<Watch> {
        let signals = if stop.signals { Some(Signals::take()?) } else { None };
        // A duration beyond the clock's range is as good as none.
        let deadline = stop.after.and_then(|after| Instant::now().checked_add(after));
        Ok(Watch { deadline, command: stop.command, signals })
    }

    /// Whether letting the command go starts a process.
    pub(crate) fn starts_a_process(&self) -> bool {
        self.command.as_ref().is_some_and(|command| command.pid().is_none())
    }

    /// Lets the command go.
    pub(crate) fn go(&mut self) -> Result<()> {
        self.command.as_mut().map_or(Ok(()), Command::go)
    }

    /// Waits for at most `pause`; the reason if there is one to end.
    pub(crate) fn wait(&mut self, pause: Duration) -> Result<Option<Ended>> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.poll(left.map_or(pause, |left| left.min(pause)))?;
        if let Some(signal) = self.signals.as_ref().and_then(Signals::came) {
            return Ok(Some(signal));
        }
        if let Some(code) = self.command.as_mut().and_then(Command::ended) {
            return Ok(Some(Ended::Command(code)));
        }
        let over = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        Ok(over.then_some(Ended::After))
    }

    fn poll(&self, pause: Duration) -> Result<()> {
        let signals = self.signals.as_ref().and_then(Signals::event);
        let command = self.command.as_ref().and_then(Command::exit_event);
        let mut fds: Vec<PollFd<'_>> =
            signals.into_iter().chain(command).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // Rounded up: a wait of 0 for the last half millisecond would spin.
        let millis = pause.as_nanos().div_ceil(1_000_000);
        let timeout = PollTimeout::try_from(millis.min(60_000) as i32).unwrap_or(PollTimeout::ZERO);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Failure::io("wait for events", errno)),
        }
    }

    /// Ends the child unless it has the signal already; from here on signals do what they did before.
    pub(crate) fn finish(&mut self, ended: Ended) {
        let told = matches!(ended, Ended::Signal { by_terminal: true, .. });
        if let Some(command) = &mut self.command
            && !told
        {
            command.terminate();
        }
        self.signals = None;
    }
}
