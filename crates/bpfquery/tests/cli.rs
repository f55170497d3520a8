//! The built binary, from outside: help, exit codes, what goes where, and how it ends.
//!
//! What needs no running kernel uses a pinned snapshot. The rest traces the tests' own processes only, and needs root.

use bpfquery_catalog::{Kernel, Snapshot};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/snapshots/small.snap");
const QUERY: &str = "select pid, comm from tracepoint.sched.sched_switch where pid > 1";

/// Counts what the command of `-c` opens.
const OPENS: &str = "select count(*) from tracepoint.syscalls.sys_enter_openat where pid = :cpid";

fn bpfquery(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bpfquery"));
    command.args(args).stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

fn output(args: &[&str]) -> Output {
    bpfquery(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Exit code, stdout and stderr.
fn told(args: &[&str]) -> (i32, String, String) {
    let output = output(args);
    (output.status.code().unwrap(), text(&output.stdout).to_string(), text(&output.stderr).to_string())
}

/// A directory of the test's own, gone with the value.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("bpfquery-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn every_command_has_help_that_fits() {
    for command in ["", "run", "compile", "explain", "snapshot", "list", "describe", "doctor", "completions"] {
        let args: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let (code, help, errors) = told(&args);
        assert_eq!((code, errors.as_str()), (0, ""), "{command}");
        let usage = format!("Usage: bpfquery {command}");
        assert!(help.contains(usage.trim_end()), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        let simple = matches!(command, "doctor" | "completions");
        assert!(simple || help.contains("Example"), "{help}");
    }
}

#[test]
fn help_names_what_there_is() {
    let check = |command: &str, words: &[&str]| {
        let (_, help, _) = told(&[command, "--help"]);
        words.iter().for_each(|word| assert!(help.contains(word), "{word} is not in:\n{help}"));
    };
    check(
        "run",
        &["--format", "table, json, csv", "--for", "-c,", "-p,", "--param", "--strict", "-v,", "-e,", ":cpid"],
    );
    check("compile", &["-o,", "--target", "this|portable|FILE.snap", "[default: portable]"]);
    check("explain", &["--stage", "ast, bound, plan", "all"]);
    check("snapshot", &["-o,", "--only"]);
    check("--version", &[]);
    assert_eq!(told(&["--version"]), (0, format!("bpfquery {}\n", env!("CARGO_PKG_VERSION")), String::new()));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let check = |args: &[&str], expect: &str| {
        let (code, rows, errors) = told(args);
        assert_eq!((code, rows.as_str()), (2, ""), "{args:?}\n{errors}");
        assert!(errors.contains(expect), "{args:?}\n{errors}");
    };
    check(&[], "Usage: bpfquery");
    check(&["explian"], "a similar subcommand exists: 'explain'");
    check(&["run"], "<FILE|--expression <SQL>>");
    check(&["run", "q.sql", "-e", "select 1"], "cannot be used with");
    check(&["run", "--format", "xml", "-e", "select 1"], "[possible values: table, json, csv]");
    check(&["run", "--for", "5", "-e", "select 1"], "a duration is a number and a unit");
    check(&["run", "--for=-1s", "-e", "select 1"], "a duration is a number and a unit");
    check(&["run", "-c", "  ", "-e", "select 1"], "the command is empty");
    check(&["run", "-c", "a 'b", "-e", "select 1"], "a quote is not closed");
    check(&["run", "-p", "0", "-e", "select 1"], "0 is not in");
    check(&["run", "--param", "x", "-e", "select 1"], "a parameter is NAME=VALUE");
    check(&["compile", "-e", "select 1"], "--output");
    check(&["explain", "--stage", "llvm", "-e", "select 1"], "possible values: ast");
    check(&["completions", "tcsh"], "possible values: bash");
}

#[test]
fn a_wrong_query_is_shown_with_a_caret() {
    let sql = "select pidd from tracepoint.sched.sched_switch";
    let (code, rows, errors) = told(&["explain", "--target", SNAPSHOT, "-e", sql]);
    assert_eq!((code, rows.as_str()), (2, ""));
    let expect = "  1 | select pidd from tracepoint.sched.sched_switch\n    |        ^^^^\n";
    assert!(errors.starts_with("error[") && errors.contains(expect), "{errors}");
    assert!(errors.contains("help: did you mean \"pid\"?"), "{errors}");
}

#[test]
fn what_the_kernel_cannot_do_is_exit_code_3() {
    let directory = Directory::new("unsupported");
    let file = directory.file("k.snap");
    // A kernel without BTF.
    let identity = Snapshot::from_bytes(&std::fs::read(SNAPSHOT).unwrap()).unwrap().identity().clone();
    std::fs::write(&file, Snapshot::new(identity).to_bytes()).unwrap();
    let sql = "select pid from kprobe.vfs_read";
    let (code, rows, errors) = told(&["explain", "--target", &file, "-e", sql]);
    assert_eq!((code, rows.as_str()), (3, ""));
    assert!(errors.starts_with("unsupported: BTF of the kernel\n"), "{errors}");
    assert_eq!(told(&["explain", "--target", SNAPSHOT, "-e", sql]).0, 0);
}

#[test]
fn a_selection_of_the_running_kernel() {
    let directory = Directory::new("snapshot");
    let (selection, file) = (directory.file("selection.txt"), directory.file("k.snap"));
    std::fs::write(&selection, "function vfs_read\nevent sched.sched_switch\nevent no.such\n").unwrap();
    let note = "note: this kernel has no event no.such\n";
    let take =
        || assert_eq!(told(&["snapshot", "--only", &selection, "-o", &file]), (0, String::new(), note.to_string()));
    take();
    let first = std::fs::read(&file).unwrap();
    take();
    assert_eq!(std::fs::read(&file).unwrap(), first);
    assert_eq!(told(&["explain", "--stage", "asm", "--target", &file, "-e", QUERY]).0, 0);
    std::fs::write(&selection, "functoin vfs_read\n").unwrap();
    let (code, _, errors) = told(&["snapshot", "--only", &selection, "-o", &file]);
    assert_eq!(
        (code, errors),
        (1, format!("error: cannot read {selection}: line 1: \"functoin vfs_read\" is not understood\n"))
    );
}

#[test]
fn the_doctor_answers() {
    let (code, text, errors) = told(&["doctor"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(text.starts_with(&format!("bpfquery {} on Linux ", env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(text.contains("\nworks    ring buffer "), "{text}");
}

#[test]
fn files_that_cannot_be_read_are_exit_code_1() {
    let directory = Directory::new("read");
    let binary = directory.file("binary.sql");
    std::fs::write(&binary, b"select \xff").unwrap();
    let check = |args: &[&str], expect: &str| assert_eq!(told(args), (1, String::new(), expect.to_string()));
    check(&["run", "/no/q.sql"], "error: cannot read /no/q.sql: No such file or directory (os error 2)\n");
    check(
        &["run", "select 1"],
        "error: cannot read select 1: No such file or directory (os error 2)\nhelp: SQL itself stands behind -e\n",
    );
    check(&["run", &binary], &format!("error: cannot read {binary}: it is not UTF-8\n"));
    check(
        &["list", "--target", "/no/k.snap"],
        "error: cannot read /no/k.snap: No such file or directory (os error 2)\n",
    );
    let (code, _, errors) = told(&["list", "--target", &binary]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.starts_with("error: cannot read the snapshot: "), "{errors}");
}

/// A portable object is for kernels elsewhere; one for this kernel must run here.
#[test]
fn what_the_target_cannot_attach_is_not_compiled_for_it() {
    let directory = Directory::new("target");
    let object = directory.file("q.bpf.o");
    let sql = "select cpu from kprobe.vfs_read";
    let compile = |target: &str| told(&["compile", "--target", target, "-o", &object, "-e", sql]);
    assert_eq!(compile("portable"), (0, String::new(), String::new()));
    let (code, _, errors) = compile("this");
    if bpfquery_host::Live::new().identity().features.contains(&bpfquery_catalog::Feature::Kprobe) {
        assert_eq!((code, errors.as_str()), (0, ""));
    } else {
        assert!(code == 3 && errors.starts_with("unsupported: kprobes\n"), "{errors}");
    }
}

#[test]
fn an_object_is_written_whole_or_not_at_all() {
    let directory = Directory::new("atomic");
    let object = directory.file("q.bpf.o");
    let compile = |sql: &str| told(&["compile", "--target", SNAPSHOT, "-o", &object, "-e", sql]);
    assert_eq!(compile(QUERY), (0, String::new(), String::new()));
    let first = std::fs::read(&object).unwrap();
    assert!(first.starts_with(b"\x7fELF"));
    // A query that fails leaves what was there, and nothing else.
    assert_eq!(compile("select nothing from nowhere").0, 2);
    assert_eq!((std::fs::read(&object).unwrap(), directory.names()), (first.clone(), vec!["q.bpf.o".to_string()]));
    // The same again makes the same bytes; a link stays one.
    let link = directory.file("link.o");
    std::os::unix::fs::symlink(&object, &link).unwrap();
    assert_eq!(told(&["compile", "--target", SNAPSHOT, "-o", &link, "-e", QUERY]).0, 0);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::read(&object).unwrap(), first);
    assert_eq!(directory.names(), ["link.o", "q.bpf.o"]);
}

#[test]
fn an_object_that_cannot_be_written_leaves_nothing() {
    let directory = Directory::new("unwritable");
    let compile = |path: &str| told(&["compile", "--target", SNAPSHOT, "-o", path, "-e", QUERY]);
    let (code, _, errors) = compile(&directory.file("no/q.bpf.o"));
    assert_eq!(code, 1, "{errors}");
    assert!(errors.starts_with("error: cannot write ") && errors.contains("No such file"), "{errors}");
    // The name is longer than any file system takes.
    let (code, _, errors) = compile(&directory.file(&"x".repeat(300)));
    assert_eq!(code, 1, "{errors}");
    assert_eq!(directory.names(), Vec::<String>::new());
    // A device stays a device.
    assert_eq!(compile("/dev/null"), (0, String::new(), String::new()));
    assert!(!Path::new("/dev/null").is_file());
}

#[test]
fn an_object_can_go_to_stdout() {
    let output = output(&["compile", "--target", SNAPSHOT, "-o", "-", "-e", QUERY]);
    assert!(output.status.success() && output.stdout.starts_with(b"\x7fELF"));
}

#[test]
fn every_stage_has_a_text() {
    let (code, all, errors) = told(&["explain", "--stage", "all", "--target", SNAPSHOT, "-e", QUERY]);
    assert_eq!((code, errors.as_str()), (0, ""));
    for stage in ["ast", "bound", "plan", "split", "ir", "opt", "asm", "maps", "manifest"] {
        assert!(all.contains(&format!("==== {stage}\n")), "{stage}");
        let (code, one, errors) = told(&["explain", "--stage", stage, "--target", SNAPSHOT, "-e", QUERY]);
        assert_eq!((code, errors.as_str()), (0, ""), "{stage}");
        assert!(all.contains(one.trim_end()), "{stage}");
    }
}

#[test]
fn explain_tells_the_memory_and_what_a_run_cost() {
    let told = |args: &[&str]| {
        let output = output(&[&["explain"], args, &["-e", OPENS]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).to_string()
    };
    let memory = told(&[]);
    for part in ["Aggregate [count(*)]\n", "\nmemory: ", "\n  groups: per-CPU array, "] {
        assert!(memory.contains(part), "{part} in\n{memory}");
    }
    let cost = told(&["--analyze", "-c", "cat /etc/hostname"]);
    for part in [
        "\nprogram bpfquery on ",
        " ns each\n",
        "\nmap groups: per-CPU array, ",
        "\n1 row of 1 received, in ",
        "\nlosses: none\n",
    ] {
        assert!(cost.contains(part), "{part} in\n{cost}");
    }
    let (code, _, errors) = self::told(&["explain", "--for", "1s", "-e", OPENS]);
    assert!(code == 2 && errors.contains("--analyze"), "{errors}");
}

#[test]
fn a_query_can_come_from_stdin() {
    let mut child = bpfquery(&["explain", "--stage", "ast", "--target", SNAPSHOT, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), QUERY.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "SELECT pid, comm FROM tracepoint.sched.sched_switch WHERE pid > 1\n");
}

#[test]
fn list_and_describe_a_snapshot() {
    let (code, names, _) = told(&["list", "--target", SNAPSHOT, "tracepoint.sched.*"]);
    assert_eq!(code, 0);
    assert!(names.lines().any(|name| name == "tracepoint.sched.sched_switch"), "{names}");
    assert!(names.lines().all(|name| name.starts_with("tracepoint.sched.")), "{names}");
    let none = told(&["list", "--target", SNAPSHOT, "kprobe.nothing_like_it"]);
    let note = "note: no relation is named like \"kprobe.nothing_like_it\"\n";
    assert_eq!(none, (0, String::new(), note.to_string()));
    let (code, table, _) = told(&["describe", "--target", SNAPSHOT, "sched_switch"]);
    assert_eq!(code, 0);
    assert!(table.starts_with("tracepoint.sched.sched_switch: a row is a hit of the tracepoint\n"), "{table}");
    assert!(table.lines().any(|line| line.starts_with(" next_comm ") && line.contains("| text(16)")), "{table}");
    let (code, _, errors) = told(&["describe", "--target", SNAPSHOT, "sched_swich"]);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("  1 | sched_swich\n    | ^^^^^^^^^^^\n"), "{errors}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, _) = told(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("describe") && script.contains("strict"), "{shell}");
    }
}

/// What a command says on a terminal.
fn on_a_terminal(environment: &[(&str, &str)]) -> String {
    let terminal = openpty(None, None).unwrap();
    let mut command = bpfquery(&["explain", "--target", SNAPSHOT, "-e", "select 1 +"]);
    command.env("TERM", "xterm").envs(environment.iter().copied()).stdout(Stdio::null()).stderr(terminal.slave);
    assert_eq!(command.status().unwrap().code(), Some(2));
    drop(command);
    let mut told = Vec::new();
    // With nobody at the other end a terminal's master ends in EIO.
    let _ = std::fs::File::from(terminal.master).read_to_end(&mut told);
    String::from_utf8(told).unwrap()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    assert!(on_a_terminal(&[]).starts_with("\x1b[1;31merror["));
    assert!(on_a_terminal(&[("NO_COLOR", "")]).starts_with("\x1b[1;31merror["));
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let told = on_a_terminal(&[environment]);
        assert!(told.starts_with("error[") && !told.contains('\x1b'), "{told:?}");
    }
    let (_, _, errors) = told(&["explain", "--target", SNAPSHOT, "-e", "select 1 +"]);
    assert!(!errors.contains('\x1b'), "{errors:?}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    for args in [
        &["list", "--target", SNAPSHOT][..],
        &["completions", "bash"],
        &["compile", "--target", SNAPSHOT, "-o", "-", "-e", QUERY],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = bpfquery(args).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_query_whose_reader_leaves_ends_quietly() {
    let mut child = bpfquery(&["run", "--format", "json", "-e", "select cpu from interval('10ms')"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"cpu\":"), "{line}");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), "attached 1 program: interval(10ms)\n"));
}

#[test]
fn a_query_without_from_is_one_row() {
    let (code, rows, _) = told(&["run", "-e", "select 1 + 1 as two"]);
    assert_eq!((code, rows.as_str()), (0, " two\n-----\n   2\n(1 row)\n"));
    let (_, rows, _) = told(&["run", "--format", "json", "-e", "select 1 as a, 2 as a, 'x' as \"é\""]);
    assert_eq!(rows, "{\"a\":1,\"a_2\":2,\"é\":\"x\"}\n");
    let (_, rows, _) = told(&["run", "--format", "csv", "-e", "select 1 as a, 'x,y' as b"]);
    assert_eq!(rows, "a,b\n1,\"x,y\"\n");
}

#[test]
fn parameters_come_from_the_command_line() {
    let sql = "select 1 + 1 as two, :n + 1 as next where :s = 'abc'";
    let run = |params: &[&str]| {
        let params = params.iter().flat_map(|param| ["--param", param]);
        let args: Vec<&str> = ["run", "--format", "json", "-e", sql].into_iter().chain(params).collect();
        told(&args)
    };
    let (code, rows, errors) = run(&["n=41", "s=abc"]);
    assert_eq!((code, rows.as_str()), (0, "{\"two\":2,\"next\":42}\n"), "{errors}");
    assert_eq!(run(&["n=41", "s=abd"]).1, "");
    let (code, _, errors) = run(&["n=41"]);
    assert_eq!(
        (code, errors.as_str()),
        (2, "error[parameter]: the parameter \"s\" has no value\nhelp: --param s=VALUE\n")
    );
    let (code, _, errors) = run(&["n=x", "s=abc"]);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("\"x\" is no "), "{errors}");
}

#[test]
fn a_command_is_seen_whole_and_ends_the_query() {
    let (code, rows, errors) = told(&["run", "--format", "csv", "-c", "cat /dev/null", "-e", OPENS]);
    assert_eq!(code, 0, "{errors}");
    let count: u32 = rows.strip_prefix("count\n").unwrap().trim_end().parse().unwrap();
    // Its libraries and its file.
    assert!(count >= 2, "{rows}");
    assert!(errors.starts_with("attached 1 program: tracepoint.syscalls.sys_enter_openat\n"), "{errors}");
    assert!(errors.contains("losses: none\nmisses: "), "{errors}");
    let (code, _, errors) = told(&["run", "-c", "sh -c 'exit 7'", "-e", OPENS]);
    assert_eq!(code, 0);
    assert!(errors.contains("note: the command ended with exit code 7\n"), "{errors}");
    let (code, _, errors) = told(&["run", "-c", "/no/such", "-e", OPENS]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("error: cannot start the command \"/no/such\": No such file or directory\n"), "{errors}");
}

#[test]
fn an_object_runs_as_its_query_does() {
    let directory = Directory::new("object");
    let object = directory.file("q.bpf.o");
    let sql = directory.file("q.sql");
    std::fs::write(&sql, OPENS).unwrap();
    assert_eq!(told(&["compile", "-o", &object, &sql]), (0, String::new(), String::new()));
    let run = |file: &str| told(&["run", "-c", "cat /dev/null", file]);
    let (code, rows, _) = run(&object);
    assert_eq!((code, rows), (0, run(&sql).1));
    let (code, _, errors) = told(&["run", "-p", "1", &object]);
    assert_eq!((code, errors.as_str()), (2, "error[usage]: -p works on SQL, and this is an object\n"));
    let bytes = std::fs::read(&object).unwrap();
    std::fs::write(&object, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(run(&object).0, 1);
}

#[test]
fn strict_fails_on_any_loss() {
    // Two bytes hold one character, so every name is cut.
    let cut = "select str(args.filename, 2) from tracepoint.syscalls.sys_enter_openat where pid = :cpid";
    let run = |strict: &[&str], sql: &str| {
        let args: Vec<&str> =
            ["run", "-c", "cat /dev/null", "-e", sql].into_iter().chain(strict.iter().copied()).collect();
        told(&args)
    };
    assert_eq!(run(&[], cut).0, 0);
    let (code, _, errors) = run(&["--strict"], cut);
    assert_eq!(code, 4, "{errors}");
    assert!(errors.contains(" may be cut"), "{errors}");
}

/// A query that is live.
fn live(args: &[&str]) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = bpfquery(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert!(line.starts_with("attached 1 program: "), "{line}");
    (child, errors)
}

#[test]
fn signals_end_a_query_in_order() {
    let me = std::process::id();
    let sql = format!("select count(*) from tracepoint.syscalls.sys_enter_openat where pid = {me}");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let (child, mut errors) = live(&["run", "--format", "csv", "-e", &sql]);
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let mut rest = String::new();
        errors.read_to_string(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{signal}\n{rest}");
        assert!(text(&output.stdout).starts_with("count\n"), "{signal}");
        assert!(rest.starts_with("losses: none\n"), "{signal}\n{rest}");
    }
}

#[test]
fn a_process_is_picked_by_its_id() {
    let me = std::process::id().to_string();
    let sql = "select pid from tracepoint.syscalls.sys_enter_openat where str(args.filename) = '/proc/self/comm'";
    let (child, _errors) = live(&["run", "--format", "csv", "-p", &me, "-e", sql]);
    // Another process that does the same is not seen.
    assert!(Command::new("cat").arg("/proc/self/comm").stdout(Stdio::null()).status().unwrap().success());
    std::fs::read("/proc/self/comm").unwrap();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), format!("pid\n{me}\n"));
}

/// In a pid namespace of its own a process has another number than the one that programs see, and would never be found by it.
#[test]
fn numbers_of_another_pid_namespace_are_refused() {
    let inside = |args: &[&str]| {
        let words = ["--pid", "--fork", "--mount-proc", env!("CARGO_BIN_EXE_bpfquery"), "run"];
        let output = Command::new("unshare").args(words).args(args).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), text(&output.stderr).to_string())
    };
    let anything = "select count(*) from tracepoint.syscalls.sys_enter_openat where pid = 0";
    for args in [["-c", "true", "-e", OPENS], ["-p", "1", "-e", anything]] {
        let (code, errors) = inside(&args);
        assert_eq!(code, Some(3), "{errors}");
        assert!(errors.starts_with("unsupported: -p and :cpid in a pid namespace"), "{errors}");
    }
    let (code, errors) = inside(&["-c", "true", "-e", anything]);
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn a_process_that_is_not_there_is_told_of() {
    let sql = "select count(*) from tracepoint.syscalls.sys_enter_openat";
    let (code, _, errors) = told(&["run", "-p", "4194304", "--for", "1ms", "-e", sql]);
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("note: there is no process 4194304\n"), "{errors}");
}

#[test]
fn a_duration_ends_a_query() {
    let began = Instant::now();
    let (code, rows, errors) =
        told(&["run", "--for", "200ms", "--format", "json", "-e", "select cpu from interval('20ms')"]);
    assert_eq!(code, 0, "{errors}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200));
    // A tick at the most for each 20 ms that it took, and one for the first of them.
    assert!((1..=took.as_millis() / 20 + 1).contains(&(rows.lines().count() as u128)), "{took:?}: {rows}");
}
