//! Members of structs of the pinned kernel, against what its own layout must satisfy.

use bpfquery_btf::{Builder, Linkage, NewMember, TypeId};
use bpfquery_catalog::nav::{self, Member, Wrong};
use bpfquery_catalog::{
    Access, Builtin, Check, Feature, Hook, Identity, Pointee, RelationName, Snapshot, Space, SqlType, checks, describe,
    list, relation, require, verify_check,
};
use std::collections::BTreeSet;

fn pinned() -> Snapshot {
    let bytes = include_bytes!("../../../testdata/snapshots/small.snap");
    Snapshot::from_bytes(bytes).expect("the pinned snapshot")
}

fn column(kernel: &Snapshot, from: &str, name: &str) -> SqlType {
    let relation = relation(kernel, &RelationName::parse(from)).expect("a relation");
    let index = relation.column(name, false).expect("a column");
    relation.columns[index].ty.clone()
}

fn member(kernel: &Snapshot, of: &SqlType, name: &str) -> Member {
    nav::member(kernel, of, name).expect("BTF").unwrap_or_else(|wrong| panic!("{name}: {wrong:?}"))
}

#[test]
fn a_chain_of_pointers_and_structs() {
    let kernel = pinned();
    let path = column(&kernel, "kprobe.vfs_open", "path");
    let dentry = member(&kernel, &path, "dentry");
    assert_eq!((dentry.base.name.as_str(), dentry.offset, dentry.size), ("path", 8, 8));
    assert_eq!(dentry.path, [1]);
    let d_name = member(&kernel, &dentry.ty, "d_name");
    assert_eq!(d_name.base.name, "dentry");
    assert!(matches!(&d_name.ty, SqlType::Struct(t) if t.name == "qstr"), "{:?}", d_name.ty);
    let name = d_name.then(&member(&kernel, &d_name.ty, "name"));
    assert_eq!((name.base.name.as_str(), name.size), ("dentry", 8));
    // `struct qstr` is { hash and length, 8 bytes together; const unsigned char *name }.
    assert_eq!(name.offset, d_name.offset + 8);
    assert_eq!(name.path, [&d_name.path[..], &[1]].concat());
    assert!(matches!(name.ty, SqlType::Pointer { space: Space::Kernel, .. }), "{:?}", name.ty);
}

#[test]
fn members_of_anonymous_structs_and_bitfields() {
    let kernel = pinned();
    let task = column(&kernel, "rawtracepoint.sched_switch", "prev");
    assert_eq!(member(&kernel, &task, "comm").ty, SqlType::Text { width: 16 });
    assert_eq!(member(&kernel, &task, "pid").ty, SqlType::I32);
    let bits = member(&kernel, &task, "sched_reset_on_fork");
    let place = bits.bits.expect("a bitfield");
    assert_eq!((place.width, place.right), (1, 63));
    assert_eq!(place.left, 64 - 1 - (place.offset - 8 * bits.offset));
    assert!(bits.size.is_power_of_two() && bits.offset.is_multiple_of(bits.size));
    // d_inode stands beside an anonymous union in some kernels; through whatever, it is found.
    let path = column(&kernel, "kprobe.vfs_open", "path");
    let dentry = member(&kernel, &path, "dentry");
    assert!(matches!(member(&kernel, &dentry.ty, "d_inode").ty, SqlType::Pointer { to: Pointee::Struct(_), .. }));
}

#[test]
fn wrong_members_are_told() {
    let kernel = pinned();
    let path = column(&kernel, "kprobe.vfs_open", "path");
    let wrong = |of: &SqlType, name: &str| nav::member(&kernel, of, name).expect("BTF").expect_err(name);
    let near = Some("dentry".to_string());
    assert_eq!(wrong(&path, "dentri"), Wrong::Unknown { in_struct: "path".into(), nearest: near });
    assert_eq!(wrong(&path, "zzz"), Wrong::Unknown { in_struct: "path".into(), nearest: None });
    assert_eq!(wrong(&SqlType::U64, "x"), Wrong::NoStruct);
    let mut undefined = path;
    if let SqlType::Pointer { to: Pointee::Struct(reference), .. } = &mut undefined {
        (reference.id, reference.name) = (0, "no_such_struct".into());
    }
    assert_eq!(wrong(&undefined, "x"), Wrong::Undefined { name: "no_such_struct".into() });
}

#[test]
fn pointers_of_system_calls_are_the_callers_all_the_way() {
    let kernel = pinned();
    let rqtp = column(&kernel, "sys_enter_clock_nanosleep", "rqtp");
    let sec = member(&kernel, &rqtp, "tv_sec");
    assert_eq!((sec.offset, sec.size, sec.ty.scalar()), (0, 8, Some((64, true))));
    let space = |from: &str, name: &str| match column(&kernel, from, name) {
        SqlType::Pointer { space, .. } => space,
        other => panic!("{other:?}"),
    };
    assert_eq!(space("sys_enter_openat", "filename"), Space::User);
    assert_eq!(space("sys_enter_clock_nanosleep", "rqtp"), Space::User);
    assert_eq!(space("kprobe.do_sys_openat2", "filename"), Space::Unknown);
    assert_eq!(space("fentry.vfs_read", "buf"), Space::Unknown);
    assert_eq!(space("kprobe.vfs_open", "path"), Space::Kernel);
    assert_eq!(space("rawtracepoint.sched_switch", "prev"), Space::Kernel);
}

/// A made kernel: `int f(struct pair p, int x)`, `long g(a…h)` with eight parameters, `void v(void)`.
fn made(names: [&str; 2]) -> Snapshot {
    made_of((6, 6, 0), names)
}

fn made_of(version: (u16, u16, u16), names: [&str; 2]) -> Snapshot {
    let mut b = Builder::new();
    let int = b.plain_int(4, true);
    let long = b.plain_int(8, true);
    let pair = b.structure("pair", 8, &[NewMember::new("a", int, 0), NewMember::new("b", int, 4)]);
    let mut function = |name: &str, ret: TypeId, params: &[(&str, TypeId)]| {
        let proto = b.func_proto(ret, params);
        b.func(name, proto, Linkage::Global);
    };
    function("f", int, &[("p", pair), ("x", int)]);
    function("g", long, &["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| (name, long)));
    function("v", TypeId::VOID, &[]);
    function("s", pair, &[("x", int)]);
    function("h", long, &[(names[0], long), (names[1], int)]);
    function("dots", long, &[("x", int), ("", TypeId::VOID)]);
    function("do_exit", TypeId::VOID, &[("code", long)]);
    let identity = Identity {
        release: "made".into(),
        arch: "x86_64".into(),
        version,
        features: BTreeSet::from([Feature::Btf, Feature::Trampoline]),
    };
    Snapshot::new(identity).with_btf(&b.finish().expect("a small BTF"))
}

#[test]
fn what_no_register_holds_is_absent_with_its_reason() {
    let kernel = made(["n", "m"]);
    let check = |from: &str, present: &[(&str, u16)], absent: &[&str]| {
        let relation = relation(&kernel, &RelationName::parse(from)).expect("a relation");
        let own = relation.columns.iter().skip(Builtin::ALL.len()).map(|c| match c.access {
            Access::Context { offset, size: 8 } => (c.name.as_str(), offset),
            ref other => panic!("{other:?}"),
        });
        assert_eq!(own.collect::<Vec<_>>(), present, "{from}");
        let names: Vec<&str> = relation.absent.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, absent, "{from}");
    };
    check("kprobe.g", &[("a", 112), ("b", 104), ("c", 96), ("d", 88), ("e", 72), ("f", 64)], &["g", "h", "retval"]);
    let eight = [("a", 0), ("b", 8), ("c", 16), ("d", 24), ("e", 32), ("f", 40), ("g", 48), ("h", 56), ("retval", 64)];
    check("fexit.g", &eight, &[]);
    check("kprobe.f", &[], &["p", "x", "retval"]);
    check("fexit.f", &[], &["p", "x", "retval"]);
    check("kretprobe.f", &[("retval", 80)], &["p", "x"]);
    check("kretprobe.v", &[], &["retval"]);
    check("fexit.v", &[], &["retval"]);
    check("kretprobe.s", &[], &["x", "retval"]);
    check("kprobe.s", &[], &["x", "retval"]);
}

/// What the kernel refuses when a trampoline is loaded or attached (`btf_distill_func_proto`, kernel/bpf/btf.c, and
/// `arch_prepare_bpf_trampoline`, arch/x86/net/bpf_jit_comp.c, Linux 5.10 to 6.15) is refused here, and not listed.
#[test]
fn what_a_trampoline_does_not_follow_is_refused() {
    let check = |version, from: &str, expect: Option<&str>| {
        let kernel = made_of(version, ["n", "m"]);
        let names: Vec<String> = list(&kernel, "f*").expect("BTF").into_iter().map(|listed| listed.name).collect();
        assert_eq!(names.contains(&from.to_string()), expect.is_none(), "{from} in {names:?}");
        let found = relation(&kernel, &RelationName::parse(from));
        let told = found.err().map(|failure| bpfquery_diag::render(&failure, from));
        let detail = told.as_deref().map(|text| text.lines().find_map(|line| line.strip_prefix("detail: ")).unwrap());
        assert_eq!(detail, expect, "{from} {told:?}");
    };
    check((6, 6, 0), "fentry.g", None);
    check((6, 5, 0), "fentry.g", Some("it has more than 6 arguments, which trampolines follow from Linux 6.6 on"));
    check((6, 1, 0), "fentry.f", None);
    check((5, 10, 0), "fexit.f", Some("a struct is passed by value, which trampolines follow from Linux 6.1 on"));
    check((7, 2, 0), "fexit.s", Some("it returns a struct by value"));
    check((7, 2, 0), "fentry.dots", Some("it is variadic"));
    check((7, 2, 0), "fentry.do_exit", None);
    check((7, 2, 0), "fexit.do_exit", Some("it never returns"));
}

#[test]
fn checks_hold_on_the_same_kernel_and_fail_on_another() {
    let kernel = pinned();
    let all = |from: &str| {
        let relation = relation(&kernel, &RelationName::parse(from)).expect("a relation");
        checks(&relation, &(0..relation.columns.len()).collect())
    };
    for from in ["sched_switch", "sys_enter_openat", "rawtracepoint.sched_switch", "kprobe.vfs_read", "fexit.vfs_open"]
    {
        let list = all(from);
        assert!(list.len() >= 3, "{from}: {list:?}");
        for check in &list {
            assert_eq!(verify_check(check, &kernel), Ok(()), "{from}");
            assert!(verify_check(check, &made(["n", "m"])).is_err(), "{from}: {check:?}");
        }
    }
    assert!(all("interval(1s)").is_empty());
}

#[test]
fn a_check_says_what_does_not_hold() {
    let old = made(["n", "m"]);
    let relation = relation(&old, &RelationName::parse("fexit.h")).expect("a relation");
    assert!(matches!(&relation.hook, Hook::Fexit { .. }));
    let list = checks(&relation, &(0..relation.columns.len()).collect());
    let errors = |kernel: &Snapshot| list.iter().filter_map(|c| verify_check(c, kernel).err()).collect::<Vec<_>>();
    assert_eq!(errors(&old), Vec::<String>::new());
    assert_eq!(errors(&made(["n", ""])), Vec::<String>::new());
    assert_eq!(errors(&made(["n", "k"])), ["h has \"k\" at position 1, not \"m\""]);
    let moved = Check::FormatField {
        category: "sched".into(),
        event: "sched_switch".into(),
        field: "prev_pid".into(),
        offset: 20,
        size: 4,
        signed: true,
    };
    let error = "tracepoint.sched.sched_switch: \"prev_pid\" is at offset 24, not 20".to_string();
    assert_eq!(verify_check(&moved, &pinned()), Err(error));
    let parameter = |name: &str, index: u16, c_type: &str| Check::Parameter {
        function: name.into(),
        index,
        name: String::new(),
        c_type: c_type.into(),
    };
    assert!(verify_check(&parameter("f", 1, "int"), &old).is_err_and(|e| e.contains("struct by value")));
    assert!(verify_check(&parameter("h", 1, "const int"), &old).is_ok());
    assert!(verify_check(&parameter("h", 1, "long"), &old).is_err_and(|e| e.contains("declares")));
    assert!(verify_check(&parameter("h", 2, "long"), &old).is_err_and(|e| e.contains("2 parameters")));
    assert!(verify_check(&parameter("nope", 0, "int"), &old).is_err_and(|e| e.contains("does not exist")));
}

#[test]
fn a_missing_feature_names_what_to_use() {
    let kernel = made(["n", "m"]);
    let identity = bpfquery_catalog::Kernel::identity(&kernel);
    let relation = relation(&kernel, &RelationName::parse("kprobe.g")).expect("a relation");
    let failure = require(identity, &relation.hook).expect_err("no kprobes here");
    let text = "unsupported: kprobes\ndetail: kernel made cannot attach kprobe.g\nhelp: use fentry.g\n";
    assert_eq!(bpfquery_diag::render(&failure, ""), text);
    assert_eq!(failure.exit_code(), 3);
}

#[test]
fn lists_and_descriptions() {
    let kernel = pinned();
    let names = |pattern: &str| list(&kernel, pattern).expect("a list").into_iter().map(|l| l.name).collect::<Vec<_>>();
    assert_eq!(
        names("kprobe.vfs_*"),
        ["kprobe.vfs_fsync_range", "kprobe.vfs_open", "kprobe.vfs_read", "kprobe.vfs_write"]
    );
    let read = ["kprobe.vfs_read", "kretprobe.vfs_read", "fentry.vfs_read", "fexit.vfs_read"];
    assert_eq!(names("vfs_read"), read);
    assert_eq!(names("tracepoint.raw_*"), ["tracepoint.raw_syscalls.sys_enter", "tracepoint.raw_syscalls.sys_exit"]);
    assert_eq!(names("rawtracepoint.sys_*"), ["rawtracepoint.sys_enter", "rawtracepoint.sys_exit"]);
    assert_eq!(names("nothing.*"), Vec::<String>::new());
    assert!(names("*").contains(&"interval(DURATION)".to_string()));
    let described = describe(&relation(&kernel, &RelationName::parse("kprobe.vfs_read")).expect("a relation"));
    assert_eq!(described.row, "a call of the function");
    let count = described.columns.iter().find(|c| c.name == "count").expect("its third argument");
    assert_eq!((count.ty.as_str(), count.c_type.as_str()), ("unsigned bigint", "size_t"));
    let event = describe(&relation(&kernel, &RelationName::parse("sched_process_exec")).expect("a relation"));
    assert!(event.columns.iter().any(|c| c.name == "args.pid"), "{event:?}");
}
