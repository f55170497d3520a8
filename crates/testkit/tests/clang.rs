//! Programs beside those that `clang -O2` makes of the same query in C.
//!
//! For each `testdata/clang/NAME.c` there is a case `testdata/cases/size/NAME.case`: the C has the same maps and layouts, the
//! same NULLs, and counts the same losses. Both objects go through llvm-objdump, and eight-byte slots are counted: a 64-bit
//! constant takes two. clang's best of three instruction sets counts. Not checked here: that the C is right; clang and the
//! reader are trusted with that. `BPFQUERY_SHOW=NAME` prints both programs.

#![allow(clippy::print_stdout, reason = "the table of counts is what one runs this test for")]

use bpfquery::{Compiled, Options, compile};
use bpfquery_isa::Purpose;
use bpfquery_testkit::case::Case;
use bpfquery_testkit::check::Snapshots;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The most slots that a program of ours may have for a hundred of clang's.
const MOST_PERCENT: u32 = 100;

struct Row {
    name: String,
    ours: u32,
    clang: u32,
}

impl Row {
    fn ratio(&self) -> f64 {
        f64::from(self.ours) / f64::from(self.clang)
    }
}

#[test]
fn no_query_takes_more_instructions_than_clang() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let scratch = std::env::temp_dir().join(format!("bpfquery-clang-{}", std::process::id()));
    fs::create_dir_all(&scratch).expect("the directory for temporary files is writable");
    let names = names(&testdata.join("clang"));
    assert!(names.len() >= 11, "only {names:?}");
    let rows: Vec<Row> = names
        .into_iter()
        .map(|name| {
            let ours = slots(&ours(&testdata, &name, &scratch));
            let source = testdata.join("clang").join(&name).with_extension("c");
            let clang = ["v1", "v2", "v3"].map(|cpu| slots(&clang(&source, cpu, &scratch)));
            Row { name, ours, clang: clang.into_iter().min().unwrap_or_default() }
        })
        .collect();
    fs::remove_dir_all(&scratch).expect("it was made above");
    println!("{:<20} {:>5} {:>6} {:>6}", "query", "ours", "clang", "ratio");
    for row in &rows {
        println!("{:<20} {:>5} {:>6} {:>6.2}", row.name, row.ours, row.clang, row.ratio());
    }
    let too_many = |row: &&Row| row.ours * 100 > row.clang * MOST_PERCENT;
    let failed: Vec<&str> = rows.iter().filter(too_many).map(|row| row.name.as_str()).collect();
    assert!(failed.is_empty(), "more than {MOST_PERCENT} for a hundred of clang's: {failed:?}");
}

/// Workloads whose work takes more instructions than C as it is usually written (`testdata/bench/*.usual.c`), by how many at most, and
/// why. `docs/benchmarks.md` shows both programs.
const ABOVE_USUAL: [(&str, u32, &str); 3] = [
    (
        "columns-12-text",
        4,
        "the time is taken before the row has room, and null bits wait in a register for the row's end",
    ),
    ("count", 6, "C adds to one word that all CPUs share"),
    ("count-by-syscall", 1, "an array in front of the hash"),
];

/// The benchmarks' programs, without what counts losses, says NULLs and keeps 128 bits, beside C that does none of these.
#[test]
fn the_work_takes_no_more_instructions_than_usual_c() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let scratch = std::env::temp_dir().join(format!("bpfquery-usual-{}", std::process::id()));
    fs::create_dir_all(&scratch).expect("the directory for temporary files is writable");
    let sources = fs::read_dir(testdata.join("bench")).expect("testdata/bench is part of the tree");
    let mut names: Vec<String> = sources
        .filter_map(|file| file.ok()?.file_name().to_str()?.strip_suffix(".usual.c").map(str::to_string))
        .collect();
    names.sort();
    assert!(names.len() >= 14, "only {names:?}");
    let mut failed = Vec::new();
    for name in names {
        let case = if name == "columns-12" { "columns-12-text" } else { &name };
        let compiled = compiled(&testdata, case);
        let work: u32 = compiled.programs.iter().map(|program| program.code.slots_for(Purpose::Work)).sum();
        let all: u32 = compiled.programs.iter().map(|program| program.code.slots()).sum();
        let usual = slots(&usual(&testdata, &name, &scratch));
        println!("{case:<20} {work} of {all}, C {usual}");
        let allowed = ABOVE_USUAL.iter().find(|(above, ..)| *above == case).map_or(0, |(_, by, _)| *by);
        if work > usual + allowed {
            failed.push(format!("{case}: {work} for its work, C {usual}"));
        }
    }
    fs::remove_dir_all(&scratch).expect("it was made above");
    assert!(failed.is_empty(), "{failed:?}");
}

/// clang's object of C as it is usually written.
fn usual(testdata: &Path, name: &str, scratch: &Path) -> PathBuf {
    let path = scratch.join(format!("{name}-usual.o"));
    let mut command = Command::new("clang");
    command.args(["-g", "-O2", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3", "-D__TARGET_ARCH_x86", "-I"]);
    command.arg(testdata.join("bench")).arg("-I").arg(testdata.join("clang/vmlinux"));
    run(command.arg("-c").arg(testdata.join("bench").join(format!("{name}.usual.c"))).arg("-o").arg(&path));
    path
}

/// The C programs, sorted.
fn names(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).expect("testdata/clang is part of the tree");
    let paths = files.map(|file| file.expect("a directory can be read to its end").path());
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "c"));
    let mut names: Vec<String> =
        sources.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    names
}

/// Our object of the case.
fn ours(testdata: &Path, name: &str, scratch: &Path) -> PathBuf {
    let path = scratch.join(format!("{name}.bpf.o"));
    fs::write(&path, &compiled(testdata, name).object).expect("the directory is ours");
    path
}

/// The case, compiled.
fn compiled(testdata: &Path, name: &str) -> Compiled {
    let cases = testdata.join("cases");
    let case =
        Case::read(&cases, &cases.join("size").join(name).with_extension("case")).unwrap_or_else(|e| panic!("{e}"));
    let mut snapshots = Snapshots::new(&testdata.join("snapshots"));
    let kernel =
        snapshots.get(case.directives.snapshot.as_deref().unwrap_or("small")).unwrap_or_else(|e| panic!("{e}"));
    compile(&case.sql, kernel, Options::default()).unwrap_or_else(|failure| panic!("{name}: {failure:?}"))
}

/// clang's object.
fn clang(source: &Path, cpu: &str, scratch: &Path) -> PathBuf {
    let name = source.file_stem().expect("a source has a name").to_string_lossy();
    let path = scratch.join(format!("{name}-{cpu}.o"));
    let mut command = Command::new("clang");
    // CO-RE's records come with debug information only.
    command.args(["-g", "-O2", "-Wall", "-Werror", "-target", "bpf", &format!("-mcpu={cpu}"), "-c"]);
    run(command.arg(source).arg("-o").arg(&path));
    path
}

/// Eight-byte slots of an object's programs.
fn slots(object: &Path) -> u32 {
    let text = run(Command::new("llvm-objdump").args(["-d", "--no-show-raw-insn"]).arg(object));
    let is_instruction = |line: &&str| line.trim_start().split(':').next().is_some_and(|at| at.parse::<u32>().is_ok());
    let count = text.lines().filter(is_instruction).map(|line| if line.ends_with(" ll") { 2 } else { 1 }).sum();
    assert!(count > 0, "no instructions in {}:\n{text}", object.display());
    let name = object.file_stem().unwrap_or_default().to_string_lossy();
    if std::env::var("BPFQUERY_SHOW").is_ok_and(|show| !show.is_empty() && name.starts_with(&show)) {
        println!("{text}");
    }
    count
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; install clang and llvm"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
