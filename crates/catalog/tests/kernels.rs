//! The same names on five pinned kernels of Debian: what is the same everywhere, what moves, and what the checks see.

use bpfquery_catalog::{
    Builtin, Check, Kernel, Relation, RelationName, Snapshot, SqlType, checks, nav, relation, verify_check,
};
use std::collections::BTreeSet;

const KERNELS: [(&str, &[u8]); 5] = [
    ("5.10", include_bytes!("../../../testdata/snapshots/linux-5.10.snap")),
    ("6.1", include_bytes!("../../../testdata/snapshots/linux-6.1.snap")),
    ("6.12", include_bytes!("../../../testdata/snapshots/linux-6.12.snap")),
    ("6.18", include_bytes!("../../../testdata/snapshots/linux-6.18.snap")),
    ("7.2", include_bytes!("../../../testdata/snapshots/linux-7.2.snap")),
];

fn kernels() -> Vec<(&'static str, Snapshot)> {
    KERNELS.into_iter().map(|(name, bytes)| (name, Snapshot::from_bytes(bytes).expect(name))).collect()
}

fn of(kernel: &Snapshot, name: &str) -> Relation {
    relation(kernel, &RelationName::parse(name)).unwrap_or_else(|f| panic!("{}", bpfquery_diag::render(&f, name)))
}

fn own_names(relation: &Relation) -> Vec<&str> {
    relation.columns.iter().skip(Builtin::ALL.len()).map(|column| column.name.as_str()).collect()
}

#[test]
fn each_says_which_kernel_it_is() {
    for (name, kernel) in kernels() {
        let (major, minor, _) = kernel.identity().version;
        assert_eq!(format!("{major}.{minor}"), name);
    }
}

#[test]
fn relations_that_never_changed() {
    let check = |name: &str, expect: &[&str]| {
        for (series, kernel) in kernels() {
            assert_eq!(own_names(&of(&kernel, name)), expect, "{name} on {series}");
        }
    };
    check("sys_enter_openat", &["__syscall_nr", "dfd", "filename", "flags", "mode"]);
    check("sys_exit_openat", &["__syscall_nr", "ret"]);
    check("sched_process_exec", &["filename", "pid", "old_pid"]);
    check("kprobe.vfs_read", &["file", "buf", "count", "pos"]);
    check("kprobe.vfs_open", &["path", "file"]);
    check("kretprobe.vfs_read", &["retval"]);
    check("fexit.vfs_open", &["path", "file", "retval"]);
    check("rawtracepoint.sys_enter", &["regs", "id"]);
    check("rawtracepoint.sched_process_exec", &["p", "old_pid", "bprm"]);
}

#[test]
fn relations_that_changed() {
    let check = |name: &str, expect: [&[&str]; 5]| {
        for ((series, kernel), expect) in kernels().iter().zip(expect) {
            assert_eq!(own_names(&of(kernel, name)), expect, "{name} on {series}");
        }
    };
    let three: &[&str] = &["preempt", "prev", "next"];
    let four: &[&str] = &["preempt", "prev", "next", "prev_state"];
    check("rawtracepoint.sched_switch", [three, four, four, four, four]);
}

#[test]
fn the_chain_of_vfs_open_is_found_everywhere() {
    for (series, kernel) in kernels() {
        let relation = of(&kernel, "kprobe.vfs_open");
        let step = |ty: &SqlType, name: &str| match nav::member(&kernel, ty, name) {
            Ok(Ok(member)) => member,
            other => panic!("{name} on {series}: {other:?}"),
        };
        let path = &relation.columns[relation.column("path", true).expect("its first argument")].ty;
        let dentry = step(path, "dentry");
        let d_name = step(&dentry.ty, "d_name");
        let name = d_name.then(&step(&d_name.ty, "name"));
        assert_eq!((dentry.offset, name.offset - d_name.offset, name.size), (8, 8, 8), "{series}");
    }
}

/// An object made for 5.10 takes nothing for granted there that fails on later kernels, but where they really differ.
#[test]
fn checks_made_on_the_oldest() {
    let all = kernels();
    let (_, oldest) = &all[0];
    let list = |name: &str| -> Vec<Check> {
        let relation = of(oldest, name);
        checks(&relation, &(0..relation.columns.len()).collect::<BTreeSet<_>>())
    };
    let hold = |name: &str, expect: &str| {
        let list = list(name);
        assert!(!list.is_empty(), "{name}");
        for (series, kernel) in &all {
            let errors: Vec<String> = list.iter().filter_map(|check| verify_check(check, kernel).err()).collect();
            let expect = if *series == "5.10" { "" } else { expect };
            assert_eq!(errors.join("; "), expect, "{name} on {series}");
        }
    };
    hold("sys_enter_openat", "");
    hold("sys_exit_read", "");
    hold("sched_process_exec", "");
    hold("kprobe.vfs_open", "");
    hold("kretprobe.vfs_read", "");
    hold("kprobe.vfs_read", "");
    hold("rawtracepoint.sys_enter", "");
    hold("rawtracepoint.sched_switch", "");
}

/// An object for one kernel that loads from a struct by a plain offset is refused where the member stands elsewhere.
#[test]
fn a_member_that_moved_is_seen() {
    let check = |member: &str, offset| {
        let (of, member) = ("task_struct".to_string(), member.to_string());
        Check::Member { of, member, offset, size: 16 }
    };
    let mut places = BTreeSet::new();
    for (series, kernel) in kernels() {
        let wrong = verify_check(&check("comm", 1), &kernel).expect_err(series);
        let place = wrong.strip_prefix("struct task_struct: \"comm\" is 16 bytes at offset ").expect(series);
        let offset: u32 = place.split(',').next().and_then(|text| text.parse().ok()).expect(series);
        assert_eq!(place, format!("{offset}, not 16 at 1"));
        assert_eq!(verify_check(&check("comm", offset), &kernel), Ok(()), "{series}");
        places.insert(offset);
        let wrong = verify_check(&check("com", 1), &kernel).expect_err(series);
        assert_eq!(wrong, "struct task_struct has no \"com\"", "{series}");
    }
    assert!(places.len() > 1, "it moves between kernels");
}
