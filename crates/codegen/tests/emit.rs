//! What instructions small functions become: `tests/emit/*.case`.
//!
//! A file is a list of cases between lines of `====`; a case is a comment, the function, a line of `----`, and its
//! instructions, without passes before. `# isa v4` in the comment allows what kernel 6.6 has. An instruction that a
//! relocation rewrites ends in its name. `BPFQUERY_BLESS=1` writes what comes out; read the difference before committing.

use bpfquery_codegen::ir::{parse, verify};
use bpfquery_codegen::{Target, emit};
use bpfquery_isa::{Item, Program};
use std::path::{Path, PathBuf};

const CASE: &str = "====\n";
const ARROW: &str = "----\n";

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emit");
    let entries = std::fs::read_dir(directory).expect("the directory is there");
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

/// The case with the instructions that its function becomes now.
fn rerun(case: &str) -> String {
    let before = case.split(ARROW).next().unwrap_or(case);
    assert!(before.starts_with("# "), "a case says first what it shows\n{case}");
    let (comments, text): (Vec<&str>, Vec<&str>) = before.lines().partition(|line| line.starts_with('#'));
    let func = parse(&text.join("\n")).unwrap_or_else(|error| panic!("{error}\n{case}"));
    verify(&func).unwrap_or_else(|error| panic!("{error}\n{case}"));
    let target = Target { isa_v4: comments.iter().any(|line| line.contains("isa v4")) };
    let program = emit::generate(&func, target).unwrap_or_else(|failure| panic!("{failure:?}\n{case}"));
    format!("{before}{ARROW}{}", text_of(&program))
}

fn text_of(program: &Program) -> String {
    let mut text = String::new();
    for item in &program.items {
        match item {
            Item::Label(label) => text += &format!("{label}:\n"),
            Item::Insn(line) => {
                let core = line.core.map_or(String::new(), |core| format!(" ; c{}", core.0));
                text += &format!("  {}{core}\n", line.insn.display(&|_| None));
            }
        }
    }
    text
}

#[test]
fn functions_become_these_instructions() {
    let bless = std::env::var("BPFQUERY_BLESS").is_ok();
    let mut wrong = Vec::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("the file was just listed");
        let now = text.split(CASE).map(rerun).collect::<Vec<String>>().join(CASE);
        if bless {
            std::fs::write(&path, &now).expect("the file was just read");
        } else if now != text {
            wrong.push(format!("{}: now\n{now}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nBPFQUERY_BLESS=1 writes what comes out now", wrong.join("\n"));
}
