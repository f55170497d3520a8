//! The running kernel as the judge: bpftool (so libbpf) loads the object, runs its programs, and prints its maps and
//! source lines by the names in its BTF.
//!
//! Nothing is attached: programs run by BPF_PROG_TEST_RUN. What is loaded is pinned only under a bpffs in a mount
//! namespace of the test's own, and goes with it. Needs root, and fails without.

mod common;

use common::{LIMIT, run, written};
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn bpftool_loads_runs_and_prints_the_object() {
    let text = session(
        "$T prog loadall $OBJECT $FS/p pinmaps $FS/m
        run() { for i in 1 2 3 4 5; do $T prog run pinned $FS/p/$1 ctx_in $OBJECT.ctx repeat 0 >/dev/null; done; }
        run count_all; run send_row; run limited; run who
        $T map dump pinned $FS/m/groups
        $T map dump pinned $FS/m/*bss
        $T map dump pinned $FS/m/*rodata
        $T prog dump xlated pinned $FS/p/limited linum
        $T prog dump xlated pinned $FS/p/who linum
        $T prog show pinned $FS/p/exits",
    );
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    // Maps by the names in BTF: five runs, of which `limited` counted as many as `.rodata` allows.
    for part in [
        "\"key\":0,\"value\":{\"count\":5}".to_owned(),
        format!("\"hits\":{LIMIT}"),
        format!("\"limit\":{LIMIT}"),
        // Five records of 16 bytes and a header of 8.
        "\"pending\":120".to_owned(),
    ] {
        assert!(squeezed.contains(&part), "{part} in\n{text}");
    }
    // CO-RE: the id read from task_struct is the one that the helper tells.
    let number = |name: &str| {
        let rest = text.split(&format!("\"{name}\": ")).nth(1).unwrap_or_else(|| panic!("{name} in\n{text}"));
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(number("tgid_read"), number("tgid_told"));
    assert_ne!(number("tgid_read"), 0);
    // Source lines: the SQL, with its place.
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

/// Runs shell commands with a bpffs that nobody else sees at `$FS`, bpftool as `$T` and the object as `$OBJECT`.
fn session(commands: &str) -> String {
    let fs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bpffs");
    std::fs::create_dir_all(&fs).unwrap();
    let script = format!("set -e\nmount -t bpf bpf $FS\n{commands}\n");
    let object = written("kernel.bpf.o");
    // The context of a raw tracepoint: its arguments. The programs read none of them.
    std::fs::write(object.with_extension("o.ctx"), [0; 64]).unwrap();
    run(Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .env("FS", fs)
        .env("T", bpftool())
        .env("OBJECT", object))
}

/// The bpftool of the search path, or the one that the project's setup fetches.
fn bpftool() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/bpftool/usr/sbin/bpftool");
    match Command::new("bpftool").arg("version").output() {
        Ok(_) => "bpftool".into(),
        Err(_) if fetched.exists() => fetched,
        Err(error) => panic!("bpftool is this test's oracle: {error}; `make setup` fetches it"),
    }
}
