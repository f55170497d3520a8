//! From the start of a tracer until it is live, what it takes until then, and how long it takes to end.
//!
//! What must hold: all take turns, at real-time priority. "Live" is when the command given with -c runs, which all of them
//! start only after attaching; it notes the time and its parent's peak resident size. The end is timed from there: the
//! command ends at once, and then its tracer.

use crate::events::Lab;
use crate::figures::median;
use crate::tracer::{TRACER, first_on};
use nix::time::{ClockId, clock_gettime};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// A tracer that is started again and again.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// What the table calls it.
    pub(crate) title: String,
    /// A run's figures.
    pub(crate) runs: Vec<Run>,
    /// Why it cannot be started.
    pub(crate) error: Option<String>,
    way: Way,
}

/// One start and end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// ms until it was live.
    pub(crate) live: f64,
    /// ms from then until it was gone.
    pub(crate) end: f64,
    /// Its peak resident size when it was live, in MiB.
    pub(crate) memory: f64,
}

/// What is started.
#[derive(Clone, Debug)]
enum Way {
    Query(&'static str),
    Object(PathBuf),
    Bpftrace,
}

impl Start {
    /// The median of a figure.
    pub(crate) fn median(&self, of: fn(&Run) -> f64) -> Option<f64> {
        median(&self.runs.iter().map(of).collect::<Vec<_>>())
    }
}

/// Starts all of them, in turns.
///
/// # Errors
/// C programs that are not there.
pub(crate) fn measure(lab: &Lab) -> Result<Vec<Start>, String> {
    let mut starts = Vec::new();
    let mut add = |title: &str, way| {
        starts.push(Start { title: title.to_string(), runs: Vec::new(), error: None, way });
    };
    for relation in ["tracepoint.raw_syscalls.sys_enter", "rawtracepoint.sys_enter"] {
        add(&format!("bpfquery, `{relation}`"), Way::Query(relation));
    }
    for (form, title) in [("usual", "C, usual: perf tracepoint"), ("best", "C, best: `tp_btf`")] {
        let object = lab.made.object(&format!("count-by-comm.{form}"))?;
        add(title, Way::Object(object.ok_or("there is no count-by-comm in C")?));
    }
    add("bpftrace", Way::Bpftrace);
    for _ in 0..lab.rounds {
        for start in starts.iter_mut().filter(|start| start.error.is_none()) {
            match once(lab, &start.way) {
                Ok(run) => start.runs.push(run),
                Err(error) => start.error = Some(error),
            }
        }
    }
    Ok(starts)
}

/// Between two runs. A tracepoint whose last program has just gone takes its next one only after an RCU grace period
/// (`tracepoint_add_func`, kernel/tracepoint.c, Linux 6.12), which would be the former run's time on the latter's bill.
const PAUSE: Duration = Duration::from_millis(200);

fn once(lab: &Lab, way: &Way) -> Result<Run, String> {
    sleep(PAUSE);
    let (began, lived) = (lab.made.into.join("began"), lab.made.into.join("lived"));
    let mut command = first_on(TRACER, &lab.workloads.join("start"));
    command.arg(&began);
    with_way(&mut command, lab, way, &lived);
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_string());
    }
    let now = now.tv_sec() as f64 * 1e9 + now.tv_nsec() as f64;
    match (numbers(&began)?.as_slice(), numbers(&lived)?.as_slice()) {
        ([began], [lived, kib]) => {
            Ok(Run { live: (lived - began) / 1e6, end: (now - lived) / 1e6, memory: kib / 1024.0 })
        }
        _ => Err("it was not live".to_string()),
    }
}

/// The program and its arguments. Traced is this program alone, which does nothing meanwhile.
fn with_way(command: &mut Command, lab: &Lab, way: &Way, lived: &Path) {
    let live = lab.workloads.join("live");
    let child = format!("{} {}", live.display(), lived.display());
    let pid = std::process::id();
    match way {
        Way::Query(relation) => {
            let sql = format!("select comm, count(*) from {relation} where pid = {pid} group by comm");
            command.arg(&lab.bin).args(["run", "-c", &child, "-e", &sql]);
        }
        Way::Object(object) => {
            command.arg(lab.made.loader()).arg(object).arg(live).arg(lived);
        }
        Way::Bpftrace => {
            let text = format!("tracepoint:raw_syscalls:sys_enter /pid == {pid}/ {{ @[comm] = count(); }}");
            command.arg("bpftrace").args(["-c", &child, "-e", &text]);
        }
    }
}

fn numbers(path: &Path) -> Result<Vec<f64>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.split_whitespace().filter_map(|word| word.parse().ok()).collect())
}
