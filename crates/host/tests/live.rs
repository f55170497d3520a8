//! The running kernel, seen by us and by its own files. Needs tracefs and the right to read it.

use bpfquery_btf::{Btf, Tag};
use bpfquery_catalog::{
    Access, Builtin, Feature, Kernel, Origin, Relation, RelationName, Snapshot, c_type, checks, list, relation,
    verify_check,
};
use bpfquery_host::Live;
use std::path::Path;

fn told<T>(result: bpfquery_diag::Result<T>) -> T {
    result.unwrap_or_else(|failure| panic!("{}", bpfquery_diag::render(&failure, "")))
}

fn own(relation: &Relation) -> impl Iterator<Item = &bpfquery_catalog::Column> {
    relation.columns.iter().skip(Builtin::ALL.len())
}

/// The `field:` lines that a program can read, blanks made one and array brackets moved from the name to the type.
fn field_lines(format: &str) -> Vec<String> {
    let lines = format.lines().filter_map(|line| line.trim().strip_prefix("field:"));
    let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.contains(" common_")).collect()
}

/// `__data_loc cpumask_t x` is written without brackets, `__data_loc char[] x` with; an array's length may be a macro.
fn without_brackets(text: &str) -> String {
    match (text.find('['), text.find(']')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &text[..open], &text[close + 1..]),
        _ => text.to_string(),
    }
}

#[test]
fn every_tracepoint_is_its_format() {
    let kernel = Live::new();
    let events = told(kernel.events());
    assert!(events.len() > 500, "{} events", events.len());
    for (category, event) in events {
        let format = told(kernel.format(&category, &event)).expect("a listed event");
        let name = format!("tracepoint.{category}.{event}");
        let relation = told(relation(&kernel, &RelationName::parse(&name)));
        let lines = field_lines(&format);
        let shadows = lines
            .iter()
            .filter(|line| category == "syscalls" && line.contains(" __") && line.contains("_val;"))
            .count();
        let total = own(&relation).count() + relation.absent.len() + shadows;
        assert_eq!(total, lines.len(), "{name}: {relation:?}\n{format}");
        for column in own(&relation) {
            let Origin::Field { c_type, offset, size, signed } = &column.origin else { panic!("{name}: {column:?}") };
            let sign = u8::from(*signed);
            let line =
                format!("{} {}; offset:{offset}; size:{size}; signed:{sign};", without_brackets(c_type), column.name);
            let squeezed = |text: &str| without_brackets(text).replace(' ', "");
            assert!(lines.iter().any(|l| squeezed(l) == squeezed(&line)), "{name}: {line}\n{format}");
        }
    }
}

/// `struct trace_event_raw_EVENT` in BTF is what the compiler laid out: another witness of the format's places.
#[test]
fn tracepoints_agree_with_the_structs_that_the_compiler_made() {
    let kernel = Live::new();
    let btf = told(kernel.btf());
    let (mut fields, mut same_type) = (0, 0);
    for (category, event) in told(kernel.events()) {
        let Some(id) = btf.find(Tag::Struct, &format!("trace_event_raw_{event}")) else { continue };
        let relation = told(relation(&kernel, &RelationName::parse(&format!("tracepoint.{category}.{event}"))));
        for column in own(&relation) {
            let Some(field) = btf.field(id, &column.name) else { continue };
            let Access::Context { offset, size } = column.access else { continue };
            assert_eq!(u32::from(offset), field.offset, "{event}.{}", column.name);
            assert_eq!(Some(u32::from(size)), btf.size_of(field.ty), "{event}.{}", column.name);
            fields += 1;
            same_type += u32::from(c_type(&btf, field.ty).replace(' ', "") == column.c_type().replace(' ', ""));
        }
    }
    assert!(fields > 500, "{fields} fields compared");
    // The rest are macros in the format's text, and enums and arrays under another name.
    assert!(same_type * 100 > fields * 80, "{same_type} of {fields} types are spelt alike");
}

#[test]
fn functions_and_raw_tracepoints_have_columns_and_checks_that_hold() {
    let kernel = Live::new();
    let btf = told(kernel.btf());
    let functions = btf.functions().step_by(997).map(|(_, name)| name.to_string());
    let kinds = ["kprobe", "kretprobe", "fentry", "fexit"];
    let mut names: Vec<String> = functions.flat_map(|f| kinds.map(|kind| format!("{kind}.{f}"))).collect();
    names.extend(told(list(&kernel, "rawtracepoint.*")).into_iter().step_by(29).map(|listed| listed.name));
    assert!(names.len() > 100, "{} relations", names.len());
    for name in names {
        let relation = told(relation(&kernel, &RelationName::parse(&name)));
        for check in checks(&relation, &(0..relation.columns.len()).collect()) {
            assert_eq!(verify_check(&check, &kernel), Ok(()), "{name}: {check:?}");
        }
        for column in own(&relation).filter(|_| name.starts_with("rawtracepoint")) {
            let made_up = column.name.strip_prefix("arg").is_some_and(|n| n.parse::<u16>().is_ok());
            assert!(!made_up, "{name}: {} has no name of its own", column.name);
        }
    }
}

/// What `bpfquery snapshot` writes is the kernel: the same answers, and the same bytes each time.
#[test]
fn a_captured_snapshot_answers_as_the_kernel_does() {
    let live = Live::new();
    let bytes = told(live.capture()).to_bytes();
    let snapshot = told(Snapshot::from_bytes(&bytes));
    assert_eq!(bytes, told(Live::new().capture()).to_bytes());
    assert_eq!(snapshot.identity(), live.identity());
    assert_eq!(snapshot.events(), live.events());
    assert_eq!(snapshot.modules(), live.modules());
    assert_eq!(told(snapshot.btf()).next_id(), told(live.btf()).next_id());
    let names = ["sched_switch", "sys_enter_openat", "kprobe.vfs_read", "fexit.vfs_open", "rawtracepoint.sys_enter"];
    for name in names {
        let name = RelationName::parse(name);
        assert_eq!(told(relation(&snapshot, &name)), told(relation(&live, &name)));
    }
}

#[test]
fn the_pinned_selection_is_whole_on_this_kernel_and_keeps_its_layouts() {
    let live = Live::new();
    let text = include_str!("../../../testdata/snapshots/small.txt");
    let selection = bpfquery_catalog::Selection::parse(text).expect("the pinned selection");
    let subset = told(bpfquery_catalog::subset(&live, &selection));
    let (all, small) = (told(live.btf()), told(subset.snapshot.btf()));
    for name in ["task_struct", "file", "dentry", "inode", "sock"] {
        let id = |btf: &Btf| btf.find(Tag::Struct, name).expect("a selected struct");
        let layout = |btf: &Btf| {
            let fields = btf.fields(id(btf)).into_iter();
            let lines = fields.map(|f| {
                format!("{} {} @{} {:?} {:?}", c_type(btf, f.ty), f.name, f.offset, f.bits, btf.size_of(f.ty))
            });
            lines.collect::<Vec<_>>()
        };
        assert_eq!(layout(&small), layout(&all), "{name}");
    }
    for function in &selection.functions {
        let Some(whole) = all.func_proto(function) else { continue };
        let cut = small.func_proto(function).expect("a selected function");
        let text = |btf: &Btf, proto: &bpfquery_btf::Proto<'_>| {
            let params = proto.params.iter().map(|p| format!("{} {}", c_type(btf, p.ty), p.name));
            params.chain([c_type(btf, proto.ret)]).collect::<Vec<_>>()
        };
        assert_eq!(text(&small, &cut), text(&all, &whole), "{function}");
    }
}

#[test]
fn features_are_those_of_the_files() {
    let kernel = Live::new();
    let has = |feature| kernel.identity().features.contains(&feature);
    assert_eq!(has(Feature::Kprobe), Path::new("/sys/bus/event_source/devices/kprobe").exists());
    assert_eq!(has(Feature::Btf), Path::new("/sys/kernel/btf/vmlinux").exists());
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("its release");
    assert_eq!(kernel.identity().release, release.trim());
    let without = Live::new().with_feature(Feature::Btf, false);
    assert!(!without.identity().features.contains(&Feature::Btf));
}

#[test]
fn an_empty_machine_is_refused_with_the_way_out() {
    let empty = Live::at(Path::new("/nonexistent"));
    assert!(empty.identity().features.is_empty());
    let check = |failure: Option<bpfquery_diag::Failure>, expect: &str| {
        let failure = failure.expect("a refusal");
        assert_eq!(failure.exit_code(), 3);
        let text = bpfquery_diag::render(&failure, "");
        assert!(text.contains(expect), "{text}");
    };
    check(empty.events().err(), "help: mount -t tracefs tracefs /sys/kernel/tracing");
    check(empty.format("sched", "sched_switch").err(), "unsupported: tracefs");
    check(empty.btf().err(), "unsupported: BTF of the kernel (since Linux 5.4)");
    assert_eq!(empty.modules(), Ok(vec![]));
    assert_eq!(empty.traceable("vfs_read"), Ok(None));
}

#[test]
fn names_do_not_leave_their_directory() {
    let kernel = Live::new();
    assert_eq!(kernel.format("../events/sched", "sched_switch"), Ok(None));
    assert_eq!(kernel.format("sched", "../sched/sched_switch"), Ok(None));
    assert_eq!(kernel.categories_of("../sched/sched_switch"), Ok(vec![]));
    assert!(told(kernel.module_btf("../btf/vmlinux")).is_none());
    assert!(told(kernel.module_btf("vmlinux")).is_none());
}

#[test]
fn a_function_that_does_not_exist_cannot_be_traced() {
    let kernel = Live::new();
    assert_eq!(kernel.traceable("no_such_function_anywhere"), Ok(Some(false)));
    // Whether one that exists can be depends on what this kernel lets us read, but it is never refused.
    assert_ne!(kernel.traceable("vfs_read"), Ok(Some(false)));
}
