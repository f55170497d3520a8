//! A million rows: none lost while they are read, none unaccounted for while they are not.

use crate::lab::{Check, Lab, Verdict, ensure, passed};
use crate::load::{Load, Tally};
use crate::query::{Ended, Query};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;

/// The checks of this file.
pub(crate) const CHECKS: &[Check] = &[
    ("stream/json", |lab| kept_up(lab, "json")),
    ("stream/csv", |lab| kept_up(lab, "csv")),
    ("stream/torrent", torrent),
    ("stream/stopped", stopped),
    ("stream/for", cut_by_time),
    ("stream/limit", cut_by_limit),
];

/// Rows of each of the two processes.
const EACH: u64 = 500_000;

fn load(lab: &Lab, rate: u64) -> Result<Load, String> {
    Load::new(lab, 2, &["burst", &rate.to_string(), &EACH.to_string()])
}

fn sql(load: &Load) -> String {
    format!("select pid, cpu, args.pid as i from tracepoint.syscalls.sys_enter_getpgid where pid in {}", load.list())
}

/// Rows a second on each of two processors: what a free machine reads, and what one reads that has much else to do. How much
/// can be read is a benchmark's business.
const RATES: [u64; 3] = [270_000, 100_000, 40_000];

/// Reads while the load runs, as fast as this machine can: all rows come, and none is lost.
fn kept_up(lab: &Lab, format: &str) -> Verdict {
    let mut lossy = Vec::new();
    for rate in RATES {
        match all_read(lab, format, rate)? {
            (0, figures) => return passed([lossy, vec![figures]].concat().join("; ")),
            (lost, figures) => lossy.push(format!("{figures}, {lost} reported lost")),
        }
    }
    Err(lossy.join("; "))
}

/// One load, all of whose rows must be printed or be reported lost; how many were.
fn all_read(lab: &Lab, format: &str, rate: u64) -> Result<(u64, String), String> {
    let mut load = load(lab, rate)?;
    let query = Query::live(lab, &["--strict", "--format", format, "-e", &sql(&load)])?;
    load.go()?;
    let tallies = load.finish()?;
    let reached = 2.0 * EACH as f64 * 1e9 / tallies.iter().map(|tally| tally.ns).max().unwrap_or(1) as f64;
    let reader = query.processor_ms()?;
    let ended = query.interrupt()?;
    let (rows, lost) = (rows(&ended, format)?, ended.lost()?);
    each_once(&rows, &tallies)?;
    let printed = rows.len() as u64;
    ensure(printed + lost == 2 * EACH, || format!("{printed} printed + {lost} lost = {}", printed + lost))?;
    let strict = if lost == 0 { 0 } else { 4 };
    ended.expect(strict)?;
    let cpus: Vec<u32> = tallies.iter().map(|tally| tally.cpu).collect();
    let figures =
        format!("{printed} rows printed at {reached:.0}/s from CPUs {cpus:?}, {reader} ms of the reader's own");
    Ok((lost, figures))
}

/// Rows faster than system calls can make them, from one processor: what the reader cannot take is counted.
fn torrent(lab: &Lab) -> Verdict {
    let mut load = Load::new(lab, 1, &["uring", "0", &(2 * EACH).to_string()])?;
    let relation = "tracepoint.io_uring.io_uring_complete";
    let sql = format!("select pid, cpu, user_data as i from {relation} where pid in {}", load.list());
    let query = Query::live(lab, &["--format", "json", "-e", &sql])?;
    load.go()?;
    let tallies = load.finish()?;
    let ended = query.interrupt()?.expect(0)?;
    let (rows, lost) = (rows(&ended, "json")?, ended.lost()?);
    each_once(&rows, &tallies)?;
    let printed = rows.len() as u64;
    ensure(printed + lost == 2 * EACH, || format!("{printed} printed + {lost} lost = {}", printed + lost))?;
    let rate = 2.0 * EACH as f64 * 1e9 / tallies.iter().map(|tally| tally.ns).max().unwrap_or(1) as f64;
    passed(format!("{printed} printed + {lost} reported lost = {} at {rate:.0}/s", 2 * EACH))
}

/// Stops the reader for as long as the load takes, which is more than the ring buffer holds.
fn stopped(lab: &Lab) -> Verdict {
    let mut load = load(lab, 0)?;
    let query = Query::live(lab, &["--strict", "--format", "json", "-e", &sql(&load)])?;
    query.signal(Signal::SIGSTOP)?;
    load.go()?;
    let tallies = load.finish()?;
    query.signal(Signal::SIGCONT)?;
    let ended = query.interrupt()?.expect(4)?;
    let (rows, lost) = (rows(&ended, "json")?, ended.lost()?);
    each_once(&rows, &tallies)?;
    let printed = rows.len() as u64;
    ensure(lost > 0, || format!("nothing was lost, and {printed} rows printed"))?;
    ensure(printed + lost == 2 * EACH, || format!("{printed} printed + {lost} lost = {}", printed + lost))?;
    passed(format!("{printed} printed + {lost} reported lost = {}, --strict ends with 4", 2 * EACH))
}

/// Ends in the midst of the load: all rows up to the end are there.
fn cut_by_time(lab: &Lab) -> Verdict {
    // 5 s: whatever holds these checks up, the query ends before the load does, and behind its beginning.
    let mut load = load(lab, 100_000)?;
    let query = Query::live(lab, &["--for", "2s", "--format", "csv", "-e", &sql(&load)])?;
    load.go()?;
    let ended = query.wait()?.whole()?;
    let rows = rows(&ended, "csv")?;
    each_once(&rows, &load.finish()?)?;
    // In order, each once, and the last is the number of those before: none is missing between.
    let last: u64 = rows.iter().map(|row| (row[0], row[2] + 1)).collect::<BTreeMap<_, _>>().values().sum();
    let printed = rows.len() as u64;
    ensure(printed == last && 0 < printed && printed < 2 * EACH, || format!("{printed} rows up to the {last}th"))?;
    passed(format!("{printed} rows in 2 s, every one up to the last"))
}

fn cut_by_limit(lab: &Lab) -> Verdict {
    let mut load = load(lab, 0)?;
    let query = Query::live(lab, &["--format", "csv", "-e", &format!("{} limit 123456", sql(&load))])?;
    load.go()?;
    let ended = query.wait()?.expect(0)?;
    let rows = rows(&ended, "csv")?;
    each_once(&rows, &load.finish()?)?;
    ensure(rows.len() == 123_456, || format!("{} rows", rows.len()))?;
    passed(format!("LIMIT 123456 of {}: as many rows", 2 * EACH))
}

/// Process, processor and number of each row.
fn rows(ended: &Ended, format: &str) -> Result<Vec<[u64; 3]>, String> {
    let (header, lines) = match (format, ended.out.split_once('\n')) {
        ("csv", Some((header, lines))) => (Some(header), lines),
        _ => (None, ended.out.as_str()),
    };
    ensure(header.is_none_or(|header| header == "pid,cpu,i"), || format!("header {header:?}"))?;
    let row = |line: &str| {
        let numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        let numbers: Vec<u64> = numbers.filter_map(|word| word.parse().ok()).collect();
        <[u64; 3]>::try_from(numbers).map_err(|_| format!("row {line}"))
    };
    lines.lines().map(row).collect()
}

/// No row is there twice, and each was made, by the process on its processor; a process's rows come in order.
fn each_once(rows: &[[u64; 3]], tallies: &[Tally]) -> Result<(), String> {
    for tally in tallies {
        let own: Vec<u64> = rows.iter().filter(|row| row[0] == u64::from(tally.pid)).map(|row| row[2]).collect();
        let ordered = own.windows(2).all(|pair| pair[0] < pair[1]) && own.iter().all(|i| *i < tally.calls);
        ensure(ordered, || format!("rows of process {} out of order", tally.pid))?;
        let placed = rows.iter().filter(|row| row[0] == u64::from(tally.pid)).all(|row| row[1] == u64::from(tally.cpu));
        ensure(placed, || format!("rows of process {} from another processor", tally.pid))?;
    }
    ensure(rows.iter().all(|row| tallies.iter().any(|tally| row[0] == u64::from(tally.pid))), || {
        "rows of strangers".to_string()
    })
}
