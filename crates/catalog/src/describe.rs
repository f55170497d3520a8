//! What `list` and `describe` show, as plain data.

use crate::discover::{discover, fits, shown_name};
use crate::kernel::{Feature, Kernel};
use crate::listing::Listing;
use crate::probe::syscall;
use crate::relation::{Access, Hook, Relation};
use crate::ty::{Pointee, Space, SqlType};
use bpfquery_diag::Result;
use std::ops::ControlFlow;

/// A relation that could stand after FROM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its first word: `kprobe`.
    pub kind: &'static str,
    /// Its full name: `kprobe.vfs_read`.
    pub name: String,
    /// The module that its function is in, if it is in one.
    pub module: Option<String>,
}

/// A relation, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its full name.
    pub name: String,
    /// One sentence on what a row is.
    pub row: &'static str,
    /// Its columns, the built-in ones first.
    pub columns: Vec<Described>,
    /// Name and reason of what it lacks.
    pub absent: Vec<(String, String)>,
}

/// A column, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name; `args.NAME` where a built-in hides it.
    pub name: String,
    /// Its SQL type as a user reads it.
    pub ty: String,
    /// Its C type, empty for a built-in.
    pub c_type: String,
    /// One sentence, empty where there is nothing to say.
    pub doc: String,
}

/// Every relation of this kernel whose full name fits the pattern, kind by kind in the order of the language's
/// description, sorted within a kind. Kinds that the kernel cannot attach are left out; an empty list means that
/// nothing fits. A pattern without a dot is tried on the last part of names too: `sched_*` finds
/// `tracepoint.sched.sched_switch`.
///
/// # Errors
/// What `kernel` could not answer.
pub fn list(kernel: &dyn Kernel, pattern: &str) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    discover(kernel, pattern, &mut |met| {
        let name = format!("{}.{}", met.schema, met.name);
        found.push(Listed { kind: met.kind, name, module: met.module.map(str::to_string) });
        Ok(ControlFlow::Continue(()))
    })?;
    if kernel.identity().features.contains(&Feature::PerfClock) {
        let timers = [("interval", "interval(DURATION)"), ("profile", "profile(HZ)")];
        let timers = timers.into_iter().filter(|(_, name)| fits(pattern, name));
        found.extend(timers.map(|(kind, name)| Listed { kind, name: name.to_string(), module: None }));
    }
    Ok(found)
}

/// A relation's columns in words.
pub fn describe(relation: &Relation) -> Description {
    let columns = relation.columns.iter().enumerate().map(|(index, column)| {
        let doc = match column.access {
            Access::Builtin(builtin) => builtin.doc().to_string(),
            Access::Context { .. } | Access::DataLocation { .. } | Access::Member { .. } | Access::Held { .. } => {
                remark(&column.ty)
            }
            Access::Listed { .. } => match relation.hook {
                Hook::Listing(listing) => listing.doc(&column.name).to_string(),
                _ => String::new(),
            },
            // Of a system call, what is made of two events; of others, nothing that anybody describes.
            Access::Unreachable if syscall::is_syscall(relation) => "time from the call to its completion".to_string(),
            Access::Unreachable => String::new(),
        };
        Described {
            name: shown_name(relation, index, &column.name),
            ty: column.ty.to_string(),
            c_type: column.c_type().to_string(),
            doc,
        }
    });
    Description {
        name: relation.name.clone(),
        row: if syscall::is_syscall(relation) { "a completed system call" } else { row(&relation.hook) },
        columns: columns.collect(),
        absent: relation.absent.iter().map(|absent| (absent.name.clone(), absent.why.clone())).collect(),
    }
}

/// What the type does not say by itself.
fn remark(ty: &SqlType) -> String {
    match ty {
        SqlType::Pointer { space: Space::User, to: Pointee::Char } => "text in the process's memory".to_string(),
        SqlType::Pointer { space: Space::User, .. } => "address in the process's memory".to_string(),
        SqlType::Pointer { to: Pointee::Char, .. } => "text".to_string(),
        SqlType::Enum(e) => {
            let names: Vec<&str> = e.values.iter().take(4).map(|(_, name)| name.as_str()).collect();
            let more = if e.values.len() > names.len() { ", …" } else { "" };
            format!("one of {}{more}", names.join(", "))
        }
        SqlType::Struct(_) | SqlType::Array { .. } => "cannot be selected as a whole".to_string(),
        SqlType::Bool
        | SqlType::Int { .. }
        | SqlType::Text { .. }
        | SqlType::Timestamp
        | SqlType::Interval
        | SqlType::Pointer { .. }
        | SqlType::Double
        | SqlType::Decimal
        | SqlType::Histogram { .. }
        | SqlType::Null => String::new(),
    }
}

fn row(hook: &Hook) -> &'static str {
    match hook {
        Hook::Tracepoint { .. } => "a hit of the tracepoint",
        Hook::RawTracepoint { .. } => "a hit of the tracepoint, with its arguments as the kernel passes them",
        Hook::Kprobe { .. } | Hook::Fentry { .. } => "a call of the function",
        Hook::Kretprobe { .. } => "a return from the function",
        Hook::Fexit { .. } => "a return from the function, with the arguments of its call",
        Hook::Interval { .. } => "a tick of a timer on one CPU",
        Hook::Profile { .. } => "a sample of what a CPU runs, on every CPU",
        Hook::Once => "the one row of a query without FROM",
        Hook::Listing(Listing::Tables) => "a relation of this kernel",
        Hook::Listing(Listing::Columns) => "a column of a relation of this kernel",
    }
}
