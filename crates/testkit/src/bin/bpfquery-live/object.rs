//! Objects outside of bpfquery: bpftool loads them, llvm-objdump reads them, other kernels run them.

use crate::lab::{Check, Lab, Outcome, Verdict, ensure, output, passed, wait_for, which};
use crate::left::{gone, held_by, listed};
use crate::load::{Load, Tally};
use crate::query::Query;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The checks of this file.
pub(crate) const CHECKS: &[Check] = &[
    ("object/bpftool", bpftool),
    ("object/join", join),
    ("object/objdump", objdump),
    ("object/run", same_as_sql),
    ("object/snapshots", snapshots),
];

/// A grouped query with a text key, an integer key, and names that are no C identifiers.
fn sql(pids: &str) -> String {
    over("tracepoint.syscalls.sys_enter_read", "args.count", &format!("pid in {pids}"))
}

/// The same over any relation; `size` is what read(2) is asked for.
fn over(relation: &str, size: &str, condition: &str) -> String {
    format!(
        "select comm as \"é\", cpu as \"a b\",\n\
        \x20      count(*) as \"count(*)\", sum({size}), avg({size}),\n\
        \x20      hist({size})\n\
         from {relation}\n\
         where {condition}\n\
         group by comm, cpu\n\
         order by cpu\n"
    )
}

/// A query that bpftool can attach: before Linux 5.15 a perf tracepoint has no link that could be pinned.
fn attachable(pids: &str) -> Result<(String, &'static str), String> {
    let version = nix::sys::utsname::uname().map_err(|error| error.to_string())?;
    let version = version.release().to_string_lossy().into_owned();
    let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let size = if (numbers.next(), numbers.next()) < (Some(5), Some(15)) { "args.regs -> dx" } else { "args.count" };
    let sql = match size {
        "args.count" => sql(pids),
        _ => over("rawtracepoint.sys_enter", size, &format!("pid in {pids} and id = 0")),
    };
    Ok((sql, size))
}

/// The true names, in order.
const NAMES: [&str; 6] = ["é", "a b", "count(*)", "sum", "avg", "hist"];

fn load(lab: &Lab) -> Result<Load, String> {
    Load::new(lab, 2, &["calls", "--call", "read", "2", &lab.calls.to_string()])
}

/// A directory of bpffs for bpftool to pin in; it goes, with all that is pinned there.
struct Pins(PathBuf);

impl Pins {
    fn new() -> Result<Pins, String> {
        let dir = PathBuf::from(format!("/sys/fs/bpf/bpfquery-live-{}", std::process::id()));
        fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(Pins(dir))
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        // A check that fails says more than what could not be removed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Loaded and attached by bpftool alone: counts by name in the map, SQL in the program.
fn bpftool(lab: &Lab) -> Verdict {
    let mut load = load(lab)?;
    let (sql, size) = attachable(&load.list())?;
    let object = lab.compile(&lab.file("q.sql", &sql)?, "portable")?;
    let before = listed(lab)?;
    let pins = Pins::new()?;
    let object = object.display().to_string();
    lab.bpftool(&["prog", "loadall", &object, &pins.path(""), "autoattach", "pinmaps", &pins.path("maps")])?;
    let new = listed(lab)?;
    let programs = new_programs(lab, &before)?;
    let [(program, _)] = programs[..] else {
        return Err(format!("programs loaded by bpftool: {programs:?}"));
    };
    load.go()?;
    let tallies = load.finish()?;
    let counts = counts(&lab.bpftool_json(&["map", "dump", "pinned", &pins.path("maps/groups")])?, &tallies)?;
    let listing = lab.bpftool(&["prog", "dump", "xlated", "id", &program.to_string(), "linum"])?;
    for line in
        [format!("count(*) as \"count(*)\", sum({size})"), format!("hist({size})"), "where pid in (".to_string()]
    {
        ensure(listing.contains(&line), || format!("no line of SQL \"{line}\" in:\n{listing}"))?;
    }
    let lines = listing.lines().filter(|line| line.starts_with(';')).count();
    let placed =
        listing.lines().any(|line| line.starts_with(';') && line.contains("line_num:") && line.contains("line_col:"));
    ensure(placed, || format!("no line numbers in:\n{listing}"))?;
    drop(pins);
    gone(lab, &new.difference(&before).copied().collect(), &before)?;
    passed(format!("map dump has {counts}; prog dump xlated linum has {lines} lines of SQL; nothing left after"))
}

/// The two programs of a join, loaded and attached by bpftool alone: every call meets its own return.
fn join(lab: &Lab) -> Verdict {
    let mut load = load(lab)?;
    let sql = format!(
        "select x.comm as \"é\", x.cpu as \"a b\", count(*) as \"count(*)\", sum(e.count), avg(e.count), hist(e.count)\n\
         from tracepoint.syscalls.sys_enter_read e join tracepoint.syscalls.sys_exit_read x on e.tid = x.tid\n\
         where x.pid in {} group by x.comm, x.cpu",
        load.list()
    );
    let object = lab.compile(&lab.file("q.sql", &sql)?, "portable")?.display().to_string();
    let before = listed(lab)?;
    let pins = Pins::new()?;
    lab.bpftool(&["prog", "loadall", &object, &pins.path(""), "autoattach", "pinmaps", &pins.path("maps")])?;
    let new = listed(lab)?;
    load.go()?;
    let tallies = load.finish()?;
    let counts = counts(&lab.bpftool_json(&["map", "dump", "pinned", &pins.path("maps/groups")])?, &tallies)?;
    let held = lab.bpftool_json(&["map", "dump", "pinned", &pins.path("maps/held")])?;
    ensure(held.as_array().is_some_and(Vec::is_empty), || format!("rows of ended threads are still held: {held}"))?;
    drop(pins);
    gone(lab, &new.difference(&before).copied().collect(), &before)?;
    passed(format!("two programs, map dump has {counts}; nothing held, nothing left after"))
}

/// Programs that were not there before, by id and name.
fn new_programs(lab: &Lab, before: &crate::left::Ids) -> Result<Vec<(u64, String)>, String> {
    let list = lab.bpftool_json(&["prog", "list"])?;
    let programs = list.as_array().into_iter().flatten();
    let entry = |entry: &Value| Some((entry["id"].as_u64()?, entry["name"].as_str()?.to_string()));
    // Programs that a process holds are of some query that runs beside these checks.
    let ours = |(id, name): &(u64, String)| name == "bpfquery" && !before.contains(&("prog", *id));
    Ok(programs.filter_map(entry).filter(ours).collect())
}

/// The groups in bpftool's JSON, by the columns' names in BTF, are what the load did.
fn counts(dump: &Value, tallies: &[Tally]) -> Result<String, String> {
    let entries = dump.as_array().ok_or("no entries")?;
    ensure(entries.len() == tallies.len(), || format!("{} groups: {dump}", entries.len()))?;
    let mut seen = Vec::new();
    for tally in tallies {
        let own = |entry: &&Value| entry["formatted"]["key"]["a_b"].as_u64() == Some(tally.cpu.into());
        let entry =
            &entries.iter().find(own).ok_or_else(|| format!("no group a_b = {}: {dump}", tally.cpu))?["formatted"];
        // A letter that is none of C's is there by its number.
        ensure(entry["key"]["u00e9"] == "calls", || format!("key {}", entry["key"]))?;
        let (mut count, mut sum, mut hist) = (0, 0, BTreeMap::<usize, u64>::new());
        for value in entry["values"].as_array().into_iter().flatten().map(|cpu| &cpu["value"]) {
            count += value["count___"].as_u64().ok_or_else(|| format!("no count___ in {value}"))?;
            let (low, high) = (value["sum"].as_u64(), value["sum_high"].as_u64());
            ensure(high == Some(0), || format!("no sum_high in {value}"))?;
            sum += low.ok_or_else(|| format!("no sum in {value}"))?;
            let buckets = value["hist"].as_array().ok_or_else(|| format!("no hist in {value}"))?;
            for (i, n) in buckets.iter().enumerate().filter_map(|(i, n)| Some((i, n.as_u64().filter(|n| *n > 0)?))) {
                *hist.entry(i).or_default() += n;
            }
        }
        // Bucket 0 is for what is below zero, 1 for zero, 2 + k for [2^k, 2^(k+1)).
        let index = |low: &str| low.parse::<u64>().map_or(0, |low| low.checked_ilog2().map_or(1, |k| k as usize + 2));
        let expect: BTreeMap<usize, u64> = tally.hist.iter().map(|(low, n)| (index(low), *n)).collect();
        let same = count == tally.calls && i128::from(sum) == tally.sum() && hist == expect;
        ensure(same, || format!("count {count}, sum {sum}, hist {hist:?}, but the load did {tally:?}"))?;
        seen.push(format!("u00e9=calls a_b={} count___={count} sum={sum} hist of {}", tally.cpu, hist.len()));
    }
    Ok(seen.join(", "))
}

/// The newest llvm-objdump: older ones know fewer of BPF's instructions.
fn newest_objdump() -> Option<(u32, PathBuf)> {
    (15..40).rev().find_map(|version| Some((version, which(&format!("llvm-objdump-{version}"))?)))
}

/// Every instruction is known to llvm-objdump, and there are as many as the section holds.
fn objdump(lab: &Lab) -> Verdict {
    let Some((version, program)) = newest_objdump() else {
        return Ok(Outcome::Skipped("no llvm-objdump of LLVM 15 or newer here".to_string()));
    };
    let mut seen = Vec::new();
    for sql in [
        sql("(1, 2)"),
        "select str(args.filename), comm, elapsed from tracepoint.syscalls.sys_enter_openat where pid = 1".to_string(),
        "select 7 / cpu, -7 % 3, comm < 'a' from sched_switch where pid <> 0 and prev_comm = 'x' limit 3".to_string(),
    ] {
        let object = lab.compile(&lab.file("q.sql", &sql)?, "portable")?;
        let (count, last) = disassembled(&program, &object)?;
        ensure(last.ends_with("exit") || last.contains("goto"), || format!("the last instruction is {last}"))?;
        seen.push(count.to_string());
    }
    passed(format!("LLVM {version} reads {} instructions, none unknown", seen.join(", ")))
}

/// The number of instructions and the last one's text.
fn disassembled(program: &Path, object: &Path) -> Result<(usize, String), String> {
    let output = output(Command::new(program).arg("-d").arg(object))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure(output.status.success() && !text.contains("unknown"), || format!("llvm-objdump: {text}"))?;
    // `       0:\tbf 17 00 00 00 00 00 00\tr7 = r1`
    let instructions: Vec<&str> =
        text.lines().filter(|line| line.matches('\t').count() >= 2 && line.contains(":\t")).collect();
    let last = instructions.last().ok_or_else(|| format!("no instructions: {text}"))?;
    Ok((instructions.len(), last.rsplit('\t').next().unwrap_or_default().to_string()))
}

/// The object of `compile` and the SQL of `run`, at once on one load, in every format.
fn same_as_sql(lab: &Lab) -> Verdict {
    let mut load = load(lab)?;
    let sql = lab.file("q.sql", &sql(&load.list()))?;
    let object = lab.compile(&sql, "portable")?;
    let again = lab.compile(&sql, "portable")?;
    ensure(fs::read(&object).ok() == fs::read(&again).ok(), || "compiled twice, two objects".to_string())?;
    let (sql, object) = (sql.display().to_string(), object.display().to_string());
    let mut queries = Vec::new();
    for format in ["table", "json", "csv"] {
        for file in [&sql, &object] {
            queries.push((format, Query::live(lab, &["--format", format, file])?));
        }
    }
    load.go()?;
    let tallies = load.finish()?;
    let mut outputs = Vec::new();
    for (format, query) in queries {
        outputs.push((format, query.interrupt()?.whole()?.out));
    }
    for pair in outputs.chunks(2) {
        let [(format, from_sql), (_, from_object)] = pair else { return Err("no pair".to_string()) };
        ensure(from_sql == from_object, || format!("{format}:\n{from_sql}\nfrom the object:\n{from_object}"))?;
        let first = from_sql.lines().next().unwrap_or_default();
        let names = match *format {
            "table" => first.split('|').map(|name| name.trim().to_string()).collect(),
            "csv" => first.split(',').map(str::to_string).collect(),
            _ => names_of_json(first),
        };
        ensure(names == NAMES, || format!("{format} has the columns {names:?}"))?;
        let counted = tallies.iter().all(|tally| from_sql.contains(&tally.sum().to_string()));
        ensure(counted, || format!("{format} has other sums than {tallies:?}:\n{from_sql}"))?;
    }
    passed(format!(
        "table, json and csv are the same bytes from q.sql and q.bpf.o, with the columns {}",
        NAMES.join(" | ")
    ))
}

/// Those of the names that are keys in a JSON object's text, in its order: none has a quote in it.
fn names_of_json(line: &str) -> Vec<String> {
    let place = |name: &&str| Some((line.find(&format!("\"{name}\":"))?, name.to_string()));
    let places: BTreeMap<usize, String> = NAMES.iter().filter_map(place).collect();
    places.into_values().collect()
}

/// Objects compiled for each pinned kernel run on this one, with a chain of pointers that CO-RE moves.
fn snapshots(lab: &Lab) -> Verdict {
    let path = lab.path("a-name-to-open");
    fs::write(&path, "").map_err(|error| error.to_string())?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let kprobes = crate::written::has_kprobes(lab)?;
    let sql = match kprobes {
        true => "select str(args.path -> dentry -> d_name.name) as filename from kprobe.vfs_open where pid = :pid",
        false => "select str(args.filename) as filename from tracepoint.syscalls.sys_enter_openat where pid = :pid",
    };
    let sql = lab.file("q.sql", sql)?;
    let expect = if kprobes { name } else { path.display().to_string() };
    let line = format!("{{\"filename\":\"{expect}\"}}\n");
    let mut objects = Vec::new();
    for (series, snapshot) in lab.snapshots()? {
        objects.push((series, lab.compile(&sql, &snapshot.display().to_string())?));
    }
    let given = if kprobes { lab.objects()? } else { Vec::new() };
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    objects.extend(given.into_iter().map(|path| (format!("{} of another machine", name(&path)), path)));
    let mut ran = Vec::new();
    for (series, object) in objects {
        let mut load = Load::new(lab, 1, &["opener", &path.display().to_string(), "10"])?;
        let pid = format!("pid={}", load.pids[0]);
        let query = Query::live(lab, &["--format", "json", "--param", &pid, &object.display().to_string()])?;
        load.go()?;
        load.finish()?;
        let out = query.interrupt()?.whole().map_err(|error| format!("compiled for {series}: {error}"))?.out;
        ensure(out == line.repeat(10), || format!("compiled for {series}:\n{out}"))?;
        ran.push(series);
    }
    ensure(!ran.is_empty(), || "no snapshots".to_string())?;
    let what = if kprobes { "args.path -> dentry -> d_name.name" } else { "args.filename" };
    passed(format!("10 x {what} = {expect} from objects for {}", ran.join(", ")))
}

/// A query that runs is seen by bpftool: without this, "nothing left" would say nothing.
pub(crate) fn seen_by_bpftool(lab: &Lab, query: &Query) -> Result<crate::left::Ids, String> {
    wait_for("programs and maps of the query", || {
        let held = held_by(query.pid());
        let listed = listed(lab)?;
        let seen: crate::left::Ids = held.intersection(&listed).copied().collect();
        let both = ["prog", "map"].iter().all(|kind| seen.iter().any(|(found, _)| found == kind));
        Ok(both.then_some(seen))
    })
}
