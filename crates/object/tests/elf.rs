//! The object as LLVM's tools and the `object` crate see it, what is refused, and hostile objects.

mod common;

use bpfquery_diag::Failure;
use bpfquery_isa::*;
use bpfquery_object::elf::*;
use common::{SQL, everything, run, written};
use std::process::Command;

#[test]
fn llvm_readelf_sees_sections_symbols_and_relocations() {
    let path = written("readelf.bpf.o");
    let text = run(Command::new("llvm-readelf").args(["-h", "-S", "-s", "-r", "-W"]).arg(path));
    let words: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let found = |parts: &[&str]| words.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    for parts in [
        &["Type:", "REL (Relocatable file)"][..],
        &["Machine:", "EM_BPF"],
        &["raw_tp/sys_enter", "PROGBITS", " AX "],
        &["tracepoint/sched/sched_process_exit", "PROGBITS", " AX "],
        &[".relraw_tp/sys_enter", "REL "],
        &[".maps", "PROGBITS", " WA "],
        &[".rodata", "PROGBITS", " A "],
        &[".bss", "NOBITS", " WA "],
        &["license", "PROGBITS"],
        &[".BTF ", "PROGBITS"],
        &[".BTF.ext", "PROGBITS"],
        &[".bpfquery", "PROGBITS"],
        &["FUNC GLOBAL DEFAULT", "count_all"],
        &["OBJECT GLOBAL DEFAULT", "groups"],
        &["OBJECT GLOBAL DEFAULT", "hits"],
        &["R_BPF_64_64", "groups"],
        &["R_BPF_64_64", ".rodata"],
        &["R_BPF_64_64", ".bss"],
    ] {
        assert!(found(parts), "{parts:?} in\n{text}");
    }
    let not_loaded = |line: &&String| line.contains(".bpfquery") && line.contains(" A ");
    assert_eq!(words.iter().find(not_loaded), None);
}

#[test]
fn llvm_objdump_reads_the_programs() {
    let path = written("objdump.bpf.o");
    let text = run(Command::new("llvm-objdump").args(["-d", "-r", "--no-show-raw-insn"]).arg(path));
    for part in [
        "<count_all>:",
        "<limited>:",
        "r2 += -4",
        "call 1\n",
        "R_BPF_64_64\tgroups",
        "lock *(u64 *)(r0 + 0) += r1",
        "Disassembly of section raw_tp/sched_switch",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn two_programs_of_a_section_lie_behind_each_other() {
    use object::{Object, ObjectSection, ObjectSymbol};
    let bytes = write(&everything()).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let input = everything();
    let section = file.section_by_name("raw_tp/sys_enter").unwrap();
    let (first, second) = (&input.programs[0].code, &input.programs[2].code);
    assert_eq!(section.data().unwrap(), [&*first.code, &*second.code].concat());
    let symbol = file.symbol_by_name("limited").unwrap();
    assert_eq!((symbol.address(), symbol.size()), (first.code.len() as u64, second.code.len() as u64));
    let places: Vec<u64> = section.relocations().map(|(offset, _)| offset).collect();
    let base = first.code.len() as u64;
    assert_eq!(places, [3 * 8, base, base + 3 * 8]);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(write(&everything()).unwrap(), write(&everything()).unwrap());
}

#[test]
fn places_are_lines_and_columns_in_bytes() {
    let source = SourceText { file: String::new(), text: SQL.into() };
    let check = |offset: usize, place: (u32, u32, &str)| assert_eq!(source.place(offset as u32), place);
    let lines: Vec<&str> = SQL.lines().collect();
    check(0, (1, 1, lines[0]));
    check(SQL.find("FROM").unwrap(), (2, 3, lines[1]));
    check(SQL.find("hits").unwrap(), (3, 8, lines[2]));
    // Inside of é, and far behind the end.
    check(SQL.find('é').unwrap() + 1, (1, 19, lines[0]));
    check(u32::MAX as usize, (3, 17, lines[2]));
}

#[test]
fn refuses_what_no_loader_takes() {
    type Fault = fn(&mut ObjectInput);
    let check = |part: &str, fault: Fault| {
        let mut input = everything();
        fault(&mut input);
        match write(&input) {
            Err(Failure::Bug { detail, .. }) => assert!(detail.contains(part), "{detail:?} without {part:?}"),
            other => panic!("{part}: {other:?}"),
        }
    };
    check("\"a b\" is not a C identifier", |input| input.programs[0].name = "a b".into());
    check("\"2x\" is not a C identifier", |input| input.programs[0].name = "2x".into());
    check("two things are called groups", |input| input.programs[0].name = "groups".into());
    check("has the section \"\"", |input| input.programs[0].section.clear());
    check("has the section \".text\"", |input| input.programs[0].section = ".text".into());
    check("no program", |input| input.programs.clear());
    check("the licence has a NUL", |input| input.license.push('\0'));
    check("not its number of instructions", |input| _ = input.programs[0].code.code.pop());
    check("a CO-RE record is missing", |input| input.cores.clear());
    check("a CO-RE record lies behind", |input| input.programs[0].code.cores.push((Slot(99), CoreRef(0))));
    check("a source line lies behind", |input| input.programs[0].code.lines.push((Slot(99), (0, 1))));
    check("not in order", |input| input.programs[0].code.lines.reverse());
    check("a relocation points at nothing", |input| input.maps.truncate(0));
    check("a relocation points at nothing", |input| input.maps.swap(0, 1));
    check("a relocation lies behind", |input| input.programs[0].code.relocs[0].slot = Slot(10));
    check("there are two .rodata", |input| bss(input).section = DataSection::Rodata);
    check(".bss has the wrong size", |input| bss(input).size = 0);
    check(".bss has contents", |input| bss(input).init = vec![1]);
    check("pending overlaps", |input| bss(input).variables[1].offset = 4);
    check("tgid_told ends behind", |input| bss(input).variables[3].size = 8);
    check("hits ends behind", |input| bss(input).variables[0].size = u32::MAX);
}

fn bss(input: &mut ObjectInput) -> &mut DataInput {
    match &mut input.maps[2] {
        MapInput::Data(data) => data,
        MapInput::Map(_) => unreachable!("the third map is .bss"),
    }
}

#[test]
fn the_manifest_comes_back() {
    let input = everything();
    assert_eq!(read_manifest(&write(&input).unwrap()).unwrap(), input.manifest);
}

#[test]
fn a_file_that_is_not_ours_is_refused_with_what_it_is() {
    let check = |bytes: &[u8], part: &str| match read_manifest(bytes) {
        Err(Failure::Io { error, .. }) => assert!(error.contains(part), "{error:?} without {part:?}"),
        other => panic!("{part}: {other:?}"),
    };
    check(b"", "not an ELF file");
    check(b"SELECT 1", "not an ELF file");
    check(&std::fs::read(std::env::current_exe().unwrap()).unwrap(), "not a little-endian BPF object");
    let ours = write(&everything()).unwrap();
    let name = ours.windows(9).position(|part| part == b".bpfquery").unwrap();
    let mut other = ours.clone();
    other[name + 1] = b'B';
    check(&other, "no .bpfquery section");
}

/// Every truncation, and every byte of the headers set to several values.
#[test]
fn hostile_objects_never_panic() {
    let ours = write(&everything()).unwrap();
    for length in 0..ours.len() {
        let _ = read_manifest(&ours[..length]);
    }
    let headers = usize::from_le_bytes(ours[0x28..0x30].try_into().unwrap());
    let mut damaged = 0;
    for at in (0..64).chain(headers..ours.len()) {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = ours.clone();
            bytes[at] = value;
            damaged += u32::from(read_manifest(&bytes).is_err());
        }
    }
    assert!(damaged > 100, "only {damaged} of the changes were noticed: is the manifest read at all?");
}
