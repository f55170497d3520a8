//! Figures as the rows of the page's tables.

use crate::events::{Cost, Form};
use crate::figures::{ends, median};
use crate::workload::Workload;
use std::fmt::Write;

/// The head of the table of events.
pub(crate) const EVENTS_HEAD: &str = "\
| workload | form | ns in the program, net | least – greatest | ratio | at most | ns added to a call | least – greatest | ratio | at most |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|
";

/// The rows of a workload.
pub(crate) fn events(workload: &Workload, costs: &[Cost]) -> String {
    let mut text = String::new();
    let of = |form| costs.iter().find(|cost| cost.form == form);
    for (form, name) in
        [(Form::Ours, "bpfquery"), (Form::Usual, "C, usual"), (Form::Best, "C, best"), (Form::Bpftrace, "bpftrace")]
    {
        let Some(cost) = of(form) else { continue };
        let title = if form == Form::Ours { workload.title.as_str() } else { "" };
        if let Some(error) = &cost.error {
            let first = error.lines().next().unwrap_or_default();
            let _ = writeln!(text, "| {title} | {name} | not measured: {} | | | | | | | |", first.replace('|', "\\|"));
            continue;
        }
        let usual = of(Form::Usual);
        let best = of(Form::Best).and_then(|best| median(&best.inside));
        let ours = form == Form::Ours;
        let limit = |limit: Option<f64>| limit.filter(|_| ours).map_or(String::new(), |limit| format!("{limit:.2}"));
        let at_most = match (workload.target.above_best.filter(|_| ours), best) {
            (Some(above), Some(best)) => format!("{:.1} ns", best + above),
            _ => limit(workload.target.ratio),
        };
        let _ = writeln!(
            text,
            "| {title} | {name} | {} | {at_most} | {} | {} |",
            cells(&cost.inside, usual.map(|usual| usual.inside.as_slice())),
            cells(&cost.added, usual.map(|usual| usual.added.as_slice())),
            limit(workload.target.added)
        );
        if let Some(lost) = &cost.lost {
            let _ = writeln!(text, "| | | {lost} | | | | | | | |");
        }
    }
    text
}

/// The median, what lies around it, and its ratio to another median.
fn cells(values: &[f64], to: Option<&[f64]>) -> String {
    let (Some(middle), Some((least, most))) = (median(values), ends(values)) else { return "| |".to_string() };
    let ratio = to.and_then(median).filter(|to| *to > 0.0).map_or(String::new(), |to| format!("{:.2}", middle / to));
    format!("{middle:.1} | {least:.1} – {most:.1} | {ratio}")
}
