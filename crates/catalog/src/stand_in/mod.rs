//! The cheaper hook of a perf tracepoint: the raw tracepoint of the same event.
//!
//! ```text
//! tracepoint.CATEGORY.EVENT == rawtracepoint.EVENT     for the columns used, where all of what follows holds
//! ```
//! A program on a perf tracepoint runs after the event's record was made in a per-CPU buffer (perf_trace_buf_alloc and the
//! event's TP_fast_assign, include/trace/perf.h); a raw tracepoint's is called with the arguments alone. Both are probes of
//! the same tracepoint, so both are called for the same events: conditions of TRACE_EVENT_CONDITION are asked before any
//! probe is called (__DO_TRACE, include/linux/tracepoint.h), the functions of TRACE_EVENT_FN are called for the first probe
//! of either kind, and each event of a class (DEFINE_EVENT) has a tracepoint of its own, with its own name
//! (include/trace/bpf_probe.h). `raw_syscalls` are such tracepoints: both kinds see 32-bit calls, with the number of the
//! 32-bit table (include/trace/events/syscalls.h has no test; trace_get_syscall_nr, kernel/trace/trace_syscalls.c, is
//! asked for `syscalls/…` only). What a perf tracepoint skips since another program runs on the CPU (bpf_prog_active,
//! trace_call_bpf) is a loss; a raw tracepoint skips less.
//!
//! What must hold:
//! - The event is a tracepoint's and not one of the same name that somebody has made: those have fields that start with
//!   `__probe_`, or stand in a category of their own, or beside the kernel's event of that name in another category.
//!   `syscalls/…` are no tracepoints: one probe of sys_enter looks the number up in a bitmap and makes the record only for
//!   those that somebody wants (perf_syscall_enter, kernel/trace/trace_syscalls.c), which is cheaper than a program on
//!   every system call, and leaves 32-bit calls out.
//! - The program does not interrupt itself: a group's state and scratch memory are one CPU's, and no lock's. For perf
//!   tracepoints the kernel sees to it; for raw ones since 6.2 (05b24ff9b2cf), and there are events that cannot.
//! - The program is not preempted, either: others on its CPU would be skipped until it goes on. A perf tracepoint's never is
//!   (preempt_notrace in perf_trace_EVENT); on 7.2 a raw one's of system calls was seen to be. What happens with interrupts
//!   off is safe from that everywhere.
//! - A used column is a built-in, or a field that [`table`] knows as a plain copy of an argument, or of a member of
//!   what an argument points at, and the kernel's `btf_trace_EVENT` has that argument there, under that name, as wide.
//!   Names that are equal prove nothing: `prev_state` of sched_switch is both a field and an argument, and they differ.
//! - What is read through pointers costs less than the record does.
//!
//! Not checked: that a later kernel still copies what these did; [`crate::checks`] sees changes of the prototype only.

mod table;

use crate::convert::{Object, Pointers, c_type};
use crate::field::FieldPath;
use crate::kernel::{Feature, Kernel};
use crate::nav;
use crate::probe::raw_tracepoint;
use crate::relation::{Access, Column, Hook, Origin, Relation};
use crate::ty::SqlType;
use bpfquery_btf::TypeId;
use bpfquery_diag::Result;
use std::collections::BTreeSet;
use table::{Copied, Event, Interrupts};

/// For which kernels the choice must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The one that is asked.
    This,
    /// All from 5.10 on.
    Portable,
}

/// Since this version a raw tracepoint's program is not run while it runs on the CPU already.
const GUARDED: (u16, u16) = (6, 2);

/// The last version of which it is known that no probe is preempted; 7.2 skipped system calls for that.
const NOT_PREEMPTED: (u16, u16) = (6, 18);

/// Members that are read through pointers for less than what the record costs, which a raw tracepoint saves: on sched_switch
/// three numbers took as long as the record with all of them (Linux 6.18, x86-64). A text counts twice.
const MOST_READS: usize = 2;

/// Categories of events that are no tracepoints, or that people make.
const NO_TRACEPOINTS: [&str; 9] = [
    "syscalls",
    "ftrace",
    "synthetic",
    "kprobes",
    "uprobes",
    "eprobes",
    "tracepoints",
    "user_events",
    "user_events_multi",
];

/// The relation with the raw tracepoint as its hook, where that gives the same rows for the columns at these positions;
/// otherwise why the hook stays, as what follows "because". Columns keep their positions and types; those that are not
/// used may become unreachable.
///
/// # Errors
/// What the kernel could not answer.
pub fn stand_in(
    kernel: &dyn Kernel,
    relation: &Relation,
    used: &BTreeSet<usize>,
    scope: Scope,
) -> Result<std::result::Result<Relation, String>> {
    let Hook::Tracepoint { category, event } = &relation.hook else {
        return Ok(Err(format!("{} is no perf tracepoint", relation.hook)));
    };
    let known = table::find(category, event);
    if let Err(why) = same_events(kernel, relation, known, scope)? {
        return Ok(Err(why));
    }
    let own = |index: &&usize| relation.columns.get(**index).is_some_and(is_field);
    let fields: BTreeSet<usize> = used.iter().filter(own).copied().collect();
    let unknown = |index: &&usize| copied(known, &relation.columns[**index]).is_none();
    if let Some(index) = fields.iter().find(unknown) {
        return Ok(Err(no_copy(&relation.columns[*index])));
    }
    let mut raw = relation.clone();
    raw.hook = Hook::RawTracepoint { event: event.clone() };
    // A query of built-in columns need not wait for BTF.
    let wanted = !fields.is_empty() && kernel.identity().features.contains(&Feature::Btf);
    let prototype = if wanted { raw_tracepoint::prototype(kernel, event)? } else { None };
    for (index, column) in raw.columns.iter_mut().enumerate().filter(|(_, column)| is_field(column)) {
        let found = match (copied(known, column), &prototype) {
            (Some(copied), Some((object, params))) => argument(kernel, copied, object, params, column)?,
            _ => None,
        };
        match found {
            Some(found) => *column = found,
            None if fields.contains(&index) => {
                return Ok(Err(no_copy(column)));
            }
            None => column.access = Access::Unreachable,
        }
    }
    let reads: usize = fields.iter().map(|index| reads(&raw.columns[*index])).sum();
    if reads > MOST_READS {
        return Ok(Err("reading so much through pointers would take longer than the record".to_string()));
    }
    Ok(Ok(raw))
}

/// What fetching a column costs, in reads of a number through a pointer.
fn reads(column: &Column) -> usize {
    match &column.access {
        Access::Member { .. } if column.ty.is_text() => 2,
        Access::Member { .. } => 1,
        _ => 0,
    }
}

/// Whether an event on this hook never happens while a program on another tracepoint runs on the CPU: then programs of one object
/// need not know of each other. Between perf tracepoints the kernel sees to it (bpf_prog_active), between raw ones nobody does.
pub fn interrupts_nothing(hook: &Hook) -> bool {
    match hook {
        Hook::Tracepoint { category, .. } if category == "syscalls" => true,
        Hook::Tracepoint { category, event } => {
            table::find(category, event).is_some_and(|known| known.interrupts == Interrupts::Nothing)
        }
        _ => false,
    }
}

/// Whether the column stands in the event's record.
fn is_field(column: &Column) -> bool {
    matches!(column.origin, Origin::Field { .. }) && !matches!(column.access, Access::Held { .. })
}

/// Whether the raw tracepoint sees what the perf tracepoint does, or why not.
fn same_events(
    kernel: &dyn Kernel,
    relation: &Relation,
    known: Option<&Event>,
    scope: Scope,
) -> Result<std::result::Result<(), String>> {
    let Hook::Tracepoint { category, event } = &relation.hook else { return Ok(Ok(())) };
    let identity = kernel.identity();
    if !identity.features.contains(&Feature::RawTracepoint) {
        return Ok(Err("this kernel has no raw tracepoints".to_string()));
    }
    if category == "syscalls" {
        return Ok(Err("system calls have no tracepoints of their own".to_string()));
    }
    let version = (identity.version.0, identity.version.1);
    let guarded = version >= GUARDED;
    match (known, scope) {
        (Some(known), _) if known.interrupts != Interrupts::Itself && known.atomic => Ok(Ok(())),
        (_, Scope::Portable) => {
            Ok(Err("on some kernels its program may be interrupted by itself, or preempted".to_string()))
        }
        _ if version > NOT_PREEMPTED => Ok(Err("this kernel may preempt its program".to_string())),
        (Some(known), Scope::This) if known.interrupts != Interrupts::Itself => Ok(Ok(())),
        _ if !guarded => Ok(Err("the event may interrupt itself, and this kernel lets it".to_string())),
        (Some(_), Scope::This) => Ok(Ok(())),
        (None, Scope::This) if is_made(relation, category, event) => {
            Ok(Err("the event may be one that was made of others".to_string()))
        }
        // One that was made under the name of a tracepoint stands beside the tracepoint's own.
        (None, Scope::This) => match kernel.categories_of(event)?.as_slice() {
            [only] if only == category => Ok(Ok(())),
            _ => Ok(Err("another category has an event of this name".to_string())),
        },
    }
}

/// Whether somebody may have made the event: as a probe, or of a tracepoint that has no event, whose names end in `_tp`
/// (all 16 of Linux 6.18; DECLARE_TRACE appends it since 6.16).
fn is_made(relation: &Relation, category: &str, event: &str) -> bool {
    let probe = |name: &str| name.starts_with("__probe_");
    NO_TRACEPOINTS.contains(&category)
        || event.ends_with("_tp")
        || relation.columns.iter().any(|column| is_field(column) && probe(&column.name))
        || relation.absent.iter().any(|absent| probe(&absent.name))
}

/// What the field is known as a copy of.
fn copied<'a>(event: Option<&'a Event>, column: &Column) -> Option<&'a Copied> {
    event?.fields.iter().find(|copied| copied.field == column.name)
}

fn no_copy(column: &Column) -> String {
    format!("\"{}\" is not known as a copy of an argument", column.name)
}

/// The column as the raw tracepoint offers it; `None` where this kernel's prototype is another.
fn argument(
    kernel: &dyn Kernel,
    copied: &Copied,
    object: &Object,
    params: &[(String, TypeId)],
    column: &Column,
) -> Result<Option<Column>> {
    let Some((name, id)) = params.get(usize::from(copied.index)) else { return Ok(None) };
    if name != copied.parameter {
        return Ok(None);
    }
    let Some(access) = access(kernel, copied, object, *id, column)? else { return Ok(None) };
    let c_type = c_type(&object.btf, *id);
    let origin = Origin::Argument { index: copied.index, name: name.clone(), c_type };
    Ok(Some(Column { access, origin, ..column.clone() }))
}

/// How the argument, or what it leads to, is fetched; `None` where it is not as wide as the field.
fn access(
    kernel: &dyn Kernel,
    copied: &Copied,
    object: &Object,
    id: TypeId,
    column: &Column,
) -> Result<Option<Access>> {
    let Origin::Field { size, .. } = column.origin else { return Ok(None) };
    let offset = 8 * copied.index;
    let Some(member) = copied.member else {
        // Whatever its type is, an argument fills 8 bytes, its upper ones zero (CAST_TO_U64, include/trace/bpf_probe.h).
        let same = object.btf.size_of(id) == Some(u32::from(size)) && column.ty.scalar().is_some();
        return Ok(same.then_some(Access::Context { offset, size: 8 }));
    };
    let SqlType::Pointer { .. } = object.sql_type(id, Pointers::KERNEL) else { return Ok(None) };
    let Ok(found) = nav::member(kernel, &object.sql_type(id, Pointers::KERNEL), member)? else { return Ok(None) };
    let text = format!("{}->{member}", copied.parameter);
    let same = found.size == u32::from(size) && found.bits.is_none() && same_shape(&found.ty, &column.ty);
    Ok(same.then(|| Access::Member { offset, path: FieldPath::to(&found, text) }))
}

/// Whether bytes of the one type are read like those of the other: numbers of equal sign, or text.
fn same_shape(member: &SqlType, column: &SqlType) -> bool {
    member.is_text() && column.is_text() || member.scalar().is_some() && member.scalar() == column.scalar()
}
