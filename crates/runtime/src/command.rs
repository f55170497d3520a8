//! A command that starts once the query is attached, so that nothing of it is missed.
//!
//! std::process::Command waits until the child has started its program, so it cannot hold one back.

use bpfquery_diag::{Failure, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use std::ffi::{CString, OsStr};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// A child process that waits to be let go; dropped before, it ends without having run anything.
#[derive(Debug)]
pub struct Command {
    pid: Pid,
    name: String,
    /// Says "go" by one byte; closed, it says "end".
    gate: Option<OwnedFd>,
    /// Says the errno of a program that could not be started; closed by one that was.
    trouble: Option<OwnedFd>,
    /// Readable when the child has ended.
    exit: OwnedFd,
    code: Option<i32>,
}

impl Command {
    /// Forks a child that will run `words`, a program and its arguments.
    ///
    /// # Errors
    /// No words, a NUL in one, or no process to be had. That the program does not exist shows when it is let go.
    pub fn spawn<S: AsRef<OsStr>>(words: &[S]) -> Result<Command> {
        let name = words.first().map(|word| word.as_ref().to_string_lossy().into_owned()).unwrap_or_default();
        let fail = |error: String| Failure::io(format!("start the command \"{name}\""), error);
        let words: Vec<CString> = words
            .iter()
            .map(|word| CString::new(word.as_ref().as_bytes()))
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| fail(error.to_string()))?;
        if words.is_empty() {
            return Err(fail("it is empty".to_string()));
        }
        let system = |errno: Errno| fail(errno.desc().to_string());
        let pipe = || pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(system);
        let (wait_for, gate) = pipe()?;
        let (trouble, tell) = pipe()?;
        let pid = fork(&words, &wait_for, &tell, &gate).map_err(system)?;
        let exit = pidfd(pid).map_err(|errno| {
            let _ = kill(pid, Signal::SIGKILL);
            system(errno)
        })?;
        Ok(Command { pid, name, gate: Some(gate), trouble: Some(trouble), exit, code: None })
    }

    /// Its process id: the query's `:cpid`.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Lets it go.
    pub(crate) fn go(&mut self) -> Result<()> {
        let (Some(gate), Some(trouble)) = (self.gate.take(), self.trouble.take()) else {
            return Ok(());
        };
        let fail = |error: String| Failure::io(format!("start the command \"{}\"", self.name), error);
        std::fs::File::from(gate).write_all(b"g").map_err(|error| fail(error.to_string()))?;
        let mut errno = Vec::new();
        std::fs::File::from(trouble).read_to_end(&mut errno).map_err(|error| fail(error.to_string()))?;
        match <[u8; 4]>::try_from(errno) {
            Ok(errno) => Err(fail(Errno::from_raw(i32::from_ne_bytes(errno)).desc().to_string())),
            Err(_) => Ok(()),
        }
    }

    /// Readable when it has ended.
    pub(crate) fn exit_event(&self) -> Option<BorrowedFd<'_>> {
        self.code.is_none().then(|| self.exit.as_fd())
    }

    /// Its exit code if it has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        if self.code.is_none() {
            self.code = match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => Some(code),
                Ok(WaitStatus::Signaled(_, signal, _)) => Some(128 + signal as i32),
                Ok(_) | Err(Errno::EINTR) => None,
                // Somebody else has waited for it.
                Err(_) => Some(0),
            };
        }
        self.code
    }

    /// Asks it to end, if it has not.
    pub(crate) fn terminate(&mut self) {
        if self.ended().is_none() {
            let _ = kill(self.pid, Signal::SIGTERM);
        }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if self.gate.take().is_some() {
            // It has run nothing, and would end by itself, unless another child still holds a copy of the gate.
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        } else {
            self.ended();
        }
    }
}

fn pidfd(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: takes two integers (Linux 5.3).
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: the kernel just made this descriptor, which is an int, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn fork(words: &[CString], wait_for: &OwnedFd, tell: &OwnedFd, gate: &OwnedFd) -> nix::Result<Pid> {
    let mut arguments: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    arguments.push(std::ptr::null());
    // SAFETY: an empty set of signals is valid as zeros, and is initialised besides.
    let mut no_signals: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is ours.
    unsafe { libc::sigemptyset(&raw mut no_signals) };
    // SAFETY: between fork and exec the child calls only what POSIX lets a child of threads call, and allocates nothing.
    unsafe {
        let pid = Errno::result(libc::fork())?;
        if pid != 0 {
            return Ok(Pid::from_raw(pid));
        }
        // Our own copy of the gate would keep it open for ever.
        libc::close(gate.as_raw_fd());
        let mut byte = 0u8;
        loop {
            match libc::read(wait_for.as_raw_fd(), (&raw mut byte).cast(), 1) {
                1 => break,
                -1 if Errno::last() == Errno::EINTR => {}
                _ => libc::_exit(127),
            }
        }
        // As a shell starts it: no signal blocked, SIGPIPE not ignored (Rust ignores it).
        libc::sigprocmask(libc::SIG_SETMASK, &raw const no_signals, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::execvp(arguments[0], arguments.as_ptr());
        let errno = Errno::last_raw();
        libc::write(tell.as_raw_fd(), (&raw const errno).cast(), 4);
        libc::_exit(127)
    }
}

#[cfg(test)]
mod tests {
    use super::Command;
    use std::time::{Duration, Instant};

    fn code(words: &[&str]) -> i32 {
        let mut command = Command::spawn(words).unwrap();
        command.go().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(code) = command.ended() {
                return code;
            }
            assert!(Instant::now() < deadline, "{words:?} does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn exit_codes() {
        assert_eq!(code(&["true"]), 0);
        assert_eq!(code(&["sh", "-c", "exit 7"]), 7);
        assert_eq!(code(&["sh", "-c", "kill -TERM $$"]), 128 + 15);
    }

    #[test]
    fn nothing_runs_before_it_is_let_go() {
        let file = std::env::temp_dir().join(format!("bpfquery-gate-{}", std::process::id()));
        let path = file.to_str().unwrap();
        drop(Command::spawn(&["touch", path]).unwrap());
        assert!(!file.exists());
        assert_eq!(code(&["touch", path]), 0);
        assert!(file.exists());
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn what_cannot_be_started() {
        let message = |words: &[&str]| match Command::spawn(words).and_then(|mut command| command.go()) {
            Ok(()) => "it ran".to_string(),
            Err(failure) => bpfquery_diag::render(&failure, ""),
        };
        assert_eq!(
            message(&["/nonexistent/program"]),
            "error: cannot start the command \"/nonexistent/program\": No such file or directory\n"
        );
        assert!(message(&[]).contains("it is empty"));
        assert!(message(&["a\0b"]).contains("nul byte"));
    }
}
