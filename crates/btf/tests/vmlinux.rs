//! The running kernel's BTF, read by this crate and by btf-rs: every type and every element must be the same.
//!
//! Not checked here: an int's bit count and offset, which btf-rs does not show.

use bpfquery_btf::{Btf, Kind, Tag, TypeId};
use btf_rs::{BtfType, Type};
use std::time::Instant;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

fn bytes() -> Vec<u8> {
    std::fs::read(VMLINUX).expect("this test compares with the running kernel's BTF, and needs a kernel that has it")
}

/// A type as text, by this crate.
fn ours(btf: &Btf, id: TypeId) -> String {
    let name = btf.name(id);
    match btf.kind(id) {
        Kind::Void => "void".to_owned(),
        Kind::Int(i) => format!("int {name} {} {} {} {}", i.size, i.signed, i.char, i.bool),
        Kind::Ptr(to) => format!("ptr {}", to.0),
        Kind::Array(a) => format!("array {} {}", a.elem.0, a.len),
        Kind::Struct(c) | Kind::Union(c) => {
            let word = if c.is_union { "union" } else { "struct" };
            let members =
                c.members().map(|m| format!("{} {} {} {}", m.name, m.ty.0, m.bit_offset, m.bits.unwrap_or(0)));
            format!("{word} {name} {} {}", c.size, list(members))
        }
        Kind::Enum(e) => {
            let word = if e.wide { "enum64" } else { "enum" };
            // btf-rs shows the bits of a value, this crate the value.
            let bits = |v: i64| if e.wide { v as u64 } else { u64::from(v as u32) };
            format!(
                "{word} {name} {} {} {}",
                e.size,
                e.signed,
                list(e.values().map(|(n, v)| format!("{n} {}", bits(v))))
            )
        }
        Kind::Fwd { is_union } => format!("fwd {name} {is_union}"),
        Kind::Typedef(to) => format!("typedef {name} {}", to.0),
        Kind::Volatile(to) => format!("volatile {}", to.0),
        Kind::Const(to) => format!("const {}", to.0),
        Kind::Restrict(to) => format!("restrict {}", to.0),
        Kind::Func(f) => format!("func {name} {} {}", f.proto.0, f.linkage as u32),
        Kind::FuncProto(p) => {
            format!("proto {} {}", p.ret.0, list(p.params().map(|p| format!("{} {}", p.name, p.ty.0))))
        }
        Kind::Var(v) => format!("var {name} {} {}", v.ty.0, v.linkage as u32),
        Kind::Datasec(d) => {
            format!(
                "datasec {name} {} {}",
                d.size,
                list(d.vars().map(|v| format!("{} {} {}", v.var.0, v.offset, v.size)))
            )
        }
        Kind::Float { size } => format!("float {name} {size}"),
        Kind::DeclTag { ty, component } => format!("decl_tag {name} {} {component:?}", ty.0),
        Kind::TypeTag(to) => format!("type_tag {name} {}", to.0),
        Kind::Unknown(kind) => format!("unknown {kind}"),
    }
}

/// The same by btf-rs.
fn theirs(btf: &btf_rs::Btf, ty: &Type) -> String {
    let name = |t: &dyn BtfType| match t.get_name_offset() {
        Some(0) | None => String::new(),
        Some(_) => btf.resolve_name(t).expect("btf-rs has the names of its own types"),
    };
    let to = |t: &dyn BtfType| t.get_type_id().expect("btf-rs has an id where there is one");
    let linkage = |is_global, is_extern| u32::from(is_global) + 2 * u32::from(is_extern);
    match ty {
        Type::Void => "void".to_owned(),
        Type::Int(i) => format!("int {} {} {} {} {}", name(i), i.size(), i.is_signed(), i.is_char(), i.is_bool()),
        Type::Ptr(p) => format!("ptr {}", to(p)),
        Type::Array(a) => format!("array {} {}", to(a), a.len()),
        Type::Struct(c) | Type::Union(c) => {
            let word = if matches!(ty, Type::Union(_)) { "union" } else { "struct" };
            let bits = |m: &btf_rs::Member| m.bitfield_size().unwrap_or(0);
            let members = c.members.iter().map(|m| format!("{} {} {} {}", name(m), to(m), m.bit_offset(), bits(m)));
            format!("{word} {} {} {}", name(c), c.size(), list(members))
        }
        Type::Enum(e) => {
            let values = e.members.iter().map(|m| format!("{} {}", name(m), m.val()));
            format!("enum {} {} {} {}", name(e), e.size(), e.is_signed(), list(values))
        }
        Type::Enum64(e) => {
            let values = e.members.iter().map(|m| format!("{} {}", name(m), m.val()));
            format!("enum64 {} {} {} {}", name(e), e.size(), e.is_signed(), list(values))
        }
        Type::Fwd(f) => format!("fwd {} {}", name(f), f.is_union()),
        Type::Typedef(t) => format!("typedef {} {}", name(t), to(t)),
        Type::Volatile(t) => format!("volatile {}", to(t)),
        Type::Const(t) => format!("const {}", to(t)),
        Type::Restrict(t) => format!("restrict {}", to(t)),
        Type::Func(f) => format!("func {} {} {}", name(f), to(f), linkage(f.is_global(), f.is_extern())),
        Type::FuncProto(p) => {
            let params = p.parameters.iter().map(|p| format!("{} {}", name(p), to(p)));
            format!("proto {} {}", p.return_type_id(), list(params))
        }
        Type::Var(v) => format!("var {} {} {}", name(v), to(v), linkage(v.is_global(), v.is_extern())),
        Type::Datasec(d) => {
            let vars = d.variables.iter().map(|v| format!("{} {} {}", to(v), v.offset(), v.size()));
            format!("datasec {} {} {}", name(d), d.size(), list(vars))
        }
        Type::Float(f) => format!("float {} {}", name(f), f.size()),
        Type::DeclTag(t) => format!("decl_tag {} {} {:?}", name(t), to(t), t.component_index()),
        Type::TypeTag(t) => format!("type_tag {} {}", name(t), to(t)),
        other => format!("{other:?}"),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_type_is_what_btf_rs_says() {
    let bytes = bytes();
    let oracle = btf_rs::Btf::from_bytes(&bytes).expect("btf-rs reads vmlinux");
    let btf = Btf::parse(bytes).expect("vmlinux is BTF");
    let count = btf.own_ids().count();
    for id in btf.own_ids() {
        let ty = oracle.resolve_type_by_id(id.0).expect("btf-rs has every type");
        assert_eq!(ours(&btf, id), theirs(&oracle, &ty), "type {id}");
    }
    assert!(oracle.resolve_type_by_id(btf.next_id()).is_err(), "btf-rs has more types");
    assert!(count > 10_000, "vmlinux has more than {count} types");
}

/// Sizes, by the kernel's own C: these do not change on x86-64, or are what the struct itself says.
#[test]
fn sizes() {
    let btf = Btf::parse(bytes()).expect("vmlinux is BTF");
    for (tag, name, size) in [
        (Tag::Int, "int", Some(4)),
        (Tag::Typedef, "u64", Some(8)),
        (Tag::Typedef, "pid_t", Some(4)),
        (Tag::Struct, "list_head", Some(16)),
        (Tag::Struct, "qstr", Some(16)),
        (Tag::Func, "vfs_read", None),
    ] {
        let id = btf.find(tag, name).unwrap_or_else(|| panic!("vmlinux has {name}"));
        assert_eq!(btf.size_of(id), size, "{name}");
    }
    let task = btf.find(Tag::Struct, "task_struct").expect("vmlinux has task_struct");
    let comm = btf.field(task, "comm").expect("task_struct has comm");
    assert_eq!(btf.size_of(comm.ty), Some(16));
    assert_eq!(btf.c_type(comm.ty), "char [16]");
}

#[test]
fn prototypes() {
    let btf = Btf::parse(bytes()).expect("vmlinux is BTF");
    let text = |name: &str| {
        let proto = btf.func_proto(name).unwrap_or_else(|| panic!("vmlinux has {name}"));
        let params = proto.params.iter().map(|p| format!("{}: {}", p.name, btf.c_type(p.ty)));
        format!("{name}({}) {}", list(params), btf.c_type(proto.ret))
    };
    for (name, expect) in [
        ("vfs_open", "vfs_open(path: const struct path *, file: struct file *) int"),
        ("vfs_read", "vfs_read(file: struct file *, buf: char *, count: size_t, pos: loff_t *) ssize_t"),
        ("do_nanosleep", "do_nanosleep(t: struct hrtimer_sleeper *, mode: enum hrtimer_mode) int"),
    ] {
        assert_eq!(text(name), expect);
    }
    assert!(btf.func_proto("no_such_function").is_none());
}

/// A raw tracepoint's arguments stand in a typedef of a pointer to a function.
#[test]
fn tracepoint_prototype() {
    let btf = Btf::parse(bytes()).expect("vmlinux is BTF");
    // Static structs of many files have this name.
    let walked: Vec<TypeId> =
        (1..btf.next_id()).map(TypeId).filter(|id| btf.tag(*id) == Tag::Struct && btf.name(*id) == "args").collect();
    assert_eq!(btf.find_all(Tag::Struct, "args"), walked);
    let id = btf.find(Tag::Typedef, "btf_trace_sched_switch").expect("vmlinux has sched_switch");
    let proto = btf.proto_of(id).expect("it is a function");
    let params: Vec<String> = proto.params.iter().map(|p| btf.c_type(p.ty)).collect();
    assert_eq!(params[..3], ["void *", "bool", "struct task_struct *"]);
}

/// Members agree with the offsets that clang gives: a path is walked by name and then by its own indices.
#[test]
fn members_by_name() {
    let btf = Btf::parse(bytes()).expect("vmlinux is BTF");
    let mut seen = 0;
    for (id, name) in btf.own_named(Tag::Struct) {
        for field in btf.fields(id) {
            assert_eq!(btf.field_at(id, &field.path).as_ref(), Some(&field), "{name}.{}", field.name);
            assert_eq!(btf.field(id, field.name).as_ref(), Some(&field), "{name}.{}", field.name);
            seen += 1;
            assert!(field.path.len() < 10, "{name}.{} is nested {} deep", field.name, field.path.len());
        }
    }
    assert!(seen > 10_000, "vmlinux has more than {seen} members");
}

/// Prints how long things take. The one limit is the reason for this reader: it is faster than a full parse, by some
/// 50 times optimised and 10 times not.
#[test]
fn speed() {
    let time = |what: &str, work: &mut dyn FnMut() -> usize| {
        let start = Instant::now();
        let result = work();
        let taken = start.elapsed();
        eprintln!("{what}: {taken:?} ({result})");
        taken
    };
    let mut data = Vec::new();
    time("read the file", &mut || {
        data = bytes();
        data.len()
    });
    let mut parsed = None;
    let mut parse = || {
        let copy = data.clone();
        time("parse", &mut || {
            let btf = Btf::parse(copy.clone()).expect("vmlinux is BTF");
            parsed.insert(btf).own_ids().count()
        })
    };
    // A machine that does something else meanwhile makes each slower: the least of some counts.
    let ours = (0..3).map(|_| parse()).min();
    let btf = parsed.expect("just parsed");
    time("find a struct", &mut || btf.find(Tag::Struct, "dentry").map_or(0, |id| id.0 as usize));
    time("find a function that is not there", &mut || btf.find(Tag::Func, "no_such_function").iter().count());
    time("list all functions", &mut || btf.functions().map(|(_, name)| name.len()).sum());
    let theirs = time("parse by btf-rs", &mut || btf_rs::Btf::from_bytes(&data).is_ok().into());
    assert!(ours < Some(theirs), "{ours:?} is not less than {theirs:?}");
}

/// What is trusted answers as what is looked through: by name, whichever way that is found, and by id.
#[test]
fn trusted() {
    let (parsed, trusted) = (Btf::parse(bytes()).expect("the kernel's"), Btf::trust(bytes()).expect("the kernel's"));
    let of = |tag, every: usize| parsed.own_named(tag).step_by(every).map(move |(_, name)| (tag, name));
    let known = of(Tag::Func, 5000).chain(of(Tag::Struct, 1000)).chain(of(Tag::Typedef, 500));
    for (tag, name) in known.chain([(Tag::Struct, "no_such_struct"), (Tag::Typedef, "task_struct"), (Tag::Struct, "")])
    {
        for _ in 0..2 {
            assert_eq!(trusted.find(tag, name), parsed.find(tag, name), "{name}");
        }
    }
    for id in parsed.ids().step_by(97).chain([TypeId(u32::MAX)]) {
        assert_eq!((trusted.name(id), trusted.tag(id)), (parsed.name(id), parsed.tag(id)), "{id}");
    }
    assert_eq!(trusted.next_id(), parsed.next_id());
}
