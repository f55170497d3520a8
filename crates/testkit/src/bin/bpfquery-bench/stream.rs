//! How many rows a second a reader takes without loss, and what a row costs it.
//!
//! What must hold: rows go to a file; each rate has a reader of its own, and it has ended before its rows are counted; the time
//! on a processor is the reader's own, that of the kernel on its behalf among it. The load is `uring` of `testdata/workloads`:
//! no system call can be made as often as its requests are done. Load and reader have real-time priority, each on its processor.

use crate::events::Lab;
use crate::made::output;
use crate::tracer::{TRACER, Tracer, first_on};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// Rows a second that are asked for; 0 is as many as can be.
const RATES: [u64; 7] = [100_000, 250_000, 500_000, 1_000_000, 2_400_000, 4_000_000, 0];

/// How long a load is: several times what fits into the ring.
const SECONDS: f64 = 1.0;
/// Rows of a load that is as fast as can be.
const MOST: u64 = 6_000_000;

/// The processor of the load.
const LOAD: usize = 0;

/// The same in each format, in C and in bpftrace.
const SQL: &str = "select pid, comm, cpu from rawtracepoint.io_uring_complete";
const BPFTRACE: &str = "tracepoint:io_uring:io_uring_complete { printf(\"%d %s %d\\n\", pid, comm, cpu); }";

/// A reader.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    /// What the table calls it.
    pub(crate) title: String,
    /// The highest rate at which it lost nothing, and what a row cost it there.
    pub(crate) best: Option<Reached>,
    /// The first rate at which it lost rows.
    pub(crate) first_lost: Option<Reached>,
    /// Why it was not measured to the end.
    pub(crate) error: Option<String>,
}

/// What came of a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// Rows a second that were made.
    pub(crate) rate: f64,
    /// Of them, the part that was not printed.
    pub(crate) lost: f64,
    /// The reader's time on a processor per row, in ns.
    pub(crate) row_ns: f64,
}

/// Raises the rate for each reader until it loses rows.
///
/// # Errors
/// C programs that are not there.
pub(crate) fn measure(lab: &Lab) -> Result<Vec<Reader>, String> {
    let mut readers = Vec::new();
    for format in ["none", "json", "csv"] {
        let command = || {
            let mut command = first_on(TRACER, &lab.bin);
            command.args(["run", "--format", format, "-e", SQL]);
            command
        };
        let title = if format == "none" { "nothing printed" } else { format };
        readers.push(raise(lab, &format!("bpfquery, {title}"), 1_000_000, command));
    }
    for (form, title) in [("usual", "C, usual, printf"), ("best", "C, best, printf")] {
        let object = lab.made.object(&format!("rows/{form}"))?.ok_or("there are no rows in C")?;
        let command = || {
            let mut command = first_on(TRACER, &lab.made.loader());
            command.arg(&object);
            command
        };
        readers.push(raise(lab, title, 500_000, command));
    }
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let command = || {
        let mut command = first_on(TRACER, "bpftrace".as_ref());
        // Its buffer as large as the others'.
        command.env("BPFTRACE_PERF_RB_PAGES", "4096");
        command.args(["-c", &format!("{} hold", this.display()), "-e", BPFTRACE]);
        command
    };
    readers.push(raise(lab, "bpftrace", 0, command));
    Ok(readers)
}

fn raise(lab: &Lab, title: &str, from: u64, command: impl Fn() -> Command) -> Reader {
    let mut reader = Reader { title: title.to_string(), best: None, first_lost: None, error: None };
    for rate in RATES.into_iter().filter(|rate| *rate == 0 || *rate >= from) {
        match once(lab, command(), rate) {
            Ok(reached) if reached.lost > 0.0 => {
                reader.first_lost = Some(reached);
                break;
            }
            Ok(reached) => {
                if reader.best.is_none_or(|best| best.rate < reached.rate) {
                    reader.best = Some(reached);
                }
            }
            Err(error) => {
                reader.error = Some(error);
                break;
            }
        }
    }
    reader
}

fn once(lab: &Lab, command: Command, rate: u64) -> Result<Reached, String> {
    let path = lab.made.into.join("rows.out");
    let file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let tracer = Tracer::start(command, file.into())?;
    let before = tracer.processor_ns()?;
    let made = if rate == 0 { MOST as f64 } else { rate as f64 * SECONDS };
    let seconds = load(lab, rate, made)?;
    // It reads what is left by itself, within this time at the latest.
    sleep(Duration::from_millis(200));
    let spent = tracer.processor_ns()? - before;
    let said = tracer.stop()?;
    let rows = match rows(&path)? {
        // What prints nothing still tells what it lost.
        0.0 if said.contains("losses: ") => made - lost(&said),
        rows => rows,
    };
    std::fs::remove_file(&path).map_err(|error| error.to_string())?;
    Ok(Reached { rate: made / seconds, lost: (made - rows) / made, row_ns: spent / rows })
}

/// Makes so many rows; the seconds that it took.
fn load(lab: &Lab, rate: u64, rows: f64) -> Result<f64, String> {
    let mut command = first_on(LOAD, &lab.workloads.join("uring"));
    let said = output(command.args([rate.to_string(), format!("{rows:.0}")]))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let ns = said.rsplit_once("\"ns\":").and_then(|(_, ns)| ns.trim_end().trim_end_matches('}').parse::<f64>().ok());
    ns.map(|ns| ns / 1e9).ok_or_else(|| format!("the load says: {said}"))
}

/// Rows that its report says are lost: `losses: 1,234 rows (…)`.
fn lost(said: &str) -> f64 {
    let number = said.split("losses: ").nth(1).and_then(|losses| losses.split(' ').next());
    number.and_then(|number| number.replace(',', "").parse().ok()).unwrap_or(0.0)
}

/// The lines that tell of the load.
fn rows(path: &Path) -> Result<f64, String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    Ok(lines.filter(|line| line.windows(5).any(|word| word == b"uring")).count() as f64)
}
