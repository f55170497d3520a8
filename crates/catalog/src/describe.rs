//! What `list` and `describe` show, as plain data.

use crate::glob::{glob, literal_prefix};
use crate::kernel::{Feature, Kernel};
use crate::probe::{raw_tracepoint, syscall};
use crate::relation::{Access, Hook, Relation};
use crate::ty::{Pointee, Space, SqlType};
use bpfquery_diag::Result;

/// A relation that could stand after FROM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its first word: `kprobe`.
    pub kind: &'static str,
    /// Its full name: `kprobe.vfs_read`.
    pub name: String,
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
/// nothing fits. A pattern without a dot and without a wildcard in front is tried on the last part of names too:
/// `sched_*` finds `tracepoint.sched.sched_switch`.
pub fn list(kernel: &dyn Kernel, pattern: &str) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    let has = |feature: Feature| kernel.identity().features.contains(&feature);
    let wants = |kind: &str| may_be(pattern, kind);
    let mut add = |kind: &'static str, name: String| {
        if fits(pattern, &name) {
            found.push(Listed { kind, name });
        }
    };
    if wants("tracepoint") && has(Feature::Tracepoint) {
        for (category, event) in kernel.events()? {
            add("tracepoint", format!("tracepoint.{category}.{event}"));
        }
    }
    if wants("syscall") && has(Feature::Tracepoint) {
        for call in syscall::names(kernel)? {
            add("syscall", format!("syscall.{call}"));
        }
    }
    if wants("rawtracepoint") && has(Feature::RawTracepoint) && has(Feature::Btf) {
        for event in raw_tracepoint::names(kernel)? {
            add("rawtracepoint", format!("rawtracepoint.{event}"));
        }
    }
    let probed = [
        ("kprobe", Feature::Kprobe),
        ("kretprobe", Feature::Kprobe),
        ("fentry", Feature::Trampoline),
        ("fexit", Feature::Trampoline),
    ];
    let kinds: Vec<&'static str> =
        probed.into_iter().filter(|(kind, feature)| wants(kind) && has(*feature)).map(|(kind, _)| kind).collect();
    if !kinds.is_empty() && has(Feature::Btf) {
        let functions = functions(kernel)?;
        for kind in kinds {
            functions.iter().for_each(|function| add(kind, format!("{kind}.{function}")));
        }
    }
    if has(Feature::PerfClock) {
        add("interval", "interval(DURATION)".to_string());
        add("profile", "profile(HZ)".to_string());
    }
    Ok(found)
}

/// vmlinux's functions by name, then the modules' as `MODULE.FUNCTION`; what is known not to be traceable is left out.
fn functions(kernel: &dyn Kernel) -> Result<Vec<String>> {
    let btf = kernel.btf()?;
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names.dedup();
        names
    };
    let traceable = |name: &&str| kernel.traceable_at_once(name) != Some(false);
    let mut all = sorted(btf.functions().map(|(_, name)| name).filter(traceable).map(str::to_string).collect());
    for module in kernel.modules()? {
        let Some(btf) = kernel.module_btf(&module)? else { continue };
        all.extend(sorted(btf.functions().map(|(_, name)| format!("{module}.{name}")).collect()));
    }
    Ok(all)
}

/// Whether a relation of this kind can fit: saves reading what cannot.
fn may_be(pattern: &str, kind: &str) -> bool {
    let prefix = literal_prefix(pattern);
    let start = format!("{kind}.");
    !pattern.contains('.') || start.starts_with(prefix) || prefix.starts_with(&start)
}

fn fits(pattern: &str, name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    glob(pattern, name) || !pattern.contains('.') && glob(pattern, last)
}

/// A relation's columns in words.
pub fn describe(relation: &Relation) -> Description {
    let columns = relation.columns.iter().enumerate().map(|(index, column)| {
        let hidden = relation.column(&column.name, false) != Ok(index);
        let doc = match column.access {
            Access::Builtin(builtin) => builtin.doc().to_string(),
            Access::Context { .. } | Access::DataLocation { .. } | Access::Member { .. } | Access::Held { .. } => {
                remark(&column.ty)
            }
            // Of a system call, what is made of two events; of others, nothing that anybody describes.
            Access::Unreachable if syscall::is_syscall(relation) => "time from the call to its completion".to_string(),
            Access::Unreachable => String::new(),
        };
        Described {
            name: if hidden { format!("args.{}", column.name) } else { column.name.clone() },
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
        | SqlType::Histogram
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
    }
}
