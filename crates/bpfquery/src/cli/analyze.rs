//! `bpfquery explain`: the memory that maps will take, and, with `--analyze`, what a run cost.
//!
//! A run's rows are counted, not shown.

use crate::cli::args::ExplainArgs;
use crate::cli::params::{check_process, command_pid, values};
use arrow_array::RecordBatch;
use bpfquery::Compiled;
use bpfquery_catalog::Kernel;
use bpfquery_diag::Result;
use bpfquery_runtime::{Analysis, Command, Flow, MapCost, MapMemory, ProgramCost, Receiver, Report, Session, predict};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// `memory: 2.3 MiB in the kernel, on 2 CPUs`, and a line for each map.
pub(crate) fn memory(object: &[u8]) -> Result<String> {
    let (maps, cpus) = predict(object)?;
    let plural = if cpus == 1 { "" } else { "s" };
    let mut text =
        format!("memory: {} in the kernel, on {cpus} CPU{plural}\n", bytes(maps.iter().map(|m| m.bytes).sum()));
    for map in maps {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}: {}, {}{}", map.name, map.kind, bytes(map.bytes), room(&map));
    }
    Ok(text)
}

/// Runs the query and tells what that cost: programs, maps, rows, time, losses.
pub(crate) fn analyze(args: &ExplainArgs, kernel: &dyn Kernel, compiled: &Compiled) -> Result<String> {
    let (predicted, _) = predict(&compiled.object)?;
    let command = args.command.as_ref().map(|words| Command::spawn(&words.0)).transpose()?;
    let mut given = args.params.clone();
    given.extend(command.as_ref().and_then(command_pid));
    let manifest = Session::manifest_of(&compiled.object)?;
    check_process(args.pid, &manifest.params)?;
    let params = values(&manifest.params, &given)?;
    let options = bpfquery_runtime::Options { params, analyze: true, compiled_here: true, ..Default::default() };
    let session = Session::open(&compiled.object, kernel, &options)?;
    let mut counter = Counter { rows: 0, since: Instant::now() };
    let stop = bpfquery_runtime::Stop { after: args.duration, command, signals: true };
    let report = session.run(stop, &mut counter)?;
    let took = counter.since.elapsed();
    let costs = report.analysis.as_ref().map(|analysis| costs(analysis, &predicted)).unwrap_or_default();
    Ok(format!("{costs}{}", ending(&report, counter.rows, took)))
}

/// Counts rows, and remembers since when there could be any.
struct Counter {
    rows: usize,
    since: Instant,
}

impl Receiver for Counter {
    fn rows(&mut self, batch: RecordBatch) -> Result<Flow> {
        self.rows += batch.num_rows();
        Ok(Flow::Continue)
    }

    fn live(&mut self) {
        self.since = Instant::now();
    }
}

fn costs(analysis: &Analysis, predicted: &[MapMemory]) -> String {
    let programs = analysis.programs.iter().map(program);
    let maps = analysis.maps.iter().map(|cost| map(cost, predicted));
    programs.chain(maps).collect()
}

/// `program bpfquery on rawtracepoint.sys_enter: 1000 runs, 101 ns each`, and its size.
fn program(cost: &ProgramCost) -> String {
    let each = match cost.runs {
        0 => String::new(),
        runs => format!(", {} ns each", cost.ns.div_ceil(runs)),
    };
    let verified = match cost.verified {
        0 => String::new(),
        steps => format!(", {steps} steps of the verifier"),
    };
    format!(
        "program {} on {}: {} run{}{each}\n  {} instructions, {} of machine code{verified}\n",
        cost.name,
        cost.hook,
        cost.runs,
        if cost.runs == 1 { "" } else { "s" },
        cost.instructions,
        bytes(cost.machine_code.into()),
    )
}

/// `map groups: per-CPU hash, 5 of 4096 entries, 2.3 MiB (predicted 2.3 MiB)`
fn map(cost: &MapCost, predicted: &[MapMemory]) -> String {
    let map = &cost.map;
    let used = match cost.entries {
        Some(entries) => format!(", {entries} of {} entries", map.max_entries),
        None => String::new(),
    };
    let expected = predicted.iter().find(|p| p.name == map.name);
    let expected = expected.map_or_else(String::new, |p| format!(" (predicted {})", bytes(p.bytes)));
    format!("map {}: {}{used}, {}{expected}\n", map.name, map.kind, bytes(map.bytes))
}

fn ending(report: &Report, rows: usize, took: Duration) -> String {
    let plural = if rows == 1 { "" } else { "s" };
    format!("{rows} row{plural} of {} received, in {:.3} s\n{report}\n", report.received, took.as_secs_f64())
}

/// The most that a map holds, where that says something.
fn room(map: &MapMemory) -> String {
    match map.kind {
        "hash" | "per-CPU hash" => format!(" for {} entries", map.max_entries),
        "per-CPU array" if map.max_entries > 1 => format!(" for {} slots", map.max_entries),
        _ => String::new(),
    }
}

/// With a binary prefix and three digits: `2.34 MiB`.
fn bytes(count: u64) -> String {
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1024.0 && unit < 4 {
        value /= 1024.0;
        unit += 1;
    }
    let unit = ["bytes", "KiB", "MiB", "GiB", "TiB"][unit];
    match value {
        _ if unit == "bytes" => format!("{count} {unit}"),
        v if v < 10.0 => format!("{v:.2} {unit}"),
        v if v < 100.0 => format!("{v:.1} {unit}"),
        v => format!("{v:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes() {
        let texts = [0, 1023, 1024, 10240, 1 << 20, 123 << 20, 5 << 30].map(bytes);
        assert_eq!(texts, ["0 bytes", "1023 bytes", "1.00 KiB", "10.0 KiB", "1.00 MiB", "123 MiB", "5.00 GiB"]);
    }
}
