//! A tracer that runs: bpfquery, the C loader or bpftrace.
//!
//! What must hold: it is live when [`Tracer::start`] returns; dropped, it is gone. It has a processor that the load has not.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// Seconds until a tracer is told again to end.
const AGAIN: u64 = 6;

/// The processor of tracers; that of loads is another.
pub(crate) const TRACER: usize = 1;

/// A running tracer.
#[derive(Debug)]
pub(crate) struct Tracer {
    child: Child,
    lines: Receiver<String>,
    said: String,
}

impl Tracer {
    /// Starts it, with its rows going to `rows`, and waits until it says that it is attached.
    pub(crate) fn start(mut command: Command, rows: Stdio) -> Result<Tracer, String> {
        let command = command.stdin(Stdio::null()).stdout(rows).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let stderr = child.stderr.take().ok_or("a child without stderr")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stderr).lines();
            lines.map_while(Result::ok).take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        let mut tracer = Tracer { child, lines, said: String::new() };
        tracer.wait_until_attached().map(|()| tracer)
    }

    fn wait_until_attached(&mut self) -> Result<(), String> {
        let until = Instant::now() + LIMIT;
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if line.starts_with("attached") {
                return Ok(());
            }
            self.said.push_str(&line);
            self.said.push('\n');
        }
        Err(if self.said.is_empty() { "it is not live in time".to_string() } else { self.said.trim().to_string() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its threads' time on a processor, in ns.
    pub(crate) fn processor_ns(&self) -> Result<f64, String> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = std::fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))?;
        let spent = |path: PathBuf| std::fs::read_to_string(path).ok()?.split(' ').next()?.parse::<f64>().ok();
        Ok(tasks.flatten().filter_map(|task| spent(task.path().join("schedstat"))).sum())
    }

    /// Ends it by SIGINT; what it said after it was attached. bpftrace now and then waits for its child instead: it is told
    /// again some seconds later.
    pub(crate) fn stop(self) -> Result<String, String> {
        self.stop_watching(|_| ())
    }

    /// The same; `watch` is called with its process while it ends.
    pub(crate) fn stop_watching(mut self, mut watch: impl FnMut(u32)) -> Result<String, String> {
        let began = Instant::now();
        let mut told = 0;
        let status = loop {
            if began.elapsed().as_secs() >= AGAIN * told {
                self.signal(Signal::SIGINT);
                told += 1;
            }
            watch(self.child.id());
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if began.elapsed() < LIMIT => std::thread::sleep(Duration::from_millis(1)),
                Ok(None) => return Err("it does not end in time".to_string()),
                Err(error) => return Err(error.to_string()),
            }
        };
        let said = std::mem::take(&mut self.said) + &self.lines.iter().collect::<Vec<_>>().join("\n");
        if status.success() { Ok(said) } else { Err(format!("{status}: {}", said.trim())) }
    }

    fn signal(&self, signal: Signal) {
        // It may have ended by itself, which the waiting sees.
        let _ = i32::try_from(self.child.id()).map(|pid| kill(Pid::from_raw(pid), signal));
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A command on this processor.
pub(crate) fn on(cpu: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &cpu.to_string()]).arg(program);
    command
}

/// The same at real-time priority, so that what the machine does meanwhile waits.
pub(crate) fn first_on(cpu: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &cpu.to_string(), "chrt", "--fifo", "1"]).arg(program);
    command
}
