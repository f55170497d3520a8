//! `kprobe.F`, `kretprobe.F`, `fentry.F`, `fexit.F`: a call of a kernel function, with its arguments from BTF.
//!
//! - kprobe: the context is `struct pt_regs`; the first six words of arguments are in registers (System V ABI for
//!   x86-64), what comes after them is on the stack and not reached.
//! - fentry, fexit: the context is an array of 8-byte slots, one for each argument, then the return value
//!   (`btf_ctx_access`, kernel/bpf/btf.c, Linux 6.1).
//! - A struct by value takes another number of registers or slots than one: that argument and those behind it are
//!   absent, so the argument of index i always stands in register or slot i. `crate::check` relies on this.

use super::slot;
use crate::convert::{Object, Pointers, c_type};
use crate::kernel::Kernel;
use crate::name::Part;
use crate::relation::{Absent, Column, Hook, Origin, Relation};
use bpfquery_btf::{Btf, Kind as BtfKind, Proto, Tag, TypeId};
use bpfquery_diag::{Diagnostic, Result, nearest};

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// At entry, by breakpoint.
    Kprobe,
    /// At return, by breakpoint.
    Kretprobe,
    /// At entry, by trampoline.
    Fentry,
    /// At return, by trampoline.
    Fexit,
}

/// Offsets in `struct pt_regs` of di, si, dx, cx, r8, r9 (arch/x86/include/asm/ptrace.h, Linux 6.1).
const ARGUMENT_REGISTERS: [u16; 6] = [112, 104, 96, 88, 72, 64];

/// Offset in `struct pt_regs` of ax.
const RETURN_REGISTER: u16 = 80;

/// `MAX_BPF_FUNC_ARGS` (include/linux/bpf.h, Linux 6.1).
const MAX_SLOTS: u16 = 12;

/// The return value's column.
const RETVAL: &str = "retval";

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
        columns(&mut relation, &found.object, kind, kernel.identity().version, &proto);
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

fn not_traceable(function: &Part) -> Diagnostic {
    let fact = format!("function \"{}\" cannot be traced", function.text);
    Diagnostic::new("not-traceable", function.span, fact)
        .detail("it is inlined, or marked notrace: it is not in available_filter_functions")
        .help("trace a function that calls it")
}

/// Adds the columns that this kind of hook reaches, and notes the rest.
fn columns(relation: &mut Relation, object: &Object, kind: Kind, version: (u16, u16, u16), proto: &Proto<'_>) {
    let by_value = |id| matches!(object.btf.resolve(id), BtfKind::Struct(_) | BtfKind::Union(_));
    let mut blocked = by_value(proto.ret).then_some("the function returns a struct by value");
    let mut count = 0;
    for (index, param) in proto.params.iter().enumerate() {
        // A prototype has at most 65535 parameters; BTF counts them in 16 bits.
        let index = index as u16;
        if object.btf.tag(param.ty) == Tag::Void {
            // The dots of a variadic function.
            blocked = blocked.or(Some("the function is variadic"));
            continue;
        }
        count += 1;
        if by_value(param.ty) || object.btf.size_of(param.ty).is_none_or(|size| size > 8) {
            blocked = blocked.or(Some("a struct is passed by value, so places of arguments are not known"));
        }
        let name = if param.name.is_empty() { super::raw_tracepoint::unnamed(index) } else { param.name.to_string() };
        let place = place(kind, index, blocked).and_then(|offset| match refused(object, kind, version, param.ty) {
            Some(why) => Err(why),
            None => Ok(offset),
        });
        match place {
            Ok(offset) => relation.columns.push(Column {
                name,
                ty: object.sql_type(param.ty, Pointers::ARGUMENT),
                access: slot(offset),
                origin: Origin::Parameter { index, c_type: c_type(&object.btf, param.ty) },
            }),
            Err(why) => relation.absent.push(Absent { name, why: why.to_string() }),
        }
    }
    let blocked = blocked.or(refused(object, kind, version, proto.ret));
    retval(relation, object, kind, proto.ret, count, blocked);
}

/// Which pointers a trampoline's program may not even load: those to neither a struct nor void; to integers from 5.17 on
/// (`btf_ctx_access` and `is_int_ptr`, kernel/bpf/btf.c, Linux 5.17).
fn refused(object: &Object, kind: Kind, version: (u16, u16, u16), ty: TypeId) -> Option<&'static str> {
    let target = match kind {
        Kind::Fentry | Kind::Fexit => object.btf.pointer(ty)?.target,
        Kind::Kprobe | Kind::Kretprobe => return None,
    };
    match object.btf.resolve(target) {
        BtfKind::Void | BtfKind::Struct(_) | BtfKind::Union(_) => None,
        BtfKind::Int(_) if (version.0, version.1) >= (5, 17) => None,
        BtfKind::Int(_) => {
            Some("trampolines do not pass pointers to integers before Linux 5.17: use kprobe or kretprobe")
        }
        _ => Some("trampolines pass pointers to structs, integers and void only: use kprobe or kretprobe"),
    }
}

/// Where an argument stands in the context; otherwise why it is not reached.
fn place(kind: Kind, index: u16, blocked: Option<&'static str>) -> std::result::Result<u16, &'static str> {
    match (kind, blocked) {
        (Kind::Kretprobe, _) => Err("a kretprobe has only the return value; arguments are gone by then"),
        (_, Some(why)) => Err(why),
        (Kind::Kprobe, None) => {
            let register = ARGUMENT_REGISTERS.get(usize::from(index));
            register.copied().ok_or("it is passed on the stack: only the first six arguments are in registers")
        }
        (Kind::Fentry | Kind::Fexit, None) if index < MAX_SLOTS => Ok(8 * index),
        (Kind::Fentry | Kind::Fexit, None) => Err("trampolines pass at most 12 arguments"),
    }
}

/// Adds the return value where there is one, or says why not.
fn retval(
    relation: &mut Relation,
    object: &Object,
    kind: Kind,
    ret: TypeId,
    count: u16,
    blocked: Option<&'static str>,
) {
    let by_value = matches!(object.btf.resolve(ret), BtfKind::Struct(_) | BtfKind::Union(_));
    let offset = match kind {
        Kind::Kprobe | Kind::Fentry => Err("the function has not returned yet: use kretprobe or fexit"),
        Kind::Kretprobe | Kind::Fexit if object.btf.skip(ret) == TypeId::VOID => Err("the function returns nothing"),
        Kind::Kretprobe | Kind::Fexit if by_value => Err("the function returns a struct by value"),
        Kind::Kretprobe => Ok(RETURN_REGISTER),
        Kind::Fexit => match blocked {
            None if count <= MAX_SLOTS => Ok(8 * count),
            None => Err("trampolines pass at most 12 arguments"),
            Some(why) => Err(why),
        },
    };
    match offset {
        Ok(offset) => relation.columns.push(Column {
            name: RETVAL.to_string(),
            ty: object.sql_type(ret, Pointers::ARGUMENT),
            access: slot(offset),
            origin: Origin::Returns { c_type: c_type(&object.btf, ret) },
        }),
        Err(why) => relation.absent.push(Absent { name: RETVAL.to_string(), why: why.to_string() }),
    }
}
