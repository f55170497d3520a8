//! A running `bpfquery run`.

use crate::lab::{Lab, ensure, text, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the report of a query said that the kernel missed events: one that preempts programs (7.0 and later) may, now and
/// then, and a check that counts events shows nothing then.
pub(crate) static MISSED: AtomicBool = AtomicBool::new(false);

/// A query that runs. Dropped, it is killed.
pub(crate) struct Query {
    pub(crate) child: Child,
    out: PathBuf,
    err: PathBuf,
}

/// A query that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; 128 + N for one killed by signal N, as a shell says it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Query {
    /// Starts `bpfquery run` with these arguments and waits until it is attached.
    pub(crate) fn live(lab: &Lab, args: &[&str]) -> Result<Query, String> {
        let mut query = Query::start(lab, args)?;
        query.attached()?;
        Ok(query)
    }

    /// Starts `bpfquery run` with these arguments.
    pub(crate) fn start(lab: &Lab, args: &[&str]) -> Result<Query, String> {
        let mut command = Command::new(&lab.bin);
        command.arg("run").args(args);
        Query::spawn(lab, command, None)
    }

    /// Starts a command that becomes `bpfquery run`; its output goes to a file unless it is said where.
    pub(crate) fn spawn(lab: &Lab, mut command: Command, stdout: Option<Stdio>) -> Result<Query, String> {
        let (out, err) = (lab.path("out"), lab.path("err"));
        let create = |path: &PathBuf| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
        let (out_file, err_file) = (create(&out)?, create(&err)?);
        command.stdin(Stdio::null()).stderr(err_file).stdout(stdout.unwrap_or_else(|| out_file.into()));
        let child = command.spawn().map_err(|error| format!("{}: {error}", lab.bin.display()))?;
        Ok(Query { child, out, err })
    }

    /// Waits until its programs are attached.
    pub(crate) fn attached(&mut self) -> Result<(), String> {
        wait_for("attached", || {
            let said = text(&self.err)?;
            if said.contains("attached ") && said.ends_with('\n') {
                return Ok(Some(()));
            }
            match self.child.try_wait().map_err(|error| error.to_string())? {
                // It may have said it and ended in between.
                Some(_) if text(&self.err)?.contains("attached ") => Ok(Some(())),
                Some(status) => Err(format!("the query ended before it was attached ({status}): {said}")),
                None => Ok(None),
            }
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub(crate) fn out(&self) -> Result<String, String> {
        text(&self.out)
    }

    /// Processor time that it has used so far, in ms (clock ticks are 10 ms: USER_HZ is 100 on x86-64).
    pub(crate) fn processor_ms(&self) -> Result<u64, String> {
        let stat = text(&PathBuf::from(format!("/proc/{}/stat", self.pid())))?;
        // After the name, which may hold anything: state, ppid, …; utime and stime are fields 14 and 15 (proc(5)).
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        Ok(fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), String> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).map_err(|error| format!("{signal}: {error}"))
    }

    /// Ends it as Ctrl-C does, and waits.
    pub(crate) fn interrupt(self) -> Result<Ended, String> {
        self.signal(Signal::SIGINT)?;
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<Ended, String> {
        let ended = || self.child.try_wait().map_err(|error| error.to_string());
        let status = wait_for("the end of the query", ended)?;
        let ended = Ended { code: code(status), out: text(&self.out)?, err: text(&self.err)? };
        if ended.err.lines().any(|line| line.starts_with("misses: ") && line.contains(" event")) {
            MISSED.store(true, Ordering::Relaxed);
        }
        Ok(ended)
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        // A stopped process dies of this, too; one that has ended is no failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An exit status as a shell says it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

impl Ended {
    /// The rows of JSON.
    pub(crate) fn rows<T: DeserializeOwned>(&self) -> Result<Vec<T>, String> {
        let row = |line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}"));
        self.out.lines().map(row).collect()
    }

    /// Rows and events reported as lost, of all kinds together.
    pub(crate) fn lost(&self) -> Result<u64, String> {
        let line = self.err.lines().find_map(|line| line.strip_prefix("losses: "));
        let line = line.ok_or_else(|| format!("no report of losses: {}", self.err))?;
        // `1,234 rows (the ring buffer was full), 1 event (…)`; no reason has a digit in it.
        let number = |loss: &str| loss.split(' ').next()?.replace(',', "").parse::<u64>().ok();
        let losses: Vec<Option<u64>> = line.split("), ").filter(|loss| *loss != "none").map(number).collect();
        losses.into_iter().sum::<Option<u64>>().ok_or_else(|| format!("no number of losses: {line}"))
    }

    /// Fails unless it ended with this code.
    pub(crate) fn expect(self, code: i32) -> Result<Ended, String> {
        ensure(self.code == code, || format!("exit code {} instead of {code}: {}", self.code, self.err))?;
        Ok(self)
    }

    /// Fails unless it ended well and lost nothing.
    pub(crate) fn whole(self) -> Result<Ended, String> {
        let ended = self.expect(0)?;
        ensure(ended.lost()? == 0, || format!("rows were lost: {}", ended.err))?;
        Ok(ended)
    }
}
