//! The running kernel as the judge: libbpf and bpftool load the object, run its programs, and print its maps and
//! source lines by the names in its BTF.
//!
//! Nothing is attached: programs run by BPF_PROG_TEST_RUN. What bpftool loads is pinned only under a bpffs in a mount
//! namespace of the test's own, and goes with it. Needs root, and fails without.

mod common;

use bpfquery_object::elf::write;
use common::{LIMIT, everything, run, written};
use libbpf_rs::{MapCore, Object, ObjectBuilder, ProgramInput};
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn maps_hold_what_the_programs_counted_under_their_btf_names() {
    let object = load();
    for name in ["count_all", "send_row", "limited", "who"] {
        (0..5).for_each(|_| run_once(&object, name));
    }
    // Five runs, of which `limited` counted as many as `.rodata` allows.
    assert!(dump(&object, "groups").contains("\"key\":0,\"value\":{\"count\":5}"), "{}", dump(&object, "groups"));
    assert!(dump(&object, ".rodata").contains(&format!("\"limit\":{LIMIT}")), "{}", dump(&object, ".rodata"));
    let bss = dump(&object, ".bss");
    // Five records of 16 bytes and a header of 8 wait in the ring buffer.
    assert!(bss.contains(&format!("\"hits\":{LIMIT}}},{{\"pending\":120}}")), "{bss}");
    // CO-RE: the id that `who` reads from task_struct is the one that the helper tells, which is ours.
    let us = std::process::id();
    assert!(bss.contains(&format!("{{\"tgid_read\":{us}}},{{\"tgid_told\":{us}}}")), "{bss}");
}

#[test]
fn bpftool_loads_the_object_and_shows_the_sql() {
    let text = session(
        "$T prog loadall $OBJECT $FS/p pinmaps $FS/m
        $T prog dump xlated pinned $FS/p/limited linum
        $T prog dump xlated pinned $FS/p/who linum
        $T prog show pinned $FS/p/exits",
    );
    for part in [
        "; WHERE hits < 3; [file:q.sql line_num:3 line_col:8]",
        "; SELECT count(*), \"é\" [file:q.sql line_num:1 line_col:1]",
        "int limited(void * ctx):",
        "call bpf_get_current_task#",
        "name exits",
        "tracepoint",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

fn load() -> Object {
    let bytes = write(&everything()).expect("the test's object is sound");
    let object = ObjectBuilder::default().open_memory(&bytes).expect("libbpf opens the object");
    object.load().unwrap_or_else(|error| panic!("the kernel refuses the object (is this root?): {error:?}"))
}

/// Runs a raw tracepoint program once; its context are the tracepoint's arguments, which the programs do not read.
fn run_once(object: &Object, name: &str) {
    let program = object.progs_mut().find(|program| program.name() == name).expect(name);
    let input = ProgramInput { context_in: Some(&mut [0; 64]), ..ProgramInput::default() };
    let output = program.test_run(input).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert_eq!(output.return_value, 0, "{name}");
}

/// What bpftool prints of a map, without blanks. libbpf puts the object's name before those of data sections.
fn dump(object: &Object, name: &str) -> String {
    let map = object.maps().find(|map| map.name().to_string_lossy().ends_with(name)).expect(name);
    let id = map.info().expect("a loaded map has an id").info.id.to_string();
    run(Command::new(bpftool()).args(["map", "dump", "id", &id])).split_whitespace().collect()
}

/// Runs shell commands with a bpffs that nobody else sees at `$FS`, bpftool as `$T` and the object as `$OBJECT`.
fn session(commands: &str) -> String {
    let fs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bpffs");
    std::fs::create_dir_all(&fs).unwrap();
    let script = format!("set -e\nmount -t bpf bpf $FS\n{commands}\n");
    run(Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .env("FS", fs)
        .env("T", bpftool())
        .env("OBJECT", written("kernel.bpf.o")))
}

/// The bpftool that the project's setup fetches, or else the one of the search path.
fn bpftool() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/bpftool/usr/sbin/bpftool");
    if fetched.exists() {
        return fetched;
    }
    match Command::new("bpftool").arg("version").output() {
        Ok(_) => "bpftool".into(),
        Err(error) => panic!("bpftool is this test's oracle: {error}; `make setup` fetches it"),
    }
}
