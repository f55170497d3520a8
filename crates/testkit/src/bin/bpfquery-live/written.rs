//! The first queries, run as they are written.
//!
//! Those over kprobes look at every process, so they run on test machines alone, where nothing else runs; the kernels that
//! they cannot run on must say so.

use crate::lab::{Check, Lab, Outcome, Verdict, ensure, output, passed, text, which};
use crate::load::Load;
use crate::query::{Ended, Query};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// The checks of this file.
pub(crate) const CHECKS: &[Check] = &[
    ("written/openat", openat),
    ("written/openat-cold", openat_cold),
    ("strace/openat", openat_strace),
    ("written/nanosleep", nanosleep),
    ("written/star", star),
    ("written/vfs_open", vfs_open),
    ("written/tumble", tumble),
    ("written/hist", hist),
];

const OPENAT: &str = "select str(args.filename) from tracepoint.syscalls.sys_enter_openat;";

/// Whether this kernel has kprobes, by bpfquery's own probing.
pub(crate) fn has_kprobes(lab: &Lab) -> Result<bool, String> {
    let doctor = output(Command::new(&lab.bin).arg("doctor"))?;
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("kprobes")).ok_or_else(|| format!("doctor: {text}"))?;
    // From 4.17 on there is no kernel without them but by its configuration.
    Ok(line.starts_with("works"))
}

/// Values of the first column of JSON rows, text or NULL.
fn column(ended: &Ended) -> Result<Vec<Option<String>>, String> {
    let rows: Vec<Value> = ended.rows()?;
    let first =
        |row: Value| row.as_object().and_then(|row| row.values().next().cloned()).ok_or("a row without columns");
    rows.into_iter().map(|row| Ok(first(row)?.as_str().map(str::to_string))).collect()
}

/// Values reported as unreadable, and so NULL.
fn faulted(ended: &Ended) -> usize {
    let line = ended.err.lines().find_map(|line| line.strip_prefix("reads: "));
    line.and_then(|line| line.split(' ').next()?.replace(',', "").parse().ok()).unwrap_or(0)
}

/// A load that has touched its path: every one of its openings, by name.
fn openat(lab: &Lab) -> Verdict {
    let path = lab.file("a-name-to-open", "")?.display().to_string();
    let mut load = Load::new(lab, 1, &["opener", &path, "1000"])?;
    let query = Query::live(lab, &["--format", "json", "-p", &load.pids[0].to_string(), "-e", OPENAT])?;
    load.go()?;
    load.finish()?;
    let ended = query.interrupt()?.whole()?;
    let names = column(&ended)?;
    let right = names.iter().all(|name| name.as_deref() == Some(path.as_str()));
    ensure(right && names.len() == 1000, || format!("{} rows: {}", names.len(), ended.out))?;
    passed(format!("1000 x {path}"))
}

/// A path that nobody has touched is NULL, and counted; `--strict` minds.
fn openat_cold(lab: &Lab) -> Verdict {
    let path = lab.file("a-name-to-open", "")?.display().to_string();
    let mut load = Load::new(lab, 1, &["opener", "--cold", &path, "100"])?;
    let query = Query::live(lab, &["--strict", "--format", "json", "-p", &load.pids[0].to_string(), "-e", OPENAT])?;
    load.go()?;
    load.finish()?;
    let ended = query.interrupt()?.expect(4)?;
    let names = column(&ended)?;
    let missing = names.iter().filter(|name| name.is_none()).count();
    let right = (names.len(), missing, faulted(&ended), ended.lost()?) == (100, 100, 100, 0);
    ensure(right, || format!("{} rows, {missing} NULL: {}", names.len(), ended.err))?;
    passed("100 rows, all NULL, \"reads: 100 values faulted (NULL)\", --strict ends with 4")
}

/// Every name that a process opens, against strace on the same process.
fn openat_strace(lab: &Lab) -> Verdict {
    let Some(strace) = which("strace") else {
        return Ok(Outcome::Skipped("no strace here".to_string()));
    };
    let log = lab.path("strace");
    let mut command = Command::new(strace);
    command.args(["-f", "-e", "trace=openat", "-s", "4096", "-o"]).arg(&log);
    // The shell says its process id, waits, and becomes what opens many files.
    command.args([
        "sh",
        "-c",
        "echo pid $$; read line; exec find /etc /usr/lib/os-release -maxdepth 2 -size -1000000k",
    ]);
    let mut load = Load::of(command, 1)?;
    let pid = load.pids[0];
    let query = Query::live(lab, &["--format", "json", "-p", &pid.to_string(), "-e", OPENAT])?;
    load.go()?;
    load.ended()?;
    let ended = query.interrupt()?.whole()?;
    let seen = column(&ended)?;
    let log = text(&log)?;
    let traced: Vec<String> = log.lines().filter_map(|line| opened(line, pid)).collect();
    // Before the query was live the shell opened some: its own start.
    let expect = &traced[traced.len().saturating_sub(seen.len())..];
    let missing = seen.iter().filter(|name| name.is_none()).count();
    let same = seen.len() == expect.len()
        && seen.iter().zip(expect).all(|(seen, expect)| seen.as_ref().is_none_or(|seen| seen == expect));
    ensure(same, || format!("seen: {seen:?}\nby strace: {traced:?}"))?;
    // The program after the shell opens its libraries' cache first, and once.
    let caches: Vec<usize> = (0..expect.len()).filter(|i| expect[*i] == "/etc/ld.so.cache").collect();
    ensure(caches == [0], || format!("the program after the shell was not seen from its start on: {expect:?}"))?;
    ensure(missing == faulted(&ended), || format!("{missing} NULL, but: {}", ended.err))?;
    passed(format!("{} names, the same as by strace, {missing} not faulted in (NULL and counted)", seen.len()))
}

/// `123 openat(AT_FDCWD, "/etc", O_RDONLY) = 3`
fn opened(line: &str, pid: u32) -> Option<String> {
    let call = line.strip_prefix(&pid.to_string())?.trim_start().strip_prefix("openat(")?;
    let name = call.split_once('"')?.1;
    Some(name.split_once('"')?.0.to_string())
}

/// Runs a kprobe query as written, where it works; where it does not, it must say so.
fn as_written(lab: &Lab, sql: &str, look: impl FnOnce(&Lab, Query) -> Verdict) -> Verdict {
    if has_kprobes(lab)? {
        return look(lab, Query::live(lab, &["--format", "json", "-e", sql])?);
    }
    let ended = Query::start(lab, &["-e", sql])?.wait()?.expect(3)?;
    ensure(ended.err.starts_with("unsupported: kprobes"), || ended.err.clone())?;
    passed(format!("exit code 3, \"{}\"", ended.err.lines().next().unwrap_or_default()))
}

/// Naps of one process while the query runs; the query's end.
fn naps(lab: &Lab, query: Query, count: u64) -> Result<(u32, Ended), String> {
    let mut load = Load::new(lab, 1, &["nap", &count.to_string(), "1000"])?;
    load.go()?;
    let pid = load.pids[0];
    load.finish()?;
    Ok((pid, query.interrupt()?.whole()?))
}

fn nanosleep(lab: &Lab) -> Verdict {
    as_written(lab, "select pid, cpu, elapsed from kprobe.do_nanosleep;", |lab, query| {
        let (pid, ended) = naps(lab, query, 5)?;
        let rows: Vec<Value> = ended.rows()?;
        let own: Vec<&Value> = rows.iter().filter(|row| row["pid"] == pid).collect();
        ensure(own.len() == 5, || format!("{} rows of process {pid}: {}", own.len(), ended.out))?;
        let times: Vec<u64> = own.iter().filter_map(|row| row["elapsed"].as_u64()).collect();
        // Each sleeps a millisecond before the next.
        let apart = times.len() == 5 && times.windows(2).all(|pair| pair[1] >= pair[0] + 1_000_000);
        ensure(apart && own.iter().all(|row| row["cpu"].is_u64()), || ended.out.clone())?;
        passed(format!(
            "5 rows of process {pid}, {} of others, {} ms apart",
            rows.len() - 5,
            (times[4] - times[0]) / 4_000_000
        ))
    })
}

fn star(lab: &Lab) -> Verdict {
    as_written(lab, "select * from kprobe.do_nanosleep where pid > 2*1000;", |lab, query| {
        // A process with a small number, where there is one left, and then one above.
        let mut small = Load::new(lab, 1, &["nap", "3", "1000"])?;
        small.go()?;
        let low = small.pids[0];
        small.finish()?;
        if low <= 2000 {
            fs::write("/proc/sys/kernel/ns_last_pid", "2500").map_err(|error| format!("ns_last_pid: {error}"))?;
        }
        let (pid, ended) = naps(lab, query, 3)?;
        let rows: Vec<Value> = ended.rows()?;
        let own = rows.iter().filter(|row| row["pid"] == pid && row["comm"] == "nap").count();
        let above = rows.iter().all(|row| row["pid"].as_u64().is_some_and(|pid| pid > 2000));
        ensure(own == 3 && above, || format!("processes {low} and {pid}: {}", ended.out))?;
        let names: Vec<String> = rows[0].as_object().map(|row| row.keys().cloned().collect()).unwrap_or_default();
        passed(format!(
            "3 rows of process {pid}, none of {low} if that is not above 2000; columns {}",
            names.join(", ")
        ))
    })
}

fn vfs_open(lab: &Lab) -> Verdict {
    as_written(lab, "select str(args.path -> dentry -> d_name.name) as filename from kprobe.vfs_open;", |lab, query| {
        let path = lab.file("a-name-to-open", "")?;
        let mut load = Load::new(lab, 1, &["opener", &path.display().to_string(), "10"])?;
        load.go()?;
        load.finish()?;
        let ended = query.interrupt()?.whole()?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let names = column(&ended)?;
        let own = names.iter().filter(|found| found.as_deref() == Some(name.as_str())).count();
        // Making the file was an opening, too.
        ensure(own == 11, || format!("{own} x {name}: {}", ended.out))?;
        passed(format!("11 x {name} among {} rows", names.len()))
    })
}

fn tumble(lab: &Lab) -> Verdict {
    let sql = "SELECT tumble(interval '10 seconds') as bucket, count(*) FROM kprobe.do_nanosleep GROUP BY bucket;";
    as_written(lab, sql, |lab, query| {
        let (_, ended) = naps(lab, query, 100)?;
        let rows: Vec<Value> = ended.rows()?;
        let total: u64 = rows.iter().filter_map(|row| row["count"].as_u64()).sum();
        let aligned =
            rows.iter().all(|row| row["bucket"].as_str().is_some_and(|at| at.contains("0.000") || at.contains("0Z")));
        // Waiting is a nap, too: these checks and whatever else runs there take some while the query is live.
        ensure((100..1000).contains(&total) && aligned, || ended.out.clone())?;
        passed(format!("100 naps, {total} counted in {} windows, the first {}", rows.len(), rows[0]["bucket"]))
    })
}

fn hist(lab: &Lab) -> Verdict {
    as_written(lab, "SELECT hist(retval) FROM kretprobe.vfs_read WHERE comm='dd'", |_, query| {
        let dd = output(Command::new("dd").args(["if=/dev/zero", "of=/dev/null", "bs=10240", "count=10"]))?;
        ensure(dd.status.success(), || String::from_utf8_lossy(&dd.stderr).into_owned())?;
        let ended = query.interrupt()?.whole()?;
        let rows: Vec<Value> = ended.rows()?;
        let buckets = rows.first().and_then(|row| row["hist"].as_array()).cloned().unwrap_or_default();
        let count = buckets.iter().find(|bucket| bucket["low"] == 8192).and_then(|bucket| bucket["count"].as_u64());
        ensure(count == Some(10), || ended.out.clone())?;
        passed("dd bs=10240 count=10: 10 in [8K, 16K)")
    })
}
