//! After any end, at any moment, nothing of a query is left: in the kernel, and among processes.

use crate::lab::{Check, Lab, Outcome, Verdict, ensure, passed, wait_for};
use crate::left::{Ids, gone, listed};
use crate::load::Load;
use crate::object::seen_by_bpftool;
use crate::query::{Ended, Query, code};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The checks of this file.
pub(crate) const CHECKS: &[Check] = &[
    ("ends/SIGINT", |lab| by_signal(lab, Signal::SIGINT, 0)),
    ("ends/SIGTERM", |lab| by_signal(lab, Signal::SIGTERM, 0)),
    ("ends/SIGHUP", |lab| by_signal(lab, Signal::SIGHUP, 0)),
    ("ends/SIGKILL", |lab| by_signal(lab, Signal::SIGKILL, 128 + 9)),
    ("ends/limit", limit),
    ("ends/for", after),
    ("ends/command", command),
    ("ends/no-command", no_command),
    ("moments/signals", at_any_time),
    ("ends/closed-pipe", closed_pipe),
    ("ends/full-output", full_output),
    ("moments/few-descriptors", few_descriptors),
    ("ends/refused", refused),
    ("ends/vanished", vanished),
];

/// What `by_signal` and others count, in a process that does nothing else.
fn naps(pids: &str) -> String {
    format!("select pid, count(*) from tracepoint.syscalls.sys_enter_clock_nanosleep where pid in {pids} group by pid")
}

/// A signal ends the query, and the command with it.
fn by_signal(lab: &Lab, signal: Signal, expect: i32) -> Verdict {
    let before = listed(lab)?;
    // The command says its process id; what it becomes counts as the same process.
    let query =
        Query::live(lab, &["--format", "json", "-c", "sh -c 'echo $$; exec sleep 100'", "-e", &naps("(:cpid)")])?;
    let child = wait_for("the command", || Ok(query.out()?.lines().next().and_then(|pid| pid.parse::<i32>().ok())))?;
    let held = seen_by_bpftool(lab, &query)?;
    query.signal(signal)?;
    let began = Instant::now();
    let ended = query.wait()?.expect(expect)?;
    let took = began.elapsed();
    gone(lab, &held, &before)?;
    if signal == Signal::SIGKILL {
        // Nobody can end the command then.
        kill(Pid::from_raw(child), Signal::SIGKILL).map_err(|error| format!("the command: {error}"))?;
    } else {
        ended.lost()?;
        wait_for("the end of the command", || Ok((!is_running(child)).then_some(())))?;
    }
    passed(format!("exit code {} after {:.0} ms; {} gone", ended.code, took.as_secs_f64() * 1e3, counted(&held)))
}

/// Whether a process is there, and no zombie, which only waits for its parent to look.
fn is_running(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// `1 prog, 3 maps, 1 link`
fn counted(ids: &Ids) -> String {
    let count = |kind| ids.iter().filter(|(found, _)| *found == kind).count();
    format!("{} programs, {} maps, {} links", count("prog"), count("map"), count("link"))
}

fn limit(lab: &Lab) -> Verdict {
    let mut load = Load::new(lab, 1, &["nap", "50", "100"])?;
    let sql =
        format!("select pid from tracepoint.syscalls.sys_enter_clock_nanosleep where pid in {} limit 7", load.list());
    ends_by_itself(
        lab,
        &["--format", "csv", "-e", &sql],
        || load.go(),
        |ended| {
            ensure(ended.out.lines().count() == 8, || format!("not 7 rows: {}", ended.out))?;
            Ok("7 rows of 50".to_string())
        },
    )
}

fn after(lab: &Lab) -> Verdict {
    let began = Instant::now();
    ends_by_itself(
        lab,
        &["--for", "300ms", "-e", &naps("(1)")],
        || Ok(()),
        |_| {
            let took = began.elapsed();
            ensure(took >= Duration::from_millis(300), || format!("after {took:?}"))?;
            Ok(format!("{:.0} ms from start to end", took.as_secs_f64() * 1e3))
        },
    )
}

fn command(lab: &Lab) -> Verdict {
    let nap = format!("{} 5 1000", lab.workload("nap").display());
    ends_by_itself(
        lab,
        &["--format", "json", "-c", &nap, "-e", &naps("(:cpid)")],
        || Ok(()),
        |ended| {
            ensure(ended.out.lines().any(|line| line.ends_with(",\"count\":5}")), || {
                format!("not 5 naps: {}", ended.out)
            })?;
            Ok("5 naps of the command".to_string())
        },
    )
}

/// Runs a query that ends well by itself, while `meanwhile` makes it.
fn ends_by_itself(
    lab: &Lab,
    args: &[&str],
    meanwhile: impl FnOnce() -> Result<(), String>,
    look: impl FnOnce(&Ended) -> Result<String, String>,
) -> Verdict {
    let before = listed(lab)?;
    let query = Query::live(lab, args)?;
    meanwhile()?;
    let ended = query.wait()?.expect(0)?;
    let figures = look(&ended)?;
    gone(lab, &Ids::new(), &before)?;
    passed(format!("exit code 0, {figures}, nothing left"))
}

/// A command that cannot be started is found out when everything is attached already.
fn no_command(lab: &Lab) -> Verdict {
    fails(lab, &["-c", "/nonexistent/program", "-e", &naps("(1)")], 1, "/nonexistent/program")
}

/// Runs a query that fails with this code and says this.
fn fails(lab: &Lab, args: &[&str], expect: i32, says: &str) -> Verdict {
    let before = listed(lab)?;
    let ended = Query::start(lab, args)?.wait()?.expect(expect)?;
    ensure(ended.err.contains(says), || format!("no \"{says}\" in: {}", ended.err))?;
    ensure(ended.out.is_empty(), || format!("output of a query that failed: {}", ended.out))?;
    gone(lab, &Ids::new(), &before)?;
    let fact = ended.err.lines().find(|line| !line.starts_with("attached")).unwrap_or_default();
    passed(format!("exit code {expect}, \"{fact}\", nothing left"))
}

/// The reader takes one line and goes, as `head -n 1` does.
fn closed_pipe(lab: &Lab) -> Verdict {
    let before = listed(lab)?;
    // More than a pipe holds; it is ended with the check.
    let mut load = Load::new(lab, 1, &["nap", "1000000", "100"])?;
    let sql =
        format!("select pid, elapsed from tracepoint.syscalls.sys_enter_clock_nanosleep where pid in {}", load.list());
    let mut run = Command::new(&lab.bin);
    run.args(["run", "--format", "json", "-e", &sql]);
    let mut query = Query::spawn(lab, run, Some(Stdio::piped()))?;
    let mut reader = BufReader::new(query.child.stdout.take().ok_or("no pipe")?);
    query.attached()?;
    let held = seen_by_bpftool(lab, &query)?;
    load.go()?;
    let mut line = String::new();
    reader.read_line(&mut line).map_err(|error| error.to_string())?;
    drop(reader);
    let ended = query.wait()?.expect(0)?;
    ensure(line.contains("elapsed"), || format!("first line {line}"))?;
    ensure(ended.err.lines().count() == 1, || format!("a closed pipe does not end quietly: {}", ended.err))?;
    gone(lab, &held, &before)?;
    passed(format!("exit code 0, quiet, {} gone", counted(&held)))
}

/// A device that is always full.
fn full_output(lab: &Lab) -> Verdict {
    let before = listed(lab)?;
    let full = OpenOptions::new().write(true).open("/dev/full").map_err(|error| error.to_string())?;
    let nap = format!("{} 5 1000", lab.workload("nap").display());
    let mut run = Command::new(&lab.bin);
    run.args(["run", "--format", "csv", "-c", &nap, "-e", &naps("(:cpid)")]);
    let ended = Query::spawn(lab, run, Some(full.into()))?.wait()?.expect(1)?;
    ensure(ended.err.contains("cannot write to stdout"), || ended.err.clone())?;
    gone(lab, &Ids::new(), &before)?;
    passed(format!("exit code 1, \"{}\", nothing left", ended.err.lines().last().unwrap_or_default()))
}

/// Signals that come before the query is live, and at other bad moments.
fn at_any_time(lab: &Lab) -> Verdict {
    let before = listed(lab)?;
    // Nobody else sleeps for so long: the child is found by it.
    let marker = format!("98765.{}", std::process::id());
    let command = format!("sleep {marker}");
    let mut codes: BTreeMap<i32, u32> = BTreeMap::new();
    for i in 0..60 {
        let signal = if i % 2 == 0 { Signal::SIGINT } else { Signal::SIGTERM };
        let query = Query::start(lab, &["-c", &command, "-e", &naps("(:cpid)")])?;
        // On slow machines these are early moments only.
        std::thread::sleep(Duration::from_micros(i * 700));
        query.signal(signal)?;
        let ended = query.wait()?;
        let expect = [0, 128 + signal as i32];
        ensure(expect.contains(&ended.code), || format!("exit code {}: {}", ended.code, ended.err))?;
        *codes.entry(ended.code).or_default() += 1;
    }
    gone(lab, &Ids::new(), &before)?;
    wait_for("the end of the commands", || Ok(running(&marker).is_empty().then_some(())))?;
    passed(format!("60 signals in the first 42 ms, exit codes and how often {codes:?}, nothing left"))
}

/// Processes with this among their arguments.
fn running(argument: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    let has = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
    };
    pids.filter(has).collect()
}

/// Descriptors run out at every step from the first to the last, that of attaching to the second processor among them.
fn few_descriptors(lab: &Lab) -> Verdict {
    let before = listed(lab)?;
    let mut ends = Vec::new();
    for limit in 3..64 {
        let mut shell = Command::new("sh");
        let line = format!(
            "ulimit -n {limit} && exec \"$0\" run --for 10ms -e 'select count(*) from profile(99) where pid = 1'"
        );
        shell.arg("-c").arg(line).arg(&lab.bin);
        let ended = Query::spawn(lab, shell, None)?.wait()?;
        let fact = ended.err.lines().find(|line| !line.starts_with("attached")).unwrap_or_default().to_string();
        if ended.code == 0 && ended.err.contains("losses: none") {
            gone(lab, &Ids::new(), &before)?;
            let attaching = ends.iter().filter(|fact: &&String| fact.contains("attach")).count();
            ensure(attaching > 0, || format!("none failed while it attached: {ends:#?}"))?;
            return passed(format!("{} ways to fail, {attaching} of them while it attached, nothing left", ends.len()));
        }
        // 127 is the dynamic loader's: with so few it cannot even start.
        ensure([1, 3, 127].contains(&ended.code), || format!("exit code {} with {limit}: {}", ended.code, ended.err))?;
        ends.push(fact);
    }
    Err(format!("64 descriptors are not enough: {:?}", ends.last()))
}

/// The kernel refuses to load what it cannot run.
fn refused(lab: &Lab) -> Verdict {
    let doctor = crate::lab::output(Command::new(&lab.bin).arg("doctor"))?;
    let works = String::from_utf8_lossy(&doctor.stdout)
        .lines()
        .any(|line| line.starts_with("works") && line.contains("fentry"));
    let sql = "select pid from fentry.vfs_read where pid = 1";
    match works {
        true => ends_by_itself(lab, &["--for", "100ms", "-e", sql], || Ok(()), |_| Ok("fentry works here".to_string())),
        false => fails(lab, &["-e", sql], 3, "unsupported: BTF trampolines"),
    }
}

/// A tracepoint that was there when the query was compiled, and is gone, or another, when it runs.
fn vanished(lab: &Lab) -> Verdict {
    let events = Path::new("/sys/kernel/tracing/uprobe_events");
    if !events.exists() {
        return Ok(Outcome::Skipped("this kernel has no uprobe_events to make a tracepoint with".to_string()));
    }
    let group = format!("bpfquery_live_{}", std::process::id());
    let say = |line: String| {
        let file = OpenOptions::new().append(true).open(events);
        file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(|error| format!("{line}: {error}"))
    };
    let create = |args: &str| say(format!("p:{group}/event {}:0x1000{args}\n", lab.bin.display()));
    let remove = || say(format!("-:{group}/event\n"));
    create(" first=%ax:u64 second=%bx:u32")?;
    let sql = lab.file("q.sql", &format!("select first, second from tracepoint.{group}.event where pid = 1"));
    let object = sql.and_then(|sql| lab.compile(&sql, "this"));
    remove()?;
    let object = object?.display().to_string();
    let absent = fails(lab, &[&object], 3, &group);
    // The same name, with the fields at other places: a value read from there would be wrong.
    create(" other=%cx:u64 first=%ax:u64 second=%bx:u32")?;
    let moved = fails(lab, &[&object], 3, &group);
    remove()?;
    match (absent?, moved?) {
        (Outcome::Passed(absent), Outcome::Passed(moved)) => passed(format!("absent: {absent}; moved: {moved}")),
        (other, _) => Ok(other),
    }
}

/// The exit code of a command that is waited for.
pub(crate) fn exit_code(command: &mut Command) -> Result<i32, String> {
    let status = command.stdin(Stdio::null()).status();
    status.map(code).map_err(|error| error.to_string())
}
