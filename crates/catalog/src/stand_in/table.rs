//! Fields of events that are plain copies, as their TP_fast_assign says.
//!
//! Each event stands under the file of include/trace/events that declares it; what is said of it is so from Linux 5.10 to
//! 7.2, or the prototype tells: an argument that moved, or has another name, is not taken. A field that is computed
//! (`task_cpu(p)`, `page_to_pfn(page)`), converted, or assigned in some versions only, is not here.

/// An event.
pub(super) struct Event {
    category: &'static str,
    name: &'static str,
    /// What it may happen in the middle of.
    pub(super) interrupts: Interrupts,
    /// Whether it happens with interrupts off, so that its probes are never preempted.
    pub(super) atomic: bool,
    /// What is known of its fields.
    pub(super) fields: &'static [Copied],
}

/// Which probes of tracepoints an event may happen in the middle of, on one CPU, where probes are not preempted (preempt_notrace
/// in __DO_TRACE, include/linux/tracepoint.h, and for system calls in include/trace/bpf_probe.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupts {
    /// None: it comes from a system call or from the scheduler, which do not run while probes do.
    Nothing,
    /// Those of other events: it comes from interrupts too, and its own probes run without them.
    Others,
    /// Also its own.
    Itself,
}

/// A field and what it is a copy of.
pub(super) struct Copied {
    pub(super) field: &'static str,
    /// The argument's position, counted from 0.
    pub(super) index: u16,
    /// The argument's name.
    pub(super) parameter: &'static str,
    /// The member of what the argument points at; `None` for the argument itself.
    pub(super) member: Option<&'static str>,
}

/// What is known of an event.
pub(super) fn find(category: &str, name: &str) -> Option<&'static Event> {
    EVENTS.iter().find(|event| event.category == category && event.name == name)
}

/// `__entry->field = parameter`
const fn copy(field: &'static str, index: u16, parameter: &'static str) -> Copied {
    Copied { field, index, parameter, member: None }
}

/// `__entry->field = parameter->member`, or a memcpy of `comm`.
const fn member(field: &'static str, index: u16, parameter: &'static str, member: &'static str) -> Copied {
    Copied { field, index, parameter, member: Some(member) }
}

const fn event(category: &'static str, name: &'static str, fields: &'static [Copied]) -> Event {
    Event { category, name, interrupts: Interrupts::Itself, atomic: false, fields }
}

const fn task(category: &'static str, name: &'static str, fields: &'static [Copied]) -> Event {
    Event { category, name, interrupts: Interrupts::Nothing, atomic: false, fields }
}

const fn atomic(category: &'static str, name: &'static str, fields: &'static [Copied]) -> Event {
    Event { category, name, interrupts: Interrupts::Nothing, atomic: true, fields }
}

const OF_P: [Copied; 3] =
    [member("comm", 0, "p", "comm"), member("pid", 0, "p", "pid"), member("prio", 0, "p", "prio")];

const EVENTS: &[Event] = &[
    // syscalls.h. Not sys_exit's id, which is syscall_get_nr(current, regs): the registers' word, narrowed.
    task("raw_syscalls", "sys_enter", &[copy("id", 1, "id")]),
    task("raw_syscalls", "sys_exit", &[copy("ret", 1, "ret")]),
    // sched.h. Not prev_state, which is __trace_sched_switch_state(…).
    atomic(
        "sched",
        "sched_switch",
        &[
            member("prev_comm", 1, "prev", "comm"),
            member("prev_pid", 1, "prev", "pid"),
            member("prev_prio", 1, "prev", "prio"),
            member("next_comm", 2, "next", "comm"),
            member("next_pid", 2, "next", "pid"),
            member("next_prio", 2, "next", "prio"),
        ],
    ),
    task(
        "sched",
        "sched_process_fork",
        &[member("parent_pid", 0, "parent", "pid"), member("child_pid", 1, "child", "pid")],
    ),
    task("sched", "sched_process_exec", &[member("pid", 0, "p", "pid"), copy("old_pid", 1, "old_pid")]),
    // group_dead since 6.16.
    task(
        "sched",
        "sched_process_exit",
        &[
            member("comm", 0, "p", "comm"),
            member("pid", 0, "p", "pid"),
            member("prio", 0, "p", "prio"),
            copy("group_dead", 1, "group_dead"),
        ],
    ),
    event("sched", "sched_waking", &OF_P),
    event("sched", "sched_wakeup", &OF_P),
    event("sched", "sched_wakeup_new", &OF_P),
    event(
        "sched",
        "sched_migrate_task",
        &[member("pid", 0, "p", "pid"), member("prio", 0, "p", "prio"), copy("dest_cpu", 1, "dest_cpu")],
    ),
    event("sched", "sched_stat_runtime", &[member("pid", 0, "tsk", "pid"), copy("runtime", 1, "runtime")]),
    // irq.h
    event("irq", "irq_handler_entry", &[copy("irq", 0, "irq")]),
    event("irq", "irq_handler_exit", &[copy("irq", 0, "irq"), copy("ret", 2, "ret")]),
    event("irq", "softirq_entry", &[copy("vec", 0, "vec_nr")]),
    event("irq", "softirq_exit", &[copy("vec", 0, "vec_nr")]),
    event("irq", "softirq_raise", &[copy("vec", 0, "vec_nr")]),
    // kmem.h. Not gfp_flags, which 5.19 made wider.
    event(
        "kmem",
        "kmalloc",
        &[
            copy("call_site", 0, "call_site"),
            copy("ptr", 1, "ptr"),
            copy("bytes_req", 2, "bytes_req"),
            copy("bytes_alloc", 3, "bytes_alloc"),
        ],
    ),
    event("kmem", "kmem_cache_alloc", &[copy("call_site", 0, "call_site"), copy("ptr", 1, "ptr")]),
    event("kmem", "kfree", &[copy("call_site", 0, "call_site"), copy("ptr", 1, "ptr")]),
    event("kmem", "kmem_cache_free", &[copy("call_site", 0, "call_site"), copy("ptr", 1, "ptr")]),
    event("kmem", "mm_page_alloc", &[copy("order", 1, "order"), copy("migratetype", 3, "migratetype")]),
    event("kmem", "mm_page_free", &[copy("order", 1, "order")]),
    // signal.h. Both hold siglock, with interrupts off.
    Event {
        category: "signal",
        name: "signal_generate",
        interrupts: Interrupts::Others,
        atomic: true,
        fields: &[
            copy("sig", 0, "sig"),
            member("comm", 2, "task", "comm"),
            member("pid", 2, "task", "pid"),
            copy("group", 3, "group"),
            copy("result", 4, "result"),
        ],
    },
    atomic("signal", "signal_deliver", &[copy("sig", 0, "sig")]),
    // task.h
    task(
        "task",
        "task_newtask",
        &[member("pid", 0, "task", "pid"), member("comm", 0, "task", "comm"), copy("clone_flags", 1, "clone_flags")],
    ),
    task("task", "task_rename", &[member("pid", 0, "task", "pid"), member("oldcomm", 0, "task", "comm")]),
];
