//! A million groups: how long it takes from SIGINT to the last row, and what the reader takes for it.
//!
//! What must hold: rows go to a file, and all of them are there; the last row is when the file was last written. The peak of
//! memory is looked at until the process is gone.

use crate::events::Lab;
use crate::figures::median;
use crate::load::beat;
use crate::tracer::{TRACER, Tracer, on};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// Groups; a tenth of them is counted twice, when the load gets warm.
const KEYS: usize = 1_000_000;

/// The query, and what its command line is told so that they fit.
const SQL: &str = "select args.pid as number, count(*) from tracepoint.syscalls.sys_enter_getpgid group by number";
const ARGS: [&str; 2] = ["--max-groups", "1048576"];

/// How often each reader is measured, at most.
const ROUNDS: usize = 5;

/// A reader.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    /// What the table calls it.
    pub(crate) title: &'static str,
    /// From SIGINT to the last row, in seconds.
    pub(crate) seconds: Vec<f64>,
    /// Its peak resident size, in MiB.
    pub(crate) memory: Vec<f64>,
    /// Why it cannot be measured.
    pub(crate) error: Option<String>,
}

impl Reader {
    /// The medians of both.
    pub(crate) fn medians(&self) -> Option<(f64, f64)> {
        Some((median(&self.seconds)?, median(&self.memory)?))
    }
}

/// Measures the query and both C programs, in turns.
///
/// # Errors
/// C programs that are not there.
pub(crate) fn measure(lab: &Lab) -> Result<Vec<Reader>, String> {
    let usual = lab.made.object("keys/usual")?.ok_or("there are no keys in C")?;
    let best = lab.made.object("keys/best")?.ok_or("there are no keys in C")?;
    let loader = lab.made.loader();
    let new = |title| Reader { title, seconds: Vec::new(), memory: Vec::new(), error: None };
    let mut readers = ["bpfquery, json", "C, usual, read in batches", "C, best, read in batches"].map(new);
    for _ in 0..lab.rounds.min(ROUNDS) {
        for (at, reader) in readers.iter_mut().enumerate() {
            let mut command = on(TRACER, if at == 0 { &lab.bin } else { &loader });
            match at {
                0 => command.args(["run", "--format", "json"]).args(ARGS).args(["-e", SQL]),
                1 => command.arg(&usual),
                _ => command.arg(&best),
            };
            match reader.error.is_none().then(|| once(lab, command)) {
                Some(Ok((seconds, memory))) => {
                    reader.seconds.push(seconds);
                    reader.memory.push(memory);
                }
                Some(Err(error)) => reader.error = Some(error),
                None => {}
            }
        }
    }
    Ok(readers.to_vec())
}

fn once(lab: &Lab, command: Command) -> Result<(f64, f64), String> {
    let path = lab.made.into.join("keys.out");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::create(&path).map_err(failed)?;
    let tracer = Tracer::start(command, file.into())?;
    beat(lab, &["number".to_string(), "0".to_string(), KEYS.to_string()])?;
    let told = SystemTime::now();
    let mut kib = 0.0_f64;
    tracer.stop_watching(|pid| kib = kib.max(peak_kib(pid)))?;
    let last = std::fs::metadata(&path).and_then(|file| file.modified()).map_err(failed)?;
    let rows = BufReader::new(File::open(&path).map_err(failed)?).split(b'\n').count();
    std::fs::remove_file(&path).map_err(failed)?;
    if rows < KEYS {
        return Err(format!("{rows} rows of {KEYS}"));
    }
    Ok((last.duration_since(told).unwrap_or_default().as_secs_f64(), kib / 1024.0))
}

/// What it has taken so far; 0 of a process that is gone.
fn peak_kib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
