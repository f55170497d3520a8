//! Instruction counts beside those of `clang -O2` for the same program in C (`tests/clang/*.c`).
//!
//! The IR in `tests/clang/*.ir` is what lowering makes of the query in the C file's first line, or its like. Counted are
//! eight-byte slots: a 64-bit constant takes two. clang's best of `-mcpu=v1` and `-mcpu=v3` counts.

#![allow(clippy::print_stdout, reason = "the table of counts is what one runs this test for")]

use bpfquery_codegen::ir::{parse, verify};
use bpfquery_codegen::{Target, compile};
use bpfquery_isa::Program;
use std::path::{Path, PathBuf};
use std::process::Command;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clang")
}

fn ours(name: &str) -> Program {
    let text = std::fs::read_to_string(directory().join(format!("{name}.ir"))).expect("the IR is beside the C file");
    let func = parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    verify(&func).unwrap_or_else(|error| panic!("{name}: {error}"));
    compile(func, Target::default()).unwrap_or_else(|failure| panic!("{name}: {failure:?}"))
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; install clang and llvm"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Slots of clang's program, and its text.
fn clang(name: &str, cpu: &str) -> (u32, String) {
    let object = std::env::temp_dir().join(format!("bpfquery-{}-{name}-{cpu}.o", std::process::id()));
    let source = directory().join(format!("{name}.c"));
    let cpu = format!("-mcpu={cpu}");
    run(Command::new("clang").args(["-O2", "-target", "bpf", &cpu, "-c"]).arg(source).arg("-o").arg(&object));
    let text = run(Command::new("llvm-objdump").args(["-d", "--no-show-raw-insn"]).arg(&object));
    std::fs::remove_file(&object).expect("the object was made above");
    let text = String::from_utf8_lossy(&text).into_owned();
    let is_insn = |line: &&str| line.trim_start().split(':').next().is_some_and(|number| number.parse::<u32>().is_ok());
    let slots = |line: &str| if line.ends_with(" ll") { 2 } else { 1 };
    let count = text.lines().filter(is_insn).map(slots).sum();
    assert!(count > 0, "no instructions in:\n{text}");
    (count, text)
}

/// Workloads whose count is above clang's, and by how much: the reason stands beside each.
const ABOVE: &[(&str, u32)] = &[];

#[test]
fn no_workload_takes_more_instructions_than_clang() {
    let mut names: Vec<String> = std::fs::read_dir(directory())
        .expect("the directory is there")
        .filter_map(|entry| entry.ok()?.path().file_name()?.to_str()?.strip_suffix(".ir").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 10, "only {names:?}");
    let mut failures = Vec::new();
    for name in &names {
        let program = ours(name);
        let ours = program.slots();
        let (theirs, text) = ["v1", "v3"].into_iter().map(|cpu| clang(name, cpu)).min().expect("two of them");
        eprintln!("{name:20} ours {ours:4}, clang {theirs:4}, {:.2}", f64::from(ours) / f64::from(theirs));
        let allowed = ABOVE.iter().find(|(above, _)| above == name).map_or(0, |(_, by)| *by);
        if std::env::var("BPFQUERY_SHOW").is_ok_and(|show| show == *name) {
            eprintln!("{}\n{text}", program.display(&|_| None));
        }
        if ours > theirs + allowed {
            failures.push(format!("{name}: {ours} slots, clang {theirs}\n{}\n{text}", program.display(&|_| None)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
