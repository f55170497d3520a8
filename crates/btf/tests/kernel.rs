//! The running kernel and libbpf as oracles: they load what is written, and libbpf relocates against the kernel's
//! types. Each program is `r0 = value; exit` with the value relocated, and is run by BPF_PROG_TEST_RUN.
//!
//! The local definitions come from a made-up BTF in which every struct looks different from the kernel's, so that a
//! right value cannot be one that was there before.
//!
//! Needs CAP_BPF and CAP_NET_ADMIN (a socket filter), and attaches nothing.

use bpfquery_btf::{
    Btf, Builder, CoreKind, CoreRef, CoreRelo, CoreTypes, Ext, Field, FuncInfo, Leaf, LineInfo, Linkage, MapDef,
    MapPart, MapSection, NewMember, Tag, TypeId,
};
use libbpf_rs::{MapCore, ObjectBuilder, ProgramInput};
use object::write::{Object, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

/// Bytes of a program: two instructions.
const PROGRAM: u32 = 16;
const SECTION: &str = "socket";

fn vmlinux() -> Btf {
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").expect("this test needs a kernel with BTF");
    Btf::parse(bytes).expect("vmlinux is BTF")
}

/// Structs of the kernel's names, with other offsets, sizes and neighbours.
fn made_up() -> Btf {
    let mut b = Builder::new();
    let int = b.plain_int(4, true);
    let uint = b.plain_int(4, false);
    let u64 = b.plain_int(8, false);
    let char = b.char();
    let text = b.ptr(char);
    let comm = b.array(char, 4);
    let bit = |name: &str, ty, bit_offset, bits| NewMember { name: name.into(), ty, bit_offset, bits };
    let qstr = b.structure("qstr", 32, &[NewMember::new("name", text, 8), NewMember::new("len", uint, 24)]);
    b.structure("dentry", 64, &[NewMember::new("d_name", qstr, 32)]);
    let counter = b.structure("", 8, &[NewMember::new("counter", int, 4)]);
    let atomic = b.typedef("atomic_t", counter);
    b.structure(
        "task_struct",
        128,
        &[
            NewMember::new("comm", comm, 8),
            bit("in_execve", uint, 97, 1),
            bit("exit_code", int, 128, 0),
            bit("pid", int, 160, 0),
        ],
    );
    let limit = b.structure("rlimit", 24, &[NewMember::new("rlim_max", u64, 0), NewMember::new("rlim_cur", u64, 16)]);
    let limits = b.array(limit, 2);
    b.structure("signal_struct", 64, &[NewMember::new("live", atomic, 0), NewMember::new("rlim", limits, 16)]);
    let prog_type = b.enumeration("bpf_prog_type", 4, false, &[("BPF_PROG_TYPE_UNSPEC", 7)]);
    b.structure("bpf_prog", 16, &[bit("jited", uint, 3, 1), NewMember::new("type", prog_type, 8)]);
    // In the kernel, these stand in anonymous structs and unions.
    b.structure("sk_buff", 16, &[NewMember::new("dev", text, 0), NewMember::new("sk", text, 8)]);
    b.enumeration("pid_type", 4, false, &[("PIDTYPE_PGID", 40), ("PIDTYPE_TGID", 50), ("PIDTYPE_NONE", 60)]);
    b.structure("no_such_struct", 8, &[NewMember::new("x", u64, 0)]);
    Btf::parse(b.finish().expect("small")).expect("well-formed")
}

/// What a program relocates, and what it must return.
struct Case {
    what: String,
    at: CoreRef,
    kind: CoreKind,
    expect: u64,
}

struct Cases {
    local: Btf,
    kernel: Btf,
    core: CoreTypes,
    cases: Vec<Case>,
}

impl Cases {
    /// A field by its path from a struct on: `d_name.name`, `rlim[3].rlim_cur`.
    fn field(&mut self, root: &str, names: &str) {
        let (local, path) = walk(&self.local, root, names);
        let at = self.core.field(id(&self.local, root), &path).expect("the made-up struct has it");
        let (kernel, _) = walk(&self.kernel, root, names);
        assert_ne!(local, kernel, "the oracle has to be told apart from the input");
        let what = format!("{root}.{names}");
        let size = self.kernel.size_of(kernel.ty).expect("data has a size");
        let load = kernel.bits.map(|bits| bits.load(size).expect("the kernel's bitfields can be read"));
        let offset = load.map_or(kernel.offset, |l| l.offset);
        self.add(&what, at, CoreKind::FieldByteOffset, offset.into());
        self.add(&what, at, CoreKind::FieldByteSize, load.map_or(size, |l| l.size).into());
        self.add(&what, at, CoreKind::FieldExists, 1);
        if !names.ends_with(']') && size <= 8 {
            let shifts = load.map_or((64 - 8 * size, 64 - 8 * size), |l| (l.left, l.right));
            self.add(&what, at, CoreKind::FieldLshiftU64, shifts.0.into());
            self.add(&what, at, CoreKind::FieldRshiftU64, shifts.1.into());
            let signed = matches!(self.kernel.resolve(kernel.ty), bpfquery_btf::Kind::Int(i) if i.signed);
            self.add(&what, at, CoreKind::FieldSigned, signed.into());
        }
    }

    fn add(&mut self, what: &str, at: CoreRef, kind: CoreKind, expect: u64) {
        self.cases.push(Case { what: what.to_owned(), at, kind, expect });
    }
}

fn id(btf: &Btf, name: &str) -> TypeId {
    [Tag::Struct, Tag::Typedef, Tag::Enum]
        .iter()
        .find_map(|tag| btf.find(*tag, name))
        .unwrap_or_else(|| panic!("there is no type {name}"))
}

/// A field's place from the root, without its names, and its path.
fn walk(btf: &Btf, root: &str, names: &str) -> (Field<'static>, Vec<u32>) {
    let root = id(btf, root);
    let mut at = Field { name: "", path: Vec::new(), ty: root, offset: 0, bits: None };
    for name in names.split(['.', '[', ']']).filter(|name| !name.is_empty()) {
        let next = match name.parse() {
            Ok(index) => vec![index],
            Err(_) => btf.field(at.ty, name).unwrap_or_else(|| panic!("there is no {name} in {names}")).path,
        };
        at = btf.field_at(root, &[at.path, next].concat()).expect("the path is the field's own");
    }
    (Field { name: "", path: Vec::new(), ..at.clone() }, at.path)
}

fn cases() -> Cases {
    let local = made_up();
    let mut c = Cases { core: CoreTypes::new(&local), kernel: vmlinux(), cases: Vec::new(), local };
    for (root, names) in [
        ("dentry", "d_name.name"),
        ("dentry", "d_name.len"),
        ("dentry", "d_name"),
        ("task_struct", "comm"),
        ("task_struct", "comm[3]"),
        ("task_struct", "in_execve"),
        ("task_struct", "exit_code"),
        ("task_struct", "pid"),
        ("signal_struct", "live.counter"),
        ("signal_struct", "rlim[3].rlim_cur"),
        ("signal_struct", "rlim[15].rlim_max"),
        ("bpf_prog", "type"),
        ("bpf_prog", "jited"),
        ("sk_buff", "dev"),
        ("sk_buff", "sk"),
        ("atomic_t", "counter"),
    ] {
        c.field(root, names);
    }
    let task = id(&c.local, "task_struct");
    let int = Leaf::Int { size: 4, signed: true };
    let there = c.core.named_field(task, "tgid", int).expect("it is a struct");
    let offset = c.kernel.field(id(&c.kernel, "task_struct"), "tgid").expect("the kernel has it").offset;
    c.add("tgid, unknown here", there, CoreKind::FieldExists, 1);
    c.add("tgid, unknown here", there, CoreKind::FieldByteOffset, offset.into());
    let absent = c.core.named_field(task, "no_such_member", Leaf::Ptr).expect("it is a struct");
    c.add("absent member", absent, CoreKind::FieldExists, 0);
    let whole = c.core.whole(task);
    let size = c.kernel.size_of(id(&c.kernel, "task_struct")).expect("a struct has a size");
    c.add("task_struct", whole, CoreKind::TypeSize, size.into());
    c.add("task_struct", whole, CoreKind::TypeExists, 1);
    let typedef = c.core.whole(id(&c.local, "atomic_t"));
    c.add("atomic_t", typedef, CoreKind::TypeExists, 1);
    c.add("atomic_t", typedef, CoreKind::TypeSize, 4);
    let nowhere = c.core.whole(id(&c.local, "no_such_struct"));
    c.add("no_such_struct", nowhere, CoreKind::TypeExists, 0);
    let pids = id(&c.local, "pid_type");
    for (index, exists, value) in [(1, 1, Some(1)), (0, 1, Some(2)), (2, 0, None)] {
        let at = c.core.enumerator(pids, index).expect("it has three");
        c.add("pid_type", at, CoreKind::EnumvalExists, exists);
        if let Some(value) = value {
            c.add("pid_type", at, CoreKind::EnumvalValue, value);
        }
    }
    c
}

#[test]
fn relocations() {
    let Cases { core, cases, .. } = cases();
    let mut b = Builder::new();
    let specs = core.finish(&mut b).expect("the accesses fit");
    let int = b.plain_int(4, true);
    let context = b.ptr(TypeId::VOID);
    let proto = b.func_proto(int, &[("ctx", context)]);
    let mut ext = Ext::default();
    let (file, access): (_, Vec<_>) = (b.string("q.sql"), specs.iter().map(|s| b.string(&s.access)).collect());
    let section = ext.section(b.string(SECTION));
    let mut text = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let (spec, insn_off) = (&specs[case.at.index()], PROGRAM * n as u32);
        let before = spec.value(case.kind).unwrap_or_else(|| panic!("{}: no {:?}", case.what, case.kind));
        text.extend(program(before));
        let (func, line) = (b.func(&name(n), proto, Linkage::Global), b.string(&case.what));
        section.funcs.push(FuncInfo { insn_off, func });
        section.lines.push(LineInfo { insn_off, file, text: line, line: n as u32 + 1, column: 1 });
        let relo = CoreRelo { insn_off, ty: spec.ty, access: access[case.at.index()], kind: case.kind };
        section.relos.push(relo);
    }
    let maps = maps(&mut b);
    let object = object(&text, cases.len(), &b.finish().expect("small"), &ext.write(), &maps);
    let open = ObjectBuilder::default().open_memory(&object).expect("libbpf opens it");
    let loaded = open.load().expect("libbpf relocates it, and the kernel takes it");
    for (n, case) in cases.iter().enumerate() {
        let program = loaded.progs_mut().find(|p| p.name() == &*name(n)).expect("each case is a program");
        let input = ProgramInput { data_in: Some(&[0; 64]), ..ProgramInput::default() };
        let result = program.test_run(input).expect("a socket filter can be run");
        assert_eq!(u64::from(result.return_value), case.expect, "{} {}", case.what, case.kind.name());
    }
    check_maps(&loaded);
}

/// `r0 = value; exit`
fn program(value: u64) -> Vec<u8> {
    let imm = i32::try_from(value).expect("offsets and sizes are small").to_le_bytes();
    [&[0xb7, 0, 0, 0], &imm[..], &[0x95, 0, 0, 0, 0, 0, 0, 0]].concat()
}

fn name(n: usize) -> String {
    format!("case_{n}")
}

/// One map of each way to say what keys and values are.
fn maps(b: &mut Builder) -> MapSection {
    let (u32, u64) = (b.plain_int(4, false), b.plain_int(8, false));
    let value = b.structure("value", 16, &[NewMember::new("count", u64, 0), NewMember::new("total", u64, 8)]);
    let map = |name: &str, map_type, key, value, max_entries, map_flags| MapDef {
        name: name.into(),
        map_type,
        key,
        value,
        max_entries,
        map_flags,
        pinned: false,
    };
    b.maps(&[
        map("counts", 1, MapPart::Type(u32), MapPart::Type(value), 100, 1), // A hash, BPF_F_NO_PREALLOC.
        map("cells", 6, MapPart::Size(4), MapPart::Size(24), 3, 0),         // A per-CPU array.
        map("rows", 27, MapPart::None, MapPart::None, 4096, 0),             // A ring buffer.
    ])
}

fn check_maps(loaded: &libbpf_rs::Object) {
    let seen: Vec<String> = loaded
        .maps()
        .map(|m| {
            let name = m.name().to_string_lossy().into_owned();
            let info = m.info().expect("a map can be asked").info;
            let typed = info.btf_value_type_id != 0;
            format!(
                "{name} {:?} {} {} {} {} {typed}",
                m.map_type(),
                m.key_size(),
                m.value_size(),
                m.max_entries(),
                info.map_flags
            )
        })
        .collect();
    assert_eq!(
        seen,
        ["counts Hash 4 16 100 1 true", "cells PercpuArray 4 24 3 0 false", "rows RingBuf 0 0 4096 0 false"]
    );
}

/// An ELF file of the programs, maps and types.
fn object(text: &[u8], programs: usize, btf: &[u8], ext: &[u8], maps: &MapSection) -> Vec<u8> {
    let mut elf = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let mut section = |name: &str, kind, data: &[u8]| {
        let id = elf.add_section(Vec::new(), name.into(), kind);
        elf.append_section_data(id, data, 8);
        id
    };
    let text = section(SECTION, SectionKind::Text, text);
    section("license", SectionKind::Data, b"GPL\0");
    let data = section(".maps", SectionKind::Data, &vec![0; maps.size as usize]);
    section(".BTF", SectionKind::Other, btf);
    section(".BTF.ext", SectionKind::Other, ext);
    let types = Btf::parse(btf.to_vec()).expect("written by this crate");
    let programs = (0..programs).map(|n| (name(n), SymbolKind::Text, text, PROGRAM * n as u32, PROGRAM));
    let vars = maps.vars.iter().map(|v| (types.name(v.var).to_owned(), SymbolKind::Data, data, v.offset, v.size));
    for (name, kind, section, value, size) in programs.chain(vars) {
        elf.add_symbol(Symbol {
            name: name.into_bytes(),
            value: value.into(),
            size: size.into(),
            kind,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    elf.write().expect("the ELF file is small")
}
