//! A bounded load: it tells its processes' ids, waits until it is told to start, and comes to its end.

use super::process::{Process, Watch};
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;

/// A load that waits to be started.
pub(crate) struct Workload {
    process: Process,
    /// The processes that it announced.
    pub(crate) pids: Vec<String>,
}

impl Workload {
    /// Starts the program (`nap 5 1000`) of this directory, which then waits.
    pub(crate) fn start(dir: &Path, words: &[String]) -> Result<Workload, String> {
        let words: Vec<&String> = words.iter().filter(|word| *word != "--wait").collect();
        let [program, args @ ..] = words.as_slice() else { return Err("the workload names no program".to_string()) };
        let mut command = Command::new(dir.join(program));
        let mut process = Process::start("the workload", command.arg("--wait").args(args), Watch::Stdout)?;
        let pid = |line: &str| line.strip_prefix("pid ").map(str::to_string);
        let mut pids = vec![process.hear("pid", pid)?];
        // `calls` makes its load in so many processes of its own, `burst` in two.
        let expected = match (program.as_str(), args) {
            ("burst", _) => 2,
            ("calls", [.., processes, _]) => processes.parse().map_err(|error| format!("{processes}: {error}"))?,
            _ => 1,
        };
        while pids.len() < expected {
            pids.push(process.hear("pid", pid)?);
        }
        Ok(Workload { process, pids })
    }

    /// Lets it go, and waits for its end.
    pub(crate) fn run(self) -> Result<(), String> {
        self.process.signal(Signal::SIGUSR1);
        let (status, said, errors) = self.process.finish()?;
        if status.success() { Ok(()) } else { Err(format!("the workload failed ({status}):\n{said}{errors}")) }
    }
}
