//! What CO-RE cannot relocate: places in a tracepoint's record and positions of arguments.
//!
//! [`checks`] lists what a relation's used columns take for granted; [`verify_check`] asks another kernel whether it
//! holds there. It is pure, so that tests can ask pinned kernels. Types are compared as C text without qualifiers: a
//! `const` that comes or goes changes no value, another name of a type may.

use crate::convert::{Object, VMLINUX, c_type};
use crate::format::{parse_format, unqualified};
use crate::kernel::Kernel;
use crate::nav;
use crate::probe::raw_tracepoint::{self, unnamed};
use crate::relation::{Check, Hook, Origin, Relation};
use crate::ty::{SqlType, TypeRef};
use bpfquery_btf::{Kind, Tag, TypeId};
use std::collections::BTreeSet;

/// What the columns of these indexes take for granted, sorted.
pub fn checks(relation: &Relation, used: &BTreeSet<usize>) -> Vec<Check> {
    let mut all = BTreeSet::new();
    for column in used.iter().filter_map(|index| relation.columns.get(*index)) {
        match &column.origin {
            Origin::Builtin => {}
            Origin::Field { offset, size, signed, .. } => {
                if let Hook::Tracepoint { category, event } = &relation.hook {
                    all.insert(Check::FormatField {
                        category: category.clone(),
                        event: event.clone(),
                        field: column.name.clone(),
                        offset: *offset,
                        size: *size,
                        signed: *signed,
                    });
                }
            }
            Origin::Parameter { index, c_type } => {
                all.insert(Check::Parameter {
                    function: subject(&relation.hook),
                    index: *index,
                    name: if column.name == unnamed(*index) { String::new() } else { column.name.clone() },
                    c_type: c_type.clone(),
                });
            }
            Origin::Argument { index, name, c_type } => {
                all.insert(Check::Parameter {
                    function: subject(&relation.hook),
                    index: *index,
                    name: name.clone(),
                    c_type: c_type.clone(),
                });
            }
            Origin::Returns { c_type } => {
                let function = subject(&relation.hook);
                if let (Hook::Fexit { .. }, crate::Access::Context { offset, .. }) = (&relation.hook, &column.access) {
                    // The slot of an fexit's return value stands behind those of all arguments.
                    all.insert(Check::ParameterCount { function: function.clone(), count: offset / 8 });
                }
                all.insert(Check::Returns { function, c_type: c_type.clone() });
            }
        }
    }
    all.into_iter().collect()
}

/// The function of a [`Check`]: `vfs_read`, `MODULE.FUNCTION`, or `btf_trace_EVENT`.
fn subject(hook: &Hook) -> String {
    match hook {
        Hook::RawTracepoint { event } => format!("{}{event}", raw_tracepoint::PREFIX),
        Hook::Kprobe { function, module }
        | Hook::Kretprobe { function, module }
        | Hook::Fentry { function, module }
        | Hook::Fexit { function, module } => match module {
            Some(module) => format!("{module}.{function}"),
            None => function.clone(),
        },
        Hook::Tracepoint { .. } | Hook::Interval { .. } | Hook::Profile { .. } | Hook::Once | Hook::Listing(_) => {
            String::new()
        }
    }
}

/// Whether a check holds on this kernel.
///
/// # Errors
/// What does not hold, as one sentence without a full stop: `tracepoint.syscalls.sys_enter_openat: "filename" is at
/// offset 16, not 24`.
pub fn verify_check(check: &Check, kernel: &dyn Kernel) -> Result<(), String> {
    match check {
        Check::FormatField { category, event, field, offset, size, signed } => {
            format_field(kernel, category, event, field, (*offset, *size, *signed))
        }
        Check::Parameter { function, index, name, c_type } => {
            let found = prototype(kernel, function)?;
            parameter(&found, function, usize::from(*index), name, c_type)
        }
        Check::Member { of, member, offset, size } => place_of_member(kernel, of, member, (*offset, *size)),
        Check::ParameterCount { function, count } => {
            let found = prototype(kernel, function)?;
            match found.params.len() {
                len if len == usize::from(*count) => Ok(()),
                len => Err(format!("{function} has {len} parameters, not {count}")),
            }
        }
        Check::Returns { function, c_type: expect } => {
            let found = prototype(kernel, function)?;
            let text = c_type(&found.object.btf, found.ret);
            if same_type(&text, expect) {
                Ok(())
            } else {
                Err(format!("{function} returns \"{text}\", not \"{expect}\""))
            }
        }
    }
}

fn format_field(
    kernel: &dyn Kernel,
    category: &str,
    event: &str,
    name: &str,
    expect: (u16, u16, bool),
) -> Result<(), String> {
    let at = format!("tracepoint.{category}.{event}");
    let text = kernel.format(category, event).map_err(|failure| unanswered(&failure))?;
    let text = text.ok_or_else(|| format!("{at} does not exist"))?;
    let fields = parse_format(&text);
    let field = fields.iter().find(|field| field.name == name).ok_or_else(|| format!("{at} has no \"{name}\""))?;
    if field.offset != expect.0 {
        return Err(format!("{at}: \"{name}\" is at offset {}, not {}", field.offset, expect.0));
    }
    if field.size != expect.1 {
        return Err(format!("{at}: \"{name}\" has {} bytes, not {}", field.size, expect.1));
    }
    // `char` became unsigned in 6.2 (-funsigned-char), which text does not mind.
    if field.signed != expect.2 && !field.is_text() {
        let sign = if field.signed { "signed" } else { "unsigned" };
        return Err(format!("{at}: \"{name}\" is {sign}"));
    }
    Ok(())
}

fn place_of_member(kernel: &dyn Kernel, of: &str, member: &str, expect: (u32, u32)) -> Result<(), String> {
    let base = SqlType::Struct(TypeRef { object: VMLINUX.to_string(), id: 0, name: of.to_string() });
    let found = nav::member(kernel, &base, member).map_err(|failure| unanswered(&failure))?;
    let found = found.map_err(|_| format!("struct {of} has no \"{member}\""))?;
    match (found.offset, found.size) {
        place if place == expect => Ok(()),
        (offset, size) => Err(format!(
            "struct {of}: \"{member}\" is {size} bytes at offset {offset}, not {} at {}",
            expect.1, expect.0
        )),
    }
}

/// A prototype in some kernel's BTF, a raw tracepoint's without its `__data`.
struct Found {
    object: Object,
    params: raw_tracepoint::Parameters,
    ret: TypeId,
}

fn prototype(kernel: &dyn Kernel, function: &str) -> Result<Found, String> {
    let missing = || format!("{function} does not exist");
    if let Some(event) = function.strip_prefix(raw_tracepoint::PREFIX) {
        let found = raw_tracepoint::prototype(kernel, event).map_err(|failure| unanswered(&failure))?;
        let (object, params) = found.ok_or_else(missing)?;
        return Ok(Found { object, params, ret: TypeId::VOID });
    }
    let (module, name) = function.split_once('.').unwrap_or((VMLINUX, function));
    let object = nav::object(kernel, module).map_err(|failure| unanswered(&failure))?.ok_or_else(missing)?;
    let id = object.btf.find(Tag::Func, name).ok_or_else(missing)?;
    let proto = object.btf.proto_of(id).ok_or_else(missing)?;
    let params = proto.params.iter().map(|param| (param.name.to_string(), param.ty)).collect();
    let ret = proto.ret;
    Ok(Found { object, params, ret })
}

/// The parameter is there under this name and type, and nothing before it takes more than one register.
fn parameter(found: &Found, function: &str, index: usize, name: &str, expect: &str) -> Result<(), String> {
    let btf = &found.object.btf;
    let Some((actual, ty)) = found.params.get(index) else {
        return Err(format!("{function} has {} parameters, so none at position {index}", found.params.len()));
    };
    // BTF need not name parameters.
    if !actual.is_empty() && !name.is_empty() && actual != name {
        return Err(format!("{function} has \"{actual}\" at position {index}, not \"{name}\""));
    }
    let text = c_type(btf, *ty);
    if !same_type(&text, expect) {
        return Err(format!("{function} declares \"{name}\" as \"{text}\", not \"{expect}\""));
    }
    let wide = |id: TypeId| {
        matches!(btf.resolve(id), Kind::Struct(_) | Kind::Union(_)) || btf.size_of(id).is_some_and(|size| size > 8)
    };
    if wide(found.ret) || found.params.iter().take(index).any(|(_, ty)| wide(*ty)) {
        return Err(format!("{function} passes a struct by value, so the place of \"{name}\" is not known"));
    }
    Ok(())
}

fn same_type(one: &str, other: &str) -> bool {
    unqualified(one) == unqualified(other)
}

fn unanswered(failure: &bpfquery_diag::Failure) -> String {
    format!("cannot be checked: {}", bpfquery_diag::render(failure, "").trim_end().replace('\n', "; "))
}
