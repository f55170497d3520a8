//! Signals to a program of its own: this one, started anew with a query.
//!
//! `signals SQL MILLISECONDS [COMMAND … | --stuck]` runs a query as the command line does; without arguments of that kind it runs the
//! tests. Needs root, and fails without.

#![allow(clippy::print_stdout, reason = "a program's rows are its output, and so are a test's outcomes")]

mod common;

use bpfquery_diag::render;
use bpfquery_host::Live;
use bpfquery_runtime::{Command, Options, Session, Stop};
use common::{Seen, compile_as, gone, name, own};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word.starts_with("select ")) {
        return query(&words);
    }
    for (name, test) in [
        ("signals_end_it_in_good_order", signals_end_it_in_good_order as fn()),
        ("a_second_signal_kills", a_second_signal_kills),
        ("stopped_for_a_while_it_counts_what_it_loses", stopped_for_a_while_it_counts_what_it_loses),
        ("privileges_are_dropped", privileges_are_dropped),
    ] {
        test();
        println!("test {name} ... ok");
    }
}

/// Runs a query and prints how many rows came, the first of them, and the report.
fn query(words: &[String]) {
    let millis: u64 = words[1].parse().expect("milliseconds");
    let after = (millis > 0).then(|| Duration::from_millis(millis));
    let stuck = words.get(2).is_some_and(|word| word == "--stuck");
    let command = (words.len() > 2 && !stuck).then(|| Command::spawn(&words[2..]).expect("a process"));
    let sql = words[0].replace(":cpid", &command.as_ref().and_then(Command::pid).unwrap_or(0).to_string());
    let object = compile_as(&name("sig", std::os::unix::process::parent_id()), &sql);
    let started = Instant::now();
    let options = Options { drop_privileges: true, ..Options::default() };
    let session = Session::open(&object, &Live::new(), &options);
    let session = session.unwrap_or_else(|failure| panic!("{}", render(&failure, &sql)));
    let told = format!("live after {} us; {}", started.elapsed().as_micros(), status("VmHWM"));
    let mut seen = Seen { stuck, told: Some(told), ..Seen::default() };
    let ran = session.run(Stop { after, command, signals: true }, &mut seen);
    let report = ran.unwrap_or_else(|failure| panic!("{}", render(&failure, &sql)));
    seen.partial.iter().for_each(|window| eprintln!("note: {window}"));
    println!("{} rows", seen.rows().len());
    seen.rows().iter().take(20).for_each(|row| println!("{row}"));
    eprintln!("{report}\n{:?}; {}", report.ended, status("VmHWM"));
}

fn status(name: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// This program with a query, live.
struct Started {
    child: Child,
    stderr: BufReader<ChildStderr>,
    live: String,
}

impl Started {
    fn start(arguments: &[&str]) -> Started {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut live = String::new();
        stderr.read_line(&mut live).unwrap();
        assert!(live.starts_with("live after"), "{live}");
        Started { child, stderr, live }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// What it printed to stdout and to stderr, and its exit code if it ended by itself.
    fn end(mut self) -> (String, String, Option<i32>) {
        let (mut rows, mut report) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut rows).unwrap();
        self.stderr.read_to_string(&mut report).unwrap();
        (rows, report, self.child.wait().unwrap().code())
    }
}

const QUIET: &str = "select count(*) from rawtracepoint.sys_enter where pid = 0";

fn signals_end_it_in_good_order() {
    for (signal, number) in [(Signal::SIGINT, 2), (Signal::SIGTERM, 15), (Signal::SIGHUP, 1)] {
        let program = Started::start(&[QUIET, "0"]);
        program.signal(signal);
        let (rows, report, code) = program.end();
        let ended = format!("Signal {{ number: {number}, by_terminal: false }}");
        assert!(report.contains("losses: none\nmisses: none") && report.contains(&ended), "{signal}: {report}");
        assert_eq!((rows.as_str(), code), ("1 rows\n0\n", Some(0)), "{signal}");
    }
    gone(&own("sig"));
}

/// Whose output nobody reads: it is stuck in a write, which the first signal does not end.
fn a_second_signal_kills() {
    let program = Started::start(&["select tid from rawtracepoint.sys_enter where pid = 0", "0", "--stuck"]);
    program.signal(Signal::SIGINT);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(program.child.id().cast_signed(), alive(&program), "one signal ends it");
    program.signal(Signal::SIGTERM);
    let (_, _, code) = program.end();
    assert_eq!(code, None, "two signals do not kill it");
    gone(&own("sig"));
}

/// The id of a program that has not ended.
fn alive(program: &Started) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.child.id())).unwrap_or_default();
    if stat.contains(") Z ") { 0 } else { program.child.id().cast_signed() }
}

/// The states of a program's children, a letter each; `Z` is one that has ended.
fn children(program: &Started) -> Option<Vec<char>> {
    let of = program.child.id();
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    let state = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(") ").next()?.chars().next()
    };
    Some(children.split_whitespace().filter_map(state).collect())
}

/// A command makes a known number of calls, more than the ring buffer holds, while nobody reads: it stops the reader before them,
/// and the reader goes on when they are made.
fn stopped_for_a_while_it_counts_what_it_loses() {
    let calls = 1_500_000;
    let sql = "select ts from tracepoint.syscalls.sys_enter_read where pid = :cpid and count = 1";
    let command = format!("kill -STOP $PPID; exec dd if=/dev/zero of=/dev/null bs=1 count={calls}");
    let program = Started::start(&[sql, "0", "sh", "-c", &command]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !children(&program).is_some_and(|states| states.contains(&'Z')) {
        assert!(Instant::now() < deadline, "the command does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    program.signal(Signal::SIGCONT);
    let (rows, report, _) = program.end();
    let rows: u64 = rows.split(' ').next().unwrap().parse().unwrap();
    let losses = report.lines().find_map(|line| line.strip_prefix("losses: ")).unwrap();
    let lost: u64 = losses.split(' ').next().unwrap().replace(',', "").parse().unwrap_or(0);
    assert_eq!(rows + lost, calls, "{report}");
    assert!(lost > 0, "{report}");
}

fn privileges_are_dropped() {
    let program = Started::start(&[QUIET, "1"]);
    // CAP_BPF alone is bit 39.
    assert!(program.live.contains("CapEff: 0000008000000000"), "{}", program.live);
    let (rows, report, _) = program.end();
    assert_eq!(rows, "1 rows\n0\n", "{report}");
}
