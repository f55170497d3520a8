//! A child process whose output is read while it runs.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// Emulated machines are slow; nothing here takes a tenth of this.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

type Stream = Box<dyn Read + Send>;

/// A running child; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
    lines: Receiver<String>,
    heard: String,
    other: Option<JoinHandle<String>>,
}

/// Which stream is read line by line while the child runs; the other is kept whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    Stdout,
    Stderr,
}

impl Process {
    pub(crate) fn start(name: &'static str, command: &mut Command, watch: Watch) -> Result<Process, String> {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().map_err(|error| format!("{name} does not start: {error}"))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (sender, lines) = channel();
        let (watched, other): (Option<Stream>, Option<Stream>) = match watch {
            Watch::Stdout => (stdout.map(boxed), stderr.map(boxed)),
            Watch::Stderr => (stderr.map(boxed), stdout.map(boxed)),
        };
        spawn(move || {
            let lines = watched.map(|stream| BufReader::new(stream).lines()).into_iter().flatten();
            // The receiver goes when nobody cares any more.
            lines.map_while(Result::ok).take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        let other = other.map(|mut stream| {
            spawn(move || {
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Ok(Process { child, name, lines, heard: String::new(), other })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of the watched stream that `wanted` takes; what it gives.
    pub(crate) fn hear<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.heard.push_str(&line);
                    self.heard.push('\n');
                    if let Some(found) = wanted(&line) {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("{} says no {what} in time:\n{}", self.name, self.heard));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("{} ends without {what}:\n{}", self.name, self.heard));
                }
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended by itself, which the waiting will see.
        let _ = i32::try_from(self.child.id()).map(|pid| kill(Pid::from_raw(pid), signal));
    }

    /// Waits for the end: the status, the watched stream and the other one.
    pub(crate) fn finish(mut self) -> Result<(ExitStatus, String, String), String> {
        let until = Instant::now() + LIMIT;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < until => sleep(Duration::from_millis(2)),
                Ok(None) => return Err(format!("{} does not end in time:\n{}", self.name, self.heard)),
                Err(error) => return Err(format!("{}: {error}", self.name)),
            }
        };
        while let Ok(line) = self.lines.recv() {
            self.heard.push_str(&line);
            self.heard.push('\n');
        }
        let other = self.other.take().map(JoinHandle::join);
        let other = other.and_then(Result::ok).unwrap_or_default();
        Ok((status, std::mem::take(&mut self.heard), other))
    }
}

fn boxed(stream: impl Read + Send + 'static) -> Stream {
    Box::new(stream)
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
