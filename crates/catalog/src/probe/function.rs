//! `kprobe.F`, `kretprobe.F`, `fentry.F`, `fexit.F`: a call of a kernel function, with its arguments from BTF.
//!
//! - kprobe: the context is `struct pt_regs`; the first six words of arguments are in registers (System V ABI for
//!   x86-64), what comes after them is on the stack and not reached.
//! - fentry, fexit: the context is an array of 8-byte slots, one for each argument, then the return value
//!   (`btf_ctx_access`, kernel/bpf/btf.c, Linux 6.1).
//!
//! What of it is reached says `signature`.

use super::signature::{Declared, declared, refuses_trampoline};
use super::slot;
use crate::convert::{Object, Pointers, c_type};
use crate::kernel::Kernel;
use crate::name::Part;
use crate::relation::{Absent, Column, Hook, Origin, Relation};
use bpfquery_btf::{Btf, Tag, TypeId};
use bpfquery_diag::{Diagnostic, Result, nearest};

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// At entry, by breakpoint.
    Kprobe,
    /// At return, by breakpoint.
    Kretprobe,
    /// At entry, by trampoline.
    Fentry,
    /// At return, by trampoline.
    Fexit,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Kind; 4] = [Kind::Kprobe, Kind::Kretprobe, Kind::Fentry, Kind::Fexit];

    /// The relation's first word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Kprobe => "kprobe",
            Kind::Kretprobe => "kretprobe",
            Kind::Fentry => "fentry",
            Kind::Fexit => "fexit",
        }
    }
}

pub(super) fn relation(kernel: &dyn Kernel, kind: Kind, path: &[Part], function: &Part) -> Result<Relation> {
    let found = match path {
        [] => anywhere(kernel, function)?,
        [module] => in_module(kernel, module, function)?,
        [_, second, ..] => {
            let fact = "a function is named by its name, or by module and name";
            return Err(Diagnostic::new("unknown-relation", second.span, fact).into());
        }
    };
    if kernel.traceable_at_once(&function.text) == Some(false) {
        return Err(not_traceable(function).into());
    }
    let module = (found.object.name != crate::convert::VMLINUX).then(|| found.object.name.clone());
    let mut relation = Relation::new(hook(kind, function.text.clone(), module));
    if let Some(proto) = found.object.btf.proto_of(found.id) {
        let version = kernel.identity().version;
        if let Some(why) = refuses_trampoline(&found.object.btf, kind, version, &function.text, &proto) {
            return Err(no_trampoline(kind, function, why).into());
        }
        columns(&mut relation, &found.object, declared(&found.object.btf, kind, version, &proto));
    }
    Ok(relation)
}

fn hook(kind: Kind, function: String, module: Option<String>) -> Hook {
    match kind {
        Kind::Kprobe => Hook::Kprobe { function, module },
        Kind::Kretprobe => Hook::Kretprobe { function, module },
        Kind::Fentry => Hook::Fentry { function, module },
        Kind::Fexit => Hook::Fexit { function, module },
    }
}

/// A function, and the BTF that describes it.
pub(crate) struct Found {
    pub(crate) object: Object,
    pub(crate) id: TypeId,
}

/// A function of vmlinux, or of the only module that has it.
fn anywhere(kernel: &dyn Kernel, function: &Part) -> Result<Found> {
    let object = Object::vmlinux(kernel.btf()?);
    if let Some(id) = object.btf.find(Tag::Func, &function.text) {
        return Ok(Found { object, id });
    }
    let mut holders = Vec::new();
    for name in kernel.modules()? {
        let Some(btf) = kernel.module_btf(&name)? else { continue };
        if let Some(id) = btf.find_own(Tag::Func, &function.text) {
            holders.push(Found { object: Object { name, btf }, id });
        }
    }
    match holders.len() {
        0 => Err(unknown(kernel, &object.btf, function)?.into()),
        1 => Ok(holders.remove(0)),
        _ => {
            let names: Vec<String> = holders.iter().map(|f| format!("{}.{}", f.object.name, function.text)).collect();
            let fact = format!("function \"{}\" is in several modules", function.text);
            let refusal = Diagnostic::new("ambiguous-name", function.span, fact);
            Err(refusal.help(format!("write one of {}", names.join(", "))).into())
        }
    }
}

fn in_module(kernel: &dyn Kernel, module: &Part, function: &Part) -> Result<Found> {
    if module.text == crate::convert::VMLINUX {
        let object = Object::vmlinux(kernel.btf()?);
        return match object.btf.find(Tag::Func, &function.text) {
            Some(id) => Ok(Found { object, id }),
            None => Err(unknown(kernel, &object.btf, function)?.into()),
        };
    }
    let Some(btf) = kernel.module_btf(&module.text)? else {
        let loaded = kernel.modules()?;
        let fact = format!("module \"{}\" is not loaded, or has no BTF", module.text);
        let refusal = Diagnostic::new("unknown-function", module.span, fact);
        return Err(refusal.did_you_mean(nearest(&module.text, loaded.iter().map(String::as_str))).into());
    };
    match btf.find_own(Tag::Func, &function.text) {
        Some(id) => Ok(Found { object: Object { name: module.text.clone(), btf }, id }),
        None => {
            let fact = format!("function \"{}\" does not exist in module \"{}\"", function.text, module.text);
            let near = nearest(&function.text, btf.functions().map(|(_, name)| name));
            Err(Diagnostic::new("unknown-function", function.span, fact).did_you_mean(near).into())
        }
    }
}

/// BTF has no such function: because there is none, or because the compiler has changed its arguments.
fn unknown(kernel: &dyn Kernel, btf: &Btf, function: &Part) -> Result<Diagnostic> {
    if kernel.traceable(&function.text)? == Some(true) {
        let fact = format!("the arguments of function \"{}\" are not described in this kernel's BTF", function.text);
        let why = "BTF leaves out functions in assembly, and those whose arguments the compiler has changed";
        return Ok(Diagnostic::new("unknown-function", function.span, fact).detail(why));
    }
    let mut names: Vec<&str> = btf.functions().map(|(_, name)| name).collect();
    names.sort_unstable();
    let refusal = super::unknown_part("unknown-function", "function", function);
    Ok(match nearest(&function.text, names) {
        Some(near) => refusal.did_you_mean(Some(near)),
        None => refusal.detail("a function that is inlined everywhere does not exist either"),
    })
}

/// What a trampoline cannot do and a kprobe can.
fn no_trampoline(kind: Kind, function: &Part, why: &str) -> Diagnostic {
    let fact = format!("function \"{}\" cannot be traced by {}", function.text, kind.word());
    let instead = if kind == Kind::Fexit { Kind::Kretprobe } else { Kind::Kprobe };
    Diagnostic::new("not-traceable", function.span, fact).detail(why).help(format!(
        "use {}.{}",
        instead.word(),
        function.text
    ))
}

fn not_traceable(function: &Part) -> Diagnostic {
    let fact = format!("function \"{}\" cannot be traced", function.text);
    Diagnostic::new("not-traceable", function.span, fact)
        .detail("it is inlined, or marked notrace: it is not in available_filter_functions")
        .help("trace a function that calls it")
}

/// Adds the columns that this kind of hook reaches, and notes the rest.
fn columns(relation: &mut Relation, object: &Object, declared: Vec<Declared<'_>>) {
    for Declared { name, ty, index, place } in declared {
        let name = name.into_owned();
        let c_type = || c_type(&object.btf, ty);
        match place {
            Ok(offset) => relation.columns.push(Column {
                name,
                ty: object.sql_type(ty, Pointers::ARGUMENT),
                access: slot(offset),
                origin: match index {
                    Some(index) => Origin::Parameter { index, c_type: c_type() },
                    None => Origin::Returns { c_type: c_type() },
                },
            }),
            Err(why) => relation.absent.push(Absent { name, why: why.to_string() }),
        }
    }
}
