//! A load program of testdata/workloads, which says what it did.

use crate::lab::Lab;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A load that waits to be started. Dropped, it ends.
pub(crate) struct Load {
    child: Child,
    start: ChildStdin,
    said: BufReader<ChildStdout>,
    /// The processes that make the load.
    pub(crate) pids: Vec<u32>,
}

/// What one process did.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tally {
    /// The process.
    pub(crate) pid: u32,
    /// The processor it was bound to.
    pub(crate) cpu: u32,
    /// Calls.
    pub(crate) calls: u64,
    sum: String,
    /// The least argument.
    pub(crate) min: i64,
    /// The greatest argument.
    pub(crate) max: i64,
    /// Arguments by the lower end of their power of two; `neg` for what is below zero.
    pub(crate) hist: BTreeMap<String, u64>,
    /// How long it took.
    pub(crate) ns: u64,
}

impl Load {
    /// Starts a load program of so many processes, which waits.
    pub(crate) fn new(lab: &Lab, processes: usize, words: &[&str]) -> Result<Load, String> {
        let (program, args) = words.split_first().ok_or("no load")?;
        let mut command = Command::new(lab.workload(program));
        command.arg("--wait").args(args);
        Load::of(command, processes)
    }

    /// Starts a program that says `pid N` for each of its processes and waits for a line on its standard input.
    pub(crate) fn of(mut command: Command, processes: usize) -> Result<Load, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| format!("{name}: {error}"))?;
        let (Some(start), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{name}: no pipes"));
        };
        let mut load = Load { child, start, said: BufReader::new(said), pids: Vec::new() };
        for _ in 0..processes {
            let line = load.line()?;
            let pid = line.strip_prefix("pid ").and_then(|pid| pid.parse().ok());
            load.pids.push(pid.ok_or_else(|| format!("{name} said: {line}"))?);
        }
        Ok(load)
    }

    /// The processes as a list in SQL.
    pub(crate) fn list(&self) -> String {
        let pids: Vec<String> = self.pids.iter().map(u32::to_string).collect();
        format!("({})", pids.join(", "))
    }

    /// Lets it go.
    pub(crate) fn go(&mut self) -> Result<(), String> {
        self.start.write_all(b"\n").map_err(|error| format!("the load does not listen: {error}"))
    }

    /// Waits for its end; what each process did.
    pub(crate) fn finish(mut self) -> Result<Vec<Tally>, String> {
        let tally =
            |line: String| serde_json::from_str(&line).map_err(|error| format!("the load said {line}: {error}"));
        let tallies = (0..self.pids.len()).map(|_| self.line().and_then(tally)).collect();
        self.ended()?;
        tallies
    }

    /// Waits for its end; the rest of what it said.
    pub(crate) fn ended(&mut self) -> Result<String, String> {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.said, &mut rest).map_err(|error| error.to_string())?;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(rest) } else { Err(format!("the load ended with {status}")) }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.said.read_line(&mut line).map_err(|error| error.to_string())?;
        Ok(line.trim_end().to_string())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Its processes die with it (PR_SET_PDEATHSIG); one that has ended already is no failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tally {
    /// All processes' work as one.
    pub(crate) fn all(tallies: &[Tally]) -> Option<Tally> {
        let (first, rest) = tallies.split_first()?;
        let add = |mut all: Tally, one: &Tally| {
            all.calls += one.calls;
            all.sum = (all.sum() + one.sum()).to_string();
            all.min = all.min.min(one.min);
            all.max = all.max.max(one.max);
            all.ns = all.ns.max(one.ns);
            one.hist.iter().for_each(|(low, count)| *all.hist.entry(low.clone()).or_default() += count);
            all
        };
        Some(rest.iter().fold(first.clone(), add))
    }

    /// The sum of the arguments.
    pub(crate) fn sum(&self) -> i128 {
        // The load writes nothing but digits; anything else would differ from every sum that a query gives.
        self.sum.parse().unwrap_or(i128::MIN)
    }
}
