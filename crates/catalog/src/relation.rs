//! Probes as relations: what a row is, its columns, and how each is fetched.

use crate::field::FieldPath;
use crate::listing::Listing;
use crate::ty::SqlType;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A relation: a hook in the kernel, and what one hit of it offers as columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Its full name, as the `probe` column shows it: `kprobe.vfs_read`, `tracepoint.sched.sched_switch`.
    pub name: String,
    /// Where its program is attached.
    pub hook: Hook,
    /// All columns: the built-in ones first, then the relation's own, in declaration order.
    pub columns: Vec<Column>,
    /// What the kernel declares and this hook cannot reach, with the reason.
    pub absent: Vec<Absent>,
}

/// A parameter or field that cannot be a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Its name.
    pub name: String,
    /// Why, as what follows "because": `it is passed on the stack`.
    pub why: String,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the kernel's own BTF or tracepoint format, or the built-in's.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// How it is fetched.
    pub access: Access,
    /// What the kernel says of it.
    pub origin: Origin,
}

/// Where a column is declared: what [`crate::checks`] compares between kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: every event has it.
    Builtin,
    /// In a tracepoint's format.
    Field {
        /// `const char *`, `__data_loc char[]`.
        c_type: String,
        /// Bytes from the record's start.
        offset: u16,
        /// Bytes.
        size: u16,
        /// As the format says it.
        signed: bool,
    },
    /// A parameter of the function, or of `btf_trace_EVENT` without its `__data`.
    Parameter {
        /// Counted from 0.
        index: u16,
        /// Its type as C text.
        c_type: String,
    },
    /// In a tracepoint's format, and fetched from the raw tracepoint's parameter that it is a copy of.
    Argument {
        /// The parameter, counted from 0.
        index: u16,
        /// The parameter's name.
        name: String,
        /// The parameter's type as C text.
        c_type: String,
    },
    /// What the function returns.
    Returns {
        /// Its type as C text.
        c_type: String,
    },
}

/// How a column's value is fetched when the program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// A value that every event has.
    Builtin(Builtin),
    /// `*(uN *)(ctx + offset)` with N = 8 * size, then narrowed to the column's own type. For a pointer argument this
    /// is the pointer; for `char comm[16]` inside the context (type text) it is the buffer itself.
    Context {
        /// Bytes from the context's start.
        offset: u16,
        /// Bytes: 1, 2, 4, 8; or the array's length for text.
        size: u16,
    },
    /// It stands in the row that the thread holds, of another relation: a join's.
    Held {
        /// Bytes from the held row's start.
        offset: u32,
        /// Its bit in the held row's null bits; `None` where it cannot be NULL.
        null_bit: Option<u32>,
        /// Whether text has zeros behind its NUL, up to a multiple of 8 bytes.
        padded: bool,
    },
    /// A tracepoint's `__data_loc` field: `*(u32 *)(ctx + offset)` holds `length << 16 | offset` of text in the context
    /// (include/trace/stages/stage3_trace_output.h, Linux 6.1).
    DataLocation {
        /// Bytes from the context's start of the u32.
        offset: u16,
    },
    /// A field of the kernel's struct that the pointer at `ctx + offset` leads to.
    Member {
        /// Bytes from the context's start of the pointer.
        offset: u16,
        /// The field.
        path: FieldPath,
    },
    /// It stands in the row that user space makes.
    Listed {
        /// Whether it may be NULL.
        nullable: bool,
    },
    /// Not at all: the hook was chosen for a query that does not use the column.
    Unreachable,
}

/// The columns that every event relation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Builtin {
    /// Time of the event: CLOCK_MONOTONIC ns in the kernel, wall time to the user.
    Ts,
    /// ns since the query started (since boot when nobody set the start, as under bpftool).
    Elapsed,
    /// Thread group id, in the initial pid namespace.
    Pid,
    /// Thread id, in the initial pid namespace.
    Tid,
    /// Thread group id of the real parent.
    Ppid,
    /// Real user id, in the initial user namespace.
    Uid,
    /// Real group id, in the initial user namespace.
    Gid,
    /// The thread's name, 16 bytes with NUL.
    Comm,
    /// The CPU the event ran on.
    Cpu,
    /// The id of the thread's cgroup (v2): the inode number of its directory.
    CgroupId,
    /// The relation's full name.
    Probe,
}

/// Where a program is attached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Hook {
    /// A perf tracepoint; the context is the record of its format.
    Tracepoint {
        /// `sched`.
        category: String,
        /// `sched_switch`.
        event: String,
    },
    /// A raw tracepoint; the context is the array of its arguments, 8 bytes each.
    RawTracepoint {
        /// `sched_switch`.
        event: String,
    },
    /// A kprobe at a function's entry; the context is `struct pt_regs`.
    Kprobe {
        /// The function.
        function: String,
        /// The module that holds it, `None` for vmlinux.
        module: Option<String>,
    },
    /// A kretprobe at a function's return; the context is `struct pt_regs`.
    Kretprobe {
        /// The function.
        function: String,
        /// The module that holds it, `None` for vmlinux.
        module: Option<String>,
    },
    /// A BTF trampoline at a function's entry; the context is the array of its arguments, 8 bytes each.
    Fentry {
        /// The function.
        function: String,
        /// The module that holds it, `None` for vmlinux.
        module: Option<String>,
    },
    /// A BTF trampoline at a function's return; arguments, then the return value.
    Fexit {
        /// The function.
        function: String,
        /// The module that holds it, `None` for vmlinux.
        module: Option<String>,
    },
    /// A timer on one CPU.
    Interval {
        /// Nanoseconds between ticks.
        period_ns: u64,
    },
    /// A sampling timer on every CPU.
    Profile {
        /// Samples per second and CPU.
        hz: u64,
    },
    /// No FROM: run once by BPF_PROG_TEST_RUN.
    Once,
    /// Nowhere: user space makes the rows of what is known of the kernel.
    Listing(Listing),
}

/// What a portable object takes for granted that CO-RE cannot relocate: checked against the running kernel at load;
/// a mismatch is a refusal, never a wrong value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Check {
    /// A perf tracepoint's format has this field at this place.
    FormatField {
        /// `syscalls`.
        category: String,
        /// `sys_enter_openat`.
        event: String,
        /// `filename`.
        field: String,
        /// Bytes from the record's start.
        offset: u16,
        /// Bytes.
        size: u16,
        /// As the format says.
        signed: bool,
    },
    /// The function (or `btf_trace_EVENT`, for raw tracepoints) has this parameter at this position.
    Parameter {
        /// `vfs_read`, or `btf_trace_sched_switch` (whose first parameter, `__data`, is not counted).
        function: String,
        /// Counted from 0.
        index: u16,
        /// Its name, empty where BTF has none.
        name: String,
        /// Its type as C text, as [`crate::c_type`] prints it.
        c_type: String,
    },
    /// A struct of vmlinux has this member at this place: in an object for one kernel, which CO-RE does not relocate.
    Member {
        /// `task_struct`.
        of: String,
        /// `comm`.
        member: String,
        /// Bytes from the struct's start.
        offset: u32,
        /// Bytes.
        size: u32,
    },
    /// The function has this many parameters (an fexit's return value stands behind them).
    ParameterCount {
        /// `vfs_read`.
        function: String,
        /// How many.
        count: u16,
    },
    /// The function returns this.
    Returns {
        /// `vfs_read`.
        function: String,
        /// Its type as C text.
        c_type: String,
    },
}

impl Builtin {
    /// All of them, in the order in which `describe` shows them.
    pub const ALL: [Builtin; 11] = [
        Builtin::Ts,
        Builtin::Elapsed,
        Builtin::Pid,
        Builtin::Tid,
        Builtin::Ppid,
        Builtin::Uid,
        Builtin::Gid,
        Builtin::Comm,
        Builtin::Cpu,
        Builtin::CgroupId,
        Builtin::Probe,
    ];

    /// The column's name.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::Ts => "ts",
            Builtin::Elapsed => "elapsed",
            Builtin::Pid => "pid",
            Builtin::Tid => "tid",
            Builtin::Ppid => "ppid",
            Builtin::Uid => "uid",
            Builtin::Gid => "gid",
            Builtin::Comm => "comm",
            Builtin::Cpu => "cpu",
            Builtin::CgroupId => "cgroup_id",
            Builtin::Probe => "probe",
        }
    }

    /// The column's type.
    pub fn ty(self) -> SqlType {
        match self {
            Builtin::Ts => SqlType::Timestamp,
            Builtin::Elapsed => SqlType::Interval,
            Builtin::Pid | Builtin::Tid | Builtin::Ppid | Builtin::Uid | Builtin::Gid | Builtin::Cpu => SqlType::U32,
            Builtin::Comm => SqlType::Text { width: 16 },
            Builtin::CgroupId => SqlType::U64,
            Builtin::Probe => SqlType::Text { width: 128 },
        }
    }

    /// One sentence for `describe`.
    pub fn doc(self) -> &'static str {
        match self {
            Builtin::Ts => "time of the event, shown as wall time",
            Builtin::Elapsed => "time since the query started",
            Builtin::Pid => "process (thread group) id, initial pid namespace",
            Builtin::Tid => "thread id, initial pid namespace",
            Builtin::Ppid => "process id of the real parent",
            Builtin::Uid => "real user id",
            Builtin::Gid => "real group id",
            Builtin::Comm => "name of the thread",
            Builtin::Cpu => "CPU on which the event ran",
            Builtin::CgroupId => "id of the thread's cgroup (v2)",
            Builtin::Probe => "full name of the relation",
        }
    }
}

impl fmt::Display for Hook {
    /// The relation's full name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_module = |f: &mut fmt::Formatter<'_>, kind: &str, function: &str, module: &Option<String>| match module {
            Some(module) => write!(f, "{kind}.{module}.{function}"),
            None => write!(f, "{kind}.{function}"),
        };
        match self {
            Hook::Tracepoint { category, event } => write!(f, "tracepoint.{category}.{event}"),
            Hook::RawTracepoint { event } => write!(f, "rawtracepoint.{event}"),
            Hook::Kprobe { function, module } => in_module(f, "kprobe", function, module),
            Hook::Kretprobe { function, module } => in_module(f, "kretprobe", function, module),
            Hook::Fentry { function, module } => in_module(f, "fentry", function, module),
            Hook::Fexit { function, module } => in_module(f, "fexit", function, module),
            Hook::Interval { period_ns } => {
                let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
                let exact = units.into_iter().find(|(ns, _)| period_ns.is_multiple_of(*ns));
                let (ns, unit) = exact.unwrap_or((1, "ns"));
                write!(f, "interval({}{unit})", period_ns / ns)
            }
            Hook::Profile { hz } => write!(f, "profile({hz})"),
            Hook::Once => f.write_str("once"),
            Hook::Listing(listing) => write!(f, "{}.{}", Listing::SCHEMA, listing.name()),
        }
    }
}
