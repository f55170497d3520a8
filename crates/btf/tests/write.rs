//! What is written, read back by this crate, by libbpf and by bpftool.

mod common;

use bpfquery_btf::{
    Btf, Builder, CoreEnd, CoreKind, CoreTypes, Ext, Kind, Leaf, Linkage, NewMember, SecVar, Tag, TypeId, c_identifier,
};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

/// A file of these bytes in the tests' own directory.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).expect("cargo's directory for tests can be written");
    path
}

/// `bpftool btf dump file … format c`, without the declarations around the types.
fn c_source(name: &str, bytes: &[u8]) -> String {
    let private = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/bpftool/usr/sbin");
    let path = format!("{private}:{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut bpftool = Command::new("bpftool");
    bpftool.env("PATH", path).args(["btf", "dump", "file"]).arg(file(name, bytes)).args(["format", "c"]);
    let output = bpftool.output().expect("bpftool runs: `make setup` fetches it");
    assert!(output.status.success(), "bpftool: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("bpftool prints UTF-8");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn libbpf_reads_it() {
    let (bytes, _) = common::sample();
    let ours = Btf::parse(bytes.clone()).expect("written by this crate");
    let libbpf = libbpf_rs::btf::Btf::from_path(file("libbpf.btf", &bytes)).expect("libbpf reads it");
    assert_eq!(libbpf.len() as u32, ours.next_id());
    for id in ours.ids() {
        let theirs = libbpf.type_by_id::<libbpf_rs::btf::BtfType<'_>>(id.0.into()).expect("libbpf has every type");
        let name = theirs.name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
        assert_eq!(name, ours.name(id), "{id}");
        let kind = format!("{:?}", theirs.kind()).to_lowercase().replace("enum64", "enum");
        assert_eq!(kind, format!("{:?}", ours.tag(id)).to_lowercase(), "{id}");
    }
}

#[test]
fn bpftool_prints_c() {
    let (bytes, _) = common::sample();
    let source = c_source("sample.btf", &bytes);
    // Whole definitions, since versions of bpftool order them differently.
    for expect in [
        "enum state {\n\tRUNNING = 0,\n\tSTOPPED = -1,\n};",
        "enum wide {\n\tLOW = 1ULL,\n\tHIGH = 1099511627776ULL,\n};",
        "struct task {
	char comm[16];
	union {
		struct {
			int flag: 1;
			int rest: 31;
			int code;
		};
		unsigned long long whole;
	};
	char __attribute__((btf_type_tag(\"user\"))) *text;
	enum state state;
	unsigned long long total;
};",
        "typedef const volatile struct task *task_t;",
    ] {
        assert!(source.contains(expect), "{expect}\nis not in:\n{source}");
    }
}

#[test]
fn reads_back() {
    let (bytes, _) = common::sample();
    let btf = Btf::parse(bytes).expect("written by this crate");
    let task = btf.find(Tag::Struct, "task").expect("it is there");
    let fields: Vec<String> = btf
        .fields(task)
        .iter()
        .map(|f| {
            format!(
                "{} {} {:?} {} {:?}",
                f.name,
                f.offset,
                f.path,
                btf.c_type(f.ty),
                f.bits.map(|b| (b.offset, b.size))
            )
        })
        .collect();
    assert_eq!(
        fields,
        [
            "comm 0 [0] char [16] None",
            "flag 16 [1, 0, 0] int Some((128, 1))",
            "rest 16 [1, 0, 1] int Some((129, 31))",
            "code 20 [1, 0, 2] int None",
            "whole 16 [1, 1] unsigned long long None",
            "text 24 [2] char * None",
            "state 32 [3] enum state None",
            "total 40 [4] unsigned long long None",
        ]
    );
    let text = btf.field(task, "text").expect("it is there");
    assert!(btf.pointer(text.ty).expect("it is a pointer").user);
    let alias = btf.find(Tag::Typedef, "task_t").expect("it is there");
    assert_eq!(btf.c_type(alias), "task_t");
    assert_eq!(btf.c_type(btf.skip(alias)), "volatile const struct task *");
    let wide = btf.find(Tag::Enum, "wide").expect("it is there");
    let Kind::Enum(wide) = btf.kind(wide) else { panic!("{wide} is an enum") };
    assert_eq!(wide.values().collect::<Vec<_>>(), [("LOW", 1), ("HIGH", 1 << 40)]);
    assert!(wide.wide);
    let proto = btf.func_proto("handler").expect("it is there");
    assert_eq!(proto.params.iter().map(|p| p.name).collect::<Vec<_>>(), ["task", "n"]);
}

/// Bitfields of kernels before 5.0: the int says how narrow it is.
#[test]
fn old_bitfields() {
    let mut b = Builder::new();
    let int = bpfquery_btf::Int { size: 4, bits: 3, offset: 2, signed: false, bool: false, char: false };
    let narrow = b.int("unsigned int", int);
    b.structure("old", 8, &[NewMember::new("x", narrow, 4)]);
    let btf = Btf::parse(b.finish().expect("small")).expect("well-formed");
    let old = btf.find(Tag::Struct, "old").expect("it is there");
    let x = btf.field(old, "x").expect("it is there");
    let bits = x.bits.expect("it is a bitfield");
    assert_eq!((bits.offset, bits.size), (34, 3));
    let load = bits.load(4).expect("it fits");
    assert_eq!((load.offset, load.size, load.left, load.right), (4, 4, 59, 61));
}

#[test]
fn split() {
    let (bytes, _) = common::sample();
    let base = Btf::parse(bytes).expect("written by this crate");
    let (first, strings) = (base.next_id(), base_strings_len());
    // A pointer to the base's first type, and a typedef of the pointer named by an own string.
    let words = [0x0001_eb9f, 24, 0, 24, 24, 6, 0, 2 << 24, 1, strings, 8 << 24, first];
    let mut module: Vec<u8> = words.iter().flat_map(|w: &u32| w.to_le_bytes()).collect();
    module.extend(b"mod_t\0");
    assert!(Btf::parse(module.clone()).is_err(), "without its base it mentions what is not there");
    let split = Btf::parse_split(module, &base).expect("with its base it is whole");
    let id = split.find(Tag::Typedef, "mod_t").expect("it is there");
    assert_eq!((id, split.c_type(split.skip(id)).as_str()), (TypeId(first + 1), "int *"));
    assert_eq!(split.find(Tag::Struct, "task"), base.find(Tag::Struct, "task"));
    assert_eq!(split.find_own(Tag::Struct, "task"), None);
    assert_eq!(split.find_all(Tag::Struct, "task"), Vec::from_iter(base.find(Tag::Struct, "task")));
    assert_eq!(split.find_all(Tag::Typedef, "mod_t"), [id]);
    assert_eq!(split.find_all(Tag::Union, "task"), []);
    assert_eq!(split.own_ids().count(), 2);
}

/// The length of the sample's string section, from its header.
fn base_strings_len() -> u32 {
    let (bytes, _) = common::sample();
    u32::from_le_bytes(bytes[20..24].try_into().expect("four bytes"))
}

#[test]
fn ext_reads_back() {
    let (bytes, ext) = common::sample();
    let btf = Btf::parse(bytes).expect("written by this crate");
    let ext = Ext::read(&ext).expect("written by this crate");
    let [section] = &ext.sections[..] else { panic!("one section, not {ext:?}") };
    assert_eq!(btf.string(section.name.0), "raw_tp");
    assert_eq!(btf.name(section.funcs[0].func), "handler");
    let lines: Vec<_> = section.lines.iter().map(|l| (l.insn_off, l.line, l.column, btf.string(l.text.0))).collect();
    assert_eq!(lines, [(0, 1, 1, "SELECT 1"), (8, 2, 5, "SELECT 1")], "in order of instructions");
    assert_eq!(btf.string(section.relos[0].access.0), "0:1");
    assert_eq!(section.relos[0].kind, CoreKind::FieldByteOffset);
    assert_eq!(Ext::read(&Ext::default().write()).expect("empty is well-formed"), Ext::default());
}

#[test]
fn equal_types_are_one() {
    let mut b = Builder::new();
    let one = b.plain_int(4, true);
    assert_eq!(b.plain_int(4, true), one);
    assert_ne!(b.plain_int(4, false), one);
    let s = [NewMember::new("x", one, 0)];
    assert_eq!(b.structure("s", 4, &s), b.structure("s", 4, &s));
    assert_ne!(b.structure("s", 4, &s), b.structure("t", 4, &s));
    assert_ne!(b.var("v", one, Linkage::Static), b.var("v", one, Linkage::Static));
    assert_eq!(b.string("x"), b.string("x"));
    let nul = b.string("a\0b");
    let btf = Btf::parse(b.finish().expect("small")).expect("well-formed");
    assert_eq!(btf.string(nul.0), "a b");
}

#[test]
fn limits() {
    let check = |expect: &str, build: &dyn Fn(&mut Builder)| {
        let mut b = Builder::new();
        build(&mut b);
        b.plain_int(4, true);
        assert_eq!(b.finish().expect_err(expect).message, expect);
    };
    check("a BTF type holds at most 65535 elements, not 65536", &|b| {
        b.datasec(".maps", 0, &[SecVar { var: TypeId(1), offset: 0, size: 0 }; 65536]);
    });
    check("BTF strings are longer than 16 MiB", &|b| {
        b.string(&"x".repeat(1 << 24));
    });
    check("there is no integer of 3 bytes", &|b| {
        b.plain_int(3, true);
    });
    check("member x is too far into a struct that has bitfields", &|b| {
        let far = NewMember { name: "x".into(), ty: TypeId(1), bit_offset: 1 << 24, bits: 1 };
        b.structure("s", 4, &[far]);
    });
}

/// Accesses to one struct share its definition, and keep the kernel's offsets.
#[test]
fn core_types_merge() {
    let (bytes, _) = common::sample();
    let btf = Btf::parse(bytes).expect("written by this crate");
    let task = btf.find(Tag::Struct, "task").expect("it is there");
    let path = |name: &str| btf.field(task, name).expect("it is there").path;
    let mut core = CoreTypes::new(&btf);
    let total = core.field(task, &path("total")).expect("an access");
    let code = core.field(task, &path("code")).expect("an access");
    let third = core.field(task, &[path("comm"), vec![3]].concat()).expect("an access");
    let rest = core.field(task, &path("rest")).expect("an access");
    let guess = core.named_field(task, "renamed", Leaf::Int { size: 4, signed: false }).expect("an access");
    let known = core.named_field(task, "total", Leaf::Ptr).expect("an access");
    let state = core.enumerator(btf.find(Tag::Enum, "state").expect("it is there"), 1).expect("an access");
    let whole = core.whole(task);
    let mut builder = Builder::new();
    let specs = core.finish(&mut builder).expect("the accesses fit");
    let local = Btf::parse(builder.finish().expect("small")).expect("well-formed");
    let spec = |r: bpfquery_btf::CoreRef| &specs[r.index()];
    let accesses = [total, code, third, rest, guess, known, state, whole].map(|r| spec(r).access.as_str());
    assert_eq!(accesses, ["0:3", "0:2", "0:0:3", "0:1", "0:0", "0:3", "0", "0"]);
    let tasks = local.own_named(Tag::Struct).filter(|(_, name)| *name == "task").count();
    assert_eq!(tasks, 1);
    let offsets = |r| spec(r).value(CoreKind::FieldByteOffset);
    assert_eq!([total, code, third, rest, guess].map(offsets), [Some(40), Some(20), Some(3), Some(16), Some(0)]);
    assert_eq!(spec(rest).value(CoreKind::FieldLshiftU64), Some(32));
    assert_eq!(spec(rest).value(CoreKind::FieldRshiftU64), Some(33));
    assert_eq!(spec(rest).value(CoreKind::FieldSigned), Some(1));
    assert_eq!(spec(third).value(CoreKind::FieldSigned), None, "libbpf does not relocate it");
    assert_eq!(spec(state).end, CoreEnd::Value(-1));
    assert_eq!(spec(whole).value(CoreKind::TypeSize), Some(48));
    assert!(core_error(&btf, task, &[9]).contains("has no member 9"));
    assert!(core_error(&btf, task, &[4, 0]).contains("has no members"));
    assert!(core_error(&btf, task, &[1]).contains("anonymous"));
    assert!(core_error(&btf, task, &[]).contains("1 to 63 steps"));
}

/// What stands within a union, in an anonymous struct behind its first member, keeps its place: a union's own members are at 0.
#[test]
fn core_types_within_unions() {
    let mut b = Builder::new();
    let (long, int) = (b.plain_int(8, false), b.plain_int(4, false));
    let low = NewMember { name: "low".into(), ty: int, bit_offset: 0, bits: 5 };
    let high = NewMember { name: "high".into(), ty: int, bit_offset: 37, bits: 3 };
    let parts = b.structure("", 8, &[low, high]);
    let word = b.union("word", 8, &[NewMember::new("all", long, 0), NewMember::new("", parts, 0)]);
    let btf = Btf::parse(b.finish().expect("small")).expect("well-formed");
    let mut core = CoreTypes::new(&btf);
    let path = |name: &str| btf.field(word, name).expect("it is there").path;
    let refs = ["high", "low", "all"].map(|name| core.field(word, &path(name)).expect("an access"));
    let mut builder = Builder::new();
    let specs = core.finish(&mut builder).expect("the accesses fit");
    let spec = |at: usize| &specs[refs[at].index()];
    let values = |at: usize| {
        let kinds = [CoreKind::FieldByteOffset, CoreKind::FieldLshiftU64, CoreKind::FieldRshiftU64];
        kinds.map(|kind| spec(at).value(kind).expect("a field"))
    };
    assert_eq!([0, 1, 2].map(values), [[4, 56, 61], [0, 59, 59], [0, 0, 0]]);
    assert_eq!([0, 1, 2].map(|at| spec(at).access.as_str()), ["0:2:0", "0:1", "0:0"]);
}

fn core_error(btf: &Btf, root: TypeId, path: &[u32]) -> String {
    CoreTypes::new(btf).field(root, path).expect_err("no such access").message
}

#[test]
fn identifiers() {
    let mut used = BTreeSet::new();
    for (name, expect) in [
        ("count", "count"),
        ("count", "count_2"),
        ("count", "count_3"),
        ("count_2", "count_2_2"),
        ("a b", "a_b"),
        ("a.b", "a_b_2"),
        ("é", "u00e9"),
        ("日本", "u65e5u672c"),
        ("😀", "u1f600"),
        ("2x", "_2x"),
        ("int", "int_"),
        ("", "_"),
        ("?column?", "_column_"),
        ("Count", "Count"),
    ] {
        assert_eq!(c_identifier(name, &mut used), expect, "{name}");
    }
    let long = "x".repeat(200);
    let (first, second) = (c_identifier(&long, &mut used), c_identifier(&long, &mut used));
    assert!(first != second && first.len() <= 60 && second.len() <= 60 && second.ends_with("_2"));
}
