//! Figures as the page's tables. A figure that misses its target is printed in bold.

use crate::compile::{SIZES, Times};
use crate::events::{Cost, Form};
use crate::figures::{ends, median};
use crate::instructions::{Listing, Programs};
use crate::keys;
use crate::start::{Run, Start};
use crate::stream::{Reached, Reader};
use crate::workload::Workload;
use std::fmt::Write;

/// A workload with what it costs.
pub(crate) type Measured = (Workload, Vec<Cost>);

const FORMS: [Form; 4] = [Form::Ours, Form::Usual, Form::Best, Form::Bpftrace];

/// What events cost: in the program, and to the call.
pub(crate) fn events(measured: &[Measured], rounds: usize) -> String {
    let mut text = format!(
        "\
## Events

What a query costs per event, beside the same in C, as it is usually written with libbpf (`testdata/bench/*.usual.c`: perf
tracepoints, hash maps, atomic additions, every record wakes the reader) and in the best form that we know (`*.best.c`), both by
`clang -O2`, and in bpftrace where it can say it. Medians of {rounds} rounds; in each the forms take turns and one is attached at a
time; the load is alone on its processor, at real-time priority. A cell has the ratio to usual C, then ns and half the distance
between the least and the greatest. What misses its target is in bold.

In the program: the kernel's statistics, net of an empty program on the same hook. Of two programs, the sum.

"
    );
    text.push_str(&table(measured, inside_target, |cost| &cost.inside));
    text.push_str(
        "\n\
What a call takes longer with the programs attached, statistics off, the hook included: what the traced machine pays.

",
    );
    text.push_str(&table(measured, |workload, _| workload.target.added.map(Limit::Ratio), |cost| &cost.added));
    let notes = notes(measured);
    if !notes.is_empty() {
        let _ = write!(text, "\n{notes}");
    }
    text
}

/// The most that a figure may be.
#[derive(Clone, Copy)]
enum Limit {
    Ratio(f64),
    Ns(f64),
}

fn inside_target(workload: &Workload, costs: &[Cost]) -> Option<Limit> {
    let best = costs.iter().find(|cost| cost.form == Form::Best).and_then(|cost| median(&cost.inside));
    match (workload.target.ratio, workload.target.above_best, best) {
        (Some(ratio), _, _) => Some(Limit::Ratio(ratio)),
        (None, Some(above), Some(best)) => Some(Limit::Ns(best + above)),
        _ => None,
    }
}

fn table(
    measured: &[Measured],
    target: fn(&Workload, &[Cost]) -> Option<Limit>,
    values: fn(&Cost) -> &Vec<f64>,
) -> String {
    let mut text =
        "| workload | at most | bpfquery | C, usual | C, best | bpftrace |\n|---|--:|--:|--:|--:|--:|\n".to_string();
    for (workload, costs) in measured {
        let limit = target(workload, costs);
        let at_most = match limit {
            Some(Limit::Ratio(ratio)) => format!("{ratio:.2}"),
            Some(Limit::Ns(ns)) => format!("{ns:.1} ns"),
            None => String::new(),
        };
        let of = |form| costs.iter().find(|cost| cost.form == form && cost.error.is_none()).map(values);
        let usual = of(Form::Usual).and_then(|values| median(values));
        let cell = |form| {
            let limit = limit.filter(|_| form == Form::Ours);
            of(form).map_or("–".to_string(), |values| cell(values, usual, limit))
        };
        let cells: Vec<String> = FORMS.map(cell).to_vec();
        let _ = writeln!(text, "| {} | {at_most} | {} |", workload.title, cells.join(" | "));
    }
    text
}

/// `0.87 (27.1 ± 0.8)`.
fn cell(values: &[f64], usual: Option<f64>, limit: Option<Limit>) -> String {
    let (Some(middle), Some((least, most))) = (median(values), ends(values)) else { return "–".to_string() };
    // A ratio to next to nothing says nothing.
    let ratio = usual.filter(|usual| *usual >= 1.0).map(|usual| middle / usual);
    let around = format!("{middle:.1} ± {:.1}", (most - least) / 2.0);
    let text = ratio.map_or(around.clone(), |ratio| format!("{ratio:.2} ({around})"));
    let missed = match limit {
        Some(Limit::Ratio(limit)) => ratio.is_some_and(|ratio| ratio > limit),
        Some(Limit::Ns(limit)) => middle > limit,
        None => false,
    };
    if missed { format!("**{text}**") } else { text }
}

/// Whether a figure of ours is above its target.
fn misses(workload: &Workload, costs: &[Cost]) -> bool {
    let of = |form, values: fn(&Cost) -> &Vec<f64>| {
        costs.iter().find(|cost| cost.form == form).and_then(|cost| median(values(cost)))
    };
    let above = |limit: Option<Limit>, values: fn(&Cost) -> &Vec<f64>| match (limit, of(Form::Ours, values)) {
        (Some(Limit::Ratio(ratio)), Some(ours)) => of(Form::Usual, values).is_some_and(|usual| ours > usual * ratio),
        (Some(Limit::Ns(most)), Some(ours)) => ours > most,
        (limit, None) => limit.is_some(),
        (None, _) => false,
    };
    above(inside_target(workload, costs), |cost| &cost.inside)
        || above(workload.target.added.map(Limit::Ratio), |cost| &cost.added)
}

/// What could not be measured, and what was lost.
fn notes(measured: &[Measured]) -> String {
    let mut text = String::new();
    for (workload, costs) in measured {
        for cost in costs {
            let name = match cost.form {
                Form::Ours => "bpfquery",
                Form::Usual => "C, usual",
                Form::Best => "C, best",
                Form::Bpftrace => "bpftrace",
                Form::Nothing | Form::Empty | Form::EmptyTyped => continue,
            };
            if let Some(error) = &cost.error {
                let _ = writeln!(text, "- {}, {name}: not measured: {}", workload.title, short(error));
            }
            if let Some(lost) = &cost.lost {
                let _ = writeln!(text, "- {}, {name}: {}", workload.title, short(lost));
            }
        }
    }
    text
}

/// The first line that says what is wrong.
pub(crate) fn short(error: &str) -> String {
    // bpftrace complains of a limit that does not matter.
    let line = error.lines().find(|line| !line.contains("RLIMIT_MEMLOCK") && !line.trim().is_empty());
    line.unwrap_or_default().trim().to_string()
}

/// Starts and ends.
pub(crate) fn starts(starts: &[Start], rounds: usize, binary_bytes: u64) -> String {
    let mut text = format!(
        "\
## Start and end

From the start of the program until events are counted, its peak memory until then, and from there to its end: medians of {rounds}
runs, in turns, at real-time priority. The query is `select comm, count(*) from RELATION where pid = N group by comm`; the C has no
filter and a loader as small as they are written (`testdata/bench/loader.c`, with the shared libbpf); bpftrace has
`tracepoint:raw_syscalls:sys_enter /pid == N/ {{ @[comm] = count(); }}`. bpfquery should be live in less than 5 ms, take less than
8 MiB, and end in less than 10 ms where the hook allows it.

| count by comm | live after | memory | gone after |
|---|--:|--:|--:|
"
    );
    for start in starts {
        if let Some(error) = &start.error {
            let _ = writeln!(text, "| {} | not measured: {} | | |", start.title, short(error));
            continue;
        }
        let ours = start.title.starts_with("bpfquery");
        let cell = |of: fn(&Run) -> f64, unit: &str, limit: f64| {
            let value = start.median(of).unwrap_or_default();
            let text = format!("{value:.1} {unit}");
            if ours && value > limit { format!("**{text}**") } else { text }
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            start.title,
            cell(|run| run.live, "ms", 5.0),
            cell(|run| run.memory, "MiB", 8.0),
            cell(|run| run.end, "ms", 10.0)
        );
    }
    let _ =
        writeln!(text, "\nThe release binary has {:.1} MB; it should have less than 12.", binary_bytes as f64 / 1e6);
    text
}

/// Readers of streams.
pub(crate) fn streams(readers: &[Reader]) -> String {
    let mut text = "\
## Streams

`select pid, comm, cpu from rawtracepoint.io_uring_complete` to a file: the load on one processor, the reader on the other, faster and
faster until rows are missing. bpfquery should read 2.4 million rows a second as JSON, in at most 0.40 µs of its own time for each, and
in 0.15 µs without printing them. C prints the same JSON by printf; its best form wakes its reader by fill.

| reader | rows a second, none lost | its time per row | the first rate with losses |
|---|--:|--:|--:|
"
    .to_string();
    for reader in readers {
        let ours = reader.title.ends_with("json");
        let bold = |text: String, missed: bool| if ours && missed { format!("**{text}**") } else { text };
        let best = |of: fn(&Reached) -> f64| reader.best.as_ref().map(of);
        let rate = best(|reached| reached.rate)
            .map_or("none".to_string(), |rate| bold(format!("{:.2} M", rate / 1e6), rate < 2.39e6));
        let spent = best(|reached| reached.row_ns)
            .map_or("–".to_string(), |ns| bold(format!("{:.3} µs", ns / 1e3), ns > 400.0));
        let lost = |lost: &Reached| format!("{:.2} M, {:.1} % lost", lost.rate / 1e6, 100.0 * lost.lost);
        let first = reader.first_lost.as_ref().map_or("–".to_string(), lost);
        let first = reader.error.as_ref().map_or(first, |error| format!("not measured: {}", short(error)));
        let _ = writeln!(text, "| {} | {rate} | {spent} | {first} |", reader.title);
    }
    text
}

/// Readers of a million groups.
pub(crate) fn keys(readers: &[keys::Reader]) -> String {
    let mut text = "\
## A million groups

`select args.pid as number, count(*) from tracepoint.syscalls.sys_enter_getpgid group by number` with a million numbers, to a file: from
SIGINT to the last row, and the reader's peak memory. bpfquery should take no longer than C, which prints no more than it must, and
less than 60 MB. Usual C counts atomically in one hash map, as bpfquery does of so many groups (`share_many_groups`); the best C for few
groups has a value for each processor. Both kinds of C are read 4,096 entries at a time.

| reader | last row after | ratio | memory |
|---|--:|--:|--:|
"
    .to_string();
    let usual = readers.get(1).and_then(keys::Reader::medians);
    for (at, reader) in readers.iter().enumerate() {
        match (&reader.error, reader.medians()) {
            (None, Some((seconds, memory))) => {
                let ratio = usual.map_or(0.0, |(usual, _)| seconds / usual);
                let bold = |text: String, missed: bool| if at == 0 && missed { format!("**{text}**") } else { text };
                let ratio = bold(format!("{ratio:.2}"), ratio > 1.0);
                let memory = bold(format!("{memory:.0} MiB"), memory * 1.048_576 > 60.0);
                let _ = writeln!(text, "| {} | {seconds:.2} s | {ratio} | {memory} |", reader.title);
            }
            (error, _) => {
                let error = error.as_deref().map_or(String::new(), short);
                let _ = writeln!(text, "| {} | not measured: {error} | | |", reader.title);
            }
        }
    }
    text
}

/// The most ms that a case should take from SQL to ELF.
const COMPILE_MS: f64 = 2.0;

/// Times of compiling.
pub(crate) fn compile_times(times: &Times) -> String {
    let all: Vec<f64> = times.cases.iter().map(|(_, ms)| *ms).collect();
    let above = all.iter().filter(|ms| **ms > COMPILE_MS).count();
    let mut text = format!(
        "\
## Compiling

From SQL text to the object's bytes, for a pinned kernel that is in memory: the least of a few times. Of {} cases the median takes
{:.2} ms; {above} take longer than {COMPILE_MS} ms, which none should. The longest:

| case | ms |
|---|--:|
",
        all.len(),
        median(&all).unwrap_or_default()
    );
    for (name, error) in &times.failed {
        let _ = writeln!(text, "| {name} | not compiled: {} |", short(error));
    }
    for (name, ms) in times.cases.iter().take(5) {
        let mark = if *ms > COMPILE_MS { "**" } else { "" };
        let _ = writeln!(text, "| {name} | {mark}{ms:.2}{mark} |");
    }
    let sizes = SIZES.map(|size| size.to_string()).join(" | ");
    let _ = writeln!(
        text,
        "\nIn ms, and in µs for each expression, which should stay as it is:\n\n| what grows | {sizes} |"
    );
    let _ = writeln!(text, "|---|{}", "--:|".repeat(SIZES.len()));
    for (what, times) in &times.growing {
        let cell = |(ms, size): (&f64, usize)| format!("{ms:.1}, {:.1}", ms * 1e3 / size as f64);
        let cells: Vec<String> = times.iter().zip(SIZES).map(cell).collect();
        let _ = writeln!(text, "| {what} | {} |", cells.join(" | "));
    }
    text
}

/// Why targets are missed: what is written down in `NAME.why.md`, and the programs side by side. Empty if none is.
pub(crate) fn reasons(
    measured: &[Measured],
    programs: &[(Workload, Programs)],
    why: impl Fn(&str) -> Option<String>,
) -> String {
    let mut text = String::new();
    for ((workload, costs), (_, programs)) in measured.iter().zip(programs) {
        if !misses(workload, costs) {
            continue;
        }
        let reason = why(&workload.name).unwrap_or_else(|| "Nobody has written down yet why.\n".to_string());
        let _ = writeln!(text, "\n### {}\n\n{}", workload.title, reason.trim_end());
        let ours = programs.ours.as_ref().map_or_else(|error| short(error), |ours| ours.listing.text.clone());
        let listing = |listing: Option<&Listing>| listing.map_or(String::new(), |listing| listing.text.clone());
        let forms = [
            ("bpfquery", ours),
            ("C, usual", listing(programs.usual.as_ref())),
            ("C, best", listing(programs.best.as_ref())),
        ];
        for (name, code) in forms {
            let _ = writeln!(text, "\n<details><summary>{name}</summary>\n\n```text\n{code}\n```\n\n</details>");
        }
    }
    if text.is_empty() { text } else { format!("## What is not reached, and why\n{text}") }
}
