//! `rawtracepoint.EVENT`: the context is the array of the tracepoint's arguments, 8 bytes each.
//!
//! The kernel declares `typedef void (*btf_trace_EVENT)(void *__data, …)` for each (include/trace/bpf_probe.h, Linux
//! 6.1); `__data` is not in the context. Compilers keep no names of parameters in a typedef: those are taken from the
//! function that calls the tracepoint's probes, `__traceiter_EVENT(void *__data, …)` (include/linux/tracepoint.h, Linux
//! 5.10). Not checked: whether an argument is NULL.

use super::{Need, slot};
use crate::convert::{Object, Pointers, c_type};
use crate::kernel::Kernel;
use crate::name::Part;
use crate::relation::{Column, Hook, Origin, Relation};
use bpfquery_btf::{Btf, Tag, TypeId};
use bpfquery_diag::{Diagnostic, Result, nearest};

/// What a raw tracepoint's typedef is called.
pub(crate) const PREFIX: &str = "btf_trace_";

/// What the function is called that calls a tracepoint's probes.
pub(crate) const ITERATOR: &str = "__traceiter_";

/// `MAX_TRACE_ARGS` is 12 (include/linux/tracepoint.h has up to 12 arguments, Linux 6.1).
const MAX_ARGUMENTS: usize = 12;

/// Names and types.
pub(crate) type Parameters = Vec<(String, TypeId)>;

/// What `need` leaves out is not read: the names and types of arguments take longer than all else of a short query.
pub(super) fn relation(kernel: &dyn Kernel, event: &Part, need: Need) -> Result<Relation> {
    let hook = Hook::RawTracepoint { event: event.text.clone() };
    if need == Need::Builtins && kernel.btf()?.find(Tag::Typedef, &format!("{PREFIX}{}", event.text)).is_some() {
        return Ok(Relation::new(hook));
    }
    let Some((object, params)) = prototype(kernel, &event.text)? else {
        return Err(unknown(kernel, event)?.into());
    };
    let mut relation = Relation::new(hook);
    for (index, (name, id)) in params.into_iter().take(MAX_ARGUMENTS).enumerate() {
        // At most 12 of them.
        let index = index as u16;
        relation.columns.push(Column {
            name: if name.is_empty() { unnamed(index) } else { name },
            ty: object.sql_type(id, Pointers::KERNEL),
            access: slot(8 * index),
            origin: Origin::Parameter { index, c_type: c_type(&object.btf, id) },
        });
    }
    Ok(relation)
}

/// A raw tracepoint's parameters without `__data`, from vmlinux or the first module that has it.
pub(crate) fn prototype(kernel: &dyn Kernel, event: &str) -> Result<Option<(Object, Parameters)>> {
    let typedef = format!("{PREFIX}{event}");
    let mut objects = vec![Object::vmlinux(kernel.btf()?)];
    if objects[0].btf.find(Tag::Typedef, &typedef).is_none() {
        for name in kernel.modules()? {
            objects.extend(kernel.module_btf(&name)?.map(|btf| Object { name, btf }));
        }
    }
    for object in objects {
        let Some(id) = object.btf.find(Tag::Typedef, &typedef) else { continue };
        let Some(proto) = object.btf.proto_of(id) else { continue };
        let mut params: Parameters = proto.params.iter().skip(1).map(|p| (p.name.to_string(), p.ty)).collect();
        if let Some(names) = names_of(&object.btf, event, params.len()) {
            params.iter_mut().zip(names).for_each(|(param, name)| param.0 = name);
        }
        return Ok(Some((object, params)));
    }
    Ok(None)
}

/// The names of a raw tracepoint's parameters, from a function with as many.
fn names_of(btf: &Btf, event: &str, count: usize) -> Option<Vec<String>> {
    let functions = [format!("{ITERATOR}{event}"), format!("__bpf_trace_{event}")];
    let mut protos = functions.iter().filter_map(|function| btf.func_proto(function));
    let proto = protos.find(|proto| proto.params.len() == count + 1)?;
    Some(proto.params.iter().skip(1).map(|param| param.name.to_string()).collect())
}

/// What a parameter is called to which BTF gives no name.
pub(crate) fn unnamed(index: u16) -> String {
    format!("arg{index}")
}

/// The names of vmlinux's raw tracepoints, sorted.
pub(crate) fn names(kernel: &dyn Kernel) -> Result<Vec<String>> {
    let btf = kernel.btf()?;
    let mut names: Vec<String> =
        btf.own_named(Tag::Typedef).filter_map(|(_, name)| name.strip_prefix(PREFIX)).map(str::to_string).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn unknown(kernel: &dyn Kernel, event: &Part) -> Result<Diagnostic> {
    let known = names(kernel)?;
    let refusal = super::unknown_part("unknown-event", "raw tracepoint", event);
    Ok(match nearest(&event.text, known.iter().map(String::as_str)) {
        None if event.text.starts_with("sys_enter_") => {
            refusal.help("system calls have rawtracepoint.sys_enter with their number in \"id\"")
        }
        None if event.text.starts_with("sys_exit_") => refusal.help("system calls have rawtracepoint.sys_exit"),
        near => refusal.did_you_mean(near),
    })
}
