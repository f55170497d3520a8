//! Aggregates to the last event: two processes on two processors at once, against the load's own arithmetic and bpftrace.

use crate::lab::{Check, Lab, Outcome, Verdict, ensure, output, passed, wait_for, which};
use crate::load::{Load, Tally};
use crate::query::Query;
use nix::sys::signal::Signal;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Command, Stdio};

/// The checks of this file.
pub(crate) const CHECKS: &[Check] = &[
    ("exact/read", |lab| one_load(lab, "read", "count")),
    ("exact/getpgid", |lab| one_load(lab, "getpgid", "pid")),
    ("exact/lseek", |lab| one_load(lab, "lseek", "offset")),
    ("exact/windows", windows),
    ("bpftrace/read", bpftrace),
];

/// The aggregates of one group.
#[derive(Debug, Deserialize)]
struct Group {
    pid: Option<u32>,
    comm: Option<String>,
    cpu: Option<u32>,
    n: u64,
    total: i128,
    lo: i64,
    hi: i64,
    mean: f64,
    h: Vec<Bucket>,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    low: Option<u64>,
    count: u64,
}

fn sql(event: &str, column: &str, keys: &str, pids: &str) -> String {
    let x = format!("args.{column}");
    let (listed, grouped) = match keys {
        "" => (String::new(), String::new()),
        keys => (format!("{keys}, "), format!("group by {keys}")),
    };
    format!(
        "select {listed}count(*) as n, sum({x}) as total, min({x}) as lo, max({x}) as hi, avg({x}) as mean, hist({x}) as h \
         from tracepoint.syscalls.sys_enter_{event} where pid in {pids} {grouped}"
    )
}

/// Four queries on one load: by process, by processor and name, by name, and ungrouped.
fn one_load(lab: &Lab, event: &str, column: &str) -> Verdict {
    let mut load = Load::new(lab, 2, &["calls", "--call", event, "2", &lab.calls.to_string()])?;
    let start = |keys| Query::live(lab, &["--format", "json", "-e", &sql(event, column, keys, &load.list())]);
    let queries = ["pid", "cpu, comm", "comm", ""].map(start);
    load.go()?;
    let tallies = load.finish()?;
    let whole = Tally::all(&tallies).ok_or("no tallies")?;
    let mut groups: Vec<Vec<Group>> = Vec::new();
    for query in queries {
        groups.push(query?.interrupt()?.whole()?.rows()?);
    }
    for tally in &tallies {
        let by_pid = groups[0].iter().filter(|group| group.pid == Some(tally.pid));
        let by_cpu = groups[1].iter().filter(|group| group.cpu == Some(tally.cpu));
        for group in by_pid.chain(by_cpu) {
            same(group, tally)?;
        }
    }
    groups[2..].iter().flatten().try_for_each(|group| same(group, &whole))?;
    let counts: Vec<usize> = groups.iter().map(Vec::len).collect();
    ensure(counts == [2, 2, 1, 1], || format!("groups: {counts:?}"))?;
    let named = groups[1].iter().chain(&groups[2]).all(|group| group.comm.as_deref() == Some("calls"));
    ensure(named, || "a group is not named calls".to_string())?;
    passed(format!(
        "{} calls on CPUs {} and {} in {:.0} ms; sum {}, min {}, max {}, {} buckets, by pid, cpu + comm, comm and ungrouped",
        whole.calls,
        tallies[0].cpu,
        tallies[1].cpu,
        whole.ns as f64 / 1e6,
        whole.sum(),
        whole.min,
        whole.max,
        whole.hist.len()
    ))
}

/// The group is the load's arithmetic, in every aggregate.
fn same(group: &Group, tally: &Tally) -> Result<(), String> {
    let mean = tally.sum() as f64 / tally.calls as f64;
    let close = (group.mean - mean).abs() <= mean.abs() * f64::EPSILON;
    let hist: BTreeMap<String, u64> = group.h.iter().map(|bucket| (low(bucket.low), bucket.count)).collect();
    let numbers = (group.n, group.total, group.lo, group.hi) == (tally.calls, tally.sum(), tally.min, tally.max);
    ensure(numbers && close && hist == tally.hist, || format!("counted {group:?}\nbut the load did {tally:?}"))
}

fn low(low: Option<u64>) -> String {
    low.map_or_else(|| "neg".to_string(), |low| low.to_string())
}

#[derive(Debug, Deserialize)]
struct Window {
    bucket: String,
    n: u64,
    total: i128,
    lo: i64,
    hi: i64,
}

/// A load over several seconds: its windows join without a gap and add up to all of it.
fn windows(lab: &Lab) -> Verdict {
    let each = (lab.calls * 3 / 2).max(3000);
    let mut load = Load::new(lab, 2, &["burst", &(each * 2 / 5).to_string(), &each.to_string()])?;
    let sql = format!(
        "select tumble(interval '1 second') as bucket, count(*) as n, sum(args.pid) as total, min(args.pid) as lo, \
         max(args.pid) as hi from tracepoint.syscalls.sys_enter_getpgid where pid in {} group by bucket",
        load.list()
    );
    let query = Query::live(lab, &["--format", "json", "-e", &sql])?;
    load.go()?;
    let whole = Tally::all(&load.finish()?).ok_or("no tallies")?;
    let rows: Vec<Window> = query.interrupt()?.whole()?.rows()?;
    let seen = (
        rows.iter().map(|row| row.n).sum::<u64>(),
        rows.iter().map(|row| row.total).sum::<i128>(),
        rows.iter().map(|row| row.lo).min(),
        rows.iter().map(|row| row.hi).max(),
    );
    let did = (whole.calls, whole.sum(), Some(whole.min), Some(whole.max));
    ensure(seen == did, || format!("the windows have {seen:?}, the load did {did:?}: {rows:?}"))?;
    let starts: Vec<&str> = rows.iter().map(|row| row.bucket.as_str()).collect();
    let ordered = starts.windows(2).all(|pair| pair[0] < pair[1]);
    // The load takes 2.5 s at least.
    ensure(rows.len() >= 3 && ordered, || format!("windows: {starts:?}"))?;
    let counts: Vec<String> = rows.iter().map(|row| row.n.to_string()).collect();
    passed(format!("{} = {}; from {}", counts.join(" + "), whole.calls, starts[0]))
}

/// The same load seen by both at once, at the same tracepoint.
fn bpftrace(lab: &Lab) -> Verdict {
    let Some(program) = which("bpftrace") else {
        return Ok(Outcome::Skipped("no bpftrace here".to_string()));
    };
    let mut load = Load::new(lab, 2, &["calls", "--call", "read", "2", &lab.calls.to_string()])?;
    let theirs = Bpftrace::live(lab, &program, &load.pids)?;
    let ours = Query::live(lab, &["--format", "json", "-e", &sql("read", "count", "pid", &load.list())])?;
    load.go()?;
    let tallies = load.finish()?;
    let groups: Vec<Group> = ours.interrupt()?.whole()?.rows()?;
    ensure(groups.len() == 2, || format!("{} groups", groups.len()))?;
    let said = theirs.end()?;
    let mut differ = Vec::new();
    for tally in &tallies {
        let group = groups.iter().find(|group| group.pid == Some(tally.pid)).ok_or("a process is missing")?;
        same(group, tally)?;
        let expect = [
            ("@n", tally.calls.to_string()),
            ("@total", tally.sum().to_string()),
            ("@lo", tally.min.to_string()),
            ("@hi", tally.max.to_string()),
            ("@mean", (tally.sum() / i128::from(tally.calls)).to_string()),
        ];
        for (map, expect) in expect {
            let seen = said.get(&(map.to_string(), tally.pid.to_string()));
            if seen != Some(&expect) {
                differ.push(format!("{map}[{}] is {seen:?}, not {expect}", tally.pid));
            }
        }
        let hist = said.get(&("@h".to_string(), tally.pid.to_string()));
        let expect = format!("{:?}", tally.hist);
        if hist != Some(&expect) {
            differ.push(format!("@h[{}] is {hist:?}, not {expect}", tally.pid));
        }
    }
    ensure(differ.is_empty(), || format!("ours is the load's own, bpftrace's is not: {}", differ.join("; ")))?;
    let version = output(Command::new(&program).arg("--version"))?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_string();
    passed(format!(
        "{} + {} calls: count, sum, min, max, avg and hist by pid are the load's own and those of {version}",
        tallies[0].calls, tallies[1].calls
    ))
}

/// A running bpftrace. Dropped, it is killed.
struct Bpftrace {
    child: std::process::Child,
    out: std::path::PathBuf,
}

impl Bpftrace {
    fn live(lab: &Lab, program: &std::path::Path, pids: &[u32]) -> Result<Bpftrace, String> {
        let ours: Vec<String> = pids.iter().map(|pid| format!("pid == {pid}")).collect();
        let script = format!(
            "tracepoint:syscalls:sys_enter_read /{}/ {{ @n[pid] = count(); @total[pid] = sum(args->count); \
             @lo[pid] = min(args->count); @hi[pid] = max(args->count); @mean[pid] = avg(args->count); \
             @h[pid] = hist(args->count); }}",
            ours.join(" || ")
        );
        let out = lab.path("bpftrace");
        let file = File::create(&out).map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(["-f", "json", "-e", &script]).stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("bpftrace: {error}"))?;
        wait_for("bpftrace attached", || {
            let ended = child.try_wait().map_err(|error| error.to_string())?;
            ensure(ended.is_none(), || "bpftrace ended at once".to_string())?;
            Ok(crate::lab::text(&out)?.contains("attached_probes").then_some(()))
        })?;
        // It says so before it has attached the last.
        wait_for("bpftrace at its tracepoint", || {
            let events = lab.bpftool_json(&["perf", "show"])?;
            let is_its = |event: &serde_json::Value| event["pid"].as_u64() == Some(child.id().into());
            Ok(events.as_array().is_some_and(|events| events.iter().any(is_its)).then_some(()))
        })?;
        Ok(Bpftrace { child, out })
    }

    /// Its maps' entries by map and key; a histogram's as the load has them.
    fn end(mut self) -> Result<BTreeMap<(String, String), String>, String> {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, Signal::SIGINT).map_err(|error| error.to_string())?;
        wait_for("the end of bpftrace", || self.child.try_wait().map_err(|error| error.to_string()))?;
        let mut entries = BTreeMap::new();
        for line in crate::lab::text(&self.out)?.lines().filter(|line| !line.is_empty()) {
            let said: serde_json::Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
            let maps = said["data"].as_object().into_iter().flatten();
            for (map, keys) in maps.filter(|(name, _)| name.starts_with('@')) {
                for (key, value) in keys.as_object().into_iter().flatten() {
                    entries.insert((map.clone(), key.clone()), theirs(value));
                }
            }
        }
        Ok(entries)
    }
}

/// A number, or a histogram's buckets by their lower end.
fn theirs(value: &serde_json::Value) -> String {
    match value.as_array() {
        None => value.to_string(),
        Some(buckets) => {
            // Empty buckets between full ones are listed, too; one without a lower end is that of what is below zero.
            let full = buckets.iter().filter(|bucket| bucket["count"].as_u64() != Some(0));
            let hist: BTreeMap<String, u64> =
                full.map(|bucket| (low(bucket["min"].as_u64()), bucket["count"].as_u64().unwrap_or(0))).collect();
            format!("{hist:?}")
        }
    }
}

impl Drop for Bpftrace {
    fn drop(&mut self) {
        // One that has ended is no failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
