//! What of a function's prototype a probe reaches: which arguments, where in the context, and why not the others.
//!
//! What must hold: the argument of index i stands in register or slot i wherever it is reached; `crate::check` relies on it. A
//! struct by value takes another number of registers or slots than one, so that argument and those behind it are not.

use super::function::Kind;
use bpfquery_btf::{Btf, Kind as BtfKind, Proto, Tag, TypeId};
use std::borrow::Cow;

/// Offsets in `struct pt_regs` of di, si, dx, cx, r8, r9 (arch/x86/include/asm/ptrace.h, Linux 6.1).
const ARGUMENT_REGISTERS: [u16; 6] = [112, 104, 96, 88, 72, 64];

/// Offset in `struct pt_regs` of ax.
const RETURN_REGISTER: u16 = 80;

/// `MAX_BPF_FUNC_ARGS` (include/linux/bpf.h, Linux 6.1).
const MAX_SLOTS: u16 = 12;

/// Bytes of the largest struct that a trampoline passes (`btf_distill_func_proto`, kernel/bpf/btf.c, Linux 6.1).
const LARGEST_STRUCT: u32 = 16;

/// The return value's column.
const RETVAL: &str = "retval";

/// The functions that never return and that BTF knows, of which an fexit would have no row; from 6.15 on the verifier refuses it
/// (`noreturn_deny`, kernel/bpf/verifier.c, Linux 6.15).
const NEVER_RETURN: [&str; 10] = [
    "__ia32_sys_exit",
    "__ia32_sys_exit_group",
    "__module_put_and_kthread_exit",
    "__x64_sys_exit",
    "__x64_sys_exit_group",
    "do_exit",
    "do_group_exit",
    "kthread_complete_and_exit",
    "kthread_exit",
    "make_task_dead",
];

/// A parameter, or what the function returns.
pub(crate) struct Declared<'a> {
    /// Its name; one is made up where BTF has none.
    pub(crate) name: Cow<'a, str>,
    pub(crate) ty: TypeId,
    /// Which parameter, counted from 0; `None` for the return value.
    pub(crate) index: Option<u16>,
    /// Bytes from the context's start, or why it is not reached.
    pub(crate) place: Result<u16, &'static str>,
}

/// What a kernel version's probe of this kind reaches: parameters in order, then the return value.
pub(crate) fn declared<'a>(btf: &Btf, kind: Kind, version: (u16, u16, u16), proto: &Proto<'a>) -> Vec<Declared<'a>> {
    let mut list = Vec::with_capacity(proto.params.len() + 1);
    let mut blocked = is_by_value(btf, proto.ret).then_some("the function returns a struct by value");
    let mut count = 0;
    for (index, param) in proto.params.iter().enumerate() {
        // A prototype has at most 65535 parameters; BTF counts them in 16 bits.
        let index = index as u16;
        if btf.tag(param.ty) == Tag::Void {
            // The dots of a variadic function.
            blocked = blocked.or(Some("the function is variadic"));
            continue;
        }
        count += 1;
        if is_by_value(btf, param.ty) || btf.size_of(param.ty).is_none_or(|size| size > 8) {
            blocked = blocked.or(Some("a struct is passed by value, so places of arguments are not known"));
        }
        let name = match param.name {
            "" => Cow::Owned(super::raw_tracepoint::unnamed(index)),
            name => Cow::Borrowed(name),
        };
        let place = place(kind, index, blocked).and_then(|offset| match refused(btf, kind, version, param.ty) {
            Some(why) => Err(why),
            None => Ok(offset),
        });
        list.push(Declared { name, ty: param.ty, index: Some(index), place });
    }
    let blocked = blocked.or(refused(btf, kind, version, proto.ret));
    let place = retval(btf, kind, proto.ret, count, blocked);
    list.push(Declared { name: Cow::Borrowed(RETVAL), ty: proto.ret, index: None, place });
    list
}

/// Why a trampoline cannot be put on a function of this prototype, if it cannot; kprobes can.
pub(crate) fn refuses_trampoline(
    btf: &Btf,
    kind: Kind,
    version: (u16, u16, u16),
    name: &str,
    proto: &Proto<'_>,
) -> Option<&'static str> {
    match kind {
        Kind::Kprobe | Kind::Kretprobe => return None,
        Kind::Fexit if NEVER_RETURN.contains(&name) => return Some("it never returns"),
        Kind::Fentry | Kind::Fexit => {}
    }
    let since = |major, minor| (version.0, version.1) >= (major, minor);
    let size = |id| btf.size_of(id).unwrap_or(u32::MAX);
    let words: u32 = proto.params.iter().map(|param| size(param.ty).div_ceil(8).clamp(1, 64)).sum();
    if proto.params.iter().any(|param| btf.tag(param.ty) == Tag::Void) {
        Some("it is variadic")
    } else if proto.params.len() > usize::from(MAX_SLOTS) {
        Some("it has more than 12 arguments")
    } else if is_by_value(btf, proto.ret) {
        Some("it returns a struct by value")
    } else if proto.params.iter().any(|param| size(param.ty) > LARGEST_STRUCT) {
        Some("a struct of more than 16 bytes is passed by value")
    } else if !since(6, 1) && proto.params.iter().any(|param| is_by_value(btf, param.ty)) {
        Some("a struct is passed by value, which trampolines follow from Linux 6.1 on")
    } else if !since(6, 6) && words > 6 {
        Some("it has more than 6 arguments, which trampolines follow from Linux 6.6 on")
    } else {
        None
    }
}

fn is_by_value(btf: &Btf, id: TypeId) -> bool {
    matches!(btf.resolve(id), BtfKind::Struct(_) | BtfKind::Union(_))
}

/// Which pointers a trampoline's program may not even load: those to neither a struct nor void; to integers from 5.17 on
/// (`btf_ctx_access` and `is_int_ptr`, kernel/bpf/btf.c, Linux 5.17).
fn refused(btf: &Btf, kind: Kind, version: (u16, u16, u16), ty: TypeId) -> Option<&'static str> {
    let target = match kind {
        Kind::Fentry | Kind::Fexit => btf.pointer(ty)?.target,
        Kind::Kprobe | Kind::Kretprobe => return None,
    };
    match btf.resolve(target) {
        BtfKind::Void | BtfKind::Struct(_) | BtfKind::Union(_) => None,
        BtfKind::Int(_) if (version.0, version.1) >= (5, 17) => None,
        BtfKind::Int(_) => {
            Some("trampolines do not pass pointers to integers before Linux 5.17: use kprobe or kretprobe")
        }
        _ => Some("trampolines pass pointers to structs, integers and void only: use kprobe or kretprobe"),
    }
}

/// Where an argument stands in the context; otherwise why it is not reached.
fn place(kind: Kind, index: u16, blocked: Option<&'static str>) -> Result<u16, &'static str> {
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

/// Where the return value stands behind so many arguments; otherwise why it is not reached.
fn retval(btf: &Btf, kind: Kind, ret: TypeId, count: u16, blocked: Option<&'static str>) -> Result<u16, &'static str> {
    match kind {
        Kind::Kprobe | Kind::Fentry => Err("the function has not returned yet: use kretprobe or fexit"),
        Kind::Kretprobe | Kind::Fexit if btf.skip(ret) == TypeId::VOID => Err("the function returns nothing"),
        Kind::Kretprobe | Kind::Fexit if is_by_value(btf, ret) => Err("the function returns a struct by value"),
        Kind::Kretprobe => Ok(RETURN_REGISTER),
        Kind::Fexit => match blocked {
            None if count <= MAX_SLOTS => Ok(8 * count),
            None => Err("trampolines pass at most 12 arguments"),
            Some(why) => Err(why),
        },
    }
}
