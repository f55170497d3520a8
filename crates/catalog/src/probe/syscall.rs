//! `syscall.NAME`: a completed system call, made of the tracepoints at its entry and its exit.
//!
//! What must hold: the two events are those of one call where they are joined by thread, since a thread is in one call at a time. Calls
//! that never return (exit, exit_group, and execve of another thread's) have no row.

use super::tracepoint::{SYSCALLS, of_format};
use crate::kernel::Kernel;
use crate::name::RelationName;
use crate::relation::{Access, Builtin, Column, Origin, Relation};
use crate::ty::SqlType;
use bpfquery_diag::{Diagnostic, Result, nearest};

/// The relation's first word.
const KIND: &str = "syscall";
const ENTER: &str = "sys_enter_";
const EXIT: &str = "sys_exit_";
/// What the first field is called, which says which call it is: `__syscall_nr` since 4.8, `nr` before. io_submit has an argument `nr`, too.
const NUMBER: [&str; 2] = ["__syscall_nr", "nr"];

/// A system call as a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syscall {
    /// Its columns by name and type: the built-in ones, the arguments, `ret`, `latency`. How each is fetched say `sources`.
    pub relation: Relation,
    /// Where each column comes from.
    pub sources: Vec<SyscallColumn>,
    /// The event at its start.
    pub enter: Relation,
    /// The event at its end.
    pub exit: Relation,
    /// Whether the caller's memory is another one when the call is completed: then arguments lead nowhere by then.
    pub replaces_memory: bool,
}

/// Where a system call's column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyscallColumn {
    /// A column of the first event, by its index.
    Enter(usize),
    /// A column of the last event, by its index.
    Exit(usize),
    /// The time from a column of the first event to one of the last.
    Between {
        /// Index in the first event.
        from: usize,
        /// Index in the last event.
        to: usize,
    },
    /// The relation's own name.
    Name,
}

/// The system call that a name stands for; `None` for another kind of relation.
///
/// # Errors
/// A diagnostic at the name of a call that this kernel does not have or does not trace; or what `kernel` could not answer.
pub fn syscall(kernel: &dyn Kernel, name: &RelationName) -> Result<Option<Syscall>> {
    let Some((kind, rest)) = name.parts.split_first() else { return Ok(None) };
    let ([call], true, None) = (rest, kind.text.eq_ignore_ascii_case(KIND), &name.args) else { return Ok(None) };
    let event = |prefix: &str| -> Result<Option<Relation>> {
        let event = format!("{prefix}{}", call.text);
        let format = kernel.format(SYSCALLS, &event)?;
        format.map(|text| of_format(kernel, SYSCALLS, &event, &text)).transpose()
    };
    match (event(ENTER)?, event(EXIT)?) {
        (Some(enter), Some(exit)) => Ok(Some(made(&call.text, enter, exit))),
        _ => {
            let arch = &kernel.identity().arch;
            let fact = format!("there is no system call \"{}\" that this kernel traces", call.text);
            let calls = names(kernel)?;
            let refusal = Diagnostic::new("unknown-event", call.span, fact);
            if let Some(other) = super::advice::other_call(arch, &call.text, &calls) {
                return Err(refusal.detail(other.why).help(format!("use syscall.{}", other.name)).into());
            }
            let near = nearest(&call.text, calls.iter().map(String::as_str));
            Err(match near {
                Some(near) => refusal.did_you_mean(Some(near)),
                None => refusal.help("`bpfquery list syscall.*` shows those that there are"),
            }
            .into())
        }
    }
}

/// The names of the system calls that have both events, sorted.
pub(crate) fn names(kernel: &dyn Kernel) -> Result<Vec<String>> {
    let events = kernel.events()?;
    let of = |prefix: &'static str| {
        let own = events.iter().filter(|(category, _)| category == SYSCALLS);
        own.filter_map(move |(_, event)| event.strip_prefix(prefix))
    };
    let exits: std::collections::BTreeSet<&str> = of(EXIT).collect();
    let mut names: Vec<String> = of(ENTER).filter(|name| exits.contains(name)).map(str::to_string).collect();
    names.sort();
    Ok(names)
}

/// Whether a relation is a system call.
pub(crate) fn is_syscall(relation: &Relation) -> bool {
    relation.name.strip_prefix(KIND).is_some_and(|rest| rest.starts_with('.'))
}

/// The columns that are an event's own, without the number of the call.
fn arguments(event: &Relation) -> impl Iterator<Item = (usize, &Column)> {
    let mut own = event.columns.iter().enumerate().filter(|(_, column)| !column.is_builtin()).peekable();
    own.next_if(|(_, column)| NUMBER.contains(&column.name.as_str()));
    own
}

fn made(call: &str, enter: Relation, exit: Relation) -> Syscall {
    let mut relation = Relation::new(exit.hook.clone());
    relation.name = format!("{KIND}.{call}");
    let ts = |relation: &Relation| relation.columns.iter().position(|c| c.access == Access::Builtin(Builtin::Ts));
    let source = |(at, column): (usize, &Column)| match column.access {
        Access::Builtin(Builtin::Probe) => SyscallColumn::Name,
        _ => SyscallColumn::Exit(at),
    };
    let mut sources: Vec<SyscallColumn> = relation.columns.iter().enumerate().map(source).collect();
    for (at, column) in arguments(&enter) {
        relation.columns.push(column.clone());
        sources.push(SyscallColumn::Enter(at));
    }
    for (at, column) in arguments(&exit) {
        relation.columns.push(column.clone());
        sources.push(SyscallColumn::Exit(at));
    }
    let latency = SyscallColumn::Between { from: ts(&enter).unwrap_or(0), to: ts(&exit).unwrap_or(0) };
    relation.columns.push(Column {
        name: "latency".to_string(),
        ty: SqlType::Interval,
        access: Access::Unreachable,
        origin: Origin::Builtin,
    });
    sources.push(latency);
    relation.absent.clone_from(&enter.absent);
    let replaces_memory = matches!(call, "execve" | "execveat");
    Syscall { relation, sources, enter, exit, replaces_memory }
}
