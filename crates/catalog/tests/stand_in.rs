//! When a raw tracepoint stands in for a perf tracepoint: each condition, on five pinned kernels.
//!
//! Not checked here: that kernels copy what the table says; the kernel suite compares rows of both hooks.

use bpfquery_catalog::{
    Access, Check, Feature, Hook, Kernel, Relation, RelationName, Scope, Snapshot, checks, interrupts_nothing,
    relation, stand_in, verify_check,
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

/// The newest kernel of which it is known that probes are not preempted.
fn newest() -> Snapshot {
    kernels().into_iter().find(|(name, _)| *name == "6.18").expect("it is among them").1
}

fn of(kernel: &Snapshot, name: &str) -> Relation {
    relation(kernel, &RelationName::parse(name)).unwrap_or_else(|f| panic!("{}", bpfquery_diag::render(&f, name)))
}

/// What becomes of the relation for a query that uses these columns.
fn choose(kernel: &Snapshot, name: &str, columns: &[&str], scope: Scope) -> Result<Relation, String> {
    let relation = of(kernel, name);
    let used = positions(&relation, columns);
    stand_in(kernel, &relation, &used, scope).expect("a snapshot answers")
}

fn positions(relation: &Relation, columns: &[&str]) -> BTreeSet<usize> {
    columns.iter().map(|name| relation.column(name, false).unwrap_or_else(|miss| panic!("{name}: {miss:?}"))).collect()
}

fn stays(name: &str, columns: &[&str], scope: Scope, why: &str) {
    match choose(&newest(), name, columns, scope) {
        Ok(relation) => panic!("{name} {columns:?} became {}", relation.hook),
        Err(told) => assert_eq!(told, why, "{name} {columns:?}"),
    }
}

#[test]
fn built_in_columns_need_nothing_of_the_record() {
    for (series, kernel) in kernels() {
        for scope in [Scope::This, Scope::Portable] {
            let raw = choose(&kernel, "sched_switch", &["comm", "pid", "ts"], scope).expect(series);
            assert_eq!(raw.hook, Hook::RawTracepoint { event: "sched_switch".into() }, "{series}");
            assert_eq!(raw.name, "tracepoint.sched.sched_switch");
            let columns = raw.columns.iter().map(|c| &c.name);
            assert!(columns.eq(of(&kernel, "sched_switch").columns.iter().map(|c| &c.name)));
        }
    }
}

#[test]
fn a_field_becomes_the_argument_that_it_is_a_copy_of() {
    for (series, kernel) in kernels().into_iter().take(4) {
        let raw = choose(&kernel, "tracepoint.raw_syscalls.sys_enter", &["id"], Scope::This).expect(series);
        let used = positions(&raw, &["id"]);
        let id = &raw.columns[*used.first().expect("one")];
        assert_eq!(id.access, Access::Context { offset: 8, size: 8 }, "{series}");
        assert_eq!(id.ty, of(&kernel, "tracepoint.raw_syscalls.sys_enter").columns[*used.first().expect("one")].ty);
        let expect = Check::Parameter {
            function: "btf_trace_sys_enter".into(),
            index: 1,
            name: "id".into(),
            c_type: "long".into(),
        };
        assert_eq!(checks(&raw, &used), [expect]);
    }
}

#[test]
fn a_field_becomes_the_member_of_what_an_argument_points_at() {
    for (series, kernel) in kernels() {
        let columns = ["prev_pid", "next_prio"];
        let raw = choose(&kernel, "sched_switch", &columns, Scope::Portable).expect(series);
        for (name, argument, text) in [("prev_pid", 8, "prev->pid"), ("next_comm", 16, "next->comm")] {
            let column = &raw.columns[raw.column(name, false).expect(name)];
            match &column.access {
                Access::Member { offset, path } => {
                    assert_eq!((*offset, path.text.as_str()), (argument, text), "{series}")
                }
                other => panic!("{name} on {series}: {other:?}"),
            }
        }
        let used = positions(&raw, &columns);
        for check in checks(&raw, &used) {
            assert_eq!(verify_check(&check, &kernel), Ok(()), "{series}");
        }
    }
}

/// An object for one kernel says what it takes for granted of the arguments.
#[test]
fn another_prototype_is_seen_at_load() {
    let raw = choose(&newest(), "sched_process_exit", &["group_dead"], Scope::This).expect("since 6.16");
    let expect = ["btf_trace_sched_process_exit has 1 parameters, so none at position 1"];
    for (series, kernel) in kernels().into_iter().take(3) {
        let used = positions(&raw, &["group_dead"]);
        let wrong: Vec<String> = checks(&raw, &used).iter().filter_map(|c| verify_check(c, &kernel).err()).collect();
        assert_eq!(wrong, expect, "{series}");
    }
}

#[test]
fn what_is_not_known_as_a_copy_stays() {
    let copy = |name: &str| format!("\"{name}\" is not known as a copy of an argument");
    // The argument of the same name is the raw state.
    stays("sched_switch", &["prev_state"], Scope::This, &copy("prev_state"));
    stays("sched_switch", &["pid", "next_pid", "prev_state"], Scope::This, &copy("prev_state"));
    stays("tracepoint.raw_syscalls.sys_exit", &["id"], Scope::This, &copy("id"));
    stays("sched_wakeup", &["target_cpu"], Scope::This, &copy("target_cpu"));
    stays("sched_process_exec", &["filename"], Scope::This, &copy("filename"));
    stays("tracepoint.kmem.kmalloc", &["gfp_flags"], Scope::This, &copy("gfp_flags"));
}

#[test]
fn what_costs_more_to_read_stays() {
    let why = "reading so much through pointers would take longer than the record";
    stays("sched_switch", &["prev_pid", "next_pid", "next_prio"], Scope::This, why);
    stays("sched_switch", &["next_comm", "next_pid"], Scope::This, why);
    assert!(choose(&newest(), "sched_switch", &["next_comm"], Scope::This).is_ok());
}

#[test]
fn system_calls_stay_where_a_bitmap_sorts_them_out() {
    let why = "system calls have no tracepoints of their own";
    stays("tracepoint.syscalls.sys_enter_openat", &["comm"], Scope::This, why);
    stays("tracepoint.syscalls.sys_exit_read", &["ret"], Scope::Portable, why);
}

#[test]
fn a_portable_object_moves_only_what_nothing_gets_in_the_way_of() {
    let why = "on some kernels its program may be interrupted by itself, or preempted";
    stays("sched_waking", &["pid"], Scope::Portable, why);
    stays("tracepoint.kmem.kfree", &["ptr"], Scope::Portable, why);
    stays("tracepoint.raw_syscalls.sys_enter", &["comm"], Scope::Portable, why);
    for event in ["sched_switch", "signal_generate", "signal_deliver"] {
        assert!(choose(&newest(), event, &["comm"], Scope::Portable).is_ok(), "{event}");
    }
}

/// What a program meets on its CPU, by the kernel: `Ok` is a raw tracepoint.
#[test]
fn each_kernel_keeps_other_things_out() {
    let nested = || Err("the event may interrupt itself, and this kernel lets it".to_string());
    let preempted = || Err("this kernel may preempt its program".to_string());
    let check = |event: &str, expect: [Result<(), String>; 5]| {
        for ((series, kernel), expect) in kernels().iter().zip(expect) {
            let chosen = choose(kernel, event, &["comm"], Scope::This).map(|_| ());
            assert_eq!(chosen, expect, "{event} on {series}");
        }
    };
    check("sched_switch", [Ok(()), Ok(()), Ok(()), Ok(()), Ok(())]);
    check("tracepoint.raw_syscalls.sys_exit", [Ok(()), Ok(()), Ok(()), Ok(()), preempted()]);
    check("sched_waking", [nested(), nested(), Ok(()), Ok(()), preempted()]);
    check("tracepoint.block.block_rq_issue", [nested(), nested(), Ok(()), Ok(()), preempted()]);
}

/// An event that the table does not know moves for what every event has, on a kernel that is at hand.
#[test]
fn other_events_move_for_built_in_columns() {
    let raw = choose(&newest(), "tracepoint.block.block_rq_issue", &["comm"], Scope::This).expect("unique");
    assert_eq!(raw.hook, Hook::RawTracepoint { event: "block_rq_issue".into() });
    let why = "\"sector\" is not known as a copy of an argument";
    stays("tracepoint.block.block_rq_issue", &["sector"], Scope::This, why);
}

#[test]
fn an_event_that_somebody_made_stays() {
    let made = "the event may be one that was made of others";
    let twice = "another category has an event of this name";
    let plain = "\tfield:unsigned long pfn;\toffset:8;\tsize:8;\tsigned:0;\n";
    let probe = "\tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;\n";
    for (category, event, format, why) in [
        ("kprobes", "mine", plain, made),
        ("synthetic", "mine", plain, made),
        ("mine", "pelt_cfs_tp", plain, made),
        ("mine", "other", probe, made),
        ("mine", "block_rq_issue", plain, twice),
    ] {
        let kernel = newest().with_format(category, event, format);
        let relation = of(&kernel, &format!("tracepoint.{category}.{event}"));
        let chosen = stand_in(&kernel, &relation, &BTreeSet::new(), Scope::This).expect("a snapshot answers");
        assert_eq!(chosen, Err(why.to_string()), "{category}.{event}");
    }
}

#[test]
fn without_btf_only_built_in_columns_move() {
    let mut identity = newest().identity().clone();
    identity.features.remove(&Feature::Btf);
    let format = newest().format("raw_syscalls", "sys_enter").expect("a snapshot answers").expect("it has it");
    let kernel = Snapshot::new(identity).with_format("raw_syscalls", "sys_enter", &format);
    assert!(choose(&kernel, "tracepoint.raw_syscalls.sys_enter", &["comm"], Scope::This).is_ok());
    let chosen = choose(&kernel, "tracepoint.raw_syscalls.sys_enter", &["id"], Scope::This);
    assert_eq!(chosen, Err("\"id\" is not known as a copy of an argument".into()));
}

#[test]
fn programs_that_keep_out_of_each_others_way() {
    let tracepoint = |category: &str, event: &str| Hook::Tracepoint { category: category.into(), event: event.into() };
    for (hook, expect) in [
        (tracepoint("raw_syscalls", "sys_enter"), true),
        (tracepoint("syscalls", "sys_enter_read"), true),
        (tracepoint("sched", "sched_switch"), true),
        (tracepoint("signal", "signal_generate"), false),
        (tracepoint("irq", "irq_handler_entry"), false),
        (tracepoint("ext4", "ext4_sync_fs"), false),
        (Hook::RawTracepoint { event: "sys_enter".into() }, false),
    ] {
        assert_eq!(interrupts_nothing(&hook), expect, "{hook}");
    }
}
