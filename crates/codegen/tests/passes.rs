//! Each pass on small functions: `tests/passes/PASS.case` holds what goes in and what comes out.
//!
//! A file is a list of cases between lines of `====`; a case is a comment, the function before, a line of `----`, and the
//! function behind the pass run once. `BPFQUERY_BLESS=1` writes what comes out; read the difference before committing it.

use bpfquery_codegen::ir::{Func, parse, verify};
use bpfquery_codegen::passes::shape::Shape;
use bpfquery_codegen::passes::{FINISH, Pass, SIMPLIFY};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const CASE: &str = "====\n";
const ARROW: &str = "----\n";

fn path(pass: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/passes").join(format!("{pass}.case"))
}

fn passes() -> BTreeMap<&'static str, Pass> {
    SIMPLIFY.iter().chain(FINISH).copied().collect()
}

fn function(text: &str, what: &str) -> Func {
    let bare: String =
        text.lines().filter(|line| !line.starts_with('#')).fold(String::new(), |all, line| all + line + "\n");
    let func = parse(&bare).unwrap_or_else(|error| panic!("{what}: {error}\n{text}"));
    verify(&func).unwrap_or_else(|error| panic!("{what}: {error}\n{text}"));
    func
}

/// The case with what the pass makes of its function now.
fn rerun(pass: Pass, name: &str, case: &str) -> String {
    let before = case.split(ARROW).next().unwrap_or(case);
    assert!(before.starts_with("# "), "{name}: a case says first what it shows\n{case}");
    let mut func = function(before, name);
    let original = func.clone();
    let mut shape = Shape::default();
    let changed = pass(&mut func, &mut shape);
    assert!(shape.holds(&func), "{name} did not say that blocks go elsewhere\n{before}");
    verify(&func).unwrap_or_else(|error| panic!("{name}: {error}\n{func}"));
    // Whoever repeats passes until nothing changes relies on the answer.
    assert!(changed || func == original, "{name} changed a function and denies it\n{before}");
    format!("{before}{ARROW}{func}")
}

#[test]
fn passes_do_what_their_cases_say() {
    let bless = std::env::var("BPFQUERY_BLESS").is_ok();
    let mut wrong = Vec::new();
    for (name, pass) in passes() {
        let path = path(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let now: Vec<String> = text.split(CASE).map(|case| rerun(pass, name, case)).collect();
        let now = now.join(CASE);
        if bless {
            std::fs::write(&path, &now).expect("the file was just read");
        } else if now != text {
            wrong.push(format!("{}: now\n{now}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nBPFQUERY_BLESS=1 writes what comes out now", wrong.join("\n"));
}

/// What a pass leaves, it leaves alone the second time.
#[test]
fn passes_come_to_rest() {
    for (name, pass) in passes() {
        let text = std::fs::read_to_string(path(name)).expect("read by the test above");
        for case in text.split(CASE) {
            let mut func = function(case.split(ARROW).next().unwrap_or(case), name);
            let mut shape = Shape::default();
            let rounds = (0..20).take_while(|_| pass(&mut func, &mut shape)).count();
            assert!(rounds < 20, "{name} never ends on\n{case}");
        }
    }
}
