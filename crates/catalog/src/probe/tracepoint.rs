//! `tracepoint.CATEGORY.EVENT` and bare event names: the context is the record that the event's format describes.
//!
//! The first 8 bytes of the record (the `common_` fields) are not the program's to read. Offsets are this kernel's:
//! [`crate::checks`] lists what another one must agree to.

use crate::convert::{Object, Pointers};
use crate::format::{FormatField, Layout, parse_format, unqualified};
use crate::kernel::Kernel;
use crate::name::Part;
use crate::relation::{Absent, Access, Column, Hook, Origin, Relation};
use crate::ty::{DEFAULT_TEXT, Pointee, Space, SqlType, TypeRef};
use bpfquery_btf::Tag;
use bpfquery_diag::{Diagnostic, Result, nearest};

/// The category of system calls, whose pointers are all the caller's.
pub(super) const SYSCALLS: &str = "syscalls";

/// The longest record: PERF_MAX_TRACE_SIZE, include/linux/trace_events.h, Linux 5.15 on; it was 2048 before.
const LONGEST: u32 = 8192;
/// Bytes of a `__data_loc`: where the array begins, and its length, 16 bits each (include/trace/stages/stage1_struct_define.h).
const LOCATION: u16 = 4;

pub(super) fn relation(kernel: &dyn Kernel, category: &Part, event: &Part) -> Result<Relation> {
    match kernel.format(&category.text, &event.text)? {
        Some(text) => of_format(kernel, &category.text, &event.text, &text),
        None => Err(unknown(kernel, category, event)?.into()),
    }
}

/// `sched_switch`: the event of that name, if there is just one.
pub(super) fn bare(kernel: &dyn Kernel, event: &Part) -> Result<Relation> {
    let categories = kernel.categories_of(&event.text)?;
    match categories.as_slice() {
        [category] => relation(kernel, &Part { text: category.clone(), span: event.span }, event),
        [] => Err(unknown_bare(kernel, event)?.into()),
        several => {
            let names: Vec<String> = several.iter().map(|category| full(category, &event.text)).collect();
            let fact = format!("event \"{}\" is in several categories", event.text);
            let refusal = Diagnostic::new("ambiguous-name", event.span, fact);
            Err(refusal.help(format!("write one of {}", names.join(", "))).into())
        }
    }
}

/// `tracepoint.sched_switch` lacks its category.
pub(super) fn without_category(kernel: &dyn Kernel, event: &Part) -> Result<Diagnostic> {
    let fact = "a tracepoint is named by category and event";
    let refusal = Diagnostic::new("unknown-relation", event.span, fact);
    let names: Vec<String> = kernel.categories_of(&event.text)?.iter().map(|c| full(c, &event.text)).collect();
    Ok(if names.is_empty() {
        refusal.help("write tracepoint.CATEGORY.EVENT")
    } else {
        refusal.help(format!("write {}", names.join(" or ")))
    })
}

fn full(category: &str, event: &str) -> String {
    format!("tracepoint.{category}.{event}")
}

fn unknown(kernel: &dyn Kernel, category: &Part, event: &Part) -> Result<Diagnostic> {
    let events = kernel.events()?;
    if !events.iter().any(|(name, _)| *name == category.text) {
        let near = nearest(&category.text, events.iter().map(|(name, _)| name.as_str()));
        return Ok(super::unknown_part("unknown-event", "tracepoint category", category).did_you_mean(near));
    }
    let what = format!("event \"{}\" does not exist in tracepoint category \"{}\"", event.text, category.text);
    let refusal = Diagnostic::new("unknown-event", event.span, what);
    if let Some((other, name)) = events.iter().find(|(_, name)| *name == event.text) {
        return Ok(refusal.help(format!("there is {}", full(other, name))));
    }
    let siblings = events.iter().filter(|(name, _)| *name == category.text).map(|(_, name)| name.as_str());
    Ok(refusal.did_you_mean(nearest(&event.text, siblings)))
}

fn unknown_bare(kernel: &dyn Kernel, event: &Part) -> Result<Diagnostic> {
    let events = kernel.events()?;
    let refusal =
        Diagnostic::new("unknown-relation", event.span, format!("relation \"{}\" does not exist", event.text));
    let names = events.iter().map(|(_, name)| name.as_str()).chain(super::KINDS.iter().map(|(kind, _)| *kind));
    Ok(match nearest(&event.text, names) {
        Some(near) => match super::KINDS.iter().find(|(kind, _)| *kind == near) {
            Some((_, form)) => refusal.help(format!("write {form}")),
            None => refusal.did_you_mean(Some(near)),
        },
        None if super::PLANNED.contains(&event.text.as_str()) => refusal.help("it is planned, and not supported yet"),
        None => refusal.help("`bpfquery list` shows all relations"),
    })
}

/// The relation that a format describes.
pub(crate) fn of_format(kernel: &dyn Kernel, category: &str, event: &str, text: &str) -> Result<Relation> {
    let hook = Hook::Tracepoint { category: category.to_string(), event: event.to_string() };
    let mut relation = Relation::new(hook);
    let syscall = category == SYSCALLS;
    for field in own(category, parse_format(text)) {
        match place(&field) {
            Ok(access) => relation.columns.push(Column {
                ty: sql_type(kernel, &field, syscall)?,
                access,
                origin: origin(&field),
                name: field.name,
            }),
            Err(why) => relation.absent.push(Absent { name: field.name, why: why.to_string() }),
        }
    }
    Ok(relation)
}

/// The fields that are an event's own.
fn own(category: &str, fields: Vec<FormatField>) -> impl Iterator<Item = FormatField> {
    let shadows = category == SYSCALLS;
    fields.into_iter().filter(move |field| !(field.is_common() || shadows && is_shadow(&field.name)))
}

/// The fields that are columns.
pub(crate) fn reached(category: &str, fields: Vec<FormatField>) -> impl Iterator<Item = FormatField> {
    own(category, fields).filter(|field| place(field).is_ok())
}

/// From 7.x on the format of a system call has a copy of what its pointers point at, `__filename_val`, which is filled
/// in for ftrace only.
fn is_shadow(name: &str) -> bool {
    name.starts_with("__") && name.ends_with("_val")
}

/// How the field is fetched; otherwise why it cannot be.
fn place(field: &FormatField) -> std::result::Result<Access, &'static str> {
    let aligned = || matches!(field.size, 1 | 2 | 4 | 8) && field.offset.is_multiple_of(field.size);
    let location_fits = || field.size == LOCATION && field.offset.is_multiple_of(LOCATION);
    match field.layout {
        _ if u32::from(field.offset) + u32::from(field.size) > LONGEST => Err("it lies behind the end of any record"),
        Layout::RelativeLocation => Err("it is relocated relative to itself (__rel_loc)"),
        Layout::DataLocation if !location_fits() => Err("it is no location (__data_loc) of four bytes"),
        Layout::DataLocation => Ok(Access::DataLocation { offset: field.offset }),
        Layout::Array(_) if field.size == 0 => Err("the format does not tell its size"),
        Layout::Array(_) => Ok(Access::Context { offset: field.offset, size: field.size }),
        Layout::Plain if aligned() => Ok(Access::Context { offset: field.offset, size: field.size }),
        Layout::Plain => Err("it is a struct by value, or not aligned"),
    }
}

fn origin(field: &FormatField) -> Origin {
    let c_type = match field.layout {
        Layout::Plain => field.c_type.clone(),
        Layout::Array(0) => format!("{}[]", field.c_type),
        Layout::Array(len) => format!("{}[{len}]", field.c_type),
        Layout::DataLocation => format!("__data_loc {}[]", field.c_type),
        Layout::RelativeLocation => format!("__rel_loc {}[]", field.c_type),
    };
    Origin::Field { c_type, offset: field.offset, size: field.size, signed: field.signed }
}

fn sql_type(kernel: &dyn Kernel, field: &FormatField, syscall: bool) -> Result<SqlType> {
    let element = || SqlType::Int { bits: element_bits(&unqualified(&field.c_type)), signed: field.signed };
    Ok(match field.layout {
        Layout::DataLocation | Layout::RelativeLocation if field.is_text() => SqlType::Text { width: DEFAULT_TEXT },
        Layout::DataLocation | Layout::RelativeLocation => SqlType::Array { element: Box::new(element()), len: 0 },
        Layout::Array(_) if field.is_text() => SqlType::Text { width: u32::from(field.size) },
        Layout::Array(0) => {
            // The length is a macro in the format's text.
            let bytes = u32::from(element_bits(&unqualified(&field.c_type)) / 8);
            SqlType::Array { element: Box::new(element()), len: u32::from(field.size) / bytes }
        }
        Layout::Array(len) => SqlType::Array { element: Box::new(element()), len },
        Layout::Plain if field.is_pointer() => pointer(&unqualified(&field.c_type), syscall),
        Layout::Plain => scalar(kernel, field, syscall)?,
    })
}

fn element_bits(name: &str) -> u8 {
    plain(name).map_or(8, |(bits, _)| bits)
}

/// `struct file *`, unqualified. In a system call's format every pointer is the caller's.
fn pointer(c_type: &str, syscall: bool) -> SqlType {
    let space = if syscall { Space::User } else { Space::Kernel };
    let inner = c_type.split('*').next().unwrap_or("").trim_end();
    let depth = c_type.matches('*').count();
    let to = match (depth, inner.strip_prefix("struct ").or_else(|| inner.strip_prefix("union "))) {
        (1, Some(tag)) => Pointee::Struct(by_name(tag)),
        (1, None) if inner == "char" => Pointee::Char,
        (1, None) => match plain(inner) {
            Some((bits, signed)) => Pointee::Value(Box::new(SqlType::Int { bits, signed })),
            None => Pointee::Opaque,
        },
        (2, None) if inner == "char" => Pointee::Value(Box::new(SqlType::Pointer { space, to: Pointee::Char })),
        _ => Pointee::Opaque,
    };
    SqlType::Pointer { space, to }
}

/// A struct that is looked up when something asks for its members: reading BTF takes longer than all else here.
fn by_name(tag: &str) -> TypeRef {
    TypeRef { object: crate::convert::VMLINUX.to_string(), id: 0, name: tag.to_string() }
}

/// What is neither array nor pointer. A system call's argument fills 8 bytes whatever its type is, and its format says
/// that it is not signed: there the type's name decides, elsewhere the format's size and sign.
fn scalar(kernel: &dyn Kernel, field: &FormatField, syscall: bool) -> Result<SqlType> {
    let name = unqualified(&field.c_type);
    if matches!(name.as_str(), "bool" | "_Bool") {
        return Ok(SqlType::Bool);
    }
    let of_format = SqlType::Int { bits: (field.size * 8) as u8, signed: field.signed };
    if let Some(tag) = name.strip_prefix("enum ") {
        return Ok(find_type(kernel, Tag::Enum, tag)?.unwrap_or(of_format));
    }
    if !syscall {
        return Ok(of_format);
    }
    match plain(&name) {
        Some((bits, signed)) => Ok(SqlType::Int { bits, signed }),
        None => Ok(find_type(kernel, Tag::Typedef, &name)?.unwrap_or(of_format)),
    }
}

/// A type by its name, where the kernel has BTF.
fn find_type(kernel: &dyn Kernel, tag: Tag, name: &str) -> Result<Option<SqlType>> {
    if !kernel.identity().features.contains(&crate::Feature::Btf) {
        return Ok(None);
    }
    let object = Object::vmlinux(kernel.btf()?);
    Ok(object.btf.find(tag, name).map(|id| object.sql_type(id, Pointers::USER)).filter(|ty| ty.scalar().is_some()))
}

/// Bits and sign of C's own integers and of the typedefs that system calls use, on x86-64
/// (include/uapi/asm-generic/posix_types.h and include/linux/types.h, Linux 6.18).
fn plain(name: &str) -> Option<(u8, bool)> {
    Some(match name {
        "char" | "signed char" | "s8" | "__s8" | "int8_t" => (8, true),
        "unsigned char" | "u8" | "__u8" | "uint8_t" => (8, false),
        "short" | "s16" | "__s16" | "int16_t" => (16, true),
        "unsigned short" | "u16" | "__u16" | "uint16_t" | "umode_t" => (16, false),
        "int" | "s32" | "__s32" | "int32_t" | "pid_t" | "clockid_t" | "timer_t" | "mqd_t" | "key_t" | "rwf_t"
        | "key_serial_t" => (32, true),
        "unsigned int" | "unsigned" | "uint" | "u32" | "__u32" | "uint32_t" | "uid_t" | "gid_t" | "qid_t" | "dev_t"
        | "gfp_t" | "mode_t" => (32, false),
        "long" | "long int" | "long long" | "s64" | "__s64" | "int64_t" | "off_t" | "loff_t" | "ssize_t" => (64, true),
        "unsigned long" | "unsigned long long" | "u64" | "__u64" | "uint64_t" | "size_t" | "aio_context_t"
        | "sector_t" => (64, false),
        _ => return None,
    })
}
