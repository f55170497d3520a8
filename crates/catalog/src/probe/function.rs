//! `kprobe.F`, `kretprobe.F`, `fentry.F`, `fexit.F`: a call of a kernel function, with its arguments from BTF.
//!
//! - kprobe: the context is `struct pt_regs`; the first six words of arguments are in registers (System V ABI for
//!   x86-64), what comes after them is on the stack and not reached.
//! - fentry, fexit: the context is an array of 8-byte slots, one for each argument, then the return value
//!   (`btf_ctx_access`, kernel/bpf/btf.c, Linux 6.1).
//!
//! What of it is reached says `signature`.

use super::signature::{Declared, declared, refuses_trampoline};
use super::{advice, slot};
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
        [] => anywhere(kernel, kind, function)?,
        [module] => in_module(kernel, kind, module, function)?,
        [_, second, ..] => {
            let fact = "a function is named by its name, or by module and name";
            return Err(Diagnostic::new("unknown-relation", second.span, fact).into());
        }
    };
    if kernel.traceable_at_once(&function.text) == Some(false) {
        return Err(not_traceable(kernel, kind, function)?.into());
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
fn anywhere(kernel: &dyn Kernel, kind: Kind, function: &Part) -> Result<Found> {
    let object = Object::vmlinux(kernel.btf()?);
    if let Some(id) = object.btf.find(Tag::Func, &function.text) {
        return Ok(Found { object, id });
    }
    let mut holders = holders(kernel, function)?;
    match holders.len() {
        0 => Err(unknown(kernel, kind, &object.btf, function)?.into()),
        1 => Ok(holders.remove(0)),
        _ => {
            let names: Vec<String> = holders.iter().map(|f| format!("{}.{}", f.object.name, function.text)).collect();
            let fact = format!("function \"{}\" is in several modules", function.text);
            let refusal = Diagnostic::new("ambiguous-name", function.span, fact);
            Err(refusal.help(format!("write one of {}", names.join(", "))).into())
        }
    }
}

fn in_module(kernel: &dyn Kernel, kind: Kind, module: &Part, function: &Part) -> Result<Found> {
    let vmlinux = Object::vmlinux(kernel.btf()?);
    if module.text == crate::convert::VMLINUX {
        return match vmlinux.btf.find(Tag::Func, &function.text) {
            Some(id) => Ok(Found { object: vmlinux, id }),
            None => Err(unknown(kernel, kind, &vmlinux.btf, function)?.into()),
        };
    }
    let elsewhere = || -> Result<Option<String>> {
        let name = format!("{}.{}", kind.word(), function.text);
        if vmlinux.btf.find(Tag::Func, &function.text).is_some() {
            return Ok(Some(format!("\"{}\" is in the kernel itself: use {name}", function.text)));
        }
        Ok(holders(kernel, function)?
            .first()
            .map(|found| format!("use {}.{}.{}", kind.word(), found.object.name, function.text)))
    };
    let Some(btf) = kernel.module_btf(&module.text)? else {
        let loaded = kernel.modules()?;
        let fact = format!("module \"{}\" is not loaded, or has no BTF", module.text);
        let refusal = Diagnostic::new("unknown-function", module.span, fact);
        return Err(match (nearest(&module.text, loaded.iter().map(String::as_str)), elsewhere()?) {
            (Some(near), _) => refusal.did_you_mean(Some(near)),
            (None, Some(help)) => refusal.help(help),
            (None, None) => refusal.help(format!("modprobe {}, and query again", module.text)),
        }
        .into());
    };
    match btf.find_own(Tag::Func, &function.text) {
        Some(id) => Ok(Found { object: Object { name: module.text.clone(), btf }, id }),
        None => {
            let fact = format!("function \"{}\" does not exist in module \"{}\"", function.text, module.text);
            let refusal = Diagnostic::new("unknown-function", function.span, fact);
            let near = nearest(&function.text, btf.functions().map(|(_, name)| name));
            Err(match elsewhere()? {
                Some(help) => refusal.help(help),
                None => refusal.did_you_mean(near),
            }
            .into())
        }
    }
}

/// The modules that have a function of this name.
fn holders(kernel: &dyn Kernel, function: &Part) -> Result<Vec<Found>> {
    let mut holders = Vec::new();
    for name in kernel.modules()? {
        let Some(btf) = kernel.module_btf(&name)? else { continue };
        if let Some(id) = btf.find_own(Tag::Func, &function.text) {
            holders.push(Found { object: Object { name, btf }, id });
        }
    }
    Ok(holders)
}

/// BTF has no such function: because there is none, or because the compiler has changed its arguments.
fn unknown(kernel: &dyn Kernel, kind: Kind, btf: &Btf, function: &Part) -> Result<Diagnostic> {
    let variants = kernel.functions_from(&format!("{}.", function.text))?;
    let other = advice::other_function(kernel, kind.word(), &function.text)?;
    if let Some(variant) = variants.first() {
        let fact = format!("the arguments of function \"{}\" are not described in this kernel's BTF", function.text);
        let refusal = Diagnostic::new("unknown-function", function.span, fact)
            .detail(format!("the compiler has made {variant} of it, which takes others"));
        return Ok(refusal.help(other.unwrap_or_else(|| CALLER.to_string())));
    }
    if kernel.traceable(&function.text)? == Some(true) {
        let fact = format!("the arguments of function \"{}\" are not described in this kernel's BTF", function.text);
        let why = "BTF leaves out functions in assembly, and those whose arguments the compiler has changed";
        return Ok(Diagnostic::new("unknown-function", function.span, fact).detail(why).help(CALLER));
    }
    let refusal = super::unknown_part("unknown-function", "function", function);
    if let Some(help) = other {
        return Ok(refusal.help(help));
    }
    let mut names: Vec<&str> = btf.functions().map(|(_, name)| name).collect();
    names.sort_unstable();
    Ok(match nearest(&function.text, names) {
        Some(near) => refusal.did_you_mean(Some(near)),
        None => refusal
            .detail("a function that is inlined everywhere does not exist either, nor does one of a module that is not loaded")
            .help(format!("`bpfquery list '{}.*'` shows those that there are", kind.word())),
    })
}

/// What else there is where nothing of the same name is.
const CALLER: &str = "trace a function that calls it";

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

fn not_traceable(kernel: &dyn Kernel, kind: Kind, function: &Part) -> Result<Diagnostic> {
    let fact = format!("function \"{}\" cannot be traced", function.text);
    let refusal = Diagnostic::new("not-traceable", function.span, fact).detail(obstacle(kernel, &function.text)?);
    let other = advice::other_function(kernel, kind.word(), &function.text)?;
    Ok(refusal.help(other.unwrap_or_else(|| CALLER.to_string())))
}

/// Why a function that BTF knows cannot be traced.
///
/// # Errors
/// What the kernel could not answer.
pub fn obstacle(kernel: &dyn Kernel, function: &str) -> Result<String> {
    if let Some(variant) = kernel.functions_from(&format!("{function}."))?.first() {
        return Ok(format!("the compiler has made {variant} of it, which takes other arguments"));
    }
    Ok(match (kernel.exists(function)?, kernel.refuses_kprobe(function)?) {
        (Some(false), _) => {
            "it is inlined wherever it is called, or was part of the kernel's start: there is no such symbol"
        }
        (_, true) => "kprobes are refused at it, for they may run it themselves: it is in debugfs' kprobes/blacklist",
        (Some(true), false) => "it is marked notrace: it is not in available_filter_functions",
        (None, false) => "it is inlined, or marked notrace: it is not in available_filter_functions",
    }
    .to_string())
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
