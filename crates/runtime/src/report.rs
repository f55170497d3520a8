//! What was lost, at the end of every run.
//!
//! What must hold: rows handed on + rows reported lost = rows that happened; what nobody counted is said to be unknown.

use crate::stop::Ended;
use bpfquery_diag::Result;
use bpfquery_object::Manifest;
use libbpf_rs::{MapCore, MapFlags, Object};
use std::fmt;

/// The loss report. Its text has a line for losses, one for misses, and one for each further fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Why the query ended.
    pub ended: Ended,
    /// Rows that came from the kernel, or groups, whatever became of them after that.
    pub received: u64,
    /// The object's own counters, by name, as the manifest has them.
    pub counters: Vec<(String, u64)>,
    /// Events that the kernel skipped the program for.
    pub misses: Misses,
    /// Windows that were seen in part.
    pub partial_windows: Vec<crate::PartialWindow>,
    /// What the run cost, if that was asked for.
    pub analysis: Option<crate::Analysis>,
}

/// Events that the kernel skipped the program for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misses {
    /// So many.
    Known(u64),
    /// The kernel does not count them; why.
    Unknown(String),
}

impl Report {
    /// Whether nothing was lost, in part or in whole, and that is known: what `--strict` asks for.
    pub fn is_lossless(&self) -> bool {
        // What a join leaves out is in no row by the join's own meaning: calls that were under way at the start, or still are.
        let lost = |name: &str, count: u64| count > 0 && !is_of_join(name);
        self.misses == Misses::Known(0) && !self.counters.iter().any(|(name, count)| lost(name, *count))
    }

    /// Rows or events that are in no result, as far as they were counted.
    pub fn lost(&self) -> u64 {
        let lost = self.counters.iter().filter(|(name, _)| !is_fact(name)).map(|(_, count)| count);
        lost.sum()
    }
}

/// The counters of an object, from its `.bss`.
pub(crate) fn counters(object: &Object, manifest: &Manifest) -> Result<Vec<(String, u64)>> {
    let section = object.maps().find(|map| map.name().to_string_lossy().ends_with(".bss"));
    let bytes = match section {
        Some(section) => section
            .lookup(&0u32.to_ne_bytes(), MapFlags::ANY)
            .map_err(|error| bpfquery_diag::Failure::io("read the counters of losses", error))?
            .unwrap_or_default(),
        // A section that no program refers to is not in the object.
        None => Vec::new(),
    };
    let value = |offset: u32| {
        let bytes = bytes.get(offset as usize..).and_then(|rest| rest.first_chunk::<8>());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let mut all: Vec<(String, u64)> = Vec::new();
    for counter in &manifest.counters {
        // One that has several places is their sum.
        match all.iter_mut().find(|(name, _)| *name == counter.name) {
            Some((_, count)) => *count += value(counter.offset),
            None => all.push((counter.name.clone(), value(counter.offset))),
        }
    }
    all.extend(join_facts(&manifest.tallies.as_ref().map_or(Vec::new(), |tallies| tallies.sums(&bytes))));
    Ok(all)
}

/// What a join has left out: rows that were held until the next one came, rows that were still held at the end (or whose thread has
/// ended), and rows whose thread held none. The names are those of codegen's `Tally`, but for the second.
pub fn join_facts(tallies: &[(String, u64)]) -> Vec<(String, u64)> {
    let of = |name: &str| tallies.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count);
    if tallies.is_empty() {
        return Vec::new();
    }
    let (held, overwritten, matched) = (of("join_held"), of("join_overwritten"), of("join_matched"));
    vec![
        ("join_overwritten".to_string(), overwritten),
        ("join_left".to_string(), held.saturating_sub(overwritten).saturating_sub(matched)),
        ("join_unmatched".to_string(), of("join_unmatched")),
    ]
}

/// Whether the counter tells of values, not of whole rows.
pub fn is_of_values(name: &str) -> bool {
    matches!(name, "read_faults" | "text_unknown" | "text_cut")
}

/// Whether the counter tells of what is in the rows, or in none by the meaning of the query.
fn is_fact(name: &str) -> bool {
    is_of_values(name) || is_of_join(name)
}

/// Whether the counter tells of rows that found no partner.
fn is_of_join(name: &str) -> bool {
    matches!(name, "join_overwritten" | "join_left" | "join_unmatched")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nonzero = || self.counters.iter().filter(|(_, count)| *count > 0);
        let losses: Vec<String> =
            nonzero().filter(|(name, _)| !is_fact(name)).map(|(name, count)| loss(name, *count)).collect();
        f.write_str("losses: ")?;
        f.write_str(&if losses.is_empty() { "none".to_string() } else { losses.join(", ") })?;
        match &self.misses {
            Misses::Known(0) => f.write_str("\nmisses: none")?,
            Misses::Known(count) => {
                write!(f, "\nmisses: {} (the kernel was within a probe already)", counted(*count, "event"))?;
            }
            Misses::Unknown(why) => write!(f, "\nmisses: unknown ({why})")?,
        }
        for (name, count) in nonzero() {
            match name.as_str() {
                "read_faults" => write!(f, "\nreads: {} faulted (NULL)", counted(*count, "value"))?,
                "text_unknown" => {
                    write!(f, "\ntext: {} needed what was cut (NULL)", counted(*count, "comparison"))?;
                }
                "join_overwritten" => {
                    write!(f, "\njoin: {} held until the thread's next one came", counted(*count, "row"))?;
                }
                "join_left" => write!(f, "\njoin: {} still held, or their threads ended", counted(*count, "row"))?,
                "join_unmatched" => write!(f, "\njoin: {} came to threads that held none", counted(*count, "row"))?,
                "text_cut" => write!(f, "\ntext: {} may be cut", counted(*count, "value"))?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The names are those of codegen's `Counter`.
fn loss(name: &str, count: u64) -> String {
    match name {
        "held_full" => format!("{} (too many threads held one)", counted(count, "row")),
        "held_busy" => format!("{} (the map of held rows was locked)", counted(count, "row")),
        "held_failed" => format!("{} (not held: no memory)", counted(count, "row")),
        "rows_lost" => format!("{} (the ring buffer was full)", counted(count, "row")),
        "groups_full" => {
            format!("{} (the map of groups was full; --max-groups makes it larger)", counted(count, "event"))
        }
        "groups_no_memory" => format!("{} (no memory for a new group)", counted(count, "event")),
        "groups_busy" => format!("{} (the group's bucket was busy)", counted(count, "event")),
        "groups_failed" => format!("{} (the group could not be made)", counted(count, "event")),
        other => format!("{} ({other})", counted(count, "event")),
    }
}

/// `1 row`, `1,234 rows`.
fn counted(count: u64, noun: &str) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    let plural = if count == 1 { "" } else { "s" };
    format!("{text} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::{Misses, Report};
    use crate::stop::Ended;

    fn check(counters: &[(&str, u64)], misses: Misses, lossless: bool, text: &str) {
        let counters = counters.iter().map(|(name, count)| (name.to_string(), *count)).collect();
        let partial_windows = Vec::new();
        let report = Report { ended: Ended::After, received: 1, counters, misses, partial_windows, analysis: None };
        assert_eq!(report.to_string(), text);
        assert_eq!(report.is_lossless(), lossless, "{text}");
    }

    #[test]
    fn texts() {
        check(&[], Misses::Known(0), true, "losses: none\nmisses: none");
        check(&[("rows_lost", 0), ("text_cut", 0)], Misses::Known(0), true, "losses: none\nmisses: none");
        check(
            &[("rows_lost", 1_234_567), ("groups_full", 1)],
            Misses::Known(12),
            false,
            "losses: 1,234,567 rows (the ring buffer was full), 1 event (the map of groups was full; --max-groups makes it larger)\n\
             misses: 12 events (the kernel was within a probe already)",
        );
        check(
            &[("read_faults", 12), ("text_unknown", 1), ("text_cut", 100)],
            Misses::Unknown("Linux 6.1 has no counter for perf tracepoints".into()),
            false,
            "losses: none\nmisses: unknown (Linux 6.1 has no counter for perf tracepoints)\n\
             reads: 12 values faulted (NULL)\ntext: 1 comparison needed what was cut (NULL)\n\
             text: 100 values may be cut",
        );
        check(
            &[("join_overwritten", 1), ("join_left", 2), ("join_unmatched", 0)],
            Misses::Known(0),
            true,
            "losses: none\nmisses: none\njoin: 1 row held until the thread's next one came\n\
             join: 2 rows still held, or their threads ended",
        );
        check(&[("held_full", 3)], Misses::Known(0), false, "losses: 3 rows (too many threads held one)\nmisses: none");
        check(&[("rows_dropped", 2)], Misses::Known(0), false, "losses: 2 events (rows_dropped)\nmisses: none");
    }
}
