//! LLVM's assembler and disassembler on every form.
//!
//! What holds: where clang's version takes our text, its bytes are ours; where llvm-objdump's version knows our bytes,
//! its text is ours. clang 17 and later take everything; older ones lack the forms named in [`old_assembler_takes`]
//! and [`old_disassembler_knows`], whose bytes `encoding.rs` holds against clang 19's.

mod common;

use bpfquery_isa::*;
use object::{Object, ObjectSection};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first LLVM whose assembler and disassembler know every form here.
const FULL: u32 = 17;

#[test]
fn clang_makes_the_same_bytes_of_our_text() {
    let (clang, version) = newest("clang");
    let mut program = common::all_forms();
    program.items.retain(|item| match item {
        Item::Insn(line) => version >= FULL || old_assembler_takes(&line.insn),
        Item::Label(_) => true,
    });
    // clang reads `call name` as a call of a function in the object; helpers are called by number.
    let source = Helper::ALL.iter().rev().fold(program.to_string(), |text, helper| {
        text.replace(&format!("call {}\n", helper.name()), &format!("call {}\n", helper.id()))
    });
    let ours = assemble(&program, 0).unwrap().code;
    let object = compile(&clang, version, "text", &source);
    let object = std::fs::read(object).unwrap();
    let theirs = object::File::parse(&*object).unwrap().section_by_name(".text").unwrap().data().unwrap().to_vec();
    assert!(ours.len() > 8 * 1000, "the list of forms has shrunk");
    let differing = ours.chunks(8).zip(theirs.chunks(8)).position(|(ours, theirs)| ours != theirs);
    assert_eq!(differing, None, "the first slot that differs");
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn llvm_objdump_prints_our_text() {
    let (clang, clang_version) = newest("clang");
    let (objdump, version) = newest("llvm-objdump");
    let forms: Vec<Insn> = common::straight()
        .into_iter()
        .filter(|insn| version >= FULL || old_disassembler_knows(insn))
        .chain([exit()])
        .collect();
    let code = assemble(&forms.iter().copied().collect(), 0).unwrap().code;
    let source: String = code.iter().map(|byte| format!(".byte {byte}\n")).collect();
    let object = compile(&clang, clang_version, "bytes", &source);
    let output =
        run(Command::new(&objdump).args(["-d", "--no-show-raw-insn", "--no-leading-addr", mcpu(version)]).arg(&object));
    let theirs: Vec<String> = output.lines().filter(|line| line.starts_with(char::is_whitespace)).map(normal).collect();
    let ours: Vec<String> = forms.iter().map(|insn| normal(&llvm_style(insn))).collect();
    assert!(ours.len() > 500, "the list of forms has shrunk");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

/// LLVM prints 64-bit constants as signed decimals and helpers by number.
fn llvm_style(insn: &Insn) -> String {
    match insn {
        Insn::LoadImm64 { dst, value: Imm64::Value(value) } => format!("{dst} = {} ll", *value as i64),
        Insn::Call { helper } => format!("call {}", helper.id()),
        insn => insn.to_string(),
    }
}

/// Without spaces, numbers in decimal, and every register by its whole name: LLVM 17 writes `w1 = *(u32 *)…`, the
/// kernel and older LLVMs `r1 = *(u32 *)…`, for the same bytes.
fn normal(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut pieces = text.split("0x");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.chars().take_while(char::is_ascii_hexdigit).count();
        let value = u64::from_str_radix(&piece[..digits], 16).unwrap();
        text.push_str(&format!("{value}{}", &piece[digits..]));
    }
    if text.contains("*)(") && !text.contains("atomic") { text.replace('w', "r") } else { text }
}

/// What LLVM 14's assembler can read: no bit test, no remainder, no atomic with a result, nothing of kernel 6.6.
fn old_assembler_takes(insn: &Insn) -> bool {
    old_disassembler_knows(insn)
        && !matches!(insn, Insn::Atomic { fetch: true, .. } | Insn::Exchange { .. } | Insn::CompareExchange { .. })
}

/// What LLVM 14's disassembler knows: no bit test, no remainder, no store of a constant, no 32-bit atomic but add,
/// nothing of kernel 6.6.
fn old_disassembler_knows(insn: &Insn) -> bool {
    let plain_add = matches!(insn, Insn::Atomic { op: AtomicOp::Add, fetch: false, .. });
    match insn {
        Insn::JumpIf { cond: Cond::Set, .. } | Insn::Alu { op: AluOp::Mod, .. } | Insn::StoreImm { .. } => false,
        Insn::Atomic { width: Width::W32, .. }
        | Insn::Exchange { width: Width::W32, .. }
        | Insn::CompareExchange { width: Width::W32, .. } => plain_add,
        insn => insn.since() < Since(6, 6) || matches!(insn, Insn::Call { .. }),
    }
}

/// The newest version of an LLVM tool on this machine. A machine without one fails the test.
fn newest(tool: &str) -> (String, u32) {
    let versioned = (FULL..=24).rev().map(|version| format!("{tool}-{version}"));
    for name in versioned.chain([tool.to_owned()]) {
        let Ok(output) = Command::new(&name).arg("--version").output() else { continue };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split("version ").nth(1).and_then(|rest| rest.split('.').next()?.parse().ok());
        return (name, version.unwrap_or_else(|| panic!("no version in: {text}")));
    }
    panic!("{tool} is not installed: it is the oracle of this test");
}

fn mcpu(version: u32) -> &'static str {
    if version >= FULL { "--mcpu=v4" } else { "--mcpu=v3" }
}

/// Assembles a source into an object under the test's own directory.
fn compile(clang: &str, version: u32, name: &str, source: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (input, output) = (dir.join(format!("isa-{name}.s")), dir.join(format!("isa-{name}.o")));
    std::fs::write(&input, source).unwrap();
    let mcpu = mcpu(version).trim_start_matches('-');
    run(Command::new(clang).args(["--target=bpf", &format!("-{mcpu}"), "-c", "-o"]).arg(&output).arg(&input));
    output
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{}", &stderr[..stderr.len().min(4000)]);
    String::from_utf8(output.stdout).expect("LLVM prints UTF-8")
}
