//! A command that starts once the query is attached, so that nothing of it is missed.
//!
//! std::process::Command waits until the child has started its program, so it cannot hold one back: that takes a fork, which
//! copies the page tables and then, one after the other, the pages that either side writes to. Where nobody asks for the process
//! id before, there is no child to hold back, and starting one later shares all memory until it runs its program (posix_spawn).

use bpfquery_diag::{Failure, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use std::ffi::{CString, OsStr};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// A command that waits to be let go; dropped before, it ends without having run anything.
#[derive(Debug)]
pub struct Command {
    name: String,
    /// The program and its arguments.
    words: Vec<CString>,
    /// What waits, or runs.
    child: Option<Child>,
    code: Option<i32>,
}

#[derive(Debug)]
struct Child {
    pid: Pid,
    gate: Option<Gate>,
    /// Readable when the child has ended.
    exit: OwnedFd,
}

/// What a child waits at.
#[derive(Debug)]
struct Gate {
    /// Says "go" by one byte; closed, it says "end".
    go: OwnedFd,
    /// Says the errno of a program that could not be started; closed by one that was.
    trouble: OwnedFd,
}

impl Command {
    /// A child that will run `words`, a program and its arguments, once it is let go; it has its process id now.
    ///
    /// # Errors
    /// No words, a NUL in one, or no process to be had. That the program does not exist shows when it is let go.
    pub fn spawn<S: AsRef<OsStr>>(words: &[S]) -> Result<Command> {
        let mut command = Command::later(words)?;
        command.fork().map_err(|errno| command.failed(errno))?;
        Ok(command)
    }

    /// The same without a process until it is let go, which takes less.
    ///
    /// # Errors
    /// No words, or a NUL in one.
    pub fn later<S: AsRef<OsStr>>(words: &[S]) -> Result<Command> {
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
        Ok(Command { name, words, child: None, code: None })
    }

    /// Its process id, the query's `:cpid`; `None` where it has none yet.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(|child| child.pid.as_raw().cast_unsigned())
    }

    /// Lets it go.
    pub(crate) fn go(&mut self) -> Result<()> {
        if self.child.is_none() {
            match self.start() {
                // A script that does not say what it is for: execvp gives it to a shell, posix_spawnp does not.
                Err(Errno::ENOEXEC) => self.fork().map_err(|errno| self.failed(errno))?,
                started => return started.map_err(|errno| self.failed(errno)),
            }
        }
        let Some(Gate { go, trouble }) = self.child.as_mut().and_then(|child| child.gate.take()) else {
            return Ok(());
        };
        let fail = |error: std::io::Error| Failure::io(format!("start the command \"{}\"", self.name), error);
        std::fs::File::from(go).write_all(b"g").map_err(fail)?;
        let mut errno = Vec::new();
        std::fs::File::from(trouble).read_to_end(&mut errno).map_err(fail)?;
        match <[u8; 4]>::try_from(errno) {
            Ok(errno) => Err(self.failed(Errno::from_raw(i32::from_ne_bytes(errno)))),
            Err(_) => Ok(()),
        }
    }

    /// Readable when it has ended.
    pub(crate) fn exit_event(&self) -> Option<BorrowedFd<'_>> {
        self.child.as_ref().filter(|_| self.code.is_none()).map(|child| child.exit.as_fd())
    }

    /// Its exit code if it has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        if let (None, Some(child)) = (self.code, &self.child) {
            self.code = match waitpid(child.pid, Some(WaitPidFlag::WNOHANG)) {
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
        if self.ended().is_none()
            && let Some(child) = &self.child
        {
            let _ = kill(child.pid, Signal::SIGTERM);
        }
    }

    /// Makes a child that waits.
    fn fork(&mut self) -> nix::Result<()> {
        let pipe = || pipe2(nix::fcntl::OFlag::O_CLOEXEC);
        let (wait_for, go) = pipe()?;
        let (trouble, tell) = pipe()?;
        let pid = fork(&self.words, &wait_for, &tell, &go)?;
        self.child = Some(Child::of(pid, Some(Gate { go, trouble }))?);
        Ok(())
    }

    /// Makes a child that runs.
    fn start(&mut self) -> nix::Result<()> {
        let mut words = self.words.iter().map(|word| OsStr::from_bytes(word.as_bytes()));
        // There is a first word: `later`.
        let mut command = std::process::Command::new(words.next().unwrap_or_default());
        let started = command.args(words).spawn();
        let child = started.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        self.child = Some(Child::of(Pid::from_raw(child.id().cast_signed()), None)?);
        Ok(())
    }

    fn failed(&self, errno: Errno) -> Failure {
        Failure::io(format!("start the command \"{}\"", self.name), errno.desc())
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        let waits = self.child.as_mut().is_some_and(|child| child.gate.take().is_some());
        if let (true, Some(child)) = (waits, &self.child) {
            // It has run nothing, and would end by itself, unless another child still holds a copy of the gate.
            let _ = kill(child.pid, Signal::SIGKILL);
            let _ = waitpid(child.pid, None);
        } else {
            self.ended();
        }
    }
}

impl Child {
    fn of(pid: Pid, gate: Option<Gate>) -> nix::Result<Child> {
        match pidfd(pid) {
            Ok(exit) => Ok(Child { pid, gate, exit }),
            Err(errno) => {
                let _ = kill(pid, Signal::SIGKILL);
                Err(errno)
            }
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

    /// The exit code, however it is started.
    fn code(words: &[&str]) -> i32 {
        let codes = [Command::spawn(words).unwrap(), Command::later(words).unwrap()].map(run);
        assert_eq!(codes[0], codes[1]);
        codes[0]
    }

    fn run(mut command: Command) -> i32 {
        command.go().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(code) = command.ended() {
                return code;
            }
            assert!(Instant::now() < deadline, "{command:?} does not end");
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
        drop(Command::later(&["touch", path]).unwrap());
        assert!(!file.exists());
        assert_eq!(code(&["touch", path]), 0);
        assert!(file.exists());
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_script_without_an_interpreter_is_the_shell_s() {
        use std::os::unix::fs::PermissionsExt;
        let file = std::env::temp_dir().join(format!("bpfquery-script-{}", std::process::id()));
        std::fs::write(&file, "exit 5\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(code(&[file.to_str().unwrap()]), 5);
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn what_cannot_be_started() {
        let tried = |made: bpfquery_diag::Result<Command>| match made.and_then(|mut command| command.go()) {
            Ok(()) => "it ran".to_string(),
            Err(failure) => bpfquery_diag::render(&failure, ""),
        };
        let message = |words: &[&str]| {
            let messages = [Command::spawn(words), Command::later(words)].map(tried);
            assert_eq!(messages[0], messages[1]);
            messages[0].clone()
        };
        assert_eq!(
            message(&["/nonexistent/program"]),
            "error: cannot start the command \"/nonexistent/program\": No such file or directory\n"
        );
        assert!(message(&[]).contains("it is empty"));
        assert!(message(&["a\0b"]).contains("nul byte"));
    }
}
