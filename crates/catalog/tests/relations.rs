//! Relations of the pinned kernel: every column's place and type, and every refusal as the user reads it.

use bpfquery_catalog::{Access, Builtin, Identity, Kernel, Relation, RelationName, Snapshot, relation};

fn kernel() -> Snapshot {
    let bytes = include_bytes!("../../../testdata/snapshots/small.snap");
    Snapshot::from_bytes(bytes).expect("the pinned snapshot")
}

fn found(name: &str) -> Relation {
    match relation(&kernel(), &RelationName::parse(name)) {
        Ok(relation) => relation,
        Err(failure) => panic!("{}", bpfquery_diag::render(&failure, name)),
    }
}

/// One line for each column: `name type @offset:size`, and `-name why` for each absent one.
fn check(name: &str, full_name: &str, expect: &[&str]) {
    let relation = found(name);
    assert_eq!(relation.name, full_name);
    assert!(relation.columns.iter().take(Builtin::ALL.len()).all(|column| column.is_builtin()), "{name}");
    let own = relation.columns.iter().skip(Builtin::ALL.len()).map(|column| {
        let place = match column.access {
            Access::Builtin(builtin) => panic!("{name}: {builtin:?} behind the built-ins"),
            Access::Context { offset, size } => format!("@{offset}:{size}"),
            Access::DataLocation { offset } => format!("@{offset} located"),
            Access::Member { .. } | Access::Held { .. } | Access::Listed { .. } | Access::Unreachable => {
                "made of others".to_string()
            }
        };
        format!("{} {} {place} {}", column.name, column.ty, column.c_type())
    });
    let absent = relation.absent.iter().map(|absent| format!("-{} {}", absent.name, absent.why));
    assert_eq!(own.chain(absent).collect::<Vec<_>>(), expect, "{name}");
}

fn refused(name: &str, expect: &str) {
    match relation(&kernel(), &RelationName::parse(name)) {
        Ok(relation) => panic!("{name} is {}", relation.name),
        Err(failure) => assert_eq!(bpfquery_diag::render(&failure, name), expect, "{name}"),
    }
}

#[test]
fn tracepoints() {
    check(
        "tracepoint.sched.sched_process_exec",
        "tracepoint.sched.sched_process_exec",
        &["filename text(256) @8 located __data_loc char[]", "pid integer @12:4 pid_t", "old_pid integer @16:4 pid_t"],
    );
    check(
        "sched_switch",
        "tracepoint.sched.sched_switch",
        &[
            "prev_comm text(16) @8:16 char[16]",
            "prev_pid integer @24:4 pid_t",
            "prev_prio integer @28:4 int",
            "prev_state bigint @32:8 long",
            "next_comm text(16) @40:16 char[16]",
            "next_pid integer @56:4 pid_t",
            "next_prio integer @60:4 int",
        ],
    );
    check(
        "tracepoint.raw_syscalls.sys_enter",
        "tracepoint.raw_syscalls.sys_enter",
        &["id bigint @8:8 long", "args unsigned bigint[6] @16:48 unsigned long[6]"],
    );
}

#[test]
fn arguments_of_system_calls_have_their_declared_types() {
    check(
        "sys_enter_openat",
        "tracepoint.syscalls.sys_enter_openat",
        &[
            "__syscall_nr integer @8:4 int",
            "dfd integer @16:8 int",
            "filename char * @24:8 const char *",
            "flags integer @32:8 int",
            "mode unsigned smallint @40:8 umode_t",
        ],
    );
    check(
        "sys_enter_clock_nanosleep",
        "tracepoint.syscalls.sys_enter_clock_nanosleep",
        &[
            "__syscall_nr integer @8:4 int",
            "which_clock integer @16:8 const clockid_t",
            "flags integer @24:8 int",
            "rqtp struct __kernel_timespec * @32:8 const struct __kernel_timespec *",
            "rmtp struct __kernel_timespec * @40:8 struct __kernel_timespec *",
        ],
    );
    check(
        "sys_enter_execve",
        "tracepoint.syscalls.sys_enter_execve",
        &[
            "__syscall_nr integer @8:4 int",
            "filename char * @16:8 const char *",
            "argv char * * @24:8 const char *const *",
            "envp char * * @32:8 const char *const *",
        ],
    );
    check(
        "sys_exit_read",
        "tracepoint.syscalls.sys_exit_read",
        &["__syscall_nr integer @8:4 int", "ret bigint @16:8 long"],
    );
}

#[test]
fn raw_tracepoints() {
    check(
        "rawtracepoint.sched_switch",
        "rawtracepoint.sched_switch",
        &[
            "preempt boolean @0:8 bool",
            "prev struct task_struct * @8:8 struct task_struct *",
            "next struct task_struct * @16:8 struct task_struct *",
            "prev_state unsigned integer @24:8 unsigned int",
        ],
    );
    check(
        "rawtracepoint.sys_enter",
        "rawtracepoint.sys_enter",
        &["regs struct pt_regs * @0:8 struct pt_regs *", "id bigint @8:8 long"],
    );
}

#[test]
fn functions() {
    let not_yet = "-retval the function has not returned yet: use kretprobe or fexit";
    check(
        "kprobe.vfs_read",
        "kprobe.vfs_read",
        &[
            "file struct file * @112:8 struct file *",
            "buf char * @104:8 char *",
            "count unsigned bigint @96:8 size_t",
            "pos bigint * @88:8 loff_t *",
            not_yet,
        ],
    );
    check(
        "fentry.do_sys_openat2",
        "fentry.do_sys_openat2",
        &[
            "dfd integer @0:8 int",
            "filename char * @8:8 const char *",
            "how struct open_how * @16:8 struct open_how *",
            not_yet,
        ],
    );
    check(
        "fexit.vfs_open",
        "fexit.vfs_open",
        &[
            "path struct path * @0:8 const struct path *",
            "file struct file * @8:8 struct file *",
            "retval integer @16:8 int",
        ],
    );
    let gone = "a kretprobe has only the return value; arguments are gone by then";
    check(
        "kretprobe.vfs_open",
        "kretprobe.vfs_open",
        &["retval integer @80:8 int", &format!("-path {gone}"), &format!("-file {gone}")],
    );
}

#[test]
fn timers() {
    check("interval(1s)", "interval(1s)", &[]);
    check("interval('1500 ms')", "interval(1500ms)", &[]);
    check("profile(99)", "profile(99)", &[]);
    assert_eq!(Relation::once().columns.len(), Builtin::ALL.len());
}

#[test]
fn refusals() {
    refused(
        "kprobe.vfs_reed",
        "error[unknown-function]: function \"vfs_reed\" does not exist in this kernel\n  1 | kprobe.vfs_reed\n    |        ^^^^^^^^\nhelp: did you mean \"vfs_read\"?\n",
    );
    refused(
        "kprobe.ext4.f",
        "error[unknown-function]: module \"ext4\" is not loaded, or has no BTF\n  1 | kprobe.ext4.f\n    |        ^^^^\nhelp: modprobe ext4, and query again\n",
    );
    refused(
        "kprobe.vfs_*",
        "error[unsupported-relation]: \"kprobe.vfs_*\" names 4 probes, and only one at a time is supported yet\n  1 | kprobe.vfs_*\n    |        ^^^^^\ndetail: kprobe.vfs_fsync_range, kprobe.vfs_open, kprobe.vfs_read, kprobe.vfs_write\nhelp: name one of them; `bpfquery list 'kprobe.vfs_*'` shows all\n",
    );
    refused(
        "tracepoint.sched_switch",
        "error[unknown-relation]: a tracepoint is named by category and event\n  1 | tracepoint.sched_switch\n    |            ^^^^^^^^^^^^\nhelp: write tracepoint.sched.sched_switch\n",
    );
    refused(
        "tracepoint.shed.sched_switch",
        "error[unknown-event]: tracepoint category \"shed\" does not exist in this kernel\n  1 | tracepoint.shed.sched_switch\n    |            ^^^^\nhelp: did you mean \"sched\"?\n",
    );
    refused(
        "tracepoint.irq.sched_switch",
        "error[unknown-event]: event \"sched_switch\" does not exist in tracepoint category \"irq\"\n  1 | tracepoint.irq.sched_switch\n    |                ^^^^^^^^^^^^\nhelp: there is tracepoint.sched.sched_switch\n",
    );
    refused(
        "rawtracepoint.sys_enter_read",
        "error[unknown-event]: raw tracepoint \"sys_enter_read\" does not exist in this kernel\n  1 | rawtracepoint.sys_enter_read\n    |               ^^^^^^^^^^^^^^\nhelp: system calls have rawtracepoint.sys_enter with their number in \"id\"\n",
    );
    refused(
        "sched_swich",
        "error[unknown-relation]: relation \"sched_swich\" does not exist\n  1 | sched_swich\n    | ^^^^^^^^^^^\nhelp: did you mean \"sched_switch\"?\n",
    );
    refused(
        "kprob.x",
        "error[unknown-relation]: there is no kind of relation \"kprob\"\n  1 | kprob.x\n    | ^^^^^\nhelp: did you mean \"kprobe\"?\n",
    );
    refused(
        "kprobe",
        "error[unknown-relation]: relation \"kprobe\" does not exist\n  1 | kprobe\n    | ^^^^^^\nhelp: write kprobe.FUNCTION\n",
    );
    refused(
        "sched_switch(1)",
        "error[wrong-arguments]: sched_switch takes no arguments\n  1 | sched_switch(1)\n    | ^^^^^^^^^^^^^^\n",
    );
    refused(
        "profile(0)",
        "error[wrong-arguments]: profile takes a whole number of samples per second from 1 to 100000\n  1 | profile(0)\n    |         ^\nhelp: write profile(99)\n",
    );
    refused(
        "interval(5)",
        "error[wrong-arguments]: interval takes a duration\n  1 | interval(5)\n    |          ^\nhelp: write interval('1s')\n",
    );
    refused(
        "interval(9us)",
        "error[wrong-arguments]: the shortest interval is 10 microseconds\n  1 | interval(9us)\n    |          ^^^\n",
    );
}

#[test]
fn what_is_planned_is_told_apart_from_what_is_wrong() {
    for name in ["uprobe.x", "xdp.eth0", "packets.x", "iter.task"] {
        let failure = relation(&kernel(), &RelationName::parse(name)).expect_err(name);
        assert!(bpfquery_diag::render(&failure, name).contains("is not supported yet"), "{name}");
    }
}

#[test]
fn a_known_list_refuses_what_cannot_be_traced() {
    let kernel = kernel().with_traceable(["vfs_read".to_string()]);
    assert!(relation(&kernel, &RelationName::parse("kprobe.vfs_read")).is_ok());
    let failure = relation(&kernel, &RelationName::parse("fentry.vfs_open")).expect_err("not in the list");
    let text = bpfquery_diag::render(&failure, "fentry.vfs_open");
    assert!(text.starts_with("error[not-traceable]: function \"vfs_open\" cannot be traced\n"), "{text}");
}

/// What a function that cannot be traced is told of: the compiler's variant of it, what it has become, what else there is.
#[test]
fn a_function_that_is_not_to_be_had_is_told_of_another_one() {
    let names = ["vfs_read", "vfs_open.isra.0", "do_filp_open", "tcp_sendmsg.part.1", "vfs_write"];
    let kernel = kernel().with_traceable(names.map(String::from));
    let check = |name: &str, lines: &[&str]| {
        let failure = relation(&kernel, &RelationName::parse(name)).expect_err(name);
        let text = bpfquery_diag::render(&failure, name);
        let told: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(told, lines, "{name}");
        assert_eq!(failure.exit_code(), 2, "{name}");
    };
    check(
        "kprobe.vfs_open",
        &[
            "error[not-traceable]: function \"vfs_open\" cannot be traced",
            "detail: the compiler has made vfs_open.isra.0 of it, which takes other arguments",
            "help: trace a function that calls it",
        ],
    );
    check(
        "fentry.schedule",
        &[
            "error[not-traceable]: function \"schedule\" cannot be traced",
            "detail: it is inlined, or marked notrace: it is not in available_filter_functions",
            "help: trace a function that calls it",
        ],
    );
    check(
        "kprobe.__vfs_write",
        &[
            "error[unknown-function]: function \"__vfs_write\" does not exist in this kernel",
            "help: there is kprobe.vfs_write",
        ],
    );
    check(
        "kprobe.__x64_sys_openat",
        &[
            "error[not-traceable]: function \"__x64_sys_openat\" cannot be traced",
            "detail: it is inlined, or marked notrace: it is not in available_filter_functions",
            "help: use syscall.openat, which has its arguments and what it returned",
        ],
    );
}

/// The number of the call is no column; an argument of the same name is.
#[test]
fn an_argument_may_be_called_as_the_number_was() {
    let field = |name: &str, at: u32| format!("\tfield:int {name};\toffset:{at};\tsize:4;\tsigned:1;\n");
    let kernel = kernel()
        .with_format("syscalls", "sys_enter_x", &[field("__syscall_nr", 8), field("nr", 16)].concat())
        .with_format("syscalls", "sys_exit_x", &[field("__syscall_nr", 8), field("ret", 16)].concat());
    let relation = relation(&kernel, &RelationName::parse("syscall.x")).expect("a relation");
    let own: Vec<&str> = relation.columns.iter().skip(Builtin::ALL.len()).map(|c| c.name.as_str()).collect();
    assert_eq!(own, ["nr", "ret", "latency"]);
}

/// An architecture younger than x86 has fewer system calls.
#[test]
fn a_system_call_of_another_architecture_is_told_of_this_ones() {
    let field = "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n";
    let identity = Identity { arch: "aarch64".to_string(), ..kernel().identity().clone() };
    let kernel = ["sys_enter_openat", "sys_exit_openat"]
        .iter()
        .fold(Snapshot::new(identity), |kernel, event| kernel.with_format("syscalls", event, field));
    let failure = relation(&kernel, &RelationName::parse("syscall.open")).expect_err("no such call");
    let text = bpfquery_diag::render(&failure, "syscall.open");
    assert!(text.ends_with("detail: aarch64 has no such call\nhelp: use syscall.openat\n"), "{text}");
}

#[test]
fn an_event_in_two_categories_wants_its_full_name() {
    let kernel = kernel().with_format("other", "sched_switch", "");
    let failure = relation(&kernel, &RelationName::parse("sched_switch")).expect_err("ambiguous");
    let text = bpfquery_diag::render(&failure, "sched_switch");
    assert!(text.contains("write one of tracepoint.other.sched_switch, tracepoint.sched.sched_switch"), "{text}");
}

/// 7.2 puts copies of what pointers point at behind a system call's arguments; they are filled for ftrace only.
#[test]
fn copies_for_ftrace_are_no_columns() {
    let text = "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
                \tfield:const char * filename;\toffset:16;\tsize:8;\tsigned:0;\n\
                \tfield:__data_loc char[] __filename_val;\toffset:24;\tsize:4;\tsigned:0;\n";
    let kernel = kernel().with_format("syscalls", "sys_enter_x", text);
    let relation = relation(&kernel, &RelationName::parse("sys_enter_x")).expect("a relation");
    let own: Vec<&str> = relation.columns.iter().skip(Builtin::ALL.len()).map(|c| c.name.as_str()).collect();
    assert_eq!(own, ["__syscall_nr", "filename"]);
}

/// What a snapshot's format says may be anything; a place that no program can load from is no column.
#[test]
fn fields_where_nothing_can_be_read_are_absent() {
    let text = "\tfield:int fine;\toffset:8188;\tsize:4;\tsigned:1;\n\
                \tfield:int odd;\toffset:13;\tsize:4;\tsigned:1;\n\
                \tfield:__data_loc char[] located;\toffset:13;\tsize:4;\tsigned:0;\n\
                \tfield:__data_loc char[] wide;\toffset:16;\tsize:8;\tsigned:0;\n\
                \tfield:int behind;\toffset:8192;\tsize:4;\tsigned:1;\n\
                \tfield:int far;\toffset:65532;\tsize:4;\tsigned:1;\n";
    let kernel = kernel().with_format("sched", "x", text);
    let relation = relation(&kernel, &RelationName::parse("tracepoint.sched.x")).expect("a relation");
    let own: Vec<&str> = relation.columns.iter().skip(Builtin::ALL.len()).map(|c| c.name.as_str()).collect();
    assert_eq!(own, ["fine"]);
    let absent: Vec<String> = relation.absent.iter().map(|absent| format!("{}: {}", absent.name, absent.why)).collect();
    let expect = [
        "odd: it is a struct by value, or not aligned",
        "located: it is no location (__data_loc) of four bytes",
        "wide: it is no location (__data_loc) of four bytes",
        "behind: it lies behind the end of any record",
        "far: it lies behind the end of any record",
    ];
    assert_eq!(absent, expect);
}
