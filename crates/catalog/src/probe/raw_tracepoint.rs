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
use bpfquery_btf::{Tag, TypeId};
use bpfquery_diag::{Diagnostic, Result, nearest};
use std::collections::BTreeMap;

/// What a raw tracepoint's typedef is called.
pub(crate) const PREFIX: &str = "btf_trace_";

/// What the function is called that calls a tracepoint's probes.
pub(crate) const ITERATOR: &str = "__traceiter_";

/// What functions are called whose parameters have the names that a tracepoint's own have not.
const NAMERS: [&str; 2] = [ITERATOR, "__bpf_trace_"];

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
    for (index, (name, id)) in (0..).zip(named(params)) {
        relation.columns.push(Column {
            name,
            ty: object.sql_type(id, Pointers::KERNEL),
            access: slot(8 * index),
            origin: Origin::Parameter { index, c_type: c_type(&object.btf, id) },
        });
    }
    Ok(relation)
}

/// Where a raw tracepoint is declared.
pub(crate) struct Declaration {
    /// Its typedef.
    id: TypeId,
    /// The functions whose parameters may tell its names, the better one first.
    functions: Vec<TypeId>,
}

/// The raw tracepoints that are an object's own, by name.
pub(crate) fn declarations(object: &Object) -> BTreeMap<&str, Declaration> {
    let typedefs = object.btf.own_named(Tag::Typedef).filter_map(|(id, name)| Some((name.strip_prefix(PREFIX)?, id)));
    let mut found: BTreeMap<&str, Declaration> = BTreeMap::new();
    for (event, id) in typedefs {
        found.entry(event).or_insert(Declaration { id, functions: Vec::new() });
    }
    for prefix in NAMERS {
        for (id, name) in object.btf.functions() {
            if let Some(declared) = name.strip_prefix(prefix).and_then(|event| found.get_mut(event)) {
                declared.functions.push(id);
            }
        }
    }
    found
}

/// Its parameters without `__data`; a name that BTF does not tell is empty.
fn parameters(object: &Object, declared: &Declaration) -> Option<Parameters> {
    let proto = object.btf.proto_of(declared.id)?;
    let mut params: Parameters = proto.params.iter().skip(1).map(|p| (p.name.to_string(), p.ty)).collect();
    let mut protos = declared.functions.iter().filter_map(|id| object.btf.proto_of(*id));
    if let Some(namer) = protos.find(|namer| namer.params.len() == proto.params.len()) {
        params.iter_mut().zip(namer.params.iter().skip(1)).for_each(|(param, named)| param.0 = named.name.to_string());
    }
    Some(params)
}

/// Names and types of the columns that it has beside the built-in ones.
pub(crate) fn columns(object: &Object, declared: &Declaration) -> Parameters {
    named(parameters(object, declared).unwrap_or_default()).collect()
}

/// As many as there may be, each with a name.
fn named(params: Parameters) -> impl Iterator<Item = (String, TypeId)> {
    let name = |index, name: String| if name.is_empty() { unnamed(index) } else { name };
    (0..).zip(params).take(MAX_ARGUMENTS).map(move |(index, (given, id))| (name(index, given), id))
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
        let namer = |prefix: &str| object.btf.find(Tag::Func, &format!("{prefix}{event}"));
        let declared = Declaration { id, functions: NAMERS.into_iter().filter_map(namer).collect() };
        if let Some(params) = parameters(&object, &declared) {
            return Ok(Some((object, params)));
        }
    }
    Ok(None)
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
